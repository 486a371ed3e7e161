"""Reads inference-perf's ``stage_N_lifecycle_metrics.json``: one load stage a file, times in seconds.

The file names the rate but not how arrivals were spaced. inference-perf draws random (exponential) gaps for
the load type "constant" as for "poisson"; it only scales them so that their sum is the stage's length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import little
from bayes_sd.measurements.readers.jsonscan import members
from bayes_sd.measurements.readers.reading import (
    MS_PER_S,
    Cell,
    Reading,
    Unusable,
    number,
    put_counts,
    put_latencies,
    put_tpot,
    scaled,
    section,
)

ARRIVALS_HINT = (
    "inference-perf spaces load types constant and poisson alike, with exponential gaps: poisson, unless a "
    "trace was replayed"
)


def read(path: Path) -> Iterator[Cell]:
    """Read a stage.

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
        If the file covers several stages, contradicts itself, or is not JSON.
    """
    for summary in members(path):
        yield _stage(str(path), summary)


def _stage(where: str, summary: Mapping[str, object]) -> Cell:
    done, failures = section(summary, "successes"), section(summary, "failures")
    succeeded, failed = int(number(done, "count") or 0), int(number(failures, "count") or 0)
    if not succeeded:
        return Unusable(where, f"no request succeeded ({failed} failed)")
    load = section(summary, "load_summary")
    cell = Reading(where, "inference-perf")
    _put_load(cell, load)
    put_counts(cell, succeeded=succeeded, failed=failed)
    throughput = section(done, "throughput")
    rate = number(throughput, "requests_per_sec")
    cell.put("achieved_rps", rate)
    cell.put("output_tok_per_s", number(throughput, "output_tokens_per_sec"))
    duration = number(summary, "benchmark_time_seconds")
    if duration is not None:
        cell.put("duration_s", duration)
    elif rate:
        cell.put("duration_s", succeeded / rate, "completed/rate")
    cell.put("prompt_tokens", _mean(done, "prompt_tokens", "prompt_len"))
    # The server's count of output tokens is exact; output_len is the client's own tokenisation of the text.
    cell.put("output_tokens", _mean(done, "output_tokens", "output_len"))
    latency = section(done, "latency")
    whole = section(latency, "request_latency")
    put_latencies(
        cell,
        mean_e2e_s=number(whole, "mean"),
        p50_e2e_s=number(whole, "median", "p50"),
        p95_e2e_s=number(whole, "p95"),
        p99_e2e_s=number(whole, "p99"),
        mean_ttft_ms=scaled(_mean(latency, "time_to_first_token"), MS_PER_S),
    )
    put_tpot(cell, scaled(_mean(latency, "time_per_output_token"), MS_PER_S))
    little.closed_loop(cell)
    return cell


def _put_load(cell: Reading, load: Mapping[str, object]) -> None:
    clients, rate = number(load, "concurrency"), number(load, "requested_rate")
    if clients is not None:
        cell.put("load_kind", "concurrency")
        cell.put("load_value", clients)
    elif rate is not None:
        cell.put("load_kind", "rate")
        cell.put("load_value", rate)
        cell.hints["arrivals"] = ARRIVALS_HINT
    else:
        raise DataError(
            f"{cell.where}: no rate and no concurrency: a summary over several stages; name the "
            "stage_N_lifecycle_metrics.json files beside it"
        )


def _mean(record: Mapping[str, object], *names: str) -> float | None:
    for name in names:
        mean = number(section(record, name), "mean")
        if mean is not None:
            return mean
    return None
