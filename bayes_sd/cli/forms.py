"""Numbers as the terminal shows them: intervals, latencies in the unit that suits them, probabilities that are never certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 7
"""Rows of a table on the terminal; a file and ``--json`` have them all."""


def interval(middle: float | None, low: float | None, high: float | None, form: str) -> str:
    """Write a median with its interval; infinite as ``∞``, unknown as ``-``."""

    def one(value: float | None) -> str:
        if value is None or np.isnan(value):
            return "-"
        return "∞" if np.isinf(value) else format(value, form)

    if middle is None or np.isnan(middle):
        return "-"
    return f"{one(middle)} [{one(low)}, {one(high)}]"


def ordered(bounds: Sequence[float]) -> tuple[float, float, float]:
    """Turn lower, median, upper into median, lower, upper."""
    low, middle, high = bounds
    return middle, low, high


def gain(row: Mapping[Any, Any], form: str = "+z.1f") -> str:
    """Write a gain [%] with its interval, from the factors ``gain_median``, ``gain_lower`` and ``gain_upper``."""
    middle, low, high = (100.0 * (row[f"gain_{end}"] - 1.0) for end in ("median", "lower", "upper"))
    return interval(middle, low, high, form)


def unit_of(medians: Any) -> tuple[str, float]:
    """Choose the unit of a table's latencies: its name, and how many of it are a second."""
    finite = np.asarray(medians, dtype=float)
    finite = finite[np.isfinite(finite)]
    return ("ms", 1e3) if finite.size and finite.max() < 1.0 else ("s", 1.0)


def latency(row: Mapping[Any, Any] | pd.Series, name: str, scale: float) -> str:
    """Write a latency with its interval in units of which `scale` are a second; without a steady state it is saturated.

    Parameters
    ----------
    row : mapping
        With ``NAME_median_s``, ``NAME_lower_s`` and ``NAME_upper_s``.
    name : str
    scale : float
    """
    middle, low, high = (float(row[f"{name}_{end}_s"]) for end in ("median", "lower", "upper"))
    if not np.isfinite(middle):
        return "saturated"

    def one(value: float) -> str:
        return digits(scale * value) if np.isfinite(value) else "∞"

    return f"{one(middle)} [{one(low)}, {one(high)}]"


def digits(value: float) -> str:
    """Write a number with three digits, zeros at its end kept, whole ones from a hundred on."""
    if value >= 100 or value == 0:
        return f"{value:.0f}"
    places = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    return f"{value:.{places}f}"


def seconds(value: float) -> str:
    """Write a latency [s] by itself; without a steady state it is saturated."""
    return digits(value) if np.isfinite(value) else "saturated"


def percent(probability: float) -> str:
    """Write a probability, never as certain."""
    if np.isnan(probability):
        return "-"
    if probability < 0.01 or probability > 0.99:
        return "<1 %" if probability < 0.5 else ">99 %"
    return f"{100 * probability:.0f} %"


def load(value: float) -> str:
    """Write a load with three digits, whole numbers from a thousand on."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def thinned(table: pd.DataFrame, most: int = SHOWN) -> pd.DataFrame:
    """Take some rows of a table, first and last among them."""
    if len(table) <= most:
        return table
    return table.iloc[np.unique(np.linspace(0, len(table) - 1, most).round().astype(int))]
