"""Reads CSV as text: rows with their line numbers, within bounds of columns, cells and length."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.loading.lines import MOST_LINE, bounded_lines
from bayes_sd.loading.whole import MIB, MOST_BYTES, Raises, open_input

MOST_CELLS = 5_000_000
"""Of a table."""
MOST_COLUMNS = 1000
"""Of a table: the schema has some 50."""


def csv_rows(path: Path, error: Raises = DataError) -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a CSV file as text.

    Parameters
    ----------
    path : Path
        Comma-separated, UTF-8; a byte order mark is allowed.
    error : type of BayesSdError

    Yields
    ------
    line : int
        Of the file, from 1; the last one of a row that spans several.
    cells : list of str
        Blanks round them removed.

    Raises
    ------
    BayesSdError
        As :func:`open_input`, and if it is no such text, or has more columns or cells than a table can have.
    """
    cells = 0
    with open_input(path, error) as handle, _csv_limit():
        text = io.TextIOWrapper(handle, encoding="utf-8-sig", newline="")
        reader = csv.reader(
            _of_bounded_length(bounded_lines(text, str(path), error), path, error), strict=True
        )
        try:
            for row in reader:
                cells += len(row)
                if len(row) > MOST_COLUMNS or cells > MOST_CELLS:
                    raise error(
                        f"{path}, line {reader.line_num}: more than {MOST_COLUMNS} columns or {MOST_CELLS:,} cells; "
                        "keep the columns that are needed"
                    )
                yield reader.line_num, [cell.strip() for cell in row]
        except OSError as reason:
            raise error(f"{path}: cannot be read: {reason.strerror}") from reason
        except UnicodeDecodeError as reason:
            raise error(f"{path}: not UTF-8 text: save it as CSV in UTF-8") from reason
        except csv.Error as reason:
            raise error(f"{path}, line {reader.line_num}: not a CSV table: {reason}") from reason


def csv_line(line: str, where: str, error: Raises = DataError) -> list[str]:
    """Take one line of CSV apart.

    Parameters
    ----------
    line : str
    where : str
        Place, for the message.
    error : type of BayesSdError

    Returns
    -------
    list of str
        Blanks round the cells removed; empty for a blank line.

    Raises
    ------
    BayesSdError
        If it is no such line, or too long.
    """
    try:
        with _csv_limit():
            row = next(csv.reader([line], strict=True), [])
    except csv.Error as reason:
        raise error(f"{where}: not a line of CSV: {reason}") from reason
    if len(row) > MOST_COLUMNS:
        raise error(f"{where}: more than {MOST_COLUMNS} cells; keep the columns that are needed")
    return [cell.strip() for cell in row]


def _of_bounded_length(lines: Iterator[str], path: Path, error: Raises) -> Iterator[str]:
    length = 0
    for line in lines:
        length += len(line)
        if length > 4 * MOST_BYTES:
            raise error(f"{path}: too large: more than {4 * MOST_BYTES // MIB} MiB; is it the right file?")
        yield line


@contextlib.contextmanager
def _csv_limit() -> Iterator[None]:
    """Allow cells as long as lines may be; the module's own bound, 131,072 characters, is the whole program's."""
    before = csv.field_size_limit(MOST_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(before)
