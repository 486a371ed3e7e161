"""From benchmark files to a measurement table."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.cards.record import canonical
from bayes_sd.errors import DataError
from bayes_sd.files import write_atomically
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.readers import acceptance_counts, prometheus, unsaid
from bayes_sd.measurements.readers.reading import Cell, Reading, Unusable
from bayes_sd.measurements.readers.tools import reader, recognise
from bayes_sd.measurements.rowchecks import contradiction
from bayes_sd.measurements.schema import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

NUMERIC = ("number", "count", "flag")
DURATION_SLACK = 1.01
DIGITS = 10


@dataclass(frozen=True)
class IngestReport:
    """What came of an ingest.

    Attributes
    ----------
    table : DataFrame
        One row a benchmark, with those columns of the schema that any of them fills, in its order; NaN or ""
        where not known.
    notes : list of str
        What a reader of the table should know, one line each: what was computed, left out, or does not hold.
    """

    table: pd.DataFrame
    notes: list[str]


def ingest(
    paths: Sequence[str | Path],
    meta: Mapping[str, object] | None = None,
    *,
    meta_file: str | Path | None = None,
    metrics: Sequence[str | Path] = (),
    skip_failed: bool = False,
) -> IngestReport:
    """Read the files of benchmark tools into one measurement table.

    Parameters
    ----------
    paths : sequence of path-like
        Files of GuideLLM, ``vllm bench serve``, SGLang ``bench_serving``, AIPerf, inference-perf or
        InferenceX, in any mixture; each is recognised by its content.
    meta : mapping, optional
        Column to value, for what the files do not say. Names and units as in the schema.
    meta_file : path-like, optional
        TOML with such values for all files. ``FILE.toml`` beside a file is read in any case. `meta` go
        first, then ``FILE.toml``, then `meta_file`.
    metrics : sequence of path-like, optional
        Text of a vLLM server's ``/metrics``, or two (before and after), for acceptance counts of the one file
        given.
    skip_failed : bool
        Leave out a benchmark without a successful request, with a note, instead of refusing the file.

    Returns
    -------
    IngestReport

    Raises
    ------
    DataError
        If a file cannot be read, is of no tool that is known, contradicts itself or what was given, or leaves
        something unsaid: the message names each missing column.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise DataError("no benchmark file given")
    options = unsaid.from_options(meta or {}, [Path(m) for m in metrics])
    shared = unsaid.from_toml(Path(meta_file)) if meta_file else None
    if len(files) > 1 and (options.metrics or (shared and shared.metrics)):
        raise DataError(
            "a server's metrics go with one benchmark file: ingest one by one, or name them in FILE.toml"
        )
    readings: list[Reading] = []
    notes: list[str] = []
    for path in files:
        own = unsaid.beside(path)
        given = [options, *([unsaid.from_toml(own)] if own else []), *([shared] if shared else [])]
        found = _read(path, skip_failed, notes)
        _fill(found, given)
        _add_metrics(found, next((g.metrics for g in given if g.metrics), ()))
        readings += [cell for _, cell in found]
    table = tabulate(readings)
    notes += [f"{cell.where}: {note}" for cell in readings for note in cell.notes]
    return IngestReport(table, notes)


def tabulate(readings: Sequence[Reading]) -> pd.DataFrame:
    """Put readings into a table, checked as the table's reader will check it.

    Parameters
    ----------
    readings : sequence of Reading
        With everything given filled in.

    Returns
    -------
    DataFrame
        As in :class:`IngestReport`.

    Raises
    ------
    DataError
        If a reading contradicts itself, or leaves something unsaid that a row needs.
    """
    records = [_record(cell) for cell in readings]
    _ask_for_missing(readings)
    return _table(records)


