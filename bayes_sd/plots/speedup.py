"""Speedup of speculation over load, the probability that it helps, and the break-even load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.style import (
    BAND_ALPHA,
    BLUE,
    INK,
    QUIET,
    VERMILION,
    doublings,
    label_ends,
    new_figure,
    plain_log_ticks,
    styled,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {
    "rate": "arrival rate [requests/s]",
    "in-flight": "requests in flight (closed loop)",
    "utilisation": "load over the limit of the server without speculation",
}

LIKELY = 0.5
"""The median break-even is marked if at least this share of the draws have one."""


def plot_speedup(result: xr.Dataset, title: str | None = None) -> Figure:
    """Draw a speedup with its band, P(speedup > 1) and the interval of the break-even load.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.
    title : str, optional
        Drafter and draft length by default.

    Returns
    -------
    Figure
    """
    about = result.attrs
    load = result["load"].to_numpy()
    with styled():
        figure, axes = new_figure(8.6, 6.0, nrows=2, sharex=True, height_ratios=[1.7, 1.0])
        _curve(axes[0], result, load)
        axes[1].plot(load, result["p_faster"], color=BLUE)
        axes[1].set_ylim(-0.03, 1.03)
        axes[1].set_ylabel("P(speedup > 1)")
        axes[1].set_xlabel(AXES.get(about["load_axis"], f"load [{about['load_units']}]"))
        if about["load_axis"] == "in-flight":
            axes[1].set_xscale("log")
            plain_log_ticks(axes[1].xaxis, doublings(load.min(), load.max()))
        for panel in axes:
            _break_even(panel, result)
        axes[0].set_title(title or f"Speedup of {about['drafter']}, k = {about['k']}")
    return figure


def _curve(axes: Axes, result: xr.Dataset, load: np.ndarray) -> None:
    low, median, high = (np.where(np.isfinite(b), b, np.nan) for b in result["speedup_band"].to_numpy())
    axes.fill_between(load, low, high, color=BLUE, alpha=BAND_ALPHA, linewidth=0)
    axes.plot(load, median, color=BLUE)
    axes.axhline(1.0, color=INK, linewidth=1.0, linestyle="--")
    top = float(np.nanmax(high)) if np.isfinite(high).any() else 1.2
    axes.set_ylim(0.0, min(1.1 * max(top, 1.1), 2.0 * max(float(np.nanmax(median)), 1.0)))
    axes.set_ylabel("speedup: latency without over with")
    drawn = np.flatnonzero(np.isfinite(median))
    ends = [(float(load[-1]), 1.0, "no gain", INK)]
    if len(drawn):
        text = f"median and\n{result.attrs['ci']:.0%} band"
        ends.append((float(load[drawn[-1]]), float(median[drawn[-1]]), text, BLUE))
    label_ends(axes, ends)


def _break_even(axes: Axes, result: xr.Dataset) -> None:
    low, median, high = (float(v) for v in result["break_even_band"].to_numpy())
    left, right = float(result["load"].min()), float(result["load"].max())
    has = float(np.isfinite(result["break_even"]).mean())
    first = axes.get_ylabel().startswith("speedup")
    if not np.isfinite(median) or low > right:
        if first:
            axes.text(0.01, 0.02, "no break-even at these loads", color=QUIET, transform=axes.transAxes)
        return
    axes.axvspan(max(low, left), min(high, right), color=VERMILION, alpha=0.04 + 0.14 * has, linewidth=0)
    if left <= median <= right and has >= LIKELY:
        axes.axvline(median, color=VERMILION, linewidth=1.2)
    if first:
        words = f"break-even {median:.3g} [{low:.3g}, {high:.3g}]\nin the {has:.0%} of draws that have one"
        axes.text(0.01, 0.02, words, color=VERMILION, transform=axes.transAxes, va="bottom", fontsize=8.5)
