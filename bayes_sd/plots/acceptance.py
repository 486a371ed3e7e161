"""Tokens committed per cycle over the draft length, by pair and workload."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import label_ends, whole_ticks
from bayes_sd.plots.style import BAND_ALPHA, CYCLE, LINES, QUIET, head, is_narrow, new_figure, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_acceptance(
    table: pd.DataFrame, ci: float = 0.9, title: str = "Tokens committed per cycle"
) -> Figure:
    """Draw E over the draft length: a panel a pair, a line a workload, with its interval.

    Parameters
    ----------
    table : DataFrame
        From :func:`bayes_sd.acceptance.summary.acceptance_table`.
    ci : float
        Probability of the intervals in `table`.
    title : str

    Returns
    -------
    Figure
    """
    pairs = list(table.groupby("pair", sort=False))
    across = 1 if is_narrow() else min(2, len(pairs))
    down = math.ceil(len(pairs) / across)
    lengths = [int(c[2:]) for c in table.columns if c.startswith("E_") and c.count("_") == 1]
    with styled():
        figure, axes = new_figure(
            9.5, 1.2 + (3.0 if is_narrow() else 2.4) * down, nrows=down, ncols=across, squeeze=False
        )
        head(figure, title, f"Lines: medians; bands: {ci:.0%} intervals; dotted: all drafted tokens accepted")
        highest = 1.05 * float(table[[f"E_{k}_high" for k in lengths]].to_numpy().max())
        for axis, (pair, own) in zip(axes.ravel(), pairs, strict=False):
            above = 13.0 * len(own) if is_narrow() else 0.0  # where names of workloads stand
            axis.set_title("\n".join(textwrap.wrap(str(pair), 44)), pad=6.0 + above)
            axis.set_ylim(1.0, highest)
            axis.set_xlim(min(lengths), max(max(lengths), min(lengths) + 1))
            _pair(axis, own, lengths, named=not is_narrow())
        for axis in axes.ravel()[len(pairs) :]:
            axis.set_visible(False)
        for row in axes:
            row[0].set_ylabel("tokens a cycle, E")
        for axis in axes.ravel()[max(len(pairs) - across, 0) : len(pairs)]:
            axis.set_xlabel("draft length k")
    return figure


def _pair(axes: Axes, own: pd.DataFrame, lengths: list[int], named: bool) -> None:
    k, ends = np.array(lengths, dtype=float), []
    axes.plot(k, k + 1.0, ":", color=QUIET, linewidth=1.2)
    for n, row in enumerate(own.to_dict("records")):
        colour = CYCLE[n % len(CYCLE)]
        low, middle, high = ([row[f"E_{j}{end}"] for j in lengths] for end in ("_low", "", "_high"))
        axes.fill_between(k, low, high, color=colour, alpha=BAND_ALPHA, linewidth=0)
        axes.plot(k, middle, LINES[n // len(CYCLE) % len(LINES)], color=colour)
        ends.append((float(k[-1]), float(middle[-1]), str(row["workload"]), colour))
    whole_ticks(axes.xaxis)
    label_ends(axes, ends, 8.0)
