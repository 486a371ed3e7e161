"""Reads counts of how often each draft position was reached and accepted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.errors import DataError
from bayes_sd.files import shipped
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.csvfile import read_rows
from bayes_sd.measurements.schema import METHODS, Column

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: tuple[Column, ...] = (
    Column("verifier", "text", "the model that accepted or refused"),
    Column("method", "choice", "how tokens were drafted", choices=METHODS[1:]),
    Column("dataset", "text", "the prompts"),
    Column("n_requests", "count", "requests counted over", low=1),
    Column("position", "count", "draft position, 1 is the first token of a draft", low=1),
    Column("n_reached", "count", "drafts whose earlier positions were all accepted", low=0),
    Column("n_accepted", "count", "those of them in which this position was accepted too", low=0),
    Column("source", "text", "where the counts come from"),
)
Record = dict[str, Any]
GROUP = ["verifier", "method", "dataset", "source"]


def read_acceptance(path: str | Path | None = None) -> pd.DataFrame:
    """Read a table of acceptance counts by draft position.

    Parameters
    ----------
    path : path-like, optional
        A CSV file with the columns of :data:`COLUMNS`, every cell filled; default: the shipped counts.

    Returns
    -------
    DataFrame
        One row a verifier, method, dataset, source and position, in file order. ``n_accepted / n_reached``
        estimates the conditional acceptance at the position, alpha_j. Counts are int64.

    Raises
    ------
    DataError
        Naming file, line and column, for anything that is not such a table: a position that is skipped,
        more accepted than reached, or more reached than were accepted one position earlier.
    """
    import pandas as pd

    path = shipped("data") / "acceptance_by_position.csv" if path is None else Path(path)
    header, rows = read_rows(path)
    for column in COLUMNS:
        if column.name not in header:
            raise DataError(f"{path}: column {column.name!r} is missing: add it")
    records: list[Record] = []
    for line, row in rows:
        cells = dict(zip(header, row, strict=True))
        record: Record = {"row": line}
        for column in COLUMNS:
            try:
                if not cells[column.name]:
                    raise CellError("blank: fill it in")
                value = parse_cell(cells[column.name], column)
            except CellError as error:
                raise DataError(f"{path}, row {line}, column {column.name}: {error}") from error
            record[column.name] = int(value) if isinstance(value, float) else value
        records.append(record)
    _check_chains(path, records)
    return pd.DataFrame(records)[[column.name for column in COLUMNS]]


def _check_chains(path: Path, records: list[Record]) -> None:
    before: dict[tuple[object, ...], tuple[int, int]] = {}
    for record in sorted(records, key=lambda r: r["position"]):
        group = tuple(record[name] for name in GROUP)
        position, reached, accepted = record["position"], record["n_reached"], record["n_accepted"]
        last, survived = before.get(group, (0, reached))
        where = f"{path}, row {record['row']}, column"
        if position != last + 1:
            raise DataError(f"{where} position: {position} follows {last}: give each position once, from 1")
        if accepted > reached:
            raise DataError(f"{where} n_accepted: {accepted} is more than n_reached {reached}")
        if reached > survived:
            raise DataError(f"{where} n_reached: {reached}, but only {survived} were accepted one earlier")
        before[group] = (position, accepted)
