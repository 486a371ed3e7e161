"""From benchmark files to a measurement table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import contradictions, unsaid
from bayes_sd.measurements.readers.counters import add_metrics
from bayes_sd.measurements.readers.folder import expand
from bayes_sd.measurements.readers.load import settle
from bayes_sd.measurements.readers.members import plain
from bayes_sd.measurements.readers.notes import FileResult, Group, Note, counted, grouped
from bayes_sd.measurements.readers.reading import Cell, Reading, Unusable
from bayes_sd.measurements.readers.rows import ask_for_missing, record, tabulate, write_table
from bayes_sd.measurements.readers.spread import put_spread
from bayes_sd.measurements.readers.tools import reader, recognise

if TYPE_CHECKING:
    import pandas as pd

LATENCIES = frozenset({"mean_e2e_s", "p50_e2e_s"})
"""A row needs one of them."""

OF_A_RUN = (
    "load_value",
    "mean_e2e_s",
    "p50_e2e_s",
    "p99_e2e_s",
    "mean_ttft_ms",
    "achieved_rps",
    "duration_s",
    "n_requests",
    "prompt_tokens",
    "output_tokens",
)
"""Figures by which one run is known again in another file."""
LEAST_KNOWN = 6
"""Of these, so many must be there: fewer may agree by chance."""

__all__ = ["IngestReport", "ingest", "tabulate", "write_table"]


@dataclass(frozen=True)
class IngestReport:
    """What came of an ingest.

    Attributes
    ----------
    table : DataFrame
        One row a benchmark, with those columns of the schema that any of them fills, in its order; NaN or ""
        where not known.
    remarks : list of Note
        What a reader of the table should know: what was computed, left out, or does not hold.
    files : tuple of FileResult
        What came of each file.
    """

    table: pd.DataFrame
    remarks: list[Note]
    files: tuple[FileResult, ...] = ()

    @property
    def notes(self) -> list[str]:
        """The remarks, a line each."""
        return [str(remark) for remark in self.remarks]

    @property
    def groups(self) -> list[Group]:
        """The remarks, those that differ in their figures alone put together."""
        return grouped(self.remarks)

    def left_out(self) -> dict[str, int]:
        """Count why files and benchmarks gave no row, the most frequent first."""
        return counted(reason for file in self.files for reason in file.left_out)


@dataclass
class _Work:
    """An ingest on its way: what is given for all files, and what has come of them."""

    options: unsaid.Given
    shared: unsaid.Given | None
    skip_failed: bool
    readings: list[Reading] = field(default_factory=list)
    runs: dict[tuple[object, ...], tuple[Path, str]] = field(default_factory=dict)
    taken: set[Path] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)
    files: list[FileResult] = field(default_factory=list)


def ingest(
    paths: Sequence[str | Path],
    meta: Mapping[str, object] | None = None,
    *,
    meta_file: str | Path | None = None,
    metrics: Sequence[str | Path] = (),
    skip_failed: bool = False,
    recursive: bool = False,
    progress: Callable[[int, int, Path], None] = lambda done, total, path: None,
) -> IngestReport:
    """Read the files of benchmark tools into one measurement table.

    Parameters
    ----------
    paths : sequence of path-like
        Files of the tools in :data:`bayes_sd.measurements.readers.tools.MODULES`, in any mixture; each is recognised by
        its content. With `recursive`, folders too.
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
    recursive : bool
        Allow folders: every file in them is tried, and one that is no benchmark, or contradicts itself, is left out with
        its reason instead of ending the ingest.
    progress : callable
        Called with files done, files in all, and the next file.

    Returns
    -------
    IngestReport

    Raises
    ------
    DataError
        If a file cannot be read, is of no tool that is known, contradicts itself or what was given, or leaves
        something unsaid: the message names each missing column.
    """
    if not paths:
        raise DataError("no benchmark file given")
    files = expand([Path(path) for path in paths], recursive)
    options = unsaid.from_options(meta or {}, [Path(m) for m in metrics])
    shared = unsaid.from_toml(Path(meta_file)) if meta_file else None
    if len(files) > 1 and (options.metrics or (shared and shared.metrics)):
        raise DataError(
            "a server's metrics go with one benchmark file: ingest one by one, or name them in FILE.toml"
        )
    work = _Work(options, shared, skip_failed)
    for done, (path, found) in enumerate(files):
        progress(done, len(files), path)
        _try(work, path) if found else _take(work, path, skip_failed)
    _refuse_nothing(work)
    table = tabulate(work.readings)
    remarks = [*work.notes, *(Note(cell.where, plain(note)) for cell in work.readings for note in cell.notes)]
    return IngestReport(table, remarks, tuple(work.files))


def _try(work: _Work, path: Path) -> None:
    """Read a file that was found in a folder; what is wrong with it is a reason to leave it out."""
    try:
        _take(work, path, skip_failed=True, alone=True)
    except DataError as error:
        reason = plain(str(error).removeprefix(str(path)).lstrip(":, "))
        work.files.append(FileResult(path, left_out=(reason,)))


def _take(work: _Work, path: Path, skip_failed: bool, alone: bool = False) -> None:
    """Read a file; `alone`: check its rows here, so that an error is this file's own."""
    own = unsaid.beside(path)
    given = [
        work.options,
        *([unsaid.from_toml(own)] if own else []),
        *([work.shared] if work.shared else []),
    ]
    tool = recognise(path)
    reasons: list[Note] = []
    found = _read(path, tool, skip_failed, reasons)
    for index, cell in found:
        unsaid.apply(cell, [(source.origin, source.values(index)) for source in given])
    add_metrics([cell for _, cell in found], next((g.metrics for g in given if g.metrics), ()))
    kept = [
        cell
        for cell in _settled(path, [cell for _, cell in found], reasons)
        if not _twice(work, path, cell, reasons)
    ]
    if alone:
        for cell in kept:
            record(cell)
        ask_for_missing(kept)
    work.taken.add(path)
    work.readings += kept
    work.notes += reasons
    work.files.append(FileResult(path, tool, len(kept), tuple(note.text for note in reasons)))


