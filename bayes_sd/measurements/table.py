"""Reads a measurement or conditions table and checks it, once, where it enters the program."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bayes_sd.cards.engine_names import gpus_of
from bayes_sd.cards.record import canonical
from bayes_sd.errors import CardError, DataError
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.csvfile import read_rows
from bayes_sd.measurements.latency import LATENCY, told_latency
from bayes_sd.measurements.rowchecks import contradiction, unanswerable
from bayes_sd.measurements.schema import BY_NAME, COLUMNS, LATENCIES, Column

if TYPE_CHECKING:
    import pandas as pd

NUMERIC = ("number", "count", "flag")
ADDED = (*LATENCY, "precision_assumed")
"""Columns that reading adds to a measurement table."""
Record = dict[str, object]


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a measurement table.

    Parameters
    ----------
    path : path-like
        A CSV file (UTF-8) whose columns are those of :data:`bayes_sd.measurements.schema.COLUMNS`. Other
        columns are left out and named in ``attrs["ignored_columns"]``.

    Returns
    -------
    DataFrame
        One row a measurement, in file order: every column of the schema, of one dtype each (float64; int64
        for tp and n_gpu; bool for is_moe; str, "" where not known, blank precision among it), and ``latency_s``,
        ``latency_statistic``, ``latency_part`` (see :func:`bayes_sd.measurements.latency.told_latency`), ``file`` and ``row``
        (line of the file).
        ``k`` is 0 without speculation, NaN where a draft length is not known.

    Raises
    ------
    DataError
        Naming file, line and column, for anything that is not such a table.
    """
    path = Path(path)
    header, rows = read_rows(path)
    _check_header(path, header, [c.name for c in COLUMNS if c.measured == "required"])
    if not any(name in header for name in LATENCIES):
        raise DataError(f"{path}: no column {' or '.join(LATENCIES)}: add the one that was measured")
    return _frame(
        path, header, _parse(path, header, rows, needed=("hardware", "verifier", "load_kind", "load_value"))
    )


@dataclass(frozen=True)
class Left:
    """A row of a table of conditions that is not answered.

    Attributes
    ----------
    row : int
        Line of the file.
    why : str
        What is wrong with it.
    """

    row: int
    why: str


def read_conditions(
    path: str | Path, leave_open: bool = False, left: list[Left] | None = None
) -> pd.DataFrame:
    """Read a table of conditions to predict for.

    Parameters
    ----------
    path : path-like
        A CSV file (UTF-8). ``hardware``, ``verifier``, ``prompt_tokens``, ``output_tokens``, ``load_kind``
        and ``load_value`` must be filled in every row; the rest may be missing or blank: tp 1, n_gpu what tp, pp and dp
        come to, engine "unknown", precision that of the published checkpoint, method none, k 0, arrivals Poisson (as nobody
        planned them), no caps. Result
        columns are ignored.
    leave_open : bool
        Whether lengths may be blank or their columns missing, for a question that assumes them.
    left : list, optional
        Takes the rows that cannot be read, which are then left out instead of refused.

    Returns
    -------
    DataFrame
        As from :func:`read_table`, without results.

    Raises
    ------
    DataError
        Naming file, line and column, for anything that is not such a table.
    """
    path = Path(path)
    header, rows = read_rows(path)
    needed = _needed(leave_open)
    _check_header(path, header, needed)
    results = {c.name for c in COLUMNS if c.condition == "result"}
    # Some sources have the day of the run as its repeat.
    keep = [name if name not in results or name == "repeat" else "" for name in header]
    records = _parse(path, keep, rows, needed=needed, asked=True, left=left)
    return _frame(path, keep, records).drop(columns=[*results, *ADDED])


def check_condition(values: Mapping[str, object], where: str, leave_open: bool = False) -> pd.DataFrame:
    """Check one condition that comes from options or a program instead of a file.

    Parameters
    ----------
    values : mapping
        Column name to value; None, NaN and "" mean blank.
    where : str
        Where it comes from, for messages.
    leave_open : bool
        Whether lengths may be blank.

    Returns
    -------
    DataFrame
        One row, as from :func:`read_conditions`.

    Raises
    ------
    DataError
        Naming the column, for a value that a conditions table may not hold.
    """
    given = {name: _text(value) for name, value in values.items()}
    unknown = next((name for name in given if name not in BY_NAME), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, BY_NAME, n=1)
        raise DataError(f"{where}: no column {unknown!r}" + (f": did you mean {near[0]!r}?" if near else ""))
    results = {c.name for c in COLUMNS if c.condition == "result"}
    needed = _needed(leave_open)
    keep = [name for name in dict.fromkeys([*given, *needed]) if name not in results or name == "repeat"]
    path = Path(where)
    records = _parse(path, keep, [(1, [given.get(name, "") for name in keep])], needed=needed, asked=True)
    frame = _frame(path, keep, records)
    return frame.drop(columns=[*results, *ADDED])


