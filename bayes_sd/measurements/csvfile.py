"""Reads a CSV file as text, with the line of each row, and refuses what is not a table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.loading import csv_rows


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
    lines = [(number, row) for number, row in csv_rows(path) if any(row)]
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