def _twice(work: _Work, path: Path, cell: Reading, reasons: list[Note]) -> bool:
    """Tell whether another file has the same run, as a copy or as a sweep's list beside its single results.

    No two runs take the same time to the last digit. What a file calls its repeats stays.
    """
    known = tuple(cell.number(name) for name in OF_A_RUN)
    if known.count(None) > len(OF_A_RUN) - LEAST_KNOWN:
        return False
    run = (*known, cell.columns.get("load_kind"), str(cell.columns.get("repeat") or ""))
    first, where = work.runs.setdefault(run, (path, cell.where))
    if first == path and where != cell.where:
        return False  # two benchmarks of one file are two runs
    if where == cell.where and path not in work.taken:
        return False
    reasons.append(Note(cell.where, f"the same run as '{plain(where)}' to the last digit: counted once"))
    return True


def _read(path: Path, tool: str, skip_failed: bool, reasons: list[Note]) -> list[tuple[int, Reading]]:
    """Give the readings of a file, each with its place among all benchmarks of the file."""
    cells = [_with_latency(cell) for cell in reader(tool)(path)]
    found = []
    for index, cell in enumerate(cells):
        if isinstance(cell, Reading):
            found.append((index, cell))
        elif cell.failed and not skip_failed:
            raise DataError(f"{cell.where}: {plain(cell.reason)}; --skip-failed leaves such benchmarks out")
        else:
            reasons.append(Note(cell.where, plain(cell.reason)))
    if not found:
        raise _nothing_left(path, [cell.reason for cell in cells if isinstance(cell, Unusable)])
    for index, cell in found:
        cell.put("measured_by", cell.tool)
        # Tools name their files alike in every run (stage_0_..., benchmarks.json): the folder tells them
        # apart.
        name = "/".join(path.parts[-2:]) if path.parent.name else path.name
        cell.columns.setdefault("config_id", name if len(cells) == 1 else f"{name}#{index + 1}")
    return found


def _with_latency(cell: Cell) -> Cell:
    if isinstance(cell, Reading) and cell.number("output_tok_per_s") == 0:
        return Unusable(cell.where, "not one token came back: every answer counted as success is empty")
    if isinstance(cell, Unusable) or not LATENCIES.isdisjoint(cell.columns):
        return cell
    return Unusable(cell.where, "; ".join(["no end-to-end latency in the file", *cell.remarks]))


def _settled(path: Path, cells: Sequence[Reading], reasons: list[Note]) -> list[Reading]:
    """Check what the benchmarks of a file say against their own figures; leave out those that give no row."""
    contradictions.check_counters(cells)
    kept = []
    for cell in cells:
        put_spread(cell)
        reason = settle(cell)
        if reason:
            reasons.append(Note(cell.where, plain(reason)))
        else:
            contradictions.check(cell)
            kept.append(cell)
    if not kept:
        raise _nothing_left(path, [note.text for note in reasons])
    return kept


def _nothing_left(path: Path, reasons: Sequence[str]) -> DataError:
    why = plain("; ".join(sorted(set(reasons)))) or "it holds none"
    return DataError(f"{path}: no benchmark in it can be used: {why}")


def _refuse_nothing(work: _Work) -> None:
    if work.readings:
        return
    reasons = counted(reason for file in work.files for reason in file.left_out)
    first, count = next(iter(reasons.items()))
    others = f"; and {len(reasons) - 1} other reasons" if len(reasons) > 1 else ""
    raise DataError(
        f"{work.files[0].path.parent}: none of {len(work.files)} files gives a row; {count}: {first}{others}"
    )
