"""A stream of windows against the posterior predictive: latency, and how near each signal is to an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import label_ends, plain_log_ticks, whole_ticks
from bayes_sd.plots.style import (
    BAND_ALPHA,
    BLUE,
    GREEN,
    INK,
    MARKERS,
    PAPER,
    PURPLE,
    VERMILION,
    head,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"acceptance": PURPLE, "steps": BLUE, "queue": GREEN}


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
    number, alarms = seen["window"].to_numpy(), np.flatnonzero(seen["alarm"].to_numpy())
    words = f"{len(number)} window{'' if len(number) == 1 else 's'}, " + (
        f"alarm from window {number[alarms[0]]} on" if len(alarms) else "no alarm"
    )
    with styled():
        figure, axes = new_figure(9.0, 6.2, nrows=2, sharex=True, height_ratios=[1.2, 1.0])
        head(figure, title, words)
        _latency(axes[0], seen)
        _way(axes[1], seen)
        if len(alarms):
            for panel in axes:
                panel.axvspan(
                    number[alarms[0]] - 0.5, number[-1] + 0.5, color=VERMILION, alpha=0.08, linewidth=0
                )
    return figure


def _latency(axes: Axes, seen: xr.Dataset) -> None:
    x = seen["window"].to_numpy()
    axes.fill_between(x, seen["lower"], seen["upper"], color=BLUE, alpha=BAND_ALPHA, linewidth=0)
    axes.plot(x, seen["expected"], color=BLUE, marker="" if len(x) > 1 else "_", markersize=14)
    axes.plot(x, seen["latency"], MARKERS[0], color=INK, markeredgecolor=PAPER)
    tops = [float(seen[name].max()) for name in ("upper", "latency")]
    axes.set_ylim(0, 1.15 * max([top for top in tops if np.isfinite(top)], default=1.0))
    axes.set_ylabel("mean latency [s]")
    axes.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    ends = [
        (x[-1], _last(seen["expected"]), "predicted at the\nwindow's batch, 90 %", BLUE),
        (x[-1], _last(seen["latency"]), "observed", INK),
    ]
    label_ends(axes, [end for end in ends if np.isfinite(end[1])])


def _way(axes: Axes, seen: xr.Dataset) -> None:
    """Draw how far each signal is on its way to an alarm, which begins at 1."""
    x, ends = seen["window"].to_numpy(), []
    for n, signal in enumerate(str(s) for s in seen["signal"].to_numpy()):
        values = seen["reached"].sel(signal=signal)
        colour = COLOURS[signal]
        axes.plot(x, values, color=colour, marker=MARKERS[n], markeredgecolor=PAPER, linewidth=1.0)
        if np.isfinite(last := _last(values)):
            ends.append((float(x[-1]), last, signal, colour))
    top = max(float(seen["reached"].max()) if seen.sizes["signal"] else 0.0, 1.0)
    axes.set_yscale("symlog", linthresh=1.0, linscale=1.5)
    ticks = [0, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000, 10_000]
    plain_log_ticks(axes.yaxis, [v for v in ticks if v <= 1.3 * top])
    axes.set_ylim(0, 1.4 * top)
    axes.axhline(1.0, color=VERMILION, linewidth=1.4, linestyle="--")
    ends.append((float(x[-1]), 1.0, "alarm threshold", VERMILION))
    axes.set_ylabel("evidence over\nthe alarm threshold")
    axes.set_xlabel("window")
    whole_ticks(axes.xaxis)
    label_ends(axes, ends)


def _last(values: xr.DataArray) -> float:
    """Give the last value that is a number, NaN where none is."""
    finite = values.to_numpy()[np.isfinite(values.to_numpy())]
    return float(finite[-1]) if finite.size else float("nan")
