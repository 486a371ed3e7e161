"""Reads a CSV file as text, with the line of each row, and refuses what is not a table; writes tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.errors import DataError
from bayes_sd.files import write_atomically
from bayes_sd.loading import csv_rows

if TYPE_CHECKING:
    import pandas as pd


SPREADSHEET = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet takes for a formula and runs."""
GUARD = "'"
"""Put before such a text in every table that is written, and taken away when it is read."""


def guarded(text: str) -> str:
    """Write a text so that no spreadsheet runs it.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        The same, with an apostrophe before it where it would be taken for a formula (or has such a guard already).
    """
    return GUARD + text if text.lstrip(GUARD).startswith(SPREADSHEET) else text


def unguarded(text: str) -> str:
    """Take away what :func:`guarded` put before a text."""
    return text[1:] if text.startswith(GUARD) and text.lstrip(GUARD).startswith(SPREADSHEET) else text


def write_csv(table: pd.DataFrame, path: str | Path, float_format: str | None = None) -> Path:
    """Write a table; texts that a spreadsheet would run are guarded.

    Parameters
    ----------
    table : DataFrame
        Its index is left out.
    path : path-like
    float_format : str, optional

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If it cannot be written; what stood there stays.
    """
    texts = [name for name in table if table[name].dtype.kind not in "fiub"]
    safe = table.assign(
        **{str(name): [guarded(v) if isinstance(v, str) else v for v in table[name]] for name in texts}
    ).rename(columns=lambda name: guarded(str(name)))
    return write_atomically(
        path, lambda beside: safe.to_csv(beside, index=False, float_format=float_format, lineterminator="\n")
    )


def read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read header and rows of a CSV table as text.

    Parameters
    ----------
    path : Path
        A CSV file, comma-separated, UTF-8 (a byte order mark is allowed). Empty lines are passed over.

    Returns
    -------
    header : list of str
        Column names, blanks round them removed; none stands twice.
    rows : list of (int, list of str)
        Each row's line in the file (its last, where a quoted cell spans lines), and its cells, as many as
        the header has, blanks round them removed.

    Raises
    ------
    DataError
        If there is no such file, or it is not such a table, or has no rows.
    """
    lines = [(number, [unguarded(cell) for cell in row]) for number, row in csv_rows(path) if any(row)]
    if not lines:
        raise DataError(f"{path}: the file is empty")
    (_, header), rows = lines[0], lines[1:]
    if not rows:
        raise DataError(f"{path}: it has a header but no rows")
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} stands twice in the header: rename or remove one")
    if len(header) == 1 and ";" in header[0]:
        raise DataError(f"{path}: its cells are separated by semicolons: save it with commas")
    for number, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path}, row {number}: {len(row)} cells where the header has {len(header)}: "
                "a cell with a comma in it needs quotes"
            )
    return header, rows
