"""Adds what a server counted over a run (its ``/metrics``) to the benchmarks of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import acceptance_counts, contradictions, prometheus
from bayes_sd.measurements.readers.reading import Reading


def add_metrics(cells: Sequence[Reading], files: Sequence[Path]) -> None:
    """Add acceptance counts to the benchmarks that speculate and have none, and prefix-cache hits to all.

    Parameters
    ----------
    cells : sequence of Reading
        The benchmarks of one file, with everything given filled in.
    files : sequence of Path
        The server's metrics, one text or two; none does nothing.

    Raises
    ------
    DataError
        If the metrics cannot be read, or contradict what was given.
    """
    if not files or not cells:
        return
    run = prometheus.server_run(files)
    speculating = [cell for cell in cells if cell.columns.get("method") != "none"]
    if run.counts is None and run.cached_share is None:
        raise prometheus.no_speculation(files)
    if run.generated is not None:
        contradictions.check_generated(cells, run.generated)
    if run.cached_share is not None:
        _add_cache_hits(cells, run.cached_share)
    if run.counts is None:
        if speculating:
            cells[0].notes.append(f"{files[-1]} has no counters of speculation")
        return
    if not speculating:
        cells[0].notes.append(
            f"the server counts {run.counts.drafts} drafts, but the method given is none: it speculated in this run or "
            "in an earlier one"
        )
        return
    _add_counts(speculating, run, files)


def _add_cache_hits(cells: Sequence[Reading], share: float) -> None:
    for cell in cells:
        prompt = cell.number("prompt_tokens")
        if prompt is not None and "cached_prompt_tokens" not in cell.columns:
            cell.put("cached_prompt_tokens", share * prompt, "prefix cache hits/queries*prompt_tokens")
            if share > 0:
                cell.notes.append(f"{share:.1%} of the prompt tokens came from the server's prefix cache")


def _add_counts(cells: Sequence[Reading], run: prometheus.ServerRun, files: Sequence[Path]) -> None:
    counts = run.counts
    assert counts is not None
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
        if run.note:
            cell.notes.append(run.note)
        if others:
            cell.remarks.append(
                "acceptance of all benchmarks of the file" + (", counts here" if first else "")
            )
        elif run.preemptions is not None:
            cell.put("preemptions", run.preemptions)
    if len(without) < len(cells):
        cells[0].notes.append("the file has acceptance counts of its own: the metrics are not used for them")
