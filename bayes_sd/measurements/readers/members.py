"""Takes members of decoded JSON objects: a value of another type than a reader wants counts as missing."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bayes_sd.errors import DataError


def finite(value: object) -> float | None:
    """Give a finite number as such, anything else (a flag, text, a number beyond the range of floats) as None."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def number(record: Mapping[str, object], *keys: str) -> float | None:
    """Give the first of `keys` that holds a finite number.

    Parameters
    ----------
    record : mapping
        A decoded JSON object.
    *keys : str
        Looked at in turn.

    Returns
    -------
    float or None
    """
    for key in keys:
        value = finite(record.get(key))
        if value is not None:
            return value
    return None


def numbers(where: str, record: Mapping[str, object], key: str) -> list[float]:
    """Give a list of numbers, one for each request; empty where there is none.

    Parameters
    ----------
    where : str
        File and place, for messages.
    record : mapping
        A decoded JSON object.
    key : str
        The list's name.

    Returns
    -------
    list of float, (request,)

    Raises
    ------
    DataError
        If something else is in it.
    """
    values = record.get(key)
    if not isinstance(values, list):
        return []
    known = [v for v in map(finite, values) if v is not None]
    if len(known) < len(values):
        raise DataError(f"{where}: {key} holds something else than numbers; write the file again")
    return known


def section(record: Mapping[str, object], *path: str) -> Mapping[str, object]:
    """Give a nested object, empty where it is missing or null.

    Parameters
    ----------
    record : mapping
        A decoded JSON object.
    *path : str
        Keys from the outside in.

    Returns
    -------
    mapping
    """
    inner: object = record
    for key in path:
        inner = inner.get(key) if isinstance(inner, dict) else None
    return inner if isinstance(inner, dict) else {}


def positive(value: float | None) -> float | None:
    """Give a value above zero, else None: tools write 0 for a time that they did not take."""
    return value if value is not None and value > 0 else None


def scaled(value: float | None, factor: float) -> float | None:
    """Multiply a value that may not be known."""
    return None if value is None else value * factor


def plain(text: str) -> str:
    """Write text from a file in one line that can be written anywhere: no breaks, no halves of a character."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(whole.split())
