"""Windows of a vLLM server's ``/metrics``: what it counted since its start, or between scrapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers.prometheus import SAMPLE, counted, lines_of

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
    [f"{name}_{part}" for name in SUMMARIES for part in ("sum", "count")] + [DRAFTS, ACCEPTED, START]
)


def read_scrape(path: Path) -> dict[str, float]:
    """Read one scrape.

    Parameters
    ----------
    path : Path
        Prometheus text format, as a vLLM server answers at ``/metrics``.

    Returns
    -------
    dict of str to float
        Counter to its sum over the server's engines.

    Raises
    ------
    DataError
        If the file is no such text, is of another engine, or lacks the request latencies.
    """
    found: dict[str, float] = {}
    vllm = other = False
    for number, line in enumerate(lines_of(path), start=1):
        if not line or line.startswith("#"):
            continue
        sample = SAMPLE.fullmatch(line)
        if sample is None:
            raise DataError(
                f"{path}, line {number}: not Prometheus text; give what the server answers at /metrics"
            )
        vllm, other = vllm or sample["name"].startswith(PREFIX), True
        name = sample["name"].removesuffix("_total")
        if name in WANTED:
            found[name] = found.get(name, 0.0) + counted(sample["value"], path, number)
    if not vllm:
        what = "metrics of another engine" if other else "no metrics"
        raise DataError(
            f"{path}: {what}: no name begins with {PREFIX}; give a vLLM server's /metrics, or rows on standard input"
        )
    if f"{LATENCY}_count" not in found or f"{LATENCY}_sum" not in found:
        raise DataError(
            f"{path}: no {LATENCY}: the server does not report latencies (started with --disable-log-stats?)"
        )
    return found


def windows_between(
    files: Sequence[Path], interval_s: float | None = None
) -> tuple[list[dict[str, float]], str]:
    """Turn scrapes into windows.

    Parameters
    ----------
    files : sequence of Path
        One: everything since the server started. Several: a window between each and the next.
    interval_s : float, optional
        Seconds from scrape to scrape (or from the start to the one scrape); the files' times by default.

    Returns
    -------
    windows : list of dict
        Columns as of :class:`bayes_sd.decide.windows.Window`.
    note : str
        How the interval was found; empty if it was given.

    Raises
    ------
    DataError
        If a file is no vLLM scrape, a later one counts less than one before it, no request was completed, or the interval
        cannot be told.
    """
    scrapes = [read_scrape(file) for file in files]
    times = [file.stat().st_mtime for file in files]
    if len(files) == 1:
        scrapes, times = [{}, scrapes[0]], [scrapes[0].get(START, times[0]), times[0]]
        names = [files[0], files[0]]
    else:
        names = list(files)
    windows = []
    for i in range(1, len(scrapes)):
        seconds = interval_s if interval_s is not None else times[i] - times[i - 1]
        if seconds < 1.0:
            raise DataError(
                f"{names[i]}: its time does not say how long the window was; give --interval SECONDS"
            )
        windows.append(_window(scrapes[i - 1], scrapes[i], seconds, names[i - 1], names[i]))
    note = (
        ""
        if interval_s is not None
        else "window lengths are taken from the files' times (--interval replaces them)"
    )
    return windows, note


def _window(
    before: dict[str, float], after: dict[str, float], seconds: float, first: Path, second: Path
) -> dict[str, float]:
    change = {name: value - before.get(name, 0.0) for name, value in after.items() if name != START}
    if any(value < 0 for value in change.values()):
        raise DataError(
            f"{second}: counts are lower than in {first}: the server was restarted between, or the files are swapped"
        )
    requests = change[f"{LATENCY}_count"]
    if not requests:
        raise DataError(f"{second}: no request was completed in the window; scrape further apart")
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
