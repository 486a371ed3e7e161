"""Reads the benchmark reports of llm-d (YAML or JSON, schema 0.1 and 0.2): one run, each metric with its unit.

The report is written over another tool's results, so its figures have that tool's definitions; the load is stated in
schema 0.2 and only sometimes in 0.1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.loading import MOST_BYTES_YAML, parse_yaml
from bayes_sd.measurements.readers.members import number, positive, scaled, section
from bayes_sd.measurements.readers.packed import open_binary
from bayes_sd.measurements.readers.reading import (
    MS_PER_S,
    Cell,
    Reading,
    Unusable,
    put_counts,
    put_latencies,
    put_tpot,
)
from bayes_sd.measurements.readers.sglang_server import DISAGGREGATED, HALVES, SPLIT

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
ISO_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")
RATES = ("request_rate", "request-rate", "rate", "rate_qps")
CLIENTS = ("max_concurrency", "max-concurrency", "concurrency", "num_concurrent_requests")
Members = Mapping[str, object]


def read(path: Path) -> Iterator[Cell]:
    """Read a report.

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
        If the file is not such a report, or has a unit that is not known.
    """
    report = _loaded(path)
    results = section(report, "results", "request_performance", "aggregate") or section(report, "metrics")
    if not results or "scenario" not in report:
        raise DataError(f"{path}: YAML, but no llm-d benchmark report (it has no scenario and metrics)")
    yield _run(str(path), report, results)


def _loaded(path: Path) -> Members:
    with open_binary(path) as handle:
        report = parse_yaml(handle.read(MOST_BYTES_YAML + 1), str(path))
    if not isinstance(report, dict):
        raise DataError(f"{path}: not the report of a benchmark tool that is known")
    return {str(key): value for key, value in report.items()}


def _run(where: str, report: Members, results: Members) -> Cell:
    requests, latency = section(results, "requests"), section(results, "latency")
    total = number(requests, "total")
    failed, cut_off = (int(number(requests, name) or 0) for name in ("failures", "incomplete"))
    succeeded = None if total is None else int(total) - failed - cut_off
    if succeeded is not None and succeeded <= 0:
        return Unusable(where, f"no request succeeded ({failed} failed)")
    cell = Reading(where, "llm-d-benchmark")
    scenario = section(report, "scenario")
    _put_load(cell, section(scenario, "load"))
    _put_stack(cell, scenario)
    put_counts(cell, succeeded=succeeded, failed=failed, cut_off=cut_off)
    cell.put("duration_s", _duration(report, results))
    throughput = section(results, "throughput")
    cell.put("achieved_rps", _rate(throughput, "requests_per_sec", "request_rate"))
    cell.put("output_tok_per_s", _rate(throughput, "output_tokens_per_sec", "output_token_rate"))
    cell.put("prompt_tokens", positive(number(section(requests, "input_length"), "mean")))
    cell.put("output_tokens", positive(number(section(requests, "output_length"), "mean")))
    whole = section(latency, "request_latency")
    cell.shortest_s, cell.longest_s = (_seconds(where, whole, statistic) for statistic in ("min", "max"))
    cell.fewest_tokens = number(section(requests, "output_length"), "min")
    put_latencies(
        cell,
        mean_e2e_s=_seconds(where, whole, "mean"),
        p50_e2e_s=_seconds(where, whole, "p50"),
        p95_e2e_s=_seconds(where, whole, "p95"),
        p99_e2e_s=_seconds(where, whole, "p99"),
        mean_ttft_ms=scaled(_seconds(where, section(latency, "time_to_first_token"), "mean"), MS_PER_S),
    )
    put_tpot(cell, scaled(_seconds(where, section(latency, "time_per_output_token"), "mean"), MS_PER_S))
    return cell


def _put_load(cell: Reading, load: Members) -> None:
    stated = section(load, "standardized")
    cell.tool = f"{stated.get('tool') or load.get('name') or 'unknown tool'} (llm-d report)"
    arguments = stated or section(load, "args")
    stage = number(stated, "stage") or number(section(load, "metadata"), "stage") or 0.0
    rate, clients = _first(arguments, RATES), _first(arguments, CLIENTS)
    stages = section(load, "args", "load").get("stages")
    if rate is None and isinstance(stages, list) and 0 <= stage < len(stages):
        step = stages[int(stage)]
        rate = _first(step, RATES) if isinstance(step, dict) else None
    if rate is not None:
        cell.put("load_kind", "rate")
        cell.put("load_value", rate)
        cell.put("client_cap", clients)
        cell.hints["arrivals"] = "the report does not say how arrivals were spaced"
    elif clients is not None:
        cell.put("load_kind", "concurrency")
        cell.put("load_value", clients)


def _put_stack(cell: Reading, scenario: Members) -> None:
    """Take what was served from the stack of schema 0.2, or from host, platform and model of 0.1."""
    engines = _engines(scenario)
    one = next((e for e in engines if _half(e) == "decode"), engines[0] if engines else None)
    if one is None:
        return
    cell.put("verifier", one["model"])
    cell.put("engine", one["engine"])
    cell.put("hardware", one["hardware"])
    parallelism = section(one, "parallelism")
    for column in ("tp", "dp", "pp", "ep"):
        cell.put(column, positive(number(parallelism, column)))
    roles = [half for e in engines if (half := _half(e))]
    options = [DISAGGREGATED] if roles else []
    cell.notes += [SPLIT] if roles else []
    counts = [positive(number(e, "count")) for e in engines]
    replicas = sum(positive(number(e, "replicas")) or 1.0 for e in engines)
    if not roles and None not in counts:
        # A report lists replicas one by one, or counts them.
        each = zip(engines, counts, strict=True)
        cell.put("n_gpu", sum((positive(number(e, "replicas")) or 1.0) * (count or 0.0) for e, count in each))
        options += [f"replicas{replicas:g}"] if replicas > 1 else []
    options += [f"dp{dp:g}" for dp in [cell.number("dp")] if dp is not None and dp > 1]
    cell.put("engine_options", ", ".join(options))
    if replicas > 1 and not roles:
        cell.put("dp", replicas * (cell.number("dp") or 1.0), "replicas*dp")


def _engines(scenario: Members) -> list[dict[str, object]]:
    stack = scenario.get("stack")
    if isinstance(stack, list):
        parts = [section(c, "standardized") for c in stack if isinstance(c, dict)]
        return [_engine(part) for part in parts if "accelerator" in part]
    host, platform = section(scenario, "host"), section(scenario, "platform")
    accelerators, engines, roles = (
        [p for p in items if p] if isinstance(items, list) else []
        for items in (host.get("accelerator"), platform.get("engine"), host.get("type"))
    )
    model = section(scenario, "model").get("name")
    found = []
    for place, accelerator in enumerate(a for a in accelerators if isinstance(a, dict)):
        engine = engines[place] if place < len(engines) and isinstance(engines[place], dict) else {}
        found.append(
            {
                "model": model,
                "engine": _version(engine.get("name"), engine.get("version")),
                "hardware": accelerator.get("model"),
                "count": accelerator.get("count"),
                "replicas": 1,
                "parallelism": accelerator.get("parallelism"),
                "role": str(roles[place]) if place < len(roles) else "",
            }
        )
    return found or ([{"model": model, "engine": None, "hardware": None, "role": ""}] if model else [])


def _engine(part: Members) -> dict[str, object]:
    accelerator = section(part, "accelerator")
    return {
        "model": section(part, "model").get("name"),
        "engine": _version(part.get("tool"), part.get("tool_version")),
        "hardware": accelerator.get("model"),
        "count": accelerator.get("count"),
        "replicas": part.get("replicas"),
        "parallelism": accelerator.get("parallelism"),
        "role": str(part.get("role") or ""),
    }


def _half(engine: Members) -> str:
    """Give which half of a split deployment an engine is, in whatever words; empty where it does both."""
    role = str(engine.get("role") or "").casefold()
    named = [half for half in HALVES if half in role]
    return named[0] if len(named) == 1 else ""


def _version(name: object, version: object) -> str | None:
    """Write an engine and its version as the table does; an image's name gives its tag."""
    if not name:
        return None
    tag = str(version or "").rpartition(":")[2].removeprefix(f"{name}-").removeprefix("v")
    return f"{name}-{tag}" if tag else str(name)


def _first(record: Members, names: tuple[str, ...]) -> float | None:
    return next((v for name in names if (v := positive(number(record, name))) is not None), None)


def _rate(throughput: Members, plain: str, with_unit: str) -> float | None:
    stated = number(throughput, plain)
    return stated if stated is not None else number(section(throughput, with_unit), "mean")


def _seconds(where: str, record: Members, statistic: str) -> float | None:
    value = number(record, statistic)
    if value is None:
        return None
    unit = str(record.get("units") or "s").partition("/")[0]
    if unit not in SECONDS:
        raise DataError(f"{where}: a time in {unit!r}: a unit that is not known")
    return value * SECONDS[unit]


def _duration(report: Members, results: Members) -> float | None:
    stated = number(section(results, "time"), "duration")
    if stated is not None:
        return stated
    found = ISO_DURATION.fullmatch(str(section(report, "run", "time").get("duration") or ""))
    if not found or not any(found.groups()):
        return None
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return positive(math.fsum((3600 * hours, 60 * minutes, seconds)))
