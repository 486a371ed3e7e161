"""Reads what SGLang's ``bench_serving`` appends to its JSON lines file: one result a line.

The tool also records the server's own settings (:mod:`~bayes_sd.measurements.readers.sglang_server`). Its acceptance
length is a mean over the server's life (tokens committed per cycle, the verifier's own included), not a count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.measurements.readers import contradictions, little
from bayes_sd.measurements.readers.jsonscan import members
from bayes_sd.measurements.readers.members import number, numbers, positive, scaled, section
from bayes_sd.measurements.readers.reading import (
    BURST,
    MS_PER_S,
    Cell,
    Reading,
    Unusable,
    put_counts,
    put_latencies,
    put_tpot,
)
from bayes_sd.measurements.readers.sglang_server import put_server

BULKY = frozenset({"itls", "generated_texts", "cached_tokens_details"})


def read(path: Path) -> Iterator[Cell]:
    """Read the results of a file.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    Reading or Unusable
        One for each line, in order.

    Raises
    ------
    DataError
        If the file contradicts itself, or is not JSON.
    """
    for index, result in enumerate(members(path, BULKY), start=1):
        yield _result(f"{path}, line {index}", result)


def _result(where: str, result: Mapping[str, object]) -> Cell:
    succeeded = int(number(result, "completed") or 0)
    if not succeeded:
        return Unusable(where, "no request succeeded")
    cell = Reading(where, "sglang bench_serving")
    cell.no_load = _put_load(cell, result)
    put_server(cell, section(result, "server_info"))
    _put_workload(cell, result)
    put_counts(cell, succeeded=succeeded, failed=_failed(result))
    cell.put("duration_s", number(result, "duration"))
    cell.put("achieved_rps", number(result, "request_throughput"))
    cell.put("output_tok_per_s", number(result, "output_throughput"))
    for name, total in (("prompt_tokens", "total_input_tokens"), ("output_tokens", "total_output_tokens")):
        tokens = positive(number(result, total))
        cell.put(name, scaled(tokens, 1 / succeeded))
    put_latencies(
        cell,
        mean_e2e_s=scaled(number(result, "mean_e2e_latency_ms"), 1 / MS_PER_S),
        p50_e2e_s=scaled(number(result, "median_e2e_latency_ms"), 1 / MS_PER_S),
        p95_e2e_s=scaled(number(result, "p95_e2e_latency_ms"), 1 / MS_PER_S),
        p99_e2e_s=scaled(number(result, "p99_e2e_latency_ms"), 1 / MS_PER_S),
        mean_ttft_ms=number(result, "mean_ttft_ms"),
    )
    put_tpot(cell, number(result, "mean_tpot_ms"))
    cell.itl_ms = number(result, "mean_itl_ms")
    cell.generated_tokens = scaled(positive(number(result, "total_output_tokens_retokenized")), 1 / succeeded)
    _put_output_spread(cell, result, succeeded)
    _put_cache_hits(cell, result)
    length = number(result, "accept_length")
    if length is not None and cell.columns.get("method") != "none":
        cell.put("mean_accepted_len", length)
        cell.notes.append(
            f"tokens committed per cycle ({length:.4g}) are a mean over the server's life, other runs "
            "included; the file has no counts"
        )
    little.stated(cell, number(result, "concurrency"))
    return cell


def _put_load(cell: Reading, result: Mapping[str, object]) -> str:
    if result.get("request_rate") == "trace":
        return "the requests replayed a trace: no steady load"
    rate, clients = positive(number(result, "request_rate")), positive(number(result, "max_concurrency"))
    if rate is not None:
        cell.put("load_kind", "rate")
        cell.put("load_value", rate)
        cell.put("arrivals", "poisson")  # the tool draws exponential gaps, and has no other spacing
        cell.put("client_cap", clients)
        return ""
    if clients is None:
        return BURST
    cell.put("load_kind", "concurrency")
    cell.put("load_value", clients)
    return ""


def _put_workload(cell: Reading, result: Mapping[str, object]) -> None:
    name = result.get("dataset_name")
    lengths = number(result, "random_input_len"), number(result, "random_output_len")
    if isinstance(name, str):
        sized = name.startswith("random") and None not in lengths
        cell.put("workload", f"{name} {lengths[0]:g}/{lengths[1]:g}" if sized else name)


def _failed(result: Mapping[str, object]) -> int | None:
    errors = result.get("errors")
    return sum(1 for error in errors if error) if isinstance(errors, list) else None


def _put_output_spread(cell: Reading, result: Mapping[str, object], succeeded: int) -> None:
    every = numbers(cell.where, result, "output_lens")
    lengths = [n for n in every if n > 0]
    contradictions.note_empty_answers(cell, every, succeeded)
    if len(lengths) == succeeded:
        import numpy as np

        cell.put("output_tokens_std", float(np.std(lengths)))


def _put_cache_hits(cell: Reading, result: Mapping[str, object]) -> None:
    """Take how much of a mean prompt the server found in its prefix cache, where the run reports it.

    The server counts prompts with the chat's template round them, the tool without: their share is what both mean.
    """
    prompt, counted = cell.number("prompt_tokens"), positive(number(result, "total_prompt_tokens"))
    cached = number(result, "total_cached_tokens")
    share = number(result, "cache_hit_rate")
    if cached is not None and counted is not None:
        share = cached / counted
    if share is None or prompt is None:
        return
    if not 0.0 <= share <= 1.0:
        cell.notes.append(
            f"the prefix cache's hit rate is {share:.4g}, which no share can be: cached_prompt_tokens stays blank"
        )
        return
    cell.put(
        "cached_prompt_tokens", share * prompt, "cached tokens/prompt tokens, both as the server counts them"
    )
