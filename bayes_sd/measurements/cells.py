"""Turns the text of one cell into a value, or says why it cannot be one."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise

from bayes_sd.errors import DataError
from bayes_sd.loading import parse_json
from bayes_sd.measurements.schema import LONGEST_DRAFT, Column

LONGEST_TEXT = 10_000
"""Characters of a text cell."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WORDS = {"nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf", "infinity", "-infinity"}
FLAGS = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0}


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
        if len(text) > LONGEST_TEXT:
            raise CellError(f"{text[:20]!r}... has {len(text):,} characters: {LONGEST_TEXT:,} are the most")
        return text
    if column.kind == "choice":
        return _choice(text, column)
    if column.kind == "flag":
        if text.casefold() not in FLAGS:
            raise CellError(f"{text!r} is neither 0 nor 1")
        return FLAGS[text.casefold()]
    if column.kind == "counts":
        return _counts(text, column)
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


def _counts(text: str, column: Column) -> str:
    try:
        values = parse_json(text, "")
    except DataError as error:
        raise CellError(f"{text!r} is not a JSON list such as [120, 80, 41]") from error
    whole = isinstance(values, list) and all(
        isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= column.high for v in values
    )
    if len(values) > LONGEST_DRAFT if isinstance(values, list) else False:
        raise CellError(f"a list of {len(values):,} positions: {LONGEST_DRAFT} are the most")
    if not whole or not values:
        raise CellError(f"{text!r} is not a list of whole numbers from 0 up")
    if any(later > earlier for earlier, later in pairwise(values)):
        raise CellError(f"{text!r} rises: a position is accepted only where all before it were")
    return json.dumps(values)