def write_table(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a measurement table; what stood at `path` is replaced only by a whole new file.

    Parameters
    ----------
    table : DataFrame
        As from :func:`ingest`.
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
            out.writerow(table.columns)
            for row in table.itertuples(index=False):
                out.writerow([_text(value) for value in row])

    return write_atomically(path, writer)


def _read(path: Path, skip_failed: bool, notes: list[str]) -> list[tuple[int, Reading]]:
    """Give the readings of a file, each with its place among all benchmarks of the file."""
    cells: list[Cell] = list(reader(recognise(path))(path))
    found = []
    for index, cell in enumerate(cells):
        if isinstance(cell, Reading):
            found.append((index, cell))
        elif cell.failed and not skip_failed:
            raise DataError(f"{cell.where}: {cell.reason}; --skip-failed leaves such benchmarks out")
        else:
            notes.append(f"{cell.where}: {cell.reason}")
    if not found:
        reasons = sorted({cell.reason for cell in cells if isinstance(cell, Unusable)})
        raise DataError(f"{path}: no benchmark in it can be used: {'; '.join(reasons)}")
    for index, cell in found:
        cell.put("measured_by", cell.tool)
        # Tools name their files alike in every run (stage_0_..., benchmarks.json): the folder tells them
        # apart.
        name = "/".join(path.parts[-2:]) if path.parent.name else path.name
        cell.columns.setdefault("config_id", name if len(cells) == 1 else f"{name}#{index + 1}")
    return found


def _fill(found: Sequence[tuple[int, Reading]], given: Sequence[unsaid.Given]) -> None:
    for index, cell in found:
        unsaid.apply(cell, [(source.origin, source.values(index)) for source in given])


def _add_metrics(found: Sequence[tuple[int, Reading]], files: Sequence[Path]) -> None:
    """Add a server's acceptance counts to the benchmarks that have none and speculate."""
    if not files:
        return
    counts, preemptions = prometheus.counts(files)
    cells = [cell for _, cell in found if cell.columns.get("method") != "none"]
    without = [cell for cell in cells if "n_drafts" not in cell.columns]
    since = "since the server started" if len(files) == 1 else "between the two metrics files"
    for place, cell in enumerate(without):
        first = place == 0
        k = cell.columns.get("k")
        acceptance_counts.put(cell, counts, counted=first)
        if isinstance(k, int | float) and counts.draft_length is not None and k != counts.draft_length:
            raise DataError(
                f"{cell.where}: k is {k:g}, but {files[-1]} counts {counts.draft_length} draft positions: "
                "correct k or the file"
            )
        others = f", all {len(without)} benchmarks together" if len(without) > 1 else ""
        cell.notes.append(f"acceptance is the server's count {since}{others}")
        if others:
            cell.remarks.append(
                "acceptance of all benchmarks of the file" + (", counts here" if first else "")
            )
        elif preemptions is not None:
            cell.put("preemptions", preemptions)
    if len(without) < len(cells):
        found[0][1].notes.append(
            "the file has acceptance counts of its own: the metrics are not used for them"
        )


def _ask_for_missing(readings: Sequence[Reading]) -> None:
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


def _record(cell: Reading) -> dict[str, object]:
    """Check a row as the table's reader will, so that what is written can be read."""
    columns, understood = canonical(cell.columns)
    cell.columns.update(columns)
    cell.remarks.extend(understood)
    if cell.remarks:
        stated = cell.columns.get("notes")
        cell.put("notes", "; ".join([*([str(stated)] if stated else []), *cell.remarks]))
    cell.put("derived", "; ".join(dict.fromkeys(cell.derived)))
    record: dict[str, object] = {}
    for column in COLUMNS:
        value = cell.columns.get(column.name)
        text = _text(value)
        if not text:
            continue
        try:
            record[column.name] = parse_cell(text, column)
        except CellError as error:
            raise DataError(f"{cell.where}: {column.name}: {error}") from error
    wrong = contradiction({"method": "not said", "is_moe": float("n_experts" in record), **record})
    if wrong:
        raise DataError(f"{cell.where}: {wrong[0]}: {wrong[1]}")
    _check_duration(cell)
    return record


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
    if isinstance(value, int | float):
        return f"{value:.{DIGITS}g}" if abs(value) < 10**DIGITS else f"{value:.0f}"
    if isinstance(value, list):
        return json.dumps(value)
    return " ".join(str(value).split())
