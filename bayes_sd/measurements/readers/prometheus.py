"""Reads acceptance counts from a vLLM server's ``/metrics`` text: of one moment, or between two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.loading import read_text
from bayes_sd.measurements.readers.acceptance_counts import Counts, whole_length

DRAFTS = "vllm:spec_decode_num_drafts"
DRAFTED = "vllm:spec_decode_num_draft_tokens"
ACCEPTED = "vllm:spec_decode_num_accepted_tokens"
PER_POSITION = "vllm:spec_decode_num_accepted_tokens_per_pos"
PREEMPTIONS = "vllm:num_preemptions"
WANTED = frozenset({DRAFTS, DRAFTED, ACCEPTED, PER_POSITION, PREEMPTIONS})

SAMPLE = re.compile(r"(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?")
POSITION = re.compile(r'position="(\d{1,4})"')
MOST_COUNTED = 1e15
"""A counter that says more was not counted: a thousand tokens a microsecond for a year are less."""
MAX_BYTES = 16 << 20

Counters = dict[tuple[str, int], float]


def counts(files: Sequence[Path]) -> tuple[Counts, int | None]:
    """Read acceptance counts.

    Parameters
    ----------
    files : sequence of Path
        One text (counts since the server started), or two: before and after, of which the difference is
        taken.

    Returns
    -------
    counts : Counts
        Summed over the engines of the server.
    preemptions : int or None
        Requests put back; None where the server does not count them.

    Raises
    ------
    DataError
        If a file is no such text, has no speculation in it, or the second is older than the first.
    """
    if len(files) not in (1, 2):
        raise DataError(f"{len(files)} metrics files given: one, or two (before and after)")
    before, after = (read(files[0]), read(files[1])) if len(files) == 2 else ({}, read(files[0]))
    change = {key: value - before.get(key, 0.0) for key, value in after.items()}
    if any(value < 0 for value in change.values()):
        raise DataError(
            f"{files[-1]}: counts are lower than in {files[0]}: the server was restarted between, or the "
            "files are swapped"
        )
    if (DRAFTED, 0) not in change or (DRAFTS, 0) not in change:
        raise DataError(
            f"{files[-1]}: no counters {DRAFTS}: the server does not speculate, or is not vLLM's; leave "
            "--metrics out"
        )
    drafts, drafted, accepted = (int(change.get((name, 0), 0)) for name in (DRAFTS, DRAFTED, ACCEPTED))
    if not drafts:
        raise DataError(f"{files[-1]}: nothing was drafted; take the metrics after the benchmark has run")
    positions = sorted(position for name, position in change if name == PER_POSITION)
    per_position = tuple(int(change[PER_POSITION, position]) for position in positions)
    length = len(per_position) or whole_length(drafts, drafted)
    preempted = change.get((PREEMPTIONS, 0))
    return Counts(drafts, drafted, accepted, per_position, length), None if preempted is None else int(
        preempted
    )


def read(path: Path) -> Counters:
    """Read the counters of a metrics text.

    Parameters
    ----------
    path : Path
        Prometheus text format.

    Returns
    -------
    dict
        (name, draft position or 0) to the sum over engines.

    Raises
    ------
    DataError
        If the file is not such a text.
    """
    found: Counters = {}
    samples = 0
    for number, line in enumerate(lines_of(path), start=1):
        if not line or line.startswith("#"):
            continue
        sample = SAMPLE.fullmatch(line)
        if sample is None:
            raise DataError(
                f"{path}, line {number}: not Prometheus text; give what the server answers at /metrics"
            )
        samples += 1
        name = sample["name"].removesuffix("_total")
        if name in WANTED:
            position = POSITION.search(sample["labels"] or "")
            key = (name, int(position[1]) if position and name == PER_POSITION else 0)
            found[key] = found.get(key, 0.0) + counted(sample["value"], path, number)
    if not samples:
        raise DataError(f"{path}: no metrics in it; give what the server answers at /metrics")
    return found


def counted(text: str, path: Path, line: int) -> float:
    """Read the value of a counter.

    Parameters
    ----------
    text : str
    path : Path
    line : int
        Place, for the message.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If it is no number from 0 to :data:`MOST_COUNTED`.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value <= MOST_COUNTED:
        raise DataError(
            f"{path}, line {line}: {text!r} is no count: it must be a number from 0 to {MOST_COUNTED:g}; scrape again"
        )
    return value


def lines_of(path: Path) -> list[str]:
    """Read the lines of a metrics text.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of str
        Without the spaces around them.

    Raises
    ------
    DataError
        If the file is missing, a folder, too large, or not text.
    """
    return [line.strip() for line in read_text(path, most=MAX_BYTES).split("\n")]
