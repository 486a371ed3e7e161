"""Reads what is known of acceptance: counts by draft position, and mean accepted lengths by draft length.

Three forms of table are told apart by their header: counts by position
(:data:`bayes_sd.measurements.acceptance_table.COLUMNS`, with ``draft_length`` and ``drafter`` where they are known),
lengths by draft length (:data:`bayes_sd.acceptance.fields.LENGTH_COLUMNS`), and measurement tables, whose speculating rows state
``accepted_per_position`` with ``n_drafts``, or ``mean_accepted_len``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.acceptance.fields import (
    COUNT_FIELDS,
    DRAFT_LENGTH,
    LENGTH_COLUMNS,
    LENGTH_FIELDS,
    empty_rows,
)
from bayes_sd.acceptance.measured import counts_from_measurements, lengths_from_measurements
from bayes_sd.errors import DataError
from bayes_sd.files import shipped
from bayes_sd.measurements import load_family
from bayes_sd.measurements.acceptance_table import read_acceptance
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.csvfile import read_rows
from bayes_sd.measurements.schema import Column

if TYPE_CHECKING:
    import pandas as pd

SHIPPED = ("acceptance_by_position.csv", "acceptance_reported.csv", "acceptance_by_draft_length.csv")


@dataclass(frozen=True)
class AcceptanceData:
    """Counts and lengths, ready for a fit.

    Attributes
    ----------
    counts : DataFrame
        One row a run and draft position, columns :data:`~bayes_sd.acceptance.fields.COUNT_FIELDS`.
    lengths : DataFrame
        One row a run, columns :data:`~bayes_sd.acceptance.fields.LENGTH_FIELDS`; strictly between 1 and k + 1.
    methods, pairs, cells : list of str
        Names. A pair is ``"verifier | drafter"`` (the method where no drafter is named), a cell
        ``"verifier | drafter | dataset"``.
    pair_method, cell_pair, count_cell, length_cell : int array
        Where each belongs.
    """

    counts: pd.DataFrame
    lengths: pd.DataFrame
    methods: list[str]
    pairs: list[str]
    cells: list[str]
    pair_method: np.ndarray
    cell_pair: np.ndarray
    count_cell: np.ndarray
    length_cell: np.ndarray

    @property
    def n_positions(self) -> int:
        """Longest draft position that the data say anything about."""
        reach = [self.counts["position"].max(), self.counts["draft_length"].max(), self.lengths["k"].max()]
        return int(np.nanmax([1.0, *(float(r) for r in reach)]))

    def without(
        self, *, counts: np.ndarray | None = None, lengths: np.ndarray | None = None
    ) -> AcceptanceData:
        """Leave rows out: boolean arrays, True for a row to leave out."""
        kept_counts = self.counts if counts is None else self.counts[~np.asarray(counts, dtype=bool)]
        kept_lengths = self.lengths if lengths is None else self.lengths[~np.asarray(lengths, dtype=bool)]
        return assemble(kept_counts, kept_lengths)


def read_acceptance_data(paths: str | Path | Sequence[str | Path] | None = None) -> AcceptanceData:
    """Read tables of acceptance.

    Parameters
    ----------
    paths : path or sequence of path, optional
        CSV tables of any of the three forms; default: the shipped ones.

    Returns
    -------
    AcceptanceData

    Raises
    ------
    DataError
        Naming file, line and column, for a table that is none of the three, or contradicts itself: more
        accepted than reached, more reached than accepted one position earlier, a length outside [1, k + 1].
    """
    import pandas as pd

    if paths is None:
        paths = [shipped("data") / name for name in SHIPPED]
    files = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
    counts, lengths = [], []
    for file in files:
        table = _read_table(file)
        counts.append(table[0])
        lengths.append(table[1])
    names = ", ".join(str(f) for f in files)
    if not sum(map(len, counts)) + sum(map(len, lengths)):
        raise DataError(
            f"{names}: no row states an acceptance: give accepted_per_position with n_drafts, or mean_accepted_len"
        )
    return assemble(pd.concat(counts, ignore_index=True), pd.concat(lengths, ignore_index=True))


def assemble(counts: pd.DataFrame, lengths: pd.DataFrame) -> AcceptanceData:
    """Number the methods, pairs and cells of counts and lengths, in order of first appearance.

    Parameters
    ----------
    counts, lengths : DataFrame
        Columns :data:`~bayes_sd.acceptance.fields.COUNT_FIELDS` and :data:`~bayes_sd.acceptance.fields.LENGTH_FIELDS`.

    Returns
    -------
    AcceptanceData
    """
    counts, lengths = counts.reset_index(drop=True), lengths.reset_index(drop=True)
    rows: list[Any] = [
        *counts[list(COUNT_FIELDS[:4])].itertuples(index=False),
        *lengths[list(LENGTH_FIELDS[:4])].itertuples(index=False),
    ]
    method_of: dict[str, str] = {}
    pair_of: dict[str, str] = {}
    cell_at = []
    for row in rows:
        pair = pair_name(row.verifier, row.method, row.drafter)
        cell = f"{pair} | {row.dataset}"
        method_of.setdefault(pair, row.method)
        pair_of.setdefault(cell, pair)
        cell_at.append(cell)
    methods, pairs, cells = list(dict.fromkeys(method_of.values())), list(method_of), list(pair_of)
    index = np.array([cells.index(c) for c in cell_at], dtype=int)
    return AcceptanceData(
        counts=counts,
        lengths=lengths,
        methods=methods,
        pairs=pairs,
        cells=cells,
        pair_method=np.array([methods.index(method_of[p]) for p in pairs], dtype=int),
        cell_pair=np.array([pairs.index(pair_of[c]) for c in cells], dtype=int),
        count_cell=index[: len(counts)],
        length_cell=index[len(counts) :],
    )


def pair_name(verifier: str, method: str, drafter: str = "") -> str:
    """Name a pair: its verifier, and its drafter or, where none is named, its method."""
    return f"{verifier} | {drafter or method}"


def _read_table(file: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    header, rows = read_rows(file)
    if "load_kind" in header:
        frame = load_family("all", [file])
        return counts_from_measurements(frame), lengths_from_measurements(frame)
    if "k" in header and "position" not in header:
        return empty_rows(COUNT_FIELDS), _read_lengths(file, header, rows)
    return _read_counts(file, header, rows), empty_rows(LENGTH_FIELDS)


def _read_counts(file: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> pd.DataFrame:
    table = read_acceptance(file)
    cells = [dict(zip(header, row, strict=True)) for _, row in rows]
    table["drafter"] = [c.get("drafter", "") for c in cells]
    chain = table.groupby(["verifier", "method", "dataset", "source"])["position"].transform("max")
    stated = [
        _value(file, line, DRAFT_LENGTH, c["draft_length"]) if c.get("draft_length") else np.nan
        for (line, _), c in zip(rows, cells, strict=True)
    ]
    table["draft_length"] = np.where(np.isnan(stated), chain, stated)
    for (line, _), position, length in zip(rows, table["position"], table["draft_length"], strict=True):
        if position > length:
            raise DataError(
                f"{file}, row {line}, column position: {position} is beyond draft_length {length:g}"
            )
    return table[list(COUNT_FIELDS)].astype({"draft_length": int})


def _read_lengths(file: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> pd.DataFrame:
    import pandas as pd

    for column in LENGTH_COLUMNS:
        if column.name not in header:
            raise DataError(f"{file}: column {column.name!r} is missing: add it")
    records = []
    for line, row in rows:
        cells = dict(zip(header, row, strict=True))
        record: dict[str, Any] = {
            c.name: _value(file, line, c, cells[c.name]) if cells[c.name] or c.name != "drafter" else ""
            for c in LENGTH_COLUMNS
        }
        k, length = record["k"], record["mean_accepted_len"]
        if not 1.0 < length < k + 1:
            raise DataError(
                f"{file}, row {line}, column mean_accepted_len: {length:g} at k = {k:g} must lie between 1 and k + 1 "
                "(is the verifier's own token counted?)"
            )
        records.append(record)
    return pd.DataFrame(records)[list(LENGTH_FIELDS)].astype({"k": int})


def _value(file: Path, line: int, column: Column, text: str) -> Any:
    try:
        if not text:
            raise CellError("blank: fill it in")
        return parse_cell(text, column)
    except CellError as error:
        raise DataError(f"{file}, row {line}, column {column.name}: {error}") from error
