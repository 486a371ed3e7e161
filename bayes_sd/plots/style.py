"""The look that all figures share, and how a figure becomes a file.

Colours are Okabe and Ito's, which people with any of the common colour blindnesses tell apart, and no colour is the only
sign: markers and line styles differ too. Figures carry an opaque light background of their own, so that they read the
same on a light and on a dark page.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.errors import OutputError
from bayes_sd.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9", "#222222",
)  # fmt: skip
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
INK, QUIET, PAPER = "#222222", "#5f6368", "#fbfbf9"
BAND_ALPHA = 0.22

STAGE_COLOURS = {
    "prefill, load-independent": "#009E73",
    "prefill, load-dependent": "#7fcfb9",
    "draft, load-independent": "#E69F00",
    "draft, load-dependent": "#f4cf7f",
    "verify, load-independent": "#0072B2",
    "verify, experts": "#56B4E9",
    "verify, load-dependent": "#9cc6e3",
    "waiting": "#9a9a9a",
}
FORMATS = (".png", ".svg")
DPI = 150

SETTINGS: Any = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "svg.hashsalt": "bayes_sd",
}


def styled() -> AbstractContextManager[None]:
    """Give the context in which figures are built."""
    import matplotlib as mpl

    return mpl.rc_context(SETTINGS)


def new_figure(width: float = 7.0, height: float = 4.2, **grid: Any) -> tuple[Figure, Any]:
    """Make a figure that no window holds on to.

    Parameters
    ----------
    width, height : float
        Inches.
    **grid
        Of ``Figure.subplots``.

    Returns
    -------
    figure : Figure
    axes : Axes or array of Axes
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(**grid)


def settle(figure: Figure) -> Figure:
    """Lay a figure out once and for all: the layout engine would move things a little at every drawing.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    Figure
        The same one.
    """
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    return figure


def check_figure_path(path: str | Path) -> Path:
    """Refuse a file name that figures cannot be written to.

    Parameters
    ----------
    path : path

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If it ends neither in .png nor in .svg.
    """
    file = Path(path)
    if file.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: figures are written as .png or .svg; name the file so")
    return file


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure; the same figure gives the same file.

    Parameters
    ----------
    figure : Figure
    path : path
        Ends in .png or .svg.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the name ends otherwise or the place cannot be written.
    """
    file = check_figure_path(path)
    kind = file.suffix.lower()[1:]
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}

    def write(beside: Path) -> None:
        with styled():
            settle(figure).savefig(beside, format=kind, dpi=DPI, metadata=metadata)

    return write_atomically(file, write)


def figure_bytes(figure: Figure, kind: str = "png") -> bytes:
    """Render a figure into memory.

    Parameters
    ----------
    figure : Figure
    kind : {"png", "svg"}

    Returns
    -------
    bytes
    """
    import io

    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
    with styled():
        settle(figure).savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()


def label_ends(axes: Axes, ends: Iterable[tuple[float, float, str, str]], points: float = 8.5) -> None:
    """Write labels beside the right ends of lines, spread so that none covers another.

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
    labels.sort(key=lambda label: label[0])
    # A line's height as a share of the axes, which take most of the figure (the layout comes later).
    figure: Any = axes.get_figure()
    grid: Any = axes.get_gridspec()
    line = 1.3 * points / 72.0 / (0.8 * figure.get_size_inches()[1] / grid.nrows)
    rooms = [line * (text.count("\n") + 1.35) for _, text, _ in labels]
    for (_, text, colour), height in zip(labels, _spread([label[0] for label in labels], rooms), strict=True):
        axes.text(
            1.015, height, text, color=colour, transform=axes.transAxes, va="center", ha="left", fontsize=points
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


def doublings(low: float, high: float) -> list[float]:
    """List the powers of two between two numbers, ends included; powers of four where there are many."""
    import math

    powers = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
    step = 2 if len(powers) > 10 else 1
    return [2.0**p for p in powers if low * 0.99 <= 2.0**p <= high * 1.01][::step]
