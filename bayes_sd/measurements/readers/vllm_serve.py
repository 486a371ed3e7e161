"""Reads what ``vllm bench serve --save-result`` writes: one JSON object, or several with ``--append-result``.

InferenceX's per-run results and other tools that grew out of vLLM's benchmark script have the same members.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.readers import acceptance_counts, little
from bayes_sd.measurements.readers.jsonscan import members
from bayes_sd.measurements.readers.reading import (
    BURST,
    MS_PER_S,
    Cell,
    Reading,
    Unusable,
    number,
    numbers,
    percentiles_s,
    positive,
    put_counts,
    put_latencies,
    put_tpot,
    scaled,
)
from bayes_sd.measurements.schema import BY_NAME

# One number for every token, or one text for every request: nothing of them is stored.
BULKY = frozenset({"itls", "generated_texts"})
POISSON_BURSTINESS = 1.0
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
    for index, result in enumerate(members(path, BULKY), start=1):
        yield _result(f"{path}, result {index}", result)


def _result(where: str, result: Mapping[str, object]) -> Cell:
    succeeded, failed = int(number(result, "completed") or 0), _failed(result)
    if not succeeded:
        return Unusable(where, f"no request succeeded ({failed if failed is not None else 'all'} failed)")
    cell = Reading(where, "vllm bench serve")
    reason = _put_load(cell, result)
    if reason:
        return Unusable(where, reason, failed=False)
    _put_stated(cell, result)
    put_counts(cell, succeeded=succeeded, failed=failed)
    duration = number(result, "duration")
    cell.put("duration_s", duration)
    cell.put("achieved_rps", number(result, "request_throughput"))
    cell.put("output_tok_per_s", number(result, "output_throughput"))
    _put_lengths(cell, result, succeeded)
    _put_latencies(cell, result, failed)
    own_tpot = number(result, "mean_tpot_ms")
    _put_missing_latency(cell, own_tpot)
    put_tpot(cell, own_tpot)
    _put_acceptance(cell, result)
    if not _check_little(cell, result, failed):
        little.closed_loop(cell)
    return cell


def _failed(result: Mapping[str, object]) -> int | None:
    failed, asked = number(result, "failed"), number(result, "num_prompts")
    if failed is None and asked is not None:
        failed = asked - (number(result, "completed") or 0)
    return None if failed is None else int(failed)


def _put_load(cell: Reading, result: Mapping[str, object]) -> str:
    """Set the load columns; give the reason if the run was no steady load."""
    if result.get("ramp_up_strategy"):
        return f"the rate was ramped up ({result['ramp_up_strategy']}): no steady load, left out"
    rate, clients = number(result, "request_rate"), number(result, "max_concurrency")
    if rate is not None:
        cell.put("load_kind", "rate")
        cell.put("load_value", rate)
        cell.put("client_cap", clients)
        _put_arrivals(cell, number(result, "burstiness"))
        return ""
    if clients is None:
        return BURST
    cell.put("load_kind", "concurrency")
    cell.put("load_value", clients)
    return ""


def _put_arrivals(cell: Reading, burstiness: float | None) -> None:
    if burstiness == POISSON_BURSTINESS:
        cell.put("arrivals", "poisson")
    elif burstiness is not None:
        cell.hints["arrivals"] = (
            f"burstiness {burstiness:g} is between the two: even if large, poisson if about 1"
        )


def _put_stated(cell: Reading, result: Mapping[str, object]) -> None:
    """Take what the file says of the deployment: the model, and columns given as --metadata NAME=VALUE."""
    cell.put("verifier", result.get("model_id"))
    for name, value in result.items():
        column = BY_NAME.get(name)
        if column is None or column.condition == "result" or not isinstance(value, str) or not value.strip():
            continue
        try:
            cell.put(name, parse_cell(value.strip(), column))
        except CellError as error:
            raise DataError(f"{cell.where}: metadata {name}: {error}") from error


def _put_lengths(cell: Reading, result: Mapping[str, object], succeeded: int) -> None:
    for name, total in (("prompt_tokens", "total_input_tokens"), ("output_tokens", "total_output_tokens")):
        tokens = positive(number(result, total))
        cell.put(name, scaled(tokens, 1 / succeeded))
    lengths = [n for n in numbers(cell.where, result, "output_lens") if n > 0]
    if len(lengths) == succeeded:
        import numpy as np

        cell.put("output_tokens_std", float(np.std(lengths)))


def _put_latencies(cell: Reading, result: Mapping[str, object], failed: int | None) -> None:
    known: dict[str, float | None]
    latencies = _successful(cell.where, result, "latencies", failed)
    if latencies:
        known = {**percentiles_s(latencies)}
        mean = sum(latencies) / len(latencies)
        stated = scaled(number(result, "mean_e2el_ms"), 1 / MS_PER_S)
        if stated is not None and abs(stated / mean - 1) > SAME:
            raise DataError(
                f"{cell.where}: mean_e2el_ms is {stated * MS_PER_S:.4g}, but the mean of its latencies is "
                f"{mean * MS_PER_S:.4g} ms: the units contradict each other; correct the file"
            )
        cell.derived.append("e2e from latencies")
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


def _check_little(cell: Reading, result: Mapping[str, object], failed: int | None) -> bool:
    """Check Little's law where the file has the requests' times; say whether it has."""
    starts, latencies = (numbers(cell.where, result, name) for name in ("start_times", "latencies"))
    if not starts or len(starts) != len(latencies):
        return False
    errors = result.get("errors")
    ok = [not e for e in errors] if isinstance(errors, list) and len(errors) == len(starts) else None
    if ok is None and failed:
        return False
    ends = [start + latency for start, latency in zip(starts, latencies, strict=True)]
    little.check(cell, starts, ends, ok if ok is not None else [True] * len(starts))
    return True


def _successful(where: str, result: Mapping[str, object], name: str, failed: int | None) -> list[float]:
    """Give a per-request list without the failed requests; empty where these cannot be told."""
    values, errors = numbers(where, result, name), result.get("errors")
    if isinstance(errors, list) and len(errors) == len(values):
        return [value for value, error in zip(values, errors, strict=True) if not error]
    return values if failed == 0 else []
