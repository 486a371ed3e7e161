"""Capacity: the probability that one replica holds a rate within the objective, and the replicas that a rate needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.labels import label_ends, whole_ticks
from bayes_sd.plots.speedup import asked_words
from bayes_sd.plots.style import CYCLE, LINES, MARKERS, PAPER, QUIET, VERMILION, head, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NEARLY_ALL = 0.995
"""Share of the draws that an axis reaches: the last few would squeeze the others."""


def plot_plan(result: xr.Dataset, title: str | None = None) -> Figure:
    """Draw a capacity plan; where no rate is held, how far an idle replica is from the objective.

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
    some_rate = float(result["highest_rate"].max()) > 0.0
    replicas = "replicas" in result and bool(np.isfinite(result["promised_replicas"].to_numpy()).any())
    draw = [_rates if some_rate else _idle, *([_replicas] if replicas else [])]
    about = result.attrs
    with styled():
        figure, axes = new_figure(8.6, 1.1 + 2.8 * len(draw), nrows=len(draw), squeeze=False)
        head(figure, title or f"Capacity within {about['slo']}", asked_words(about))
        for panel, one in zip(axes[:, 0], draw, strict=True):
            one(panel, result, names)
    return figure


def _rates(axes: Axes, result: xr.Dataset, names: list[str]) -> None:
    probability, ends = 100.0 * float(result.attrs["probability"]), []
    top = float(np.quantile(result["highest_rate"].to_numpy(), NEARLY_ALL, axis=0).max())
    axes.axhline(probability, color=QUIET, linewidth=1.0, linestyle=":")
    for n, name in enumerate(names):
        rates = np.sort(result["highest_rate"].to_numpy()[:, n])
        held = 100.0 * (1.0 - np.arange(len(rates)) / len(rates))
        axes.step([0.0, *rates], [100.0, *held], where="pre", color=CYCLE[n], linestyle=LINES[n])
        promised = float(result["promised_rate"][n])
        _mark(axes, n, promised, probability)
        ends.append((top, 75.0 - 45.0 * n, f"{name}:\n{promised:.3g} req/s promised", CYCLE[n]))
    axes.set_xlim(0, 1.05 * top if top > 0 else float(result["highest_rate"].max()))
    axes.set_ylim(0, 104)
    axes.set_xlabel("arrival rate at one replica [requests/s]")
    axes.set_ylabel("held with probability [%]")
    label_ends(axes, ends)


def _replicas(axes: Axes, result: xr.Dataset, names: list[str]) -> None:
    """Draw the probability that so many replicas are enough."""
    probability, ends = 100.0 * float(result.attrs["probability"]), []
    enough = result["promised_replicas"].to_numpy().astype(float)
    most = max(1.5 * float(enough[np.isfinite(enough)].max()), 4.0)
    counts = np.arange(0.0, np.ceil(most) + 1.0)
    axes.axhline(probability, color=QUIET, linewidth=1.0, linestyle=":")
    for n, name in enumerate(names):
        own = result["replicas"].to_numpy()[:, n]
        share = [100.0 * float(np.mean(own <= count)) for count in counts]
        axes.step(counts, share, where="post", color=CYCLE[n], linestyle=LINES[n])
        words = "no number is enough"
        if np.isfinite(enough[n]):
            _mark(axes, n, enough[n], probability)
            words = f"{enough[n]:.0f} are enough"
        ends.append((most, 75.0 - 45.0 * n, f"{name}:\n{words}", CYCLE[n]))
    axes.set_xlim(0, most)
    axes.set_ylim(0, 104)
    whole_ticks(axes.xaxis)
    axes.set_xlabel(f"replicas for {float(result.attrs['rate_rps']):g} requests/s")
    axes.set_ylabel("enough with probability [%]")
    label_ends(axes, ends)


def _idle(axes: Axes, result: xr.Dataset, names: list[str]) -> None:
    """Draw how far an idle replica is from the objective, which not even it meets."""
    low, middle, high = result["idle_ratio_band"].to_numpy()
    right = 1.08 * max(1.0, float(high[np.isfinite(high)].max(initial=1.0)))
    for n in range(len(names)):
        axes.plot([low[n], high[n]], [n, n], color=CYCLE[n], linewidth=5, alpha=0.4, solid_capstyle="butt")
        axes.plot(middle[n], n, MARKERS[n], color=CYCLE[n], markeredgecolor=PAPER, markersize=8)
        side = "right" if middle[n] > 0.5 * right else "left"
        axes.text(middle[n], n + 0.2, names[n], color=CYCLE[n], va="bottom", ha=side)
    axes.axvline(1.0, color=VERMILION, linewidth=1.4, linestyle="--")
    axes.text(1.0, len(names) - 0.35, " objective", color=VERMILION, va="center")
    axes.set_yticks([])
    axes.set_ylim(-0.5, len(names) - 0.1)
    axes.set_xlim(0, right)
    axes.set_ylabel("no rate is held")
    axes.set_xlabel("an idle replica's latency over the objective")


def _mark(axes: Axes, n: int, x: float, y: float) -> None:
    axes.plot([x], [y], MARKERS[n], color=CYCLE[n], markeredgecolor=PAPER, markersize=8, zorder=3)
