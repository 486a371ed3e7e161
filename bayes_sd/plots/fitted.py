"""Posterior check: measured against predicted latency, deployment by deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.style import BLUE, INK, PAPER, VERMILION, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


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
    names = list(dict.fromkeys(str(d) for d in fitted["deployment"].to_numpy()))
    place = {name: n for n, name in enumerate(names)}
    height = np.array([place[str(d)] for d in fitted["deployment"].to_numpy()], dtype=float)
    # Rows of one deployment lie side by side in their order, not on top of each other.
    for name in names:
        own = np.flatnonzero([str(d) == name for d in fitted["deployment"].to_numpy()])
        height[own] += np.linspace(-0.3, 0.3, len(own)) if len(own) > 1 else 0.0
    median = fitted["median"].to_numpy()
    ratio = {n: 100.0 * (fitted[n].to_numpy() / median - 1.0) for n in ("measured", "lower", "upper")}
    inside = fitted["inside"].to_numpy()
    with styled():
        figure, axes = new_figure(10.0, 1.5 + 0.23 * len(names))
        axes.hlines(height, ratio["lower"], ratio["upper"], color=BLUE, alpha=0.25, linewidth=1.6)
        for kept, colour, marker in ((inside, BLUE, "o"), (~inside, VERMILION, "D")):
            axes.plot(
                ratio["measured"][kept], height[kept], marker, color=colour, markersize=3.6,
                markeredgecolor=PAPER, markeredgewidth=0.4,
            )  # fmt: skip
        axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xticks(
            [-50, -20, -10, -5, 0, 5, 10, 20, 50], ["−50", "−20", "−10", "−5", "0", "5", "10", "20", "50"]
        )
        axes.minorticks_off()
        axes.set_title(title, x=0.0)
        share = f"{int(inside.sum())} of {len(inside)} rows lie in their {fitted.attrs['ci']:.0%} interval (lines)"
        axes.set_xlabel(f"measured over predicted latency, deviation [%]\n{share},\nthe others are red")
    return figure
