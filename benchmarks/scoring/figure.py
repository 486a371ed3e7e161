"""How often the truth fell where: histogram of the PIT by split, and reliability of P(faster)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scoring.scores import reliability
from scoring.splits import ORDER

BARS = 10


def draw(rows: pd.DataFrame, pairs: pd.DataFrame, path: Path) -> None:
    """Draw a panel a split, and one of P(faster) if there are pairs.

    Parameters
    ----------
    rows : DataFrame
        Records of one model, with ``split``, ``deployment`` and ``pit``.
    pairs : DataFrame
        From :func:`scoring.scores.faster_records`.
    path : Path
    """
    import matplotlib.pyplot as plt

    from bayes_sd.plots.style import BLUE, INK, QUIET, VERMILION, styled

    splits = [name for name in ORDER if (rows["split"] == name).any()]
    n = len(splits) + bool(len(pairs))
    across = min(n, 4)
    down = -(-n // across)
    with styled():
        shape = {"figsize": (2.6 * across + 0.4, 2.5 * down + 0.2), "squeeze": False}
        figure, grid = plt.subplots(down, across, layout="constrained", **shape)
        for axes in grid.flat[n:]:
            axes.set_visible(False)
        for axes, name in zip(grid.flat, splits, strict=False):
            own = rows[(rows["split"] == name) & rows["pit"].notna()]
            # Each deployment weighs the same, as in the table.
            weight = 1.0 / own.groupby("deployment")["pit"].transform("size")
            share, edges = np.histogram(own["pit"], bins=BARS, range=(0, 1), weights=weight / weight.sum())
            axes.bar(edges[:-1], share * BARS, width=1 / BARS, align="edge", color=BLUE, edgecolor="white")
            axes.axhline(1.0, color=INK, lw=1, ls="--")
            axes.set(title=f"{name}: {own['deployment'].nunique()} deployments", xlim=(0, 1))
            axes.set_xlabel("PIT of the measured latency")
        if len(pairs):
            axes = grid.flat[len(splits)]
            table = reliability(pairs)
            axes.plot([0, 1], [0, 1], color=QUIET, lw=1, ls="--")
            axes.scatter(table["p"], table["faster"], s=12 + 4 * table["pairs"], color=VERMILION)
            axes.set(title=f"{len(pairs)} pairs", xlim=(-0.05, 1.05), ylim=(-0.05, 1.05))
            axes.set(xlabel="claimed P(faster)", ylabel="share that was")
        grid[0, 0].set_ylabel("density (flat is right)")
        figure.savefig(path, dpi=150)
        plt.close(figure)
