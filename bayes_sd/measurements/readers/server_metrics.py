"""Windows of a vLLM server's ``/metrics``: what it counted since its start, or between scrapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers.prometheus import DRAFTED, PER_POSITION, SAMPLE, counted, lines_of

PREFIX = "vllm:"
LATENCY = "vllm:e2e_request_latency_seconds"
TTFT = "vllm:time_to_first_token_seconds"
QUEUE = "vllm:request_queue_time_seconds"
PROMPT = "vllm:request_prompt_tokens"
OUTPUT = "vllm:request_generation_tokens"
DRAFTS = "vllm:spec_decode_num_drafts"
ACCEPTED = "vllm:spec_decode_num_accepted_tokens"
START = "process_start_time_seconds"
SUMMARIES = (LATENCY, TTFT, QUEUE, PROMPT, OUTPUT)
WANTED = frozenset(
    [f"{name}_{part}" for name in SUMMARIES for part in ("sum", "count")] + [DRAFTS, DRAFTED, ACCEPTED, START]
)
MODEL = re.compile(r'model_name="((?:[^"\\]|\\.)*)"')
POSITION = re.compile(r'position="(\d{1,4})"')


@dataclass(frozen=True)
class Scrape:
    """What a vLLM server says at ``/metrics``.

    Attributes
    ----------
    source : str
        Where it was read.
    counters : dict of str to float
        Counter to its sum over the server's engines.
    models : tuple of str
        Names that the server gives its models.
    positions : int
        Draft positions that it counts; 0 where it does not.
    """

    source: str
    counters: dict[str, float]
    models: tuple[str, ...] = ()
    positions: int = 0

    @property
    def draft_length(self) -> float | None:
        """Tokens drafted per cycle; 0 for a server that counts no drafts, None where it cannot be told."""
        if self.positions:
            return float(self.positions)
        drafts = self.counters.get(DRAFTS)
        if drafts is None:
            return 0.0
        return self.counters[DRAFTED] / drafts if drafts and DRAFTED in self.counters else None


def read_scrape(path: Path) -> Scrape:
    """Read one scrape from a file: Prometheus text format, as a vLLM server answers at ``/metrics``.

    Raises
    ------
    DataError
        As :func:`scrape_of`, and if there is no such file.
    """
    return scrape_of(lines_of(path), path)


def scrape_of(lines: Iterable[str], source: Path | str) -> Scrape:
    """Read one scrape.

    Parameters
    ----------
    lines : iterable of str
    source : path or str
        Where they come from, for messages.

    Returns
    -------
    Scrape

    Raises
    ------
    DataError
        If it is no such text, is of another engine, or lacks the request latencies.
    """
    found: dict[str, float] = {}
    models: dict[str, None] = {}
    vllm = other = False
    positions = 0
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#"):
            continue
        sample = SAMPLE.fullmatch(line)
        if sample is None:
            raise DataError(
                f"{source}, line {number}: not Prometheus text; give what the server answers at /metrics"
            )
        vllm, other = vllm or sample["name"].startswith(PREFIX), True
        name, labels = sample["name"].removesuffix("_total"), sample["labels"] or ""
        if name in WANTED:
            found[name] = found.get(name, 0.0) + counted(sample["value"], source, number)
            models |= dict.fromkeys(MODEL.findall(labels))
        elif name == PER_POSITION and (position := POSITION.search(labels)):
            positions = max(positions, int(position[1]) + 1)
    if not vllm:
        what = "metrics of another engine" if other else "no metrics"
        raise DataError(
            f"{source}: {what}: no name begins with {PREFIX}; give a vLLM server's /metrics, or rows on standard input"
        )
    if f"{LATENCY}_count" not in found or f"{LATENCY}_sum" not in found:
        raise DataError(
            f"{source}: no {LATENCY}: the server does not report latencies (started with --disable-log-stats?)"
        )
    return Scrape(str(source), found, tuple(models), positions)


def file_scrapes(
    files: Sequence[Path], interval_s: float | None = None, since_start: bool = False
) -> Iterator[tuple[float, Scrape | str]]:
    """Give scrapes in files with their times.

    Parameters
    ----------
    files : sequence of Path
        Later ones after earlier ones.
    interval_s : float, optional
        Seconds from scrape to scrape (or from the start to the one scrape); the files' times by default.
    since_start : bool
        Whether one file alone is a window: what the server counted since it started.

    Yields
    ------
    time_s : float
    scrape : Scrape or str
        Or why there is none: a file that was cut short says nothing of those beside it.

    Raises
    ------
    DataError
        If the first file is no vLLM scrape.
    """
    for i, file in enumerate(files):
        try:
            found: Scrape | str = read_scrape(file)
            now = file.stat().st_mtime
        except DataError as error:
            if i == 0:
                raise
            found, now = str(error), 0.0
        if since_start and len(files) == 1 and isinstance(found, Scrape):
            yield (
                (found.counters.get(START, now) if interval_s is None else -interval_s),
                Scrape(str(file), {}),
            )
        yield (now if interval_s is None else i * interval_s), found


def window_between(before: Scrape, after: Scrape, seconds: float) -> dict[str, float]:
    """Turn two scrapes into a window.

    Parameters
    ----------
    before, after : Scrape
    seconds : float
        Between them.

    Returns
    -------
    dict of str to float
        Columns as of :class:`bayes_sd.decide.windows.Window`; without a latency where no request was completed.

    Raises
    ------
    DataError
        If the server was started anew in between, or the later one counts less.
    """
    earlier = before.counters
    started = [scrape.counters.get(START) for scrape in (before, after)]
    if None not in started and started[0] != started[1]:
        raise DataError(
            f"{after.source}: the server was restarted since {before.source}: it says another {START}"
        )
    change = {n: value - earlier.get(n, 0.0) for n, value in after.counters.items() if n != START}
    if any(value < 0 for value in change.values()):
        raise DataError(
            f"{after.source}: counts are lower than in {before.source}: the server was restarted between, or the files are "
            "swapped"
        )
    requests = change[f"{LATENCY}_count"]
    if not requests:
        return {"requests": 0.0, "rate_rps": 0.0}
    means = {
        name: change[f"{name}_sum"] / change[f"{name}_count"]
        for name in SUMMARIES
        if change.get(f"{name}_count") and f"{name}_sum" in change
    }
    columns = {
        "latency_s": LATENCY,
        "ttft_s": TTFT,
        "queue_s": QUEUE,
        "prompt_tokens": PROMPT,
        "output_tokens": OUTPUT,
    }
    window = {column: means[name] for column, name in columns.items() if name in means}
    window |= {"requests": requests, "rate_rps": requests / seconds}
    if change.get(DRAFTS):
        window["accepted_len"] = 1.0 + change.get(ACCEPTED, 0.0) / change[DRAFTS]
    return window
