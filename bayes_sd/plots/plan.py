"""Capacity: the probability that one replica holds a rate within the objective, and the replicas that a rate needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.style import CYCLE, LINES, MARKERS, PAPER, QUIET, label_ends, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_plan(result: xr.Dataset, title: str | None = None) -> Figure:
    """Draw a capacity plan.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.plan.plan`.
    title : str, optional
        The objective by default.

    Returns
    -------
    Figure
    """
    names = [
        "without speculation" if str(a) == "none" else f"speculation, {a}"
        for a in result["alternative"].to_numpy()
    ]
    panels = 2 if "replicas" in result else 1
    with styled():
        figure, axes = new_figure(8.6, 0.8 + 3.2 * panels, nrows=panels, squeeze=False)
        _rates(axes[0, 0], result, names)
        if panels == 2:
            _replicas(axes[1, 0], result, names)
        slo = result.attrs["slo"]
        objective = slo if isinstance(slo, str) else ", ".join(str(s) for s in slo)
        axes[0, 0].set_title(title or f"Capacity within {objective}")
    return figure


def _rates(axes: Axes, result: xr.Dataset, names: list[str]) -> None:
    probability = 100.0 * float(result.attrs["probability"])
    top, ends = float(result["highest_rate"].max()), []
    for n, name in enumerate(names):
        rates = np.sort(result["highest_rate"].to_numpy()[:, n])
        held = 100.0 * (1.0 - np.arange(len(rates)) / len(rates))
        axes.step([0.0, *rates], [100.0, *held], where="pre", color=CYCLE[n], linestyle=LINES[n])
        promised = float(result["promised_rate"][n])
        axes.plot(
            [promised],
            [probability],
            MARKERS[n],
            color=CYCLE[n],
            markeredgecolor=PAPER,
            markersize=8,
            zorder=3,
        )
        ends.append((top, probability - 45.0 * n, f"{name}:\n{promised:.3g} promised", CYCLE[n]))
    axes.axhline(probability, color=QUIET, linewidth=1.0, linestyle=":")
    axes.set_xlim(0, 1.03 * top if top > 0 else 1.0)
    axes.set_ylim(0, 103)
    axes.set_xlabel("arrival rate at one replica [requests/s]")
    axes.set_ylabel("held with probability [%]")
    label_ends(axes, ends)


def _replicas(axes: Axes, result: xr.Dataset, names: list[str]) -> None:
    replicas = result["replicas"].to_numpy()
    finite = replicas[np.isfinite(replicas)]
    counts = np.unique(finite)
    width = 0.8 / len(names)
    ends = []
    for n, name in enumerate(names):
        share = [100.0 * float(np.mean(replicas[:, n] == c)) for c in counts]
        axes.bar(counts + (n - 0.5 * (len(names) - 1)) * width, share, width, color=CYCLE[n])
        enough = float(result["promised_replicas"][n])
        words = f"{enough:.0f} are enough" if np.isfinite(enough) else "no number is enough"
        ends.append((counts.max() if counts.size else 1.0, 90.0 - 45.0 * n, f"{name}:\n{words}", CYCLE[n]))
    axes.set_ylim(0, 103)
    if counts.size and counts.max() - counts.min() < 20:
        axes.set_xticks(np.arange(counts.min(), counts.max() + 1))
    axes.set_xlabel(f"replicas for {float(result.attrs['rate_rps']):g} requests/s")
    axes.set_ylabel("probability [%]")
    label_ends(axes, ends)
