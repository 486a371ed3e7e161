"""What the cells of reports call: numbers with a sentence on how to read them and one on when not to, tables, figures."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayes_sd.plots.style import dark_svg, figure_bytes, narrow

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NARROW_PX = 600
"""Pages up to this width show narrow figures [CSS pixels]."""
SMALL = False
"""Whether figures are one light picture each instead of one for every kind of page: for notebooks that are kept."""


@dataclass(frozen=True)
class Number:
    """One number of a report.

    Attributes
    ----------
    name : str
        What it is, units included.
    value : str
        As it is printed, interval included.
    reading : str
        One sentence on how to read it.
    caveat : str
        The one thing that would make it mislead.
    """

    name: str
    value: str
    reading: str
    caveat: str


def show_numbers(numbers: Sequence[Number]) -> Any:
    """Show numbers as a table: name, value, reading and caveat.

    Parameters
    ----------
    numbers : sequence of Number

    Returns
    -------
    IPython.display.HTML
    """
    rows = "".join(
        f"<tr><th>{_text(n.name)}</th><td class='value'>{_text(n.value)}</td>"
        f"<td>{_text(n.reading)} <em>{_text(n.caveat)}</em></td></tr>"
        for n in numbers
    )
    return _html(f"<table class='numbers'>{rows}</table>")


def show_table(table: pd.DataFrame, digits: int = 3) -> Any:
    """Show a table.

    Parameters
    ----------
    table : DataFrame
    digits : int
        Significant digits of numbers.

    Returns
    -------
    IPython.display.HTML
    """
    names = [str(c) for c in table.columns]
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(_cell(v, digits, n) for v, n in zip(row, names, strict=True)) + "</tr>"
        for row in table.itertuples(index=False, name=None)
    )
    return _html(
        f"<div class='wide'><table class='plain'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def show_answer(sentences: Sequence[str]) -> Any:
    """Show what the reader came for.

    Parameters
    ----------
    sentences : sequence of str

    Returns
    -------
    IPython.display.HTML
    """
    return _html(f"<p class='answer'>{_text(' '.join(sentences))}</p>")


def show_figure(words: str, plot: Callable[..., Figure], *results: Any) -> Any:
    """Show a figure inside the page itself: wide or narrow, light or dark, as the page is.

    Parameters
    ----------
    words : str
        What it shows, for those who cannot see it.
    plot : callable
        Of :mod:`bayes_sd.plots`.
    *results
        What it draws.

    Returns
    -------
    IPython.display.HTML
    """
    alt = html.escape(words)
    if SMALL:
        data = base64.b64encode(figure_bytes(plot(*results), dpi=80)).decode()
        return _html(f'<img alt="{alt}" src="data:image/png;base64,{data}">')
    wide = figure_bytes(plot(*results), "svg").decode()
    with narrow():
        slim = figure_bytes(plot(*results), "svg").decode()
    dark, small = "(prefers-color-scheme: dark)", f"(max-width: {NARROW_PX}px)"
    kinds = ((f"{dark} and {small}", dark_svg(slim)), (small, slim), (dark, dark_svg(wide)))
    sources = "".join(f'<source media="{when}" srcset="{_address(svg)}">' for when, svg in kinds)
    return _html(f'<picture>{sources}<img class="figure" alt="{alt}" src="{_address(wide)}"></picture>')


def _address(svg: str) -> str:
    """Give a picture as the address that holds it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def show_caveats(sentences: Sequence[str]) -> Any:
    """Show what a reader must know, as a list; says so where there is nothing.

    Parameters
    ----------
    sentences : sequence of str

    Returns
    -------
    IPython.display.HTML
    """
    if not sentences:
        return _html("<p class='caveat'>Nothing here goes beyond what was measured.</p>")
    return _html("<ul class='caveat'>" + "".join(f"<li>{_text(s)}</li>" for s in sentences) + "</ul>")


def interval(draws: Any, ci: float = 0.9, digits: int = 3, unit: str = "") -> str:
    """Write draws as "median [lower, upper] unit".

    Parameters
    ----------
    draws : array
        NaN and infinite draws are left out.
    ci : float
    digits : int
    unit : str

    Returns
    -------
    str
    """
    import numpy as np

    values = np.asarray(draws, dtype=float)
    values = values[np.isfinite(values)]
    if not values.size:
        return "none"
    low, median, high = np.quantile(values, [(1 - ci) / 2, 0.5, (1 + ci) / 2])
    return f"{median:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}] {unit}".rstrip()


def _cell(value: Any, digits: int, column: str) -> str:
    """Write a cell; it carries its column's name, which a narrow page shows beside it."""
    named = f" data-column='{html.escape(column)}'"
    if isinstance(value, bool | str) or value is None:
        return f"<td{named}>{_text('' if value is None else str(value))}</td>"
    return f"<td class='value'{named}>{_number(float(value), digits)}</td>"


def _number(value: float, digits: int) -> str:
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "past saturation"
    return f"{value:.0f}" if value == int(value) else f"{value:.{digits}g}"


def _text(words: str) -> str:
    return html.escape(words, quote=False)


def _html(text: str) -> Any:
    from IPython.display import HTML

    return HTML(text)
