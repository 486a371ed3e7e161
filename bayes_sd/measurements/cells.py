"""Turns the text of one cell into a value, or says why it cannot be one."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise

from bayes_sd.cards.canonical import read_flag
from bayes_sd.cards.choices import read_load_kind, read_method, split_length
from bayes_sd.cards.engines import read_day
from bayes_sd.errors import CardError, DataError
from bayes_sd.loading import parse_json
from bayes_sd.measurements.schema import GAMMA, LONGEST_DRAFT, Column, random_arrivals

LONGEST_TEXT = 10_000
"""Characters of a cell; counts by position may have more."""
NUMBER = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?")
WORDS = {"nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf", "infinity", "-infinity"}
NAME = re.compile(r"[a-z][a-z0-9_.+]{0,63}")
GAMMA_SHAPE = re.compile(rf"{GAMMA}[\s:=(]*+(?:burstiness|shape)?[\s:=(]*+(\d+(?:\.\d+)?|\.\d+)\)?")
LEAST_SHAPE, MOST_SHAPE = 1e-3, 1e3
"""Shapes of gamma gaps: below, all requests come at once; above, they are even."""
MTP = "mtp"
"""What vLLM's names of it for single models (``deepseek_mtp``) and SGLang's NEXTN mean."""
NO_METHODS = frozenset(
    (
        "speculative",
        "speculation",
        "spec",
        "specdec",
        "spec_dec",
        "sd",
        "speculative_decoding",
        "yes",
        "on",
        "true",
        "enabled",
        "y",
    )
)
"""Words that say that there is drafting, not how: taken for a method's name they would be one of its own."""
OPEN_CHOICES = frozenset({"method"})
"""Columns whose values are names that the field keeps adding to: one that is not known yet is a level of its own."""
LARGEST_COUNT = 2.0**53
"""Above it floats leave out whole numbers."""


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
    if len(text) > LONGEST_TEXT and column.kind != "counts":
        raise CellError(f"{text[:20]!r}... has {len(text):,} characters: {LONGEST_TEXT:,} are the most")
    if column.kind == "text":
        return text
    if column.kind == "choice":
        return _choice(text, column)
    if column.kind == "date":
        try:
            read_day(text)
        except CardError as error:
            raise CellError(str(error)) from error
        return text
    if column.kind == "flag":
        try:
            return float(bool(read_flag(text)))
        except CardError as error:
            raise CellError(str(error)) from error
    if column.kind == "counts":
        return _counts(text, column)
    return _number(text, column)


def _choice(text: str, column: Column) -> str:
    if column.name in OPEN_CHOICES:
        name, k = split_length(text)
        if k is not None:  # kept behind the method, for the row to take
            return f"{_choice(name, column)}_{k}"
        text = read_method(text)
        value = "_".join(text.casefold().replace("-", "_").split())
        value = MTP if value == "nextn" or value.endswith(f"_{MTP}") else value
        if value in NO_METHODS:
            raise CellError(
                f"{text!r} does not say how tokens are drafted: name it, as one of {', '.join(column.choices)}"
            )
        if value not in column.choices and not (NAME.fullmatch(value) and value not in WORDS):
            raise CellError(f"{text!r} is not one of {', '.join(column.choices)}, nor a name of another one")
        # EAGLE-3 and draft-model are written in as many ways: only letters and digits tell a method.
        bare = {name.replace("_", ""): name for name in column.choices}
        return bare.get(value.replace("_", ""), value)
    value = (read_load_kind(text) if column.name == "load_kind" else text).casefold()
    if column.name == "arrivals" and value.startswith(GAMMA):
        return _gamma(text, value)
    if value not in column.choices:
        raise CellError(f"{text!r} is not one of {', '.join(column.choices)}")
    return value


def _gamma(text: str, value: str) -> str:
    found = GAMMA_SHAPE.fullmatch(value)
    shape = float(found[1]) if found else math.nan
    if not LEAST_SHAPE <= shape <= MOST_SHAPE:
        raise CellError(
            f"{text!r}: gaps of a gamma distribution have a shape (burstiness): write it behind, as 'gamma 0.7'"
        )
    return random_arrivals(shape)


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
    if column.kind == "count" and value > LARGEST_COUNT:
        raise CellError(f"{text} is too large")
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
