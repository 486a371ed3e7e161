"""Names at the ends of lines, and ticks that are plain numbers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bayes_sd.plots.style import SMALL, is_narrow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LETTERS = 40
"""Of a line of a name above a narrow panel."""


def label_ends(axes: Axes, ends: Iterable[tuple[float, float, str, str]], points: float = SMALL) -> None:
    """Write labels beside the right ends of lines, spread so that none covers another; above the panel of a narrow figure.

    Parameters
    ----------
    axes : Axes
        With its limits and scales set.
    ends : iterable of (x, y, text, colour)
        Where each line ends, in data units.
    points : float
        Size of the letters.
    """
    labels = []
    for x, y, text, colour in ends:
        height = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1]
        labels.append((min(max(float(height), 0.0), 1.0), text, colour))
    if is_narrow():
        _key(axes, [(text, colour) for _, text, colour in labels], points)
        return
    labels.sort(key=lambda label: label[0])
    # A line's height as a share of the axes, which the layout makes somewhat higher later.
    figure: Any = axes.get_figure(root=True)
    line = 1.2 * points / 72.0 / (axes.bbox.height / figure.dpi)
    rooms = [line * (text.count("\n") + 1.3) for _, text, _ in labels]
    for (_, text, colour), height in zip(labels, _spread([label[0] for label in labels], rooms), strict=True):
        axes.text(
            1.015, height, text, color=colour, transform=axes.transAxes, va="center", ha="left", fontsize=points
        )  # fmt: skip


def _key(axes: Axes, names: list[tuple[str, str]], points: float) -> None:
    """Name lines above the panel, one below the other."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linewidth=2.5, label="\n".join(textwrap.wrap(text, LETTERS)))
        for text, colour in names
    ]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), labelcolor="linecolor", fontsize=points,
        handlelength=1.0, borderpad=0.1, labelspacing=0.25, borderaxespad=0.2,
    )  # fmt: skip


def _spread(heights: list[float], rooms: list[float]) -> list[float]:
    """Move rising heights apart until each has its room, and all stay between 0 and 1 where they fit."""
    placed = list(heights)
    for _ in range(300):
        for i in range(len(placed) - 1):
            short = 0.5 * (rooms[i] + rooms[i + 1]) - (placed[i + 1] - placed[i])
            if short > 0:
                placed[i] -= short / 2
                placed[i + 1] += short / 2
        if placed:
            placed[0] = max(placed[0], 0.0)
            placed[-1] = min(placed[-1], 1.0)
    return placed


def plain_log_ticks(axis: Any, values: Iterable[float]) -> None:
    """Mark a logarithmic axis with whole numbers instead of powers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(list(values)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def whole_ticks(axis: Any) -> None:
    """Mark an axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def doublings(low: float, high: float) -> list[float]:
    """List the powers of two between two numbers, ends included; powers of four where there are many."""
    powers = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
    step = 2 if len(powers) > 10 else 1
    return [2.0**p for p in powers if low * 0.99 <= 2.0**p <= high * 1.01][::step]


def told_apart(names: list[str], separator: str = " | ") -> list[str]:
    """Leave out of names the parts that all of them have; one name by itself stays whole.

    Parameters
    ----------
    names : list of str
    separator : str
        Between parts.

    Returns
    -------
    list of str
    """
    parts = [name.split(separator) for name in names]
    shared = set(parts[0]).intersection(*map(set, parts)) if len(set(names)) > 1 else set()
    return [
        separator.join(p for p in own if p not in shared) or name
        for own, name in zip(parts, names, strict=True)
    ]


def shared_parts(names: list[str], separator: str = " | ") -> str:
    """Give the parts that all of several names have, and nothing of one by itself: those that :func:`told_apart` leaves out.

    Parameters
    ----------
    names : list of str
    separator : str
        Between parts.

    Returns
    -------
    str
    """
    if len(set(names)) < 2:
        return ""
    parts = [name.split(separator) for name in names]
    return separator.join(p for p in parts[0] if all(p in own for own in parts))
