"""Reads GuideLLM reports (``benchmarks.json``, report versions 1 and 2), several benchmarks a file.

Requests are read one by one where the report has them: GuideLLM's own summary leaves out requests that were
cut off at the end, computes concurrency from the same completed requests as rate and latency, and spreads the
first token's time over all tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import acceptance_counts, contradictions, little
from bayes_sd.measurements.readers.guidellm_file import STATUSES, Requests, read_report
from bayes_sd.measurements.readers.members import number, positive, section
from bayes_sd.measurements.readers.reading import (
    Cell,
    Reading,
    Unusable,
    check_units,
    percentiles_s,
    put_counts,
    put_latencies,
    put_tpot,
)

if TYPE_CHECKING:
    import numpy as np

REPORT_VERSIONS = (1, 2)
"""Written by 0.3 to 0.5, and since. What is read of them stands under the same names in both."""
ARRIVALS = {"constant": "even", "poisson": "poisson"}
TOTALS = (
    ("metrics", "request_totals"),
    ("request_totals",),
    ("scheduler_metrics", "requests_made"),
    ("run_stats", "requests_made"),
)
"""Where versions of the report count their requests."""
Lines = dict[str, list[int]]


def read(path: Path) -> Iterator[Cell]:
    """Read the benchmarks of a report.

    Parameters
    ----------
    path : Path
        The report.

    Yields
    ------
    Reading or Unusable
        One for each benchmark, in order.

    Raises
    ------
    DataError
        If the file is not such a report, or contradicts itself.
    """
    report, requests = read_report(path)
    metadata = section(report, "metadata")
    if metadata.get("version") not in REPORT_VERSIONS:
        raise DataError(
            f"{path}: GuideLLM report version {metadata.get('version')}: only versions 1 and 2 are read; write it with a "
            "GuideLLM from 0.3 to 0.8"
        )
    benchmarks = report.get("benchmarks")
    if not isinstance(benchmarks, list) or not benchmarks:
        raise DataError(f"{path}: the report has no benchmarks")
    for index, benchmark in enumerate(benchmarks, start=1):
        yield _benchmark(f"{path}, benchmark {index}", metadata, benchmark, requests)


def _benchmark(
    where: str, metadata: Mapping[str, object], benchmark: dict[str, object], requests: Requests
) -> Cell:
    metrics = section(benchmark, "metrics")
    # Until 0.3 the settings stood under args and worker, and the counts beside the metrics.
    config = section(benchmark, "config") or section(benchmark, "args")
    totals = next((found for place in TOTALS if (found := section(benchmark, *place))), {})
    succeeded, failed, cut_off = (
        int(number(totals, k) or 0) for k in ("successful", "errored", "incomplete")
    )
    if not succeeded:
        return Unusable(where, f"no request succeeded ({failed} failed, {cut_off} cut off)")
    cell = Reading(where, f"guidellm {metadata.get('guidellm_version') or ''}".strip())
    cell.no_load = _put_load(cell, section(config, "strategy"))
    _put_served(cell, config)
    if "verifier" not in cell.columns:
        cell.put("verifier", section(benchmark, "worker").get("backend_model"))
    cell.put("duration_s", number(benchmark, "duration"))
    lines = _lines(benchmark)
    # A report made with a sample of the requests has a whole summary and only some of the lines.
    whole = len(lines["successful"]) == succeeded
    if whole:  # the totals leave out one that began with the last moment
        cut_off = len(lines["incomplete"])
    put_counts(cell, succeeded=succeeded, failed=failed, cut_off=cut_off, failed_word="errored")
    if whole:
        _from_requests(cell, requests, lines, metrics)
    else:
        _from_summary(cell, metrics)
    put_tpot(cell)
    _put_rate(cell, metrics)
    if whole:
        _check_little(cell, requests, lines)
    little.stated(cell, _mean(metrics, "request_concurrency"))
    return cell


def _put_load(cell: Reading, strategy: Mapping[str, object]) -> str:
    """Set the load columns; give the reason if the strategy is no steady load."""
    kind = str(strategy.get("type_"))
    if kind in ARRIVALS:
        cell.put("load_kind", "rate")
        cell.put("load_value", number(strategy, "rate"))
        cell.put("arrivals", ARRIVALS[kind])
        cell.put("client_cap", positive(number(strategy, "max_concurrency")))
        return ""
    clients = {
        "synchronous": 1,
        "concurrent": positive(number(strategy, "streams")),
        "throughput": positive(number(strategy, "max_concurrency")),
    }
    if clients.get(kind) is None:
        return f"strategy {kind!r} is neither a rate nor a number of clients: no steady load"
    cell.put("load_kind", "concurrency")
    cell.put("load_value", clients[kind])
    return ""


def _put_served(cell: Reading, config: Mapping[str, object]) -> None:
    cell.put("verifier", section(config, "backend").get("model"))
    if number(config, "sample_size") is not None:
        cell.notes.append("the report keeps a sample of its requests: the summary is used")


def _lines(benchmark: Mapping[str, object]) -> Lines:
    by_status = section(benchmark, "requests")
    return {status: items if isinstance(items := by_status.get(status), list) else [] for status in STATUSES}


def _from_requests(cell: Reading, requests: Requests, lines: Lines, metrics: Mapping[str, object]) -> None:
    import numpy as np

    done = lines["successful"]
    latency = requests.column("end_s", done) - requests.column("start_s", done)
    if not (np.isfinite(latency).all() and (latency > 0).all()):
        raise DataError(f"{cell.where}: a successful request has no end after its start")
    summary = _mean(metrics, "request_latency")
    if summary:
        check_units(cell.where, "mean latency", float(latency.mean()), summary, "s")
    ttft = requests.column("ttft_ms", done)
    contradictions.note_faulty_clocks(cell, "time to the first token", ttft)
    put_latencies(cell, mean_ttft_ms=_mean_known(ttft[~(ttft < 0)]), **percentiles_s(latency))
    cell.derived.append("latencies from requests")
    output = requests.column("output", done)
    if np.isfinite(output).all():
        contradictions.note_empty_answers(cell, list(output), len(done))
    cell.put("prompt_tokens", _mean_known(requests.column("prompt", done)))
    cell.put("output_tokens", _mean_known(output))
    if np.isfinite(output).all():
        cell.put("output_tokens_std", float(output.std()))
    _put_acceptance(cell, requests, done)
    _note_cut_off(cell, requests, lines["incomplete"])


def _from_summary(cell: Reading, metrics: Mapping[str, object]) -> None:
    latency = section(metrics, "request_latency", "successful")
    percentiles = section(latency, "percentiles")
    cell.shortest_s, cell.longest_s = (positive(number(latency, statistic)) for statistic in ("min", "max"))
    put_latencies(
        cell,
        mean_e2e_s=number(latency, "mean"),
        p50_e2e_s=number(latency, "median"),
        p95_e2e_s=number(percentiles, "p95"),
        p99_e2e_s=number(percentiles, "p99"),
        mean_ttft_ms=_mean(metrics, "time_to_first_token_ms"),
    )
    cell.put("prompt_tokens", _mean(metrics, "prompt_token_count"))
    cell.put("output_tokens", _mean(metrics, "output_token_count"))
    cell.put("output_tokens_std", number(section(metrics, "output_token_count", "successful"), "std_dev"))
    cell.notes.append("read from the summary: requests cut off at the end are not in it")


def _put_rate(cell: Reading, metrics: Mapping[str, object]) -> None:
    duration, succeeded = cell.number("duration_s"), cell.number("n_requests")
    if duration and succeeded:
        cell.put("achieved_rps", succeeded / duration, "completed/duration")
        if output := cell.number("output_tokens"):
            cell.put("output_tok_per_s", succeeded * output / duration, "completed*output/duration")
    else:
        cell.put("achieved_rps", _mean(metrics, "requests_per_second"))


def _put_acceptance(cell: Reading, requests: Requests, done: list[int]) -> None:
    """Store counts where the server sent them with each answer; else say what the stream shows."""
    import numpy as np

    drafts, drafted, accepted = (requests.column(name, done) for name in ("drafts", "drafted", "accepted"))
    if np.isfinite([drafts, drafted, accepted]).all() and drafts.sum() > 0:
        histogram: dict[str, int] = {}
        for line in done:
            for j, cycles in enumerate(requests.histograms.get(line, ())):
                histogram[str(j)] = histogram.get(str(j), 0) + cycles
        counts = acceptance_counts.from_histogram(
            cell.where, histogram, int(drafted.sum()), int(accepted.sum())
        )
        acceptance_counts.put(cell, counts)
        return
    chunks = requests.column("iterations", done) - 1
    tokens = requests.column("output", done) - 1
    if np.isfinite(chunks).all() and chunks.sum() > 0 and tokens.sum() > chunks.sum():
        per_chunk = float(tokens.sum() / chunks.sum())
        cell.notes.append(
            f"{per_chunk:.4g} tokens came per streamed chunk after the first; a slow client merges chunks, "
            "so this is not stored "
            "as tokens per cycle: give the server's counts with --metrics"
        )


def _note_cut_off(cell: Reading, requests: Requests, cut: list[int]) -> None:
    import numpy as np

    if not cut:
        return
    age = requests.column("end_s", cut) - requests.column("start_s", cut)
    known = age[np.isfinite(age)]
    longest = f", after up to {known.max():.3g} s" if len(known) else ""
    total = len(cut) + int(cell.number("n_requests") or 0)
    cell.notes.append(
        f"{len(cut)} of {total} requests were cut off at the end{longest}: long ones are the likelier to "
        "be, so latency is biased "
        "low by as much as their share"
    )


def _check_little(cell: Reading, requests: Requests, lines: Lines) -> None:
    import numpy as np

    every = [line for status in STATUSES for line in lines[status]]
    completed = np.arange(len(every)) < len(lines["successful"])
    starts, ends = requests.column("start_s", every), requests.column("end_s", every)
    known = np.isfinite(starts) & np.isfinite(ends)
    little.check(cell, starts[known], ends[known], completed[known])


def _mean(metrics: Mapping[str, object], name: str) -> float | None:
    return number(section(metrics, name, "successful"), "mean")


def _mean_known(values: np.ndarray) -> float | None:
    import numpy as np

    return float(np.nanmean(values)) if np.isfinite(values).any() else None
