"""Reads what ``vllm bench serve --save-result`` writes: one JSON object, or several with ``--append-result``.

``vllm bench sweep`` puts them into a list and adds the swept settings as members of their own. InferenceX's per-run
results and other tools that grew out of vLLM's benchmark script have the same members.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import acceptance_counts, contradictions, little
from bayes_sd.measurements.readers.jsonscan import documents
from bayes_sd.measurements.readers.members import number, numbers, positive, scaled
from bayes_sd.measurements.readers.reading import (
    BURST,
    MS_PER_S,
    Cell,
    Reading,
    Unusable,
    percentiles_s,
    put_counts,
    put_gamma,
    put_latencies,
    put_tpot,
)
from bayes_sd.measurements.readers.vllm_stated import put_stated, varied

BULKY = frozenset({"generated_texts"})
"""One text for every request: nothing of it is stored."""
GAPS = "itls"
MOST_OVER = 1.5
"""Requests in flight in one second over the clients: one may leave and another start within it."""
SAME = 0.01
"""Relative difference up to which two means of one list of latencies agree."""


def read(path: Path) -> Iterator[Cell]:
    """Read the results of a file.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    Reading or Unusable
        One for each result, in order.

    Raises
    ------
    DataError
        If the file contradicts itself, or is not JSON.
    """
    results = list(_results(path))
    swept = varied(results)
    for index, result in enumerate(results):
        found = {**result, "latencies": _added_up(result)} if _lacks_latency(result) else result
        yield _result(f"{path}, result {index + 1}", found, swept)


def _results(path: Path) -> Iterator[dict[str, object]]:
    """Decode the results of a file; of the gaps between chunks, a number for every token, each request's sum."""
    for document in documents(path):
        found: dict[str, object] = {}
        for key in document:
            if key == GAPS:
                found[key] = [_total(gaps) for gaps in document.elements()]
            elif key not in BULKY:
                found[key] = document.value()
        yield found


def _lacks_latency(result: Mapping[str, object]) -> bool:
    """Tell whether only the times of its single requests say how long they took."""
    if number(result, "mean_e2el_ms") is not None or isinstance(result.get("latencies"), list):
        return False
    return isinstance(result.get("ttfts"), list) and bool(result.get("ttfts"))


def _added_up(result: Mapping[str, object]) -> list[float] | None:
    """Give each request's latency, time to the first token and the sum of what followed; None where it is not there."""
    ttfts, gaps = result.get("ttfts"), result.get(GAPS)
    if not isinstance(ttfts, list) or not isinstance(gaps, list) or len(gaps) != len(ttfts):
        return None
    whole = [_total([first]) + rest for first, rest in zip(ttfts, gaps, strict=True)]
    return whole if all(math.isfinite(time) for time in whole) else None


def _total(gaps: object) -> float:
    """Add up times; not a number where something else is among them. Runs for every token, so the loop is sum's own."""
    try:
        return float(sum(gaps)) if isinstance(gaps, list) else math.nan
    except (TypeError, OverflowError):
        return math.nan


def _result(where: str, result: Mapping[str, object], swept: frozenset[str]) -> Cell:
    if isinstance(result.get("completed"), str):
        raise DataError(
            f"{where}: completed is the text {result['completed']!r}: numbers were written as text; write the file again"
        )
    succeeded, failed = int(number(result, "completed") or 0), _failed(result)
    if not succeeded:
        return Unusable(where, f"no request succeeded ({failed if failed is not None else 'all'} failed)")
    cell = Reading(where, "vllm bench serve")
    cell.no_load = _put_load(cell, result)
    put_stated(cell, result, swept)
    put_counts(cell, succeeded=succeeded, failed=failed)
    contradictions.note_more_than_asked(cell, succeeded, number(result, "num_prompts"))
    duration = number(result, "duration")
    cell.put("duration_s", duration)
    cell.put("achieved_rps", number(result, "request_throughput"))
    cell.put("output_tok_per_s", number(result, "output_throughput"))
    _put_lengths(cell, result, succeeded)
    _put_latencies(cell, result, failed)
    own_tpot = number(result, "mean_tpot_ms")
    if "mean_e2e_s" not in cell.columns and not (own_tpot or 0.0) > 0:
        return Unusable(where, _no_latency(cell, own_tpot))
    _put_missing_latency(cell, own_tpot)
    put_tpot(cell, own_tpot)
    cell.itl_ms = number(result, "mean_itl_ms")
    _put_acceptance(cell, result)
    _check_little(cell, result, failed)
    return cell


def _no_latency(cell: Reading, tpot_ms: float | None) -> str:
    ttft = cell.columns.get("mean_ttft_ms", 0)
    streamed = "nothing was streamed" if tpot_ms == 0 else "nothing to put it together from"
    return (
        f"no end-to-end latency in the file, and TTFT {ttft:g} ms and TPOT {tpot_ms or 0:g} ms give none ({streamed}): "
        "run it again with --percentile-metrics ttft,tpot,itl,e2el"
    )


def _failed(result: Mapping[str, object]) -> int | None:
    failed, asked = number(result, "failed"), number(result, "num_prompts")
    if failed is None and asked is not None:
        failed = max(asked - (number(result, "completed") or 0), 0.0)
    return None if failed is None else int(failed)


