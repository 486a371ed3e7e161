"""The universal collapse: latency over C1 against load over saturation."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.plots.labels import plain_log_ticks, told_apart
from bayes_sd.plots.style import BLUE, CYCLE, MARKERS, PAPER, QUIET, head, is_narrow, new_figure, styled

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 10
"""More configurations than this are not told apart."""
LETTERS = 32
TOP = 3.0
"""How many times the largest measured y the axis reaches at most: the curve goes to infinity."""


def plot_collapse(collapse: xr.Dataset, title: str = "One curve for all configurations") -> Figure:
    """Draw measurements on y = 1/(1 − x).

    Parameters
    ----------
    collapse : Dataset
        From :func:`bayes_sd.decide.collapse.collapse`.
    title : str

    Returns
    -------
    Figure
    """
    own = np.array([str(v) for v in collapse["configuration"].to_numpy()])
    names = list(dict.fromkeys(own))
    named = len(names) <= MOST_NAMED
    of = {name.split(": ", 1)[0] for name in names}
    lines = len(names) if named and is_narrow() else 0
    with styled():
        figure, axes = new_figure(9.0, 4.7 + 0.32 * lines)
        head(
            figure,
            title,
            f"{next(iter(of)) if len(of) == 1 else f'{len(of)} deployments'}, {len(own)} measurements, bars: "
            f"{collapse.attrs['ci']:.0%} intervals",
        )
        for n, (name, words) in enumerate(zip(names, _short(names), strict=True)):
            colour = CYCLE[n % len(CYCLE)] if named else BLUE
            _points(axes, collapse.isel(measurement=np.flatnonzero(own == name)), n, colour, words)
        _curve(axes, collapse)
        if named:
            look: Any = {"labelcolor": "linecolor", "handletextpad": 0.2, "labelspacing": 0.6}
            if is_narrow():
                figure.legend(loc="outside lower left", **look)
            else:
                axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, **look)
    return figure


def _short(names: list[str]) -> list[str]:
    """Name configurations by what tells them apart, in short lines."""
    labels = [name.split(": ", 1)[-1] for name in names]
    if len({name.split(": ", 1)[0] for name in names}) > 1:
        labels = names
    labels = told_apart(labels, ", ")
    return ["\n".join(textwrap.wrap(label, 60 if is_narrow() else LETTERS)) for label in labels]


def _points(axes: Axes, own: xr.Dataset, n: int, colour: str, words: str) -> None:
    x, y = own["x"].to_numpy(), own["y"].to_numpy()
    bars: Any = {
        f"{name}err": np.abs(
            [own[f"{name}_{end}"].to_numpy() - own[name].to_numpy() for end in ("lower", "upper")]
        )
        for name in "xy"
    }
    axes.errorbar(
        x, y,
        **bars, fmt=MARKERS[n % len(MARKERS)], color=colour, markeredgecolor=PAPER, elinewidth=1.0, alpha=0.9, label=words,
    )  # fmt: skip


def _curve(axes: Axes, collapse: xr.Dataset) -> None:
    """Draw y = 1/(1 − x) as far as the points go, and set the limits so that no point is cut."""
    right = 1.04 * max(float(collapse["x_upper"].max()), 0.5)
    high = 1.15 * max(float(collapse["y_upper"].max()), 1.5)
    end = min(right, 1.0 - 1.0 / (TOP * high))
    line = np.linspace(0.0, end, 300)
    axes.plot(line, 1.0 / (1.0 - line), color=QUIET, linewidth=1.4, zorder=1)
    axes.set_yscale("log")
    axes.set_xlim(-0.01, right)
    axes.set_ylim(min(0.9, 0.95 * float(collapse["y_lower"].min())), high)
    ticks = (0.5, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)
    plain_log_ticks(axes.yaxis, [v for v in ticks if axes.get_ylim()[0] <= v <= high])
    axes.set_xlabel("load over saturation, x = λ·C2")
    axes.set_ylabel("latency over an empty server's, y = L/C1")
    at = 0.55 * min(end, 1.0 - 1.0 / high)
    axes.annotate(
        "y = 1/(1 − x)", (at, 1.0 / (1.0 - at)), xytext=(-8, 26), textcoords="offset points", color=QUIET,
        ha="right", arrowprops={"arrowstyle": "-", "color": QUIET, "linewidth": 0.8},
    )  # fmt: skip
