"""From readings to the rows of a measurement table, checked as the table's own reader will check them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.cards.record import canonical
from bayes_sd.errors import DataError
from bayes_sd.files import write_atomically
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.csvfile import guarded
from bayes_sd.measurements.readers import unsaid
from bayes_sd.measurements.readers.members import plain
from bayes_sd.measurements.readers.reading import Reading
from bayes_sd.measurements.rowchecks import contradiction
from bayes_sd.measurements.schema import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

NUMERIC = ("number", "count", "flag")
DURATION_SLACK = 1.01
DIGITS = 10


def tabulate(readings: Sequence[Reading]) -> pd.DataFrame:
    """Put readings into a table, checked as the table's reader will check it.

    Parameters
    ----------
    readings : sequence of Reading
        With everything given filled in.

    Returns
    -------
    DataFrame
        One row a reading, with those columns of the schema that any of them fills, in its order; NaN or "" where not
        known.

    Raises
    ------
    DataError
        If a reading contradicts itself, or leaves something unsaid that a row needs.
    """
    records = [record(cell) for cell in readings]
    ask_for_missing(readings)
    return _table(records)


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a measurement table; what stood at `path` is replaced only by a whole new file.

    Parameters
    ----------
    table : DataFrame
        As from :func:`tabulate`.
    path : path-like
        A CSV file.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputError
        If it cannot be written.
    """

    def writer(beside: Path) -> None:
        with beside.open("w", encoding="utf-8", newline="") as handle:
            out = csv.writer(handle, lineterminator="\n")
            out.writerow([guarded(str(name)) for name in table.columns])
            for row in table.itertuples(index=False):
                out.writerow(
                    [guarded(_text(value)) if isinstance(value, str) else _text(value) for value in row]
                )

    return write_atomically(path, writer)


def ask_for_missing(readings: Sequence[Reading]) -> None:
    """Ask for what readings leave unsaid.

    Parameters
    ----------
    readings : sequence of Reading
        With everything given filled in.

    Raises
    ------
    DataError
        If one leaves something unsaid that a row needs: the message names each column and its option.
    """
    asked: dict[str, list[Reading]] = {}
    for cell in readings:
        for name in unsaid.missing(cell):
            asked.setdefault(name, []).append(cell)
    if not asked:
        return
    first = next(iter(asked.values()))[0]
    names = ", ".join(f"{name} (--{name.replace('_', '-')})" for name in asked)
    hints = {cells[0].hints[name]: name for name, cells in asked.items() if name in cells[0].hints}
    remarks = "".join(f"; {name}: {hint}" for hint, name in hints.items())
    places = {cell.where for cells in asked.values() for cell in cells}
    others = f" and {len(places) - 1} more" if len(places) > 1 else ""
    raise DataError(
        f"{first.where}{others}: the file does not say {names}: give the options, or put them in FILE.toml "
        f"beside it{remarks}"
    )


def record(cell: Reading) -> dict[str, object]:
    """Check a row as the table's reader will, so that what is written can be read.

    Parameters
    ----------
    cell : Reading
        With everything given filled in.

    Returns
    -------
    dict
        Column to value; only what is known.

    Raises
    ------
    DataError
        If the reading contradicts itself or holds what its column cannot.
    """
    columns, understood = canonical(cell.columns)
    cell.columns.update(columns)
    cell.remarks.extend(understood)
    stated = cell.columns.get("notes")
    own = {
        "notes": "; ".join(dict.fromkeys([*([str(stated)] if stated else []), *cell.remarks])),
        "derived": "; ".join(dict.fromkeys(cell.derived)) or cell.columns.get("derived"),
    }
    found: dict[str, object] = {}
    for column in COLUMNS:
        text = _text(own.get(column.name, cell.columns.get(column.name)))
        if not text:
            continue
        try:
            found[column.name] = parse_cell(text, column)
        except CellError as error:
            raise DataError(f"{cell.where}: {column.name}: {error}") from error
    wrong = contradiction({"method": "not said", "is_moe": float("n_experts" in found), **found})
    if wrong:
        raise DataError(f"{cell.where}: {wrong[0]}: {wrong[1]}")
    _check_duration(cell)
    return found


def _check_duration(cell: Reading) -> None:
    latency, duration = cell.number("mean_e2e_s"), cell.number("duration_s")
    if latency is not None and duration is not None and latency > duration * DURATION_SLACK:
        raise DataError(
            f"{cell.where}: the units contradict each other: the mean latency {latency:.4g} s is longer "
            "than the run of "
            f"{duration:.4g} s; correct the file"
        )


def _table(records: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    data = {}
    for column in COLUMNS:
        if any(column.name in record for record in records):
            numeric = column.kind in NUMERIC
            values = [record.get(column.name, np.nan if numeric else "") for record in records]
            data[column.name] = pd.Series(values, dtype="float64" if numeric else "str")
    return pd.DataFrame(data)


def _text(value: object) -> str:
    """Write a cell: numbers to ten digits, whole ones without a point."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}" if abs(value) < 10**DIGITS else f"{value:.0f}"
    if isinstance(value, list):
        return json.dumps(value)
    return plain(str(value))