def _put_load(cell: Reading, result: Mapping[str, object]) -> str:
    """Set the load columns; give the reason if the run was no steady load."""
    if result.get("ramp_up_strategy"):
        return f"the rate was ramped up ({result['ramp_up_strategy']}): no steady load"
    # The tool takes a cap of 0 as none.
    rate, clients = positive(number(result, "request_rate")), positive(number(result, "max_concurrency"))
    if rate is not None:
        cell.put("load_kind", "rate")
        cell.put("load_value", rate)
        cell.put("client_cap", clients)
        burstiness = number(result, "burstiness")
        if burstiness is not None:
            put_gamma(cell, "burstiness", burstiness)
        else:
            cell.hints["arrivals"] = "versions of the tool before --burstiness draw exponential gaps: poisson"
        return ""
    if clients is None:
        return BURST
    cell.put("load_kind", "concurrency")
    cell.put("load_value", clients)
    most = number(result, "max_concurrent_requests")
    if most is not None and most > MOST_OVER * clients:
        cell.notes.append(
            f"{most:g} requests were in flight at once by the file, of {clients:g} clients: a warm-up or another client was inside"
        )
    return ""


def _put_lengths(cell: Reading, result: Mapping[str, object], succeeded: int) -> None:
    for name, total in (("prompt_tokens", "total_input_tokens"), ("output_tokens", "total_output_tokens")):
        tokens = positive(number(result, total))
        cell.put(name, scaled(tokens, 1 / succeeded))
    every = numbers(cell.where, result, "output_lens")
    lengths = [n for n in every if n > 0]
    contradictions.note_empty_answers(cell, every, succeeded)
    cell.generated_tokens = sum(lengths) / succeeded if lengths else None
    if len(lengths) == succeeded:
        import numpy as np

        cell.put("output_tokens_std", float(np.std(lengths)))


def _put_latencies(cell: Reading, result: Mapping[str, object], failed: int | None) -> None:
    known: dict[str, float | None]
    latencies = _successful(cell.where, result, "latencies", failed)
    contradictions.note_faulty_clocks(cell, "latency", latencies)
    contradictions.note_faulty_clocks(
        cell, "time to the first token", _successful(cell.where, result, "ttfts", failed)
    )
    if latencies:
        known = {**percentiles_s(latencies)}
        mean = sum(latencies) / len(latencies)
        stated = scaled(number(result, "mean_e2el_ms"), 1 / MS_PER_S)
        if stated is not None and abs(stated / mean - 1) > SAME:
            raise DataError(
                f"{cell.where}: mean_e2el_ms is {stated * MS_PER_S:.4g}, but the mean of its latencies is "
                f"{mean * MS_PER_S:.4g} ms: the units contradict each other; correct the file"
            )
        made = "latencies" if "mean_e2el_ms" in result or "ttfts" not in result else "ttfts + itls"
        cell.derived.append(f"e2e from {made}")
    else:
        # The 50th percentile is written only where it was asked for, the median always.
        known = {
            column: scaled(number(result, *keys), 1 / MS_PER_S)
            for column, keys in {
                "mean_e2e_s": ("mean_e2el_ms",),
                "p50_e2e_s": ("median_e2el_ms", "p50_e2el_ms"),
                "p95_e2e_s": ("p95_e2el_ms",),
                "p99_e2e_s": ("p99_e2el_ms",),
            }.items()
        }
    put_latencies(cell, mean_ttft_ms=number(result, "mean_ttft_ms"), **known)


def _put_missing_latency(cell: Reading, tpot_ms: float | None) -> None:
    """Put end-to-end latency together from its parts: without --percentile-metrics e2el it is not there."""
    ttft, output = cell.number("mean_ttft_ms"), cell.number("output_tokens")
    if cell.number("mean_e2e_s") is not None or ttft is None or tpot_ms is None or output is None:
        return
    cell.put("mean_e2e_s", (ttft + tpot_ms * (output - 1)) / MS_PER_S, "ttft+tpot*(output-1)")
    cell.notes.append(
        "the file has no end-to-end latency: it is TTFT + TPOT x (output - 1), exact if time per token does "
        "not depend on the output's "
        "length; run with --percentile-metrics ttft,tpot,itl,e2el to have it measured"
    )


def _put_acceptance(cell: Reading, result: Mapping[str, object]) -> None:
    drafts, drafted, accepted = (
        number(result, f"spec_decode_{name}") for name in ("num_drafts", "draft_tokens", "accepted_tokens")
    )
    percent = number(result, "spec_decode_acceptance_rate")
    length = number(result, "spec_decode_acceptance_length")
    if drafts and drafted is not None and accepted is not None:
        rates = numbers(cell.where, result, "spec_decode_per_position_acceptance_rates")
        counts = acceptance_counts.from_rates(cell.where, int(drafts), int(drafted), int(accepted), rates)
        acceptance_counts.check_rate(cell.where, counts, percent, length)
        acceptance_counts.put(cell, counts)
    else:
        cell.put("acceptance", scaled(percent, 0.01))
        cell.put("mean_accepted_len", length)


def _check_little(cell: Reading, result: Mapping[str, object], failed: int | None) -> None:
    """Check Little's law where the file has the requests' times."""
    starts, latencies = (numbers(cell.where, result, name) for name in ("start_times", "latencies"))
    if not starts or len(starts) != len(latencies):
        return
    errors = result.get("errors")
    ok = [not e for e in errors] if isinstance(errors, list) and len(errors) == len(starts) else None
    if ok is None and failed:
        return
    ends = [start + latency for start, latency in zip(starts, latencies, strict=True)]
    little.check(cell, starts, ends, ok if ok is not None else [True] * len(starts))


def _successful(where: str, result: Mapping[str, object], name: str, failed: int | None) -> list[float]:
    """Give a per-request list without the failed requests; empty where these cannot be told."""
    values, errors = numbers(where, result, name), result.get("errors")
    if isinstance(errors, list) and len(errors) == len(values):
        return [value for value, error in zip(values, errors, strict=True) if not error]
    return values if failed == 0 else []
