"""A stream of windows against the posterior predictive: latency, batch size, p-values and alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.style import (
    BAND_ALPHA,
    BLUE,
    INK,
    MARKERS,
    ORANGE,
    PAPER,
    QUIET,
    VERMILION,
    label_ends,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"acceptance": ORANGE, "steps": BLUE, "queue": QUIET}


def plot_monitor(seen: xr.Dataset, title: str = "Live windows against the posterior predictive") -> Figure:
    """Draw a monitored stream.

    Parameters
    ----------
    seen : Dataset
        From :func:`bayes_sd.decide.monitor.to_dataset`.
    title : str

    Returns
    -------
    Figure
    """
    with styled():
        figure, axes = new_figure(9.0, 6.4, nrows=2, sharex=True, height_ratios=[1.2, 1.0])
        _latency(axes[0], seen)
        _p_values(axes[1], seen)
        axes[0].set_title(title)
        alarms = np.flatnonzero(seen["alarm"].to_numpy())
        if len(alarms):
            start = float(seen["window"][alarms[0]])
            for panel in axes:
                panel.axvspan(
                    start - 0.5, float(seen["window"][-1]) + 0.5, color=VERMILION, alpha=0.08, linewidth=0
                )
            axes[0].text(
                start - 0.4, axes[0].get_ylim()[1], f"alarm at window {start:.0f}", color=VERMILION, va="top",
            )  # fmt: skip
    return figure


def _latency(axes: Axes, seen: xr.Dataset) -> None:
    x = seen["window"].to_numpy()
    axes.fill_between(x, seen["lower"], seen["upper"], color=BLUE, alpha=BAND_ALPHA, linewidth=0)
    axes.plot(x, seen["expected"], color=BLUE)
    axes.plot(x, seen["latency"], MARKERS[0], color=INK, markeredgecolor=PAPER)
    axes.set_ylim(0, 1.15 * max(float(seen["upper"].max()), float(seen["latency"].max())))
    axes.set_ylabel("mean request latency [s]")
    axes.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    label_ends(
        axes,
        [
            (x[-1], float(seen["expected"][-1]), "predicted at the\nwindow's batch, 90 %", BLUE),
            (x[-1], float(seen["latency"][-1]), "observed", INK),
        ],
    )


def _p_values(axes: Axes, seen: xr.Dataset) -> None:
    x = seen["window"].to_numpy()
    ends = []
    for n, signal in enumerate(str(s) for s in seen["signal"].to_numpy()):
        values = np.clip(seen["signal_p_value"].sel(signal=signal).to_numpy(), 1e-12, 1.0)
        axes.plot(x, values, MARKERS[n], color=COLOURS[signal], markeredgecolor=PAPER)
        finite = np.flatnonzero(np.isfinite(values))
        if len(finite):
            ends.append((float(x[-1]), float(values[finite[-1]]), signal, COLOURS[signal]))
    axes.set_yscale("log")
    axes.set_ylim(min(1e-3, 0.3 * float(np.nanmin(np.clip(seen["signal_p_value"], 1e-12, 1)))), 2.0)
    axes.axhline(0.01, color=QUIET, linewidth=1.0, linestyle=":")
    axes.text(x[0] - 0.4, 0.01, "1 in 100", color=QUIET, va="bottom", fontsize=8.5)
    axes.set_ylabel("p-value of the window")
    axes.set_xlabel("window")
    label_ends(axes, ends)
