"""Turns the text of one cell into a value, or says why it cannot be one."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise

from bayes_sd.cards.canonical import read_flag
from bayes_sd.errors import CardError
from bayes_sd.measurements.schema import Column

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WORDS = {"nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf", "infinity", "-infinity"}


class CellError(ValueError):
    """A cell that its column cannot hold; the message says what is wrong and what to do, but not where."""


def parse_cell(text: str, column: Column) -> object:
    """Read one cell.

    Parameters
    ----------
    text : str
        The cell, blanks round it removed; not empty.
    column : Column
        What it must be.

    Returns
    -------
    object
        float for number, count and flag; lower-case str for a choice; str otherwise.

    Raises
    ------
    CellError
        If it is of another kind or out of range.
    """
    if column.kind == "text":
        return text
    if column.kind == "choice":
        return _choice(text, column)
    if column.kind == "flag":
        try:
            return float(bool(read_flag(text)))
        except CardError as error:
            raise CellError(str(error)) from error
    if column.kind == "counts":
        return _counts(text)
    return _number(text, column)


def _choice(text: str, column: Column) -> str:
    value = text.casefold().replace("-", "_") if column.name == "method" else text.casefold()
    if value not in column.choices:
        raise CellError(f"{text!r} is not one of {', '.join(column.choices)}")
    return value


def _number(text: str, column: Column) -> float:
    if not NUMBER.fullmatch(text):
        if text.casefold() in WORDS:
            raise CellError(f"{text!r} is not a number: leave the cell blank where it is not known")
        if "," in text:
            raise CellError(f"{text!r} is not a number: write it without commas")
        raise CellError(f"{text!r} is not a number")
    value = float(text)
    if not math.isfinite(value):
        raise CellError(f"{text!r} is too large")
    if column.kind == "count" and value != int(value):
        raise CellError(f"{text!r} is not a whole number")
    if value < column.low or value > column.high or (column.open_low and value == column.low):
        raise CellError(f"{text} is out of range: must be {_range(column)}")
    return value


def _range(column: Column) -> str:
    low = f"{'above' if column.open_low else 'at least'} {column.low:g}"
    return low if math.isinf(column.high) else f"{low} and at most {column.high:g}"


def _counts(text: str) -> str:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise CellError(f"{text!r} is not a JSON list such as [120, 80, 41]") from error
    whole = isinstance(values, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in values
    )
    if not whole or not values:
        raise CellError(f"{text!r} is not a list of whole numbers from 0 up")
    if any(later > earlier for earlier, later in pairwise(values)):
        raise CellError(f"{text!r} rises: a position is accepted only where all before it were")
    return json.dumps(values)
