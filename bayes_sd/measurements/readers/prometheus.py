"""Reads acceptance counts from a vLLM server's ``/metrics`` text: of one moment, or between two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.loading import read_bytes
from bayes_sd.measurements.readers.acceptance_counts import Counts, whole_length
from bayes_sd.measurements.readers.packed import packed_as

DRAFTS = "vllm:spec_decode_num_drafts"
DRAFTED = "vllm:spec_decode_num_draft_tokens"
ACCEPTED = "vllm:spec_decode_num_accepted_tokens"
PER_POSITION = "vllm:spec_decode_num_accepted_tokens_per_pos"
EMITTED = "vllm:spec_decode_num_emitted_tokens"
"""Tokens committed by cycles of vLLM's first engine, which counted no drafts: each commits one more than it accepts."""
PREEMPTIONS = "vllm:num_preemptions"
CACHE = (
    ("vllm:prefix_cache_hits", "vllm:prefix_cache_queries"),
    ("vllm:gpu_prefix_cache_hits", "vllm:gpu_prefix_cache_queries"),
    ("sglang:cached_tokens", "sglang:prompt_tokens"),
)
"""Prompt tokens found in a prefix cache, and prompt tokens looked up, as engines count them."""
GENERATED = ("vllm:generation_tokens", "sglang:generation_tokens")
WANTED = frozenset(
    {DRAFTS, DRAFTED, ACCEPTED, PER_POSITION, EMITTED, PREEMPTIONS, *GENERATED}
    | {name for pair in CACHE for name in pair}
)
BEFORE_V1 = "counters of vLLM before 0.9, which has no number of drafts: it is emitted less accepted tokens"

SAMPLE = re.compile(
    r"(?P<name>[A-Za-z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?(?:\s+#.*)?"
)
POSITION = re.compile(r'position="(\d{1,4})"')
MOST_COUNTED = 1e15
"""A counter that says more was not counted: a thousand tokens a microsecond for a year are less."""
MAX_BYTES = 16 << 20

Counters = dict[tuple[str, int], float]


@dataclass(frozen=True)
class ServerRun:
    """What a server counted over a run.

    Attributes
    ----------
    counts : Counts or None
        Of speculation, summed over the engines of the server; None where it has none.
    preemptions : int or None
        Requests put back; None where the server does not count them.
    cached_share : float or None
        Prompt tokens found in the prefix cache, over those looked up.
    generated : float or None
        Output tokens of all requests.
    note : str
        How a count was put together, where the server does not state it.
    """

    counts: Counts | None
    preemptions: int | None
    cached_share: float | None = None
    generated: float | None = None
    note: str = ""


def counts(files: Sequence[Path]) -> tuple[Counts, int | None]:
    """Read acceptance counts.

    Parameters
    ----------
    files : sequence of Path
        As for :func:`server_run`.

    Returns
    -------
    counts : Counts
        Summed over the engines of the server.
    preemptions : int or None
        Requests put back; None where the server does not count them.

    Raises
    ------
    DataError
        As :func:`server_run`, and if there is no speculation in it.
    """
    run = server_run(files)
    if run.counts is None:
        raise no_speculation(files)
    return run.counts, run.preemptions


def no_speculation(files: Sequence[Path]) -> DataError:
    """Give the error for metrics without counters of speculation."""
    return DataError(
        f"{files[-1]}: no counters {DRAFTS}: the server does not speculate, or is not vLLM's; leave --metrics out"
    )


def server_run(files: Sequence[Path]) -> ServerRun:
    """Read what a server counted.

    Parameters
    ----------
    files : sequence of Path
        One text (counts since the server started), or two: before and after, of which the difference is
        taken.

    Returns
    -------
    ServerRun

    Raises
    ------
    DataError
        If a file is no such text, the second is older than the first, or a server that speculates drafted nothing.
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
    preempted = change.get((PREEMPTIONS, 0))
    counted, note = _speculation(files[-1], change)
    return ServerRun(
        counted,
        None if preempted is None else int(preempted),
        _cached_share(change),
        next((change[name, 0] for name in GENERATED if (name, 0) in change), None),
        note,
    )


def _cached_share(change: Counters) -> float | None:
    for hits, queries in CACHE:
        asked = change.get((queries, 0), 0.0)
        if asked > 0 and (hits, 0) in change:
            return min(change[hits, 0] / asked, 1.0)
    return None


def _speculation(path: Path, change: Counters) -> tuple[Counts | None, str]:
    if (DRAFTED, 0) not in change or ((DRAFTS, 0) not in change and (EMITTED, 0) not in change):
        return None, ""
    drafted, accepted = (int(change.get((name, 0), 0)) for name in (DRAFTED, ACCEPTED))
    stated = (DRAFTS, 0) in change
    drafts = int(change[DRAFTS, 0] if stated else change[EMITTED, 0] - accepted)
    if drafts <= 0:
        raise DataError(f"{path}: nothing was drafted; take the metrics after the benchmark has run")
    positions = sorted(position for name, position in change if name == PER_POSITION)
    per_position = tuple(int(change[PER_POSITION, position]) for position in positions)
    length = len(per_position) or whole_length(drafts, drafted)
    return Counts(drafts, drafted, accepted, per_position, length), "" if stated else BEFORE_V1


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


def counted(text: str, path: Path | str, line: int) -> float:
    """Read the value of a counter.

    Parameters
    ----------
    text : str
    path : Path or str
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
    content = read_bytes(path, most=MAX_BYTES)
    packed = packed_as(content[:4])
    if packed:
        raise DataError(f"{path}: {packed}")
    try:
        return [line.strip() for line in content.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text; give what the server answers at /metrics") from error
