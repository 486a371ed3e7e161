"""What the cells of reports call: numbers with a sentence on how to read them and one on when not to, tables, figures."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bayes_sd.plots.style import figure_bytes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


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
    head = "".join(f"<th>{_text(str(c))}</th>" for c in table.columns)
    rows = "".join(
        "<tr>" + "".join(_cell(v, digits) for v in row) + "</tr>"
        for row in table.itertuples(index=False, name=None)
    )
    return _html(
        f"<div class='wide'><table class='plain'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def show_figure(figure: Figure, words: str) -> Any:
    """Show a figure inside the page itself.

    Parameters
    ----------
    figure : Figure
    words : str
        What it shows, for those who cannot see it.

    Returns
    -------
    IPython.display.HTML
    """
    data = base64.b64encode(figure_bytes(figure)).decode()
    return _html(f'<img class="figure" alt="{html.escape(words)}" src="data:image/png;base64,{data}">')


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


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, bool | str) or value is None:
        return f"<td>{_text('' if value is None else str(value))}</td>"
    return f"<td class='value'>{_number(float(value), digits)}</td>"


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
