"""Which draft length is best at which load, and what the others cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.plots.speedup import AXES
from bayes_sd.plots.style import (
    INK,
    LINES,
    PAPER,
    QUIET,
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

EVER = 0.02
"""Alternatives whose probability of being best stays below this everywhere share one area, "other"."""


def plot_tune(result: xr.Dataset, title: str = "Best draft length over load") -> Figure:
    """Draw the probability of each alternative to be best, stacked, and the regret of each.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.tune.tune`.
    title : str

    Returns
    -------
    Figure
    """
    load = result["load"].to_numpy()
    names = alternative_names(result)
    with styled():
        figure, axes = new_figure(9.2, 7.0, nrows=2, sharex=True)
        _probabilities(axes[0], result, load, names)
        _regrets(axes[1], result, load, names)
        axes[1].set_xlabel(AXES.get(result.attrs["load_axis"], f"load [{result.attrs['load_units']}]"))
        axes[0].set_title(title)
        if result.attrs["load_axis"] == "in-flight":
            axes[0].set_xscale("log")
            plain_log_ticks(axes[0].xaxis, doublings(load.min(), load.max()))
        axes[0].set_xlim(load.min(), load.max())
    return figure


def alternative_names(result: xr.Dataset) -> list[str]:
    """Name alternatives: draft length, and drafter where there are several."""
    drafters = [str(d) for d in result["drafter"].to_numpy()]
    several = len({d for d in drafters if d}) > 1
    lengths = result["k"].to_numpy()
    return [
        "no speculation" if not k else f"k = {k:g}" + (f", {d}" if several else "")
        for k, d in zip(lengths, drafters, strict=True)
    ]


def _colours(n: int) -> list[Any]:
    """Colours from light to dark for draft lengths, grey for no speculation."""
    import matplotlib as mpl

    scale = mpl.colormaps["cividis"](np.linspace(0.88, 0.02, max(n - 1, 1)))
    return ["#bdbdbd", *scale][:n]


def _probabilities(axes: Axes, result: xr.Dataset, load: np.ndarray, names: list[str]) -> None:
    share = 100.0 * np.nan_to_num(result["p_best"].to_numpy())
    base = np.zeros(len(load))
    ends, colours = [], _colours(len(names))
    for i in np.flatnonzero(share.max(axis=1) >= 100.0 * EVER):
        axes.fill_between(load, base, base + share[i], color=colours[i], linewidth=0.5, edgecolor="white")
        widest = min(max(int(np.argmax(share[i])), 1), len(load) - 2)
        roomy = share[i, widest - 1 : widest + 2].min() > 9.0
        if roomy:
            dark = i > len(names) / 2
            axes.text(
                load[widest], base[widest] + share[i, widest] / 2, names[i],
                color="white" if dark else INK, ha="center", va="center", fontsize=8.5,
            )  # fmt: skip
        if share[i, -1] > 3.0 and not roomy:
            ends.append((float(load[-1]), float(base[-1] + share[i, -1] / 2), names[i], INK))
        base = base + share[i]
    axes.fill_between(load, base, np.where(base > 0, 100.0, 0.0), color=PAPER, linewidth=0)
    axes.set_ylim(0, 100)
    axes.grid(visible=False)
    axes.set_ylabel("probability to be the fastest [%]")
    label_ends(axes, ends)


def _regrets(axes: Axes, result: xr.Dataset, load: np.ndarray, names: list[str]) -> None:
    regret = 100.0 * result["relative_regret"].to_numpy()
    colours, ends = _colours(len(names)), []
    colours[0] = QUIET
    for i, name in enumerate(names):
        axes.plot(load, regret[i], LINES[i % len(LINES)], color=colours[i])
        finite = np.flatnonzero(np.isfinite(regret[i]))
        if len(finite):
            ends.append((float(load[finite[-1]]), float(regret[i, finite[-1]]), name, colours[i]))
    axes.set_ylim(0, min(60.0, 1.1 * float(np.nanmax(regret))))
    axes.set_ylabel("speed given away on average [%]")
    label_ends(axes, ends)
