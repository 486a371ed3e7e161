"""The best tree of drafts over load: its shape, its size, and what it gains over the best chain."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.plots.labels import doublings, label_ends, plain_log_ticks
from bayes_sd.plots.speedup import AXES, asked_words
from bayes_sd.plots.style import (
    BAND_ALPHA,
    BLUE,
    NARROW_IN,
    QUIET,
    VERMILION,
    head,
    is_narrow,
    styled,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 4
"""Trees that are drawn."""
UNITS = {"rate": "req/s", "in-flight": "in flight", "utilisation": "of the limit"}
Path = tuple[int, ...]


def plot_trees(result: xr.Dataset, title: str = "Best tree of drafts over load") -> Figure:
    """Draw the shapes of the best trees, their size over load, and their gain over the best chain.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.trees.best_trees`.
    title : str

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(NARROW_IN if is_narrow() else 9.0, 8.2), layout="constrained")
        head(figure, title, asked_words(result.attrs))
        rows: Any = figure.subfigures(2, 1, height_ratios=[1.0, 1.7])
        most = 2 if is_narrow() else SHOWN
        shapes = _different(result, most)
        deepest = max((int(result["depth"][int(result["chosen"][i])]) for i in shapes), default=1)
        axes = rows[0].subplots(1, max(len(shapes), 1), squeeze=False)[0]
        for each, i in zip(axes, shapes, strict=False):
            _shape(each, result, i, deepest)
        for each in axes:
            each.set_axis_off()
        size, gain = rows[1].subplots(2, 1, sharex=True)
        _sizes(size, result)
        _gain(gain, result)
        for each in (size, gain):
            _load_axis(each, result)
        gain.set_xlabel(AXES.get(result.attrs["load_axis"], f"load [{result.attrs['load_units']}]"))
    return figure


def _different(result: xr.Dataset, most: int) -> list[int]:
    """Give loads at which the chosen tree is another one than before, evenly spaced among those."""
    chosen = result["chosen"].to_numpy()
    new = [i for i in range(len(chosen)) if chosen[i] >= 0 and (i == 0 or chosen[i] != chosen[i - 1])]
    if len(new) <= most:
        return new
    return [new[int(j)] for j in np.linspace(0, len(new) - 1, most).round()]


def _shape(axes: Axes, result: xr.Dataset, i: int, deepest: int) -> None:
    one = result.isel(alternative=int(result["chosen"][i]))
    paths: list[Path] = [(), *ast.literal_eval(str(one["tree"].item()))]
    place = _places(paths)
    for path in paths:
        x, y = place[path]
        if path:
            up = place[path[:-1]]
            axes.plot([up[0], x], [up[1], y], color=QUIET, linewidth=0.8, zorder=1)
    spots = np.array([place[p] for p in paths])
    axes.scatter(spots[1:, 0], spots[1:, 1], s=16, color=BLUE, zorder=2)
    axes.scatter(spots[:1, 0], spots[:1, 1], s=26, color=VERMILION, zorder=2)
    load = float(result["load"].to_numpy()[i])
    words = "no speculation" if len(paths) == 1 else str(one["alternative"].item())
    axes.set_title(f"{load:.3g} {UNITS[result.attrs['load_axis']]}:\n{words}", fontsize=9, loc="center")
    low, high = spots[:, 0].min(), spots[:, 0].max()
    axes.set_xlim(low - 1.0, high + 1.0)
    axes.set_ylim(-deepest - 0.5, 0.5)


def _places(paths: list[Path]) -> dict[Path, tuple[float, float]]:
    """Place nodes: leaves side by side, a parent over the middle of its children."""
    place: dict[Path, tuple[float, float]] = {}
    leaves = 0

    def visit(path: Path) -> float:
        nonlocal leaves
        children = [p for p in paths if len(p) == len(path) + 1 and p[: len(path)] == path]
        if children:
            spots = [visit(child) for child in children]
            x = 0.5 * (spots[0] + spots[-1])
        else:
            x, leaves = float(leaves), leaves + 1
        place[path] = (x, -float(len(path)))
        return x

    visit(())
    return place


def _sizes(axes: Axes, result: xr.Dataset) -> None:
    load, chosen = result["load"].to_numpy(), result["chosen"].to_numpy()
    held, ends = chosen >= 0, []
    for name, colour, mark, words in (
        ("verify_tokens", BLUE, "o-", "tokens verified\nper request"),
        ("depth", VERMILION, "s--", "depth: passes\nof the drafter"),
    ):
        values = result[name].to_numpy()[chosen[held]]
        axes.plot(load[held], values, mark, color=colour)
        if len(values):
            ends.append((float(load[held][-1]), float(values[-1]), words, colour))
    axes.set_yscale("log", base=2)
    top = float(result["verify_tokens"].to_numpy()[chosen[held]].max()) if held.any() else 2.0
    plain_log_ticks(axes.yaxis, doublings(1.0, max(top, 2.0)))
    axes.set_ylabel("size of the best tree")
    label_ends(axes, ends)


def _gain(axes: Axes, result: xr.Dataset) -> None:
    load, held = result["load"].to_numpy(), result["chosen"].to_numpy() >= 0
    low, middle, high = 100.0 * (result["gain_band"].to_numpy()[:, held] - 1.0)
    axes.fill_between(load[held], low, high, color=BLUE, alpha=BAND_ALPHA, linewidth=0)
    axes.plot(load[held], middle, color=BLUE)
    axes.axhline(0.0, color=QUIET, linewidth=1.0)
    level = f"{result.attrs['ci']:.0%}"
    axes.set_ylabel(f"gain over the best chain [%]\nmedian and {level} interval")


def _load_axis(axes: Any, result: xr.Dataset) -> None:
    load = result["load"].to_numpy()
    if result.attrs["load_axis"] == "in-flight" and load.max() > load.min():
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, doublings(load.min(), load.max()))
