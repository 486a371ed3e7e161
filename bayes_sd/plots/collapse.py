"""The universal collapse: latency over C1 against load over saturation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.plots.style import (
    BLACK,
    CYCLE,
    MARKERS,
    PAPER,
    QUIET,
    label_ends,
    new_figure,
    plain_log_ticks,
    styled,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_collapse(collapse: xr.Dataset, title: str = "Universal collapse") -> Figure:
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
    names = list(dict.fromkeys(str(v) for v in collapse["configuration"].to_numpy()))
    top = max(float(collapse["x_upper"].max()), 0.5)
    edge = min(0.985, top * 1.04)
    line = np.linspace(0.0, edge, 300)
    with styled():
        figure, axes = new_figure(8.2, 4.6)
        axes.plot(line, 1.0 / (1.0 - line), color=BLACK, linewidth=1.2, zorder=1)
        ends = [(edge, 1.0 / (1.0 - edge), "y = 1/(1 − x)", BLACK)]
        for n, name in enumerate(names):
            own = collapse.isel(measurement=np.flatnonzero(collapse["configuration"].to_numpy() == name))
            colour, marker = CYCLE[n % len(CYCLE)], MARKERS[n // len(CYCLE) % len(MARKERS)]
            x, y = own["x"].to_numpy(), own["y"].to_numpy()
            axes.errorbar(
                x, y,
                xerr=[x - own["x_lower"], own["x_upper"] - x], yerr=[y - own["y_lower"], own["y_upper"] - y],
                fmt=marker, color=colour, markeredgecolor=PAPER, elinewidth=1.0, alpha=0.9,
                label=name.split(": ", 1)[1] if len({m.split(": ", 1)[0] for m in names}) == 1 else name,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(0.9, None)
        axes.set_xlim(0, edge)
        _ticks(axes)
        axes.set_xlabel("load over saturation, x = λ·C2")
        axes.set_ylabel("latency over that of an empty server, y = L/C1")
        axes.set_title(title)
        label_ends(axes, ends)
        if len(names) <= 10:
            axes.legend(loc="upper left", fontsize=8.5)
        else:
            axes.text(
                0.02, 0.97, f"{len(names)} configurations, bars: {collapse.attrs['ci']:.0%} intervals",
                transform=axes.transAxes, va="top", fontsize=8.5, color=QUIET,
            )  # fmt: skip
    return figure


def _ticks(axes: Axes) -> None:
    top = axes.get_ylim()[1]
    plain_log_ticks(axes.yaxis, [v for v in (1, 1.5, 2, 3, 5, 10, 20, 50, 100) if v <= top])
