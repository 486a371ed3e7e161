"""Splits of GPUs between prefill and decode: how probably an objective is held, over the GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import label_ends, whole_ticks
from bayes_sd.plots.style import BLUE, PAPER, PURPLE, QUIET, head, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

KEY = "dots: splits of so many GPUs; dotted: the probability that is asked for"


def plot_splits(result: xr.Dataset, title: str | None = None) -> Figure:
    """Draw every split, the best for each number of GPUs, and as many GPUs as one pool.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.splits.plan_splits`.
    title : str, optional

    Returns
    -------
    Figure
    """
    about, used = result.attrs, result["gpus_used"].to_numpy()
    lines = {"two pools, best split": ("frontier", BLUE, "-"), "one pool": ("one_pool", PURPLE, "--")}
    with styled():
        figure, axes = new_figure(8.6, 4.4)
        head(
            figure,
            title or f"{about['slo']} at {about['rate_rps']:g} requests/s",
            f"{about['deployment']}; {KEY}",
        )
        axes.axhline(100.0 * about["probability"], color=QUIET, linewidth=1.0, linestyle=":")
        axes.plot(
            result["gpus"], 100.0 * result["p_held"], "o", color=QUIET, markersize=3, alpha=0.5, clip_on=False
        )
        ends = []
        for name, (variable, colour, style) in lines.items():
            held = 100.0 * result[variable].to_numpy()
            axes.step(used, held, where="post", color=colour, linestyle=style)
            ends.append((float(used[-1]), float(held[-1]), name, colour))
        if about["chosen"] >= 0:
            one = result.isel(split=about["chosen"])
            axes.plot(
                [float(one["gpus"])], [100.0 * float(one["p_held"])], "D", color=BLUE, markeredgecolor=PAPER, markersize=8
            )  # fmt: skip
            ratio = f"{int(one['prefill_workers'])} + {int(one['decode_workers'])}"
            axes.annotate(
                ratio,
                (float(one["gpus"]), 100.0 * float(one["p_held"])),
                (6, -12),
                textcoords="offset points",
                color=BLUE,
            )
        axes.set_ylim(0, 104)
        axes.set_xlim(float(used[0]), max(float(used[-1]), float(used[0]) + 1.0))
        whole_ticks(axes.xaxis)
        axes.set_xlabel("GPUs")
        axes.set_ylabel("held with probability [%]")
        label_ends(axes, ends)
    return figure


def best_rows(result: xr.Dataset) -> list[int]:
    """Give the splits that are the best of so many GPUs or fewer, each once, by GPUs."""
    return [int(i) for i in dict.fromkeys(np.asarray(result["best_split"]).tolist())]
