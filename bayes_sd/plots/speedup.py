"""Speedup of speculation over load, the probability that it helps, and the break-even load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.plots.labels import doublings, label_ends, plain_log_ticks
from bayes_sd.plots.style import (
    BAND_ALPHA,
    BLUE,
    INK,
    VERMILION,
    head,
    new_figure,
    styled,
    veil,
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
ARRIVALS = {"closed": "closed loop", "even": "evenly spaced arrivals", "poisson": "Poisson arrivals"}
LIKELY = 0.5
"""A break-even is marked if at least this share of the draws have one."""


def plot_speedup(result: xr.Dataset, title: str | None = None) -> Figure:
    """Draw a speedup with its band, P(speedup > 1) and the break-even load; loads without a steady state are covered.

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
    about, load = result.attrs, result["load"].to_numpy()
    unsteady = (result["p_stable"].to_numpy() < 0.5 * (1.0 + about["ci"])).any(axis=0)
    with styled():
        figure, axes = new_figure(8.6, 5.8, nrows=2, sharex=True, height_ratios=[1.7, 1.0])
        head(
            figure,
            title or f"Speedup of {about['drafter'] or 'speculation'}, k = {about['k']}",
            asked_words(about),
        )
        load_axis(axes[1], about, load)
        shown = np.where(unsteady, np.nan, 1.0)
        _curve(axes[0], result, load, shown)
        axes[1].plot(load, 100.0 * result["p_faster"] * shown, color=BLUE)
        axes[1].set_ylim(-3, 104)
        axes[1].set_ylabel("P(faster) [%]")
        _break_even(axes, result)
        for panel in axes:
            veil(panel, load, unsteady, "past saturation" if panel is axes[0] else "")
    return figure


def asked_words(about: dict[Any, Any]) -> str:
    """Say in one line which server and which requests a decision is about."""
    said = [about["deployment"], about.get("requests", ""), ARRIVALS.get(about["arrivals"], "")]
    return "; ".join(filter(None, said))


def load_axis(axes: Axes, about: dict[Any, Any], load: np.ndarray) -> None:
    """Name and scale the axis of loads."""
    axes.set_xlabel(AXES.get(about["load_axis"], f"load [{about['load_units']}]"))
    if about["load_axis"] == "in-flight":
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, doublings(load.min(), load.max()))
        axes.set_xlim(load.min(), load.max())
    elif len(load) > 1:
        axes.set_xlim(0, load.max())


def _curve(axes: Axes, result: xr.Dataset, load: np.ndarray, shown: np.ndarray) -> None:
    low, median, high = (
        np.where(np.isfinite(b), b, np.nan) * shown for b in result["speedup_band"].to_numpy()
    )
    axes.fill_between(load, low, high, color=BLUE, alpha=BAND_ALPHA, linewidth=0)
    axes.plot(load, median, color=BLUE, marker="" if len(load) > 1 else "o")
    axes.axhline(1.0, color=INK, linewidth=1.0, linestyle="--")
    top = float(np.nanmax(high)) if np.isfinite(high).any() else 1.2
    axes.set_ylim(0.0, 1.1 * max(top, 1.1))
    axes.set_ylabel("latency without / with")
    drawn = np.flatnonzero(np.isfinite(median))
    ends = [(float(load[-1]), 1.0, "no gain", INK)]
    if len(drawn):
        text = f"median and\n{result.attrs['ci']:.0%} band"
        ends.append((float(load[drawn[-1]]), float(median[drawn[-1]]), text, BLUE))
    label_ends(axes, ends)


def _break_even(axes: Any, result: xr.Dataset) -> None:
    low, median, high = (float(v) for v in result["break_even_band"].to_numpy())
    left, right = axes[0].get_xlim()
    has = float(np.isfinite(result["break_even"]).mean())
    words = "no break-even at these loads"
    if np.isfinite(median) and low <= right:
        words = f"break-even {median:.3g} [{low:.3g}, {high:.3g}]\nin the {has:.0%} of draws that have one"
        if has >= LIKELY:
            for panel in axes:
                panel.axvspan(max(low, left), min(high, right), color=VERMILION, alpha=0.15, linewidth=0)
                panel.axvline(median, color=VERMILION, linewidth=1.2)
    axes[0].text(0.02, 0.03, words, color=INK, transform=axes[0].transAxes, va="bottom", fontsize=9)
