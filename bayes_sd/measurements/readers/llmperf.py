"""Reads LLMPerf's ``*_summary.json``: a closed loop, times in seconds.

Its inter-token latency spreads the time to the first token over all tokens and is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.measurements.readers.jsonscan import members
from bayes_sd.measurements.readers.members import number, positive, scaled
from bayes_sd.measurements.readers.reading import (
    MS_PER_S,
    Cell,
    Reading,
    Unusable,
    put_counts,
    put_latencies,
    put_tpot,
)

SECONDS_PER_MINUTE = 60.0


def read(path: Path) -> Iterator[Cell]:
    """Read the summaries of a file.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    Reading or Unusable

    Raises
    ------
    DataError
        If the file contradicts itself, or is not JSON.
    """
    for summary in members(path):
        yield _summary(str(path), summary)


def _summary(where: str, summary: Mapping[str, object]) -> Cell:
    completed, failed = (number(summary, f"results_{n}") for n in ("num_completed_requests", "number_errors"))
    if not completed:
        return Unusable(where, f"no request succeeded ({failed or 0:g} failed)")
    cell = Reading(where, "llmperf")
    clients = positive(number(summary, "num_concurrent_requests"))
    if clients is not None:
        cell.put("load_kind", "concurrency")
        cell.put("load_value", clients)
    cell.put("verifier", summary.get("model"))
    put_counts(cell, succeeded=int(completed), failed=None if failed is None else int(failed))
    per_minute = positive(number(summary, "results_num_completed_requests_per_min"))
    cell.put("achieved_rps", scaled(per_minute, 1 / SECONDS_PER_MINUTE))
    if per_minute:
        cell.put("duration_s", completed / per_minute * SECONDS_PER_MINUTE, "completed/rate")
    cell.put("output_tok_per_s", positive(number(summary, "results_mean_output_throughput_token_per_s")))
    for column, what in (("prompt_tokens", "input"), ("output_tokens", "output")):
        cell.put(column, positive(number(summary, f"results_number_{what}_tokens_mean")))
    cell.put("output_tokens_std", number(summary, "results_number_output_tokens_stddev"))
    cell.shortest_s, cell.longest_s = (_of(summary, "end_to_end_latency_s", s) for s in ("min", "max"))
    cell.fewest_tokens = _of(summary, "number_output_tokens", "min")
    put_latencies(
        cell,
        mean_e2e_s=_of(summary, "end_to_end_latency_s", "mean"),
        p50_e2e_s=_of(summary, "end_to_end_latency_s", "quantiles_p50"),
        p95_e2e_s=_of(summary, "end_to_end_latency_s", "quantiles_p95"),
        p99_e2e_s=_of(summary, "end_to_end_latency_s", "quantiles_p99"),
        mean_ttft_ms=scaled(_of(summary, "ttft_s", "mean"), MS_PER_S),
    )
    put_tpot(cell)
    return cell


def _of(summary: Mapping[str, object], metric: str, statistic: str) -> float | None:
    return number(summary, f"results_{metric}_{statistic}")
