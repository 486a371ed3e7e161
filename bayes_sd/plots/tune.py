"""Which draft length is safest at which load, and how probably each is the best one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import label_ends
from bayes_sd.plots.speedup import asked_words, load_axis
from bayes_sd.plots.style import BLUE, CYCLE, INK, MARKERS, PAPER, QUIET, head, new_figure, styled, veil

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EVER = 0.02
"""Alternatives whose probability of being best stays below this everywhere, and that are nowhere safest, are not drawn."""
THICK = 0.92
"""Thickness of a certain alternative, of a row's height."""


def plot_tune(result: xr.Dataset, title: str = "Best draft length over load") -> Figure:
    """Draw the safe choice over load, what it gives away, and the probability of each alternative to be the best.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.tune.tune`.
    title : str

    Returns
    -------
    Figure
    """
    load, names = result["load"].to_numpy(), alternative_names(result)
    safe = result["safe"].to_numpy().astype(int)
    likely = np.nan_to_num(result["p_best"].to_numpy()).max(axis=1) >= EVER
    rows = [i for i in range(len(names)) if likely[i] or i in safe]
    with styled():
        figure, axes = new_figure(
            8.6, 2.6 + 0.44 * len(rows) + 1.5, nrows=3, sharex=True, height_ratios=[0.7, 1.0, 0.55]
        )
        head(figure, title, asked_words(result.attrs))
        load_axis(axes[2], result.attrs, load)
        _safe(axes[0], load, safe, rows, names)
        _probabilities(axes[1], result, load, rows, names)
        _given_away(axes[2], result, load, safe)
        for panel in axes:
            veil(panel, load, safe < 0, "past saturation" if panel is axes[1] else "")
    return figure


def alternative_names(result: xr.Dataset) -> list[str]:
    """Name alternatives: draft length, and drafter where there are several."""
    drafters = [str(d) for d in result["drafter"].to_numpy()]
    several = len({d for d in drafters if d}) > 1
    lengths = result["k"].to_numpy()
    return [
        "none" if not k else f"k = {k:g}" + (f", {d}" if several else "")
        for k, d in zip(lengths, drafters, strict=True)
    ]


def _safe(axes: Axes, load: np.ndarray, safe: np.ndarray, rows: list[int], names: list[str]) -> None:
    """Draw which alternative loses least on average."""
    place = {i: n for n, i in enumerate(rows)}
    height = np.array([place.get(i, np.nan) for i in safe], dtype=float)
    axes.step(load, height, where="mid", color=BLUE, linewidth=2.2)
    axes.plot(load, height, MARKERS[0], color=BLUE, markeredgecolor=PAPER)
    axes.set_yticks(range(len(rows)), [names[i] for i in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_ylabel("safe choice")


def _probabilities(
    axes: Axes, result: xr.Dataset, load: np.ndarray, rows: list[int], names: list[str]
) -> None:
    """Draw each alternative as a ribbon that is as thick as it is probably the best."""
    share = np.nan_to_num(result["p_best"].to_numpy())
    for n, i in enumerate(rows):
        half = 0.5 * THICK * share[i]
        axes.fill_between(load, n - half, n + half, color=CYCLE[0], alpha=0.75, linewidth=0)
        at = int(share[i].argmax())
        axes.axhline(n, color=QUIET, linewidth=0.4)
        if share[i, at] >= EVER:
            axes.annotate(
                f"{share[i, at]:.0%}", (load[at], n + half[at]), xytext=(0, 1), textcoords="offset points", ha="center",
                va="bottom", fontsize=8, color=INK, annotation_clip=False,
            )  # fmt: skip
    axes.set_yticks(range(len(rows)), [names[i] for i in rows])
    axes.set_ylim(-0.6, len(rows) - 0.3)
    axes.grid(visible=False)
    axes.set_ylabel("P(best): thickness")


def _given_away(axes: Axes, result: xr.Dataset, load: np.ndarray, safe: np.ndarray) -> None:
    """Draw what the safe choice, and no speculation, give away."""
    regret = 100.0 * result["relative_regret"].to_numpy()
    ends = []
    lost = np.where(safe >= 0, regret[safe, np.arange(len(load))], np.nan)
    plain = np.flatnonzero(result["k"].to_numpy() == 0)
    lines = [(lost, "safe choice", BLUE, "-")]
    if len(plain):
        lines.append((np.where(safe >= 0, regret[plain[0]], np.nan), "none", INK, "--"))
    for values, words, colour, style in lines:
        axes.plot(load, values, style, color=colour)
        drawn = np.flatnonzero(np.isfinite(values))
        if len(drawn):
            ends.append((float(load[drawn[-1]]), float(values[drawn[-1]]), words, colour))
    tops = [float(np.nanmax(v)) for v, *_ in lines if np.isfinite(v).any()]
    axes.set_ylim(0, 1.15 * max([*tops, 1.0]))
    axes.set_ylabel("speed lost [%]")
    label_ends(axes, ends)
