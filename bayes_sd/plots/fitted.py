"""Posterior check: measured against predicted latency, deployment by deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import told_apart
from bayes_sd.plots.style import BLUE, INK, PAPER, VERMILION, head, is_narrow, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LETTERS = 62
"""Of a deployment's name on a narrow page."""
TICKS = (-50, -20, -10, -5, 0, 5, 10, 20, 50)


def plot_fitted(fitted: xr.Dataset, title: str = "Measured against predicted, by deployment") -> Figure:
    """Draw every fitted row's deviation from its prediction, one line a deployment.

    Parameters
    ----------
    fitted : Dataset
        From :func:`bayes_sd.check.fitted.fitted_rows`.
    title : str

    Returns
    -------
    Figure
    """
    own = [str(d) for d in fitted["deployment"].to_numpy()]
    names = list(dict.fromkeys(own))
    inside = fitted["inside"].to_numpy()
    share = (
        f"{int(inside.sum())} of {len(inside)} rows lie in their {fitted.attrs['ci']:.0%} interval (lines)"
    )
    with styled():
        figure, axes = new_figure(10.0, 1.4 + (0.42 if is_narrow() else 0.23) * len(names))
        head(figure, title, f"{share}; the others are red diamonds")
        _rows(axes, fitted, _heights(own, names), inside)
        _names(axes, told_apart(names))
        axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xticks(TICKS, [f"{abs(v)}" if v >= 0 else f"−{abs(v)}" for v in TICKS])
        axes.minorticks_off()
        axes.set_xlabel("measured over predicted latency, deviation [%]")
    return figure


def _heights(own: list[str], names: list[str]) -> np.ndarray:
    """Place rows of one deployment side by side in their order, not on top of each other."""
    place = {name: n for n, name in enumerate(names)}
    height = np.array([place[name] for name in own], dtype=float)
    low, high = (-0.1, 0.34) if is_narrow() else (-0.3, 0.3)
    for name in names:
        rows = np.flatnonzero([d == name for d in own])
        height[rows] += np.linspace(low, high, len(rows)) if len(rows) > 1 else 0.5 * (low + high)
    return height


def _rows(axes: Axes, fitted: xr.Dataset, height: np.ndarray, inside: np.ndarray) -> None:
    median = fitted["median"].to_numpy()
    ratio = {n: 100.0 * (fitted[n].to_numpy() / median - 1.0) for n in ("measured", "lower", "upper")}
    axes.hlines(height, ratio["lower"], ratio["upper"], color=BLUE, alpha=0.25, linewidth=1.6)
    for kept, colour, marker in ((inside, BLUE, "o"), (~inside, VERMILION, "D")):
        axes.plot(
            ratio["measured"][kept], height[kept], marker, color=colour, markersize=3.6,
            markeredgecolor=PAPER, markeredgewidth=0.4,
        )  # fmt: skip


def _names(axes: Axes, names: list[str]) -> None:
    """Write the deployments beside their rows, or above them where there is no room."""
    if not is_narrow():
        axes.set_yticks(range(len(names)), names, fontsize=8)
        return
    axes.set_yticks([])
    for n, name in enumerate(names):
        words = name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"
        axes.text(
            0.0, n - 0.3, words, transform=axes.get_yaxis_transform(), fontsize=7.5, va="center", color=INK
        )
