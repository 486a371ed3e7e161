"""The look that all figures share, and how a figure becomes a file.

Colours follow Okabe and Ito's, which people with any of the common colour blindnesses tell apart, darkened so that letters in them
have a contrast of 4.5:1 to the paper; no colour is the only sign: markers and line styles differ too. Files carry an opaque light
background of their own, so that they read the same on a light and on a dark page. A page of HTML gets each figure four times, wide
and narrow (:func:`narrow`), light and dark (:func:`dark_svg`), and shows the one that suits.
"""

from __future__ import annotations

import contextlib
import re
import textwrap
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.errors import OutputError
from bayes_sd.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, OCHRE, TEAL, BLACK = (
    "#0072b2", "#b84a00", "#00795a", "#a03c90", "#8a6100", "#0a7a90", "#212223",
)  # fmt: skip
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, OCHRE, TEAL, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
INK, QUIET, PAPER, GRID, VEIL = "#222222", "#5f6368", "#fbfbf9", "#dddddd", "#e6e6e2"
BAND_ALPHA = 0.22
DARK = {
    BLUE: "#56b4e9", VERMILION: "#ff8a4c", GREEN: "#3cc79a", PURPLE: "#e08bd0", OCHRE: "#e6b34d", TEAL: "#7ad0e6",
    BLACK: "#e9e7e4", INK: "#e8e6e3", QUIET: "#a8abb0", PAPER: "#1b1c1e", GRID: "#3a3d42", VEIL: "#303338",
}  # fmt: skip
"""What each colour of a light figure is in a dark one; those of stages stay."""

STAGE_COLOURS = {
    "prefill, load-independent": "#009e73",
    "prefill, load-dependent": "#7fcfb9",
    "draft, load-independent": "#e69f00",
    "draft, load-dependent": "#f4cf7f",
    "verify, load-independent": "#2f8fc9",
    "verify, experts": "#6cbdec",
    "verify, load-dependent": "#a9cbe8",
    "waiting": "#9a9a9a",
}
FORMATS = (".png", ".svg")
DPI = 150
NARROW_IN = 3.9
"""Width of a narrow figure [inches]: a telephone's, so that letters keep their size there."""
TITLE, SMALL = 11.5, 9.0
"""Sizes of letters [points]."""

SETTINGS: Any = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "normal",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "hatch.color": PAPER,
    "hatch.linewidth": 1.0,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "svg.hashsalt": "bayes_sd",
}
_NARROW: ContextVar[bool] = ContextVar("narrow", default=False)


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Give the context in which figures are built."""
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS):
        yield


@contextlib.contextmanager
def narrow() -> Iterator[None]:
    """Give the context in which figures come out for a narrow page: panels below each other, names above their panel."""
    token = _NARROW.set(True)
    try:
        yield
    finally:
        _NARROW.reset(token)


def is_narrow() -> bool:
    """Say whether figures are built for a narrow page."""
    return _NARROW.get()


def new_figure(width: float = 7.0, height: float = 4.2, **grid: Any) -> tuple[Figure, Any]:
    """Make a figure that no window holds on to.

    Parameters
    ----------
    width, height : float
        Inches; a narrow one has its own width.
    **grid
        Of ``Figure.subplots``.

    Returns
    -------
    figure : Figure
    axes : Axes or array of Axes
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(NARROW_IN if is_narrow() else width, height), layout="constrained")
    return figure, figure.subplots(**grid)


def head(figure: Figure, title: str, subtitle: str = "") -> None:
    """Write title and subtitle above all panels, in lines that fit.

    Parameters
    ----------
    figure : Figure
        Without anything at its top.
    title, subtitle : str
        What is shown; of what.
    """
    width, height = figure.get_size_inches()
    lines = [(line, TITLE, "bold", INK) for line in _fitted(title, width, TITLE * 1.1)]
    lines += [(line, SMALL, "normal", QUIET) for line in _fitted(subtitle, width, SMALL)]
    at = 0.08
    for text, points, weight, colour in lines:
        figure.text(
            0.06 / width, 1.0 - at / height, text, fontsize=points, fontweight=weight, color=colour, va="top", ha="left",
        )  # fmt: skip
        at += 1.4 * points / 72.0
    engine: Any = figure.get_layout_engine()
    engine.set(rect=(0.0, 0.0, 1.0, 1.0 - (at + 0.04) / height))


def _fitted(text: str, width_in: float, points: float) -> list[str]:
    """Break text into lines that fit a width; a letter is taken to be 0.55 of its size wide."""
    return textwrap.wrap(text, max(20, int(72.0 * width_in / (0.55 * points)))) if text else []


def veil(axes: Axes, x: Any, hidden: Any, words: str) -> None:
    """Cover the part of a panel in which there is no steady state, and say so.

    Parameters
    ----------
    axes : Axes
        With its limits set.
    x : array
        Rising.
    hidden : bool array
        From the first True to the right end is covered.
    words : str
    """
    import numpy as np

    at = np.flatnonzero(hidden)
    if not len(at):
        return
    start, end = float(x[max(at[0] - 1, 0)]), float(axes.get_xlim()[1])
    axes.axvspan(start, end, facecolor=VEIL, hatch="////", edgecolor=PAPER, linewidth=0, zorder=2.5)
    axes.text(
        end, 0.5, words, transform=axes.get_xaxis_transform(), rotation=90, color=INK, fontsize=8,
        ha="right", va="center", zorder=4,
    )  # fmt: skip


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


def figure_bytes(figure: Figure, kind: str = "png", dpi: int = DPI) -> bytes:
    """Render a figure into memory.

    Parameters
    ----------
    figure : Figure
    kind : {"png", "svg"}
    dpi : int
        Pixels an inch of a PNG.

    Returns
    -------
    bytes
    """
    import io

    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"Software": None}
    with styled():
        settle(figure).savefig(buffer, format=kind, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def dark_svg(svg: str) -> str:
    """Turn a light figure into a dark one: each colour of :data:`DARK` becomes its counterpart.

    Parameters
    ----------
    svg : str
        From :func:`figure_bytes`.

    Returns
    -------
    str
    """
    return re.sub(r"#[0-9a-fA-F]{6}\b", lambda found: DARK.get(found[0].lower(), found[0]), svg)
