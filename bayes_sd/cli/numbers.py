"""Types of numeric options: finite, within a range; those of a table's column take its range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click

from bayes_sd.errors import DataError
from bayes_sd.measurements.schema import BY_NAME

MOST_SECONDS = 30 * 86_400.0
"""Longest that anything is waited for or measured."""
MOST_DRAWS = 100_000
MOST_SEED = 2**63 - 1
MOST_NUMBERS = 1000
"""Numbers in a list."""


class Number(click.FloatRange):
    """A range of floats without nan, which is in none, and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return found


PROBABILITY = Number(0, 1, min_open=True, max_open=True)
SECONDS = Number(0, MOST_SECONDS, min_open=True)
SEED = click.IntRange(0, MOST_SEED)
CHAINS = click.IntRange(1, 64)
CORES = click.IntRange(1, 1024)
DRAWS = click.IntRange(20, MOST_DRAWS)
TUNE = click.IntRange(50, MOST_DRAWS)


def of_column(name: str) -> click.ParamType:
    """Give the type of an option that fills a numeric column of a table.

    Parameters
    ----------
    name : str

    Returns
    -------
    ParamType
    """
    column = BY_NAME[name]
    if column.kind == "count":
        return click.IntRange(int(column.low), int(column.high))
    return Number(column.low, column.high, min_open=column.open_low)


def numbers(text: str, option: str, low: float, high: float, whole: bool = False) -> Sequence[float]:
    """Read numbers with commas between them.

    Parameters
    ----------
    text : str
    option : str
        For the message.
    low, high : float
        Range of each; `low` itself is not allowed unless `whole`.
    whole : bool
        Whether they are whole numbers.

    Returns
    -------
    sequence of float, or of int

    Raises
    ------
    DataError
    """
    parts = text.split(",")
    kind = "whole numbers" if whole else "numbers"
    wanted = f"{kind} {'from' if whole else 'above'} {low:g} to {high:g} with commas"
    try:
        found = [float(part) for part in parts[: MOST_NUMBERS + 1]]
    except ValueError as error:
        raise DataError(f"{option} {text!r}: write {wanted}, or none") from error
    inside = all(low <= n <= high and (n > low or whole) and (n == int(n) or not whole) for n in found)
    if not inside or len(found) > MOST_NUMBERS:
        raise DataError(f"{option} {text!r}: write {wanted}, at most {MOST_NUMBERS}")
    return [int(n) for n in found] if whole else found
