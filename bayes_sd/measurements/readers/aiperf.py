"""Reads AIPerf's ``profile_export_aiperf.json``, and GenAI-Perf's before it: one run, each metric with its unit.

Acceptance is in it as counts if the server sends them with each answer (a histogram of accepted tokens per
verify step).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import acceptance_counts, little
from bayes_sd.measurements.readers.jsonscan import members
from bayes_sd.measurements.readers.members import number, positive, scaled, section
from bayes_sd.measurements.readers.reading import (
    MS_PER_S,
    Cell,
    Reading,
    Unusable,
    put_counts,
    put_gamma,
    put_latencies,
    put_tpot,
)

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0}
BULKY = frozenset({"error_summary", "warmup_metrics", "server_metrics"})
ARRIVALS = {"poisson": "poisson", "constant": "even"}
GENAI_PERF = frozenset({"perf_analyzer", "model_names", "formatted_model_name", "service_kind"})
"""Options in the settings of GenAI-Perf, which has Perf Analyzer send the requests: evenly, if not told otherwise."""


def read(path: Path) -> Iterator[Cell]:
    """Read a run.

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
        If the file contradicts itself, has a unit that is not known, or is not JSON.
    """
    for export in members(path, BULKY):
        yield _run(str(path), export)


def _run(where: str, export: Mapping[str, object]) -> Cell:
    counted = _avg(export, "request_count", "completed_request_count")
    succeeded = None if counted is None else int(counted)
    failed = int(_avg(export, "error_request_count") or 0)
    if succeeded == 0 or (succeeded is None and _avg(export, "request_latency") is None):
        return Unusable(where, f"no request succeeded ({failed} failed)")
    config = section(export, "input_config")
    older = "aiperf_version" not in export and not GENAI_PERF.isdisjoint(config)
    cell = Reading(where, "genai-perf" if older else f"aiperf {export.get('aiperf_version') or ''}".strip())
    cell.no_load = _put_load(cell, config, older)
    cell.put("verifier", _model(section(export, "input_config")))
    cell.put("hardware", _gpu(section(export, "telemetry_data", "endpoints")))
    put_counts(cell, succeeded=succeeded, failed=failed)
    if export.get("was_cancelled") or export.get("is_complete") is False:
        why = export.get("incomplete_reason") or "it was cancelled"
        cell.notes.append(f"AIPerf itself calls the run incomplete: {why}")
        cell.remarks.append("incomplete run")
    cell.put("duration_s", _seconds(where, export, "benchmark_duration"))
    cell.put("achieved_rps", _avg(export, "request_throughput"))
    cell.put("output_tok_per_s", _avg(export, "output_token_throughput"))
    cell.put("prompt_tokens", _avg(export, "input_sequence_length"))
    cell.put("output_tokens", _avg(export, "output_sequence_length"))
    cell.put("output_tokens_std", number(section(export, "output_sequence_length"), "std"))
    cell.shortest_s, cell.longest_s = (_seconds(where, export, "request_latency", s) for s in ("min", "max"))
    cell.fewest_tokens = number(section(export, "output_sequence_length"), "min")
    put_latencies(
        cell,
        mean_e2e_s=_seconds(where, export, "request_latency"),
        p50_e2e_s=_seconds(where, export, "request_latency", "p50"),
        p95_e2e_s=_seconds(where, export, "request_latency", "p95"),
        p99_e2e_s=_seconds(where, export, "request_latency", "p99"),
        mean_ttft_ms=scaled(_seconds(where, export, "time_to_first_token"), MS_PER_S),
    )
    # AIPerf's inter-token latency is (latency - ttft)/(output - 1) of each request: a time per token,
    # whatever its name.
    put_tpot(cell, scaled(_seconds(where, export, "inter_token_latency"), MS_PER_S))
    cell.itl_ms = scaled(_seconds(where, export, "inter_chunk_latency"), MS_PER_S)
    cell.generated_tokens = _avg(export, "usage_completion_tokens")
    cell.put("cached_prompt_tokens", _avg(export, "usage_prompt_cache_read_tokens"))
    _put_acceptance(cell, export)
    little.stated(cell, _avg(export, "effective_concurrency"))
    return cell


def _avg(export: Mapping[str, object], *metrics: str) -> float | None:
    return next((v for m in metrics if (v := number(section(export, m), "avg")) is not None), None)


def _seconds(where: str, export: Mapping[str, object], metric: str, statistic: str = "avg") -> float | None:
    record = section(export, metric)
    value = number(record, statistic)
    if value is None:
        return None
    unit = str(record.get("unit"))
    if record.get("unit") is None:
        raise DataError(f"{where}: {metric} has no unit: add it to the file, as ms")
    if unit not in SECONDS:
        raise DataError(f"{where}: {metric} is in {unit!r}: a unit of time that is not known")
    return value * SECONDS[unit]


def _put_load(cell: Reading, config: Mapping[str, object], older: bool) -> str:
    """Set the load columns; give the reason if the run was no steady load. GenAI-Perf (`older`) spaces requests evenly."""
    phases = config.get("phases")
    if isinstance(phases, list):
        objects = [p for p in phases if isinstance(p, dict)]
        profiling = [p for p in objects if p.get("kind", "profiling") == "profiling"]
        phase: Mapping[str, object] = profiling[-1] if profiling else {}
        kind = phase.get("type")
    else:  # older AIPerf says it as GenAI-Perf did
        # GenAI-Perf's first versions have all their options on one level.
        phase = section(config, "loadgen") or section(config, "perf_analyzer", "stimulus") or config
        rate = positive(number(phase, "request_rate"))
        spaced = phase.get("arrival_pattern") or phase.get("request_rate_mode")
        pattern = spaced or ("constant" if older else "poisson")
        kind = str(pattern) if rate is not None else "concurrency"
        smoothness = number(phase, "arrival_smoothness", "smoothness", "request_rate_smoothness")
        phase = {**phase, "rate": rate, "smoothness": smoothness}
    clients, rate = positive(number(phase, "concurrency")), positive(number(phase, "rate"))
    if kind == "concurrency" and clients is not None:
        cell.put("load_kind", "concurrency")
        cell.put("load_value", clients)
        return ""
    if rate is None or kind not in (*ARRIVALS, "gamma"):
        return f"load {kind!r} is neither a rate nor a number of clients: no steady load"
    if phase.get("rate_ramp"):
        return "the rate was ramped: no steady load"
    cell.put("load_kind", "rate")
    cell.put("load_value", rate)
    cell.put("arrivals", ARRIVALS.get(kind))
    cell.put("client_cap", clients)
    if kind == "gamma":
        put_gamma(cell, "smoothness", number(phase, "smoothness", "arrival_smoothness"))
    return ""


def _model(config: Mapping[str, object]) -> object:
    items = section(config, "models").get("items")
    if isinstance(items, list) and len(items) == 1 and isinstance(items[0], dict):
        return items[0].get("name")
    names = section(config, "endpoint").get("model_names") or config.get("model_names") or config.get("model")
    return names[0] if isinstance(names, list) and len(names) == 1 else None


def _gpu(endpoints: Mapping[str, object]) -> str | None:
    """Give the GPU's name if telemetry saw one kind only."""
    names = {
        str(gpu["gpu_name"])
        for endpoint in endpoints.values()
        for gpu in section({"e": endpoint}, "e", "gpus").values()
        if isinstance(gpu, dict) and gpu.get("gpu_name")
    }
    return names.pop() if len(names) == 1 else None


def _put_acceptance(cell: Reading, export: Mapping[str, object]) -> None:
    drafts, drafted, accepted = (
        _avg(export, name)
        for name in ("total_spec_decode_steps", "total_draft_tokens", "total_accepted_draft_tokens")
    )
    if not drafts or drafted is None or accepted is None:
        return
    histogram = section(export, "pooled_spec_decode_acceptance_histogram")
    if histogram:
        cycles = {j: int(number(histogram, j) or 0) for j in histogram}
        counts = acceptance_counts.from_histogram(cell.where, cycles, int(drafted), int(accepted))
    else:
        length = acceptance_counts.whole_length(int(drafts), int(drafted))
        counts = acceptance_counts.Counts(int(drafts), int(drafted), int(accepted), draft_length=length)
    acceptance_counts.check_rate(
        cell.where,
        counts,
        _avg(export, "spec_decode_overall_draft_acceptance_rate"),
        _avg(export, "spec_decode_token_weighted_acceptance_length"),
    )
    acceptance_counts.put(cell, counts)