def _needed(leave_open: bool) -> list[str]:
    """Name the columns that a condition must fill, lengths only where they may not be left open."""
    return [
        c.name for c in COLUMNS if c.condition == "required" and not (leave_open and c.role == "requests")
    ]


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def _check_header(path: Path, header: list[str], required: Iterable[str]) -> None:
    unknown = [name for name in header if name not in BY_NAME]
    for name in required:
        if name not in header:
            near = difflib.get_close_matches(name, unknown, n=1)
            hint = f" (is it {near[0]!r}?)" if near else ""
            raise DataError(f"{path}: column {name!r} is missing{hint}: add it")
    for name in unknown:  # a mistyped optional column would otherwise pass unnoticed
        near = difflib.get_close_matches(
            name.casefold(), [c for c in BY_NAME if c not in header], n=1, cutoff=0.9
        )
        if near:
            raise DataError(f"{path}: unknown column {name!r}: did you mean {near[0]!r}? Rename or remove it")


def _parse(
    path: Path,
    header: list[str],
    rows: list[tuple[int, list[str]]],
    needed: Iterable[str],
    asked: bool = False,
    left: list[Left] | None = None,
) -> list[Record]:
    columns = [BY_NAME.get(name) for name in header]
    needed = set(needed)
    records = []
    for number, row in rows:
        try:
            records.append(_record(path, number, columns, row, needed, asked))
        except DataError as error:
            if left is None:
                raise
            left.append(Left(number, str(error).removeprefix(f"{path}, row {number}").lstrip(",: ")))
    return records


def _record(
    path: Path,
    number: int,
    columns: list[Column | None],
    row: list[str],
    needed: set[str],
    asked: bool,
) -> Record:
    record: Record = {"row": number}
    for column, text in zip(columns, row, strict=True):
        if column is None:
            continue
        if text:
            try:
                record[column.name] = parse_cell(text, column)
            except CellError as error:
                raise DataError(f"{path}, row {number}, column {column.name}: {error}") from error
        elif column.name in needed:
            raise DataError(f"{path}, row {number}, column {column.name}: blank: fill it in")
    try:
        record, understood = canonical(record)
    except CardError as error:
        raise DataError(f"{path}, row {number}: {error}") from error
    record["understood"] = understood
    if asked and "n_gpu" in record and "tp" not in record and not record.keys() & {"pp", "dp"}:
        record["tp"] = record["n_gpu"]
        understood.append(f"tp is not stated and taken as n_gpu, {record['n_gpu']:g}")
    _fill_defaults(path, record, asked)
    wrong = contradiction(record) or (unanswerable(record) if asked else None)
    if wrong:
        raise DataError(f"{path}, row {number}, column {wrong[0]}: {wrong[1]}")
    return record


def _fill_defaults(path: Path, record: Record, asked: bool) -> None:
    for column in COLUMNS:
        if asked and column.asked is not None and record["load_kind"] == "rate":
            record.setdefault(column.name, column.asked)
        if column.default is not None:
            record.setdefault(column.name, column.default)
    record.setdefault("source", path.stem)
    record.setdefault("n_gpu", gpus_of(record))
    record.setdefault("is_moe", float("n_experts" in record))
    if record["method"] == "none":
        record.setdefault("k", 0.0)


def _frame(path: Path, header: list[str], records: list[Record]) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    data: dict[str, object] = {}
    for column in COLUMNS:
        blank: object = np.nan if column.kind in NUMERIC else ""
        values = [record.get(column.name, blank) for record in records]
        data[column.name] = pd.Series(values, dtype=_dtype(column))
    frame = pd.DataFrame(data)
    frame[list(LATENCY)] = told_latency(frame)
    frame["precision_assumed"] = False
    frame["file"] = pd.Series([str(path)] * len(frame), dtype="str")
    frame["row"] = pd.Series([record["row"] for record in records], dtype="int64")
    understood = [words for record in records for words in cast("list[str]", record.get("understood", []))]
    frame.attrs["understood"] = tuple(dict.fromkeys(understood))
    frame.attrs["ignored_columns"] = tuple(name for name in header if name and name not in BY_NAME)
    return frame


def _dtype(column: Column) -> str:
    if column.name in ("tp", "n_gpu"):
        return "int64"
    if column.kind == "flag":
        return "bool"
    return "float64" if column.kind in NUMERIC else "str"
