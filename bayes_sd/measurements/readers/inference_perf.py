"""Reads inference-perf's ``stage_N_lifecycle_metrics.json``: one load stage a file, times in seconds.

The file names the rate but not how arrivals were spaced. inference-perf draws random (exponential) gaps for
the load type "constant" as for "poisson"; it only scales them so that their sum is the stage's length.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers.jsonscan import members
from bayes_sd.measurements.readers.members import number, positive, scaled, section
from bayes_sd.measurements.readers.reading import (
    MS_PER_S,
    Cell,
    Reading,
    Unusable,
    put_counts,
    put_latencies,
    put_tpot,
)

ARRIVALS_HINT = (
    "inference-perf spaces load types constant and poisson alike, with exponential gaps: poisson, unless a "
    "trace was replayed"
)


OF_THE_SERVER = frozenset(
    {
        "request_latency",
        "time_to_first_token",
        "queue_len",
        "kv_cache_usage_percentage",
        "num_preemptions_total",
    }
)
"""Members that stand beside the counts in a stage's Prometheus metrics alone."""
LATE = 0.1
"""Delay of sending, in mean latencies, from which it is worth a note."""


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
    if "latency" not in done and not OF_THE_SERVER.isdisjoint(done):
        raise DataError(
            f"{where}: the server's Prometheus metrics of a stage, not what the client saw: give "
            "stage_N_lifecycle_metrics.json beside it"
        )
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
    cell.generated_tokens = _mean(done, "output_len") if "output_tokens" in done else None
    latency = section(done, "latency")
    whole = section(latency, "request_latency")
    cell.shortest_s, cell.longest_s = number(whole, "min"), number(whole, "max")
    fewest = [number(section(done, count), "min") for count in ("output_tokens", "output_len")]
    cell.fewest_tokens = min((tokens for tokens in fewest if tokens is not None), default=None)
    put_latencies(
        cell,
        mean_e2e_s=number(whole, "mean"),
        p50_e2e_s=number(whole, "median", "p50"),
        p95_e2e_s=number(whole, "p95"),
        p99_e2e_s=number(whole, "p99"),
        mean_ttft_ms=scaled(_mean(latency, "time_to_first_token"), MS_PER_S),
    )
    put_tpot(cell, scaled(_mean(latency, "time_per_output_token"), MS_PER_S))
    cell.itl_ms = scaled(_mean(latency, "inter_token_latency"), MS_PER_S)
    _put_client(cell, load)
    return cell


def _put_load(cell: Reading, load: Mapping[str, object]) -> None:
    clients, rate = positive(number(load, "concurrency")), positive(number(load, "requested_rate"))
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


def _put_client(cell: Reading, load: Mapping[str, object]) -> None:
    """Take how well the client kept to its schedule: what it sends late is not in the latency."""
    cell.sent_rps = positive(number(load, "achieved_rate"))
    late, latency = number(section(load, "schedule_delay"), "mean"), cell.number("mean_e2e_s")
    if late is not None and latency is not None and late > LATE * latency:
        cell.notes.append(
            f"requests were sent {late:.4g} s after their time on average (schedule_delay), which is not in the latency: "
            f"at {cell.sent_rps or 0:.4g} of the asked {cell.number('load_value') or 0:.4g} requests/s the client's "
            "workers were the limit"
        )
        cell.remarks.append(f"sent {late:.3g} s late on average")


def _mean(record: Mapping[str, object], *names: str) -> float | None:
    for name in names:
        mean = number(section(record, name), "mean")
        if mean is not None:
            return mean
    return None
