"""What one row may not say: cells that are each fine and contradict each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from bayes_sd.measurements.schema import LEAST_MODELLED, MOST_MODELLED, POOLS, is_modelled

Record = Mapping[str, object]
ROUNDING = 1e-4
"""Relative slack where two published figures are compared: sources round to about six digits."""


def contradiction(record: Record) -> tuple[str, str] | None:
    """Find the first contradiction in a row.

    Parameters
    ----------
    record : mapping
        Column name to value; a column that is not known is absent.

    Returns
    -------
    tuple of str or None
        The column to blame and what is wrong with it, or None.
    """
    checks = (_speculation, _draft_length, _acceptance, _counts, _experts, _percentiles, _parts, _load)
    return _first_wrong(record, (*checks, *IMPOSSIBLE))


def impossible(record: Record) -> tuple[str, str] | None:
    """Find what no server can do in a row or a question.

    That is a split over more GPUs than there are, a draft that is longer than what is verified, more cached tokens than the
    prompt has.

    Parameters
    ----------
    record : mapping
        As for :func:`contradiction`.

    Returns
    -------
    tuple of str or None
        The column to blame and what is wrong with it, or None.
    """
    return _first_wrong(record, IMPOSSIBLE)


def _first_wrong(record: Record, checks: Iterable[Callable[..., Wrong]]) -> Wrong:
    get = _number(record)
    return next((wrong for check in checks if (wrong := check(get, record))), None)


def unanswerable(record: Record) -> tuple[str, str] | None:
    """Find what a measured row may say and a question may not, since no formula of the package covers it.

    Parameters
    ----------
    record : mapping
        As for :func:`contradiction`.

    Returns
    -------
    tuple of str or None
        The column to blame and what is wrong with it, or None.
    """
    arrivals = str(record.get("arrivals") or "")
    if not is_modelled(arrivals):
        return "arrivals", (
            f"{arrivals}: latency under gamma gaps is modelled for shapes from {LEAST_MODELLED:g} (bursty) to {MOST_MODELLED:g} "
            "(nearly even): ask for one of those, or for even"
        )
    return None


def _number(record: Record) -> Callable[[str], float | None]:
    def get(name: str) -> float | None:
        value = record.get(name)
        return float(value) if isinstance(value, int | float) and value == value else None

    return get


Wrong = tuple[str, str] | None


def _speculation(get: Callable[[str], float | None], record: Record) -> Wrong:
    k, method = get("k"), record["method"]
    if method == "none" and k is not None and k > 0:
        return "k", f"{k:g} tokens drafted with method none: name the method, or set k to 0"
    if method != "none" and k == 0:
        return "k", f"0 with method {method}: give the draft length, blank if unknown, or set method to none"
    if method == "none" and record.get("drafter"):
        return "drafter", "given with method none: name the method, or remove the drafter"
    if method == "none" and (get("acceptance") is not None or (get("mean_accepted_len") or 1.0) > 1.0):
        name = "acceptance" if get("acceptance") is not None else "mean_accepted_len"
        return name, "given with method none: name the method, or leave it blank"
    return None


def _draft_length(get: Callable[[str], float | None], record: Record) -> Wrong:
    k, committed = get("k"), get("mean_accepted_len")
    if k is not None and committed is not None and committed > (k + 1) * (1 + ROUNDING):
        return "mean_accepted_len", f"{committed:g} is more than k + 1 = {k + 1:g}"
    return None


def _acceptance(get: Callable[[str], float | None], record: Record) -> Wrong:
    positions = record.get("accepted_per_position")
    k = get("k")
    if not isinstance(positions, str) or not positions:
        return None
    counts = json.loads(positions)
    drafts = get("n_drafts")
    if k is not None and len(counts) > k:
        return "accepted_per_position", f"{len(counts)} positions for a draft length of {k:g}"
    if drafts is not None and counts[0] > drafts:
        return "accepted_per_position", f"{counts[0]} acceptances in {drafts:g} drafts"
    return None


def _counts(get: Callable[[str], float | None], record: Record) -> Wrong:
    drafted, accepted = get("n_draft_tokens"), get("n_accepted_tokens")
    if drafted is not None and accepted is not None and accepted > drafted:
        return "n_accepted_tokens", f"{accepted:g} accepted of {drafted:g} drafted"
    return None


def _experts(get: Callable[[str], float | None], record: Record) -> Wrong:
    experts, top_k = get("n_experts"), get("top_k_experts")
    total, active = get("verifier_params_b"), get("verifier_active_params_b")
    if (experts is None) != (top_k is None):
        missing = "n_experts" if experts is None else "top_k_experts"
        return missing, "blank where the other of n_experts and top_k_experts is given: give both or neither"
    if experts is not None and top_k is not None and top_k > experts:
        return "top_k_experts", f"{top_k:g} is more than n_experts {experts:g}"
    if experts is not None and not record["is_moe"]:
        return "is_moe", f"0 with {experts:g} experts"
    if active is not None and total is not None and active > total:
        return "verifier_active_params_b", f"{active:g} is more than verifier_params_b {total:g}"
    return None


def _percentiles(get: Callable[[str], float | None], record: Record) -> Wrong:
    order = [name for name in ("p50_e2e_s", "p95_e2e_s", "p99_e2e_s") if get(name) is not None]
    for lower, upper in pairwise(order):
        low, high = get(lower) or 0.0, get(upper) or 0.0
        if low > high * (1 + ROUNDING):
            return lower, f"{low:g} is above {upper} {high:g}"
    return None


def _parts(get: Callable[[str], float | None], record: Record) -> Wrong:
    ttft, whole = get("mean_ttft_ms"), get("mean_e2e_s")
    if ttft is not None and whole is not None and ttft / 1000 > whole * (1 + ROUNDING):
        return "mean_ttft_ms", (
            f"{ttft:g} ms is longer than mean_e2e_s {whole:g} s, so one of them is not what it says: are the units right, "
            "and was the answer streamed?"
        )
    return None


def _load(get: Callable[[str], float | None], record: Record) -> Wrong:
    value = get("load_value")
    if record.get("load_kind") == "concurrency" and value is not None and (value < 1 or value != int(value)):
        return "load_value", f"{value:g} clients: a closed loop has a whole number of them"
    arrivals = str(record.get("arrivals") or "even")
    if record.get("load_kind") == "concurrency" and arrivals != "even":
        return (
            "arrivals",
            f"{arrivals} in a closed loop: only an open loop (load_kind rate) has arrivals of its own",
        )
    return None


def _verified(get: Callable[[str], float | None], record: Record) -> Wrong:
    k, verified, passes = get("k"), get("verify_tokens"), get("draft_passes")
    if k is not None and verified is not None and verified < k + 1:
        return "verify_tokens", (
            f"{verified:g} verified a cycle with k = {k:g}: a draft and the last committed token are k + 1 = {k + 1:g}, "
            "a tree of that depth more"
        )
    if k is not None and passes is not None and passes > max(k, 1.0):
        return "draft_passes", f"{passes:g} passes for {k:g} tokens: a pass proposes one token or more"
    return None


def _cached(get: Callable[[str], float | None], record: Record) -> Wrong:
    cached, prompt = get("cached_prompt_tokens"), get("prompt_tokens")
    if cached is not None and prompt is not None and cached > prompt * (1 + ROUNDING):
        return "cached_prompt_tokens", f"{cached:g} cached of a prompt of {prompt:g}"
    return None


def _spread(get: Callable[[str], float | None], record: Record) -> Wrong:
    gpus, tp, pp, dp = get("n_gpu"), get("tp") or 1.0, get("pp") or 1.0, get("dp")
    if gpus is None or any(get(name) is not None for name in POOLS) or "disagg" in _said(record):
        return None  # of two pools, tp is that of decode, n_gpu the sum
    for name in ("ep", "nodes"):
        count = get(name)
        if count is not None and count > gpus:
            return name, f"{count:g} is more than the deployment's {gpus:g} GPUs (n_gpu)"
    alone, replicated = tp * pp, tp * pp * (dp or 1.0)
    if dp is not None and gpus == alone and (dp > alone or alone % dp):
        return "dp", (
            f"{dp:g} attention ranks do not divide the {gpus:g} GPUs; if these are replicas, n_gpu is tp * pp * dp = "
            f"{replicated:g}"
        )
    if (dp is not None or get("pp") is not None) and gpus not in (alone, replicated):
        or_replicated = f" or tp * pp * dp = {replicated:g}" if replicated != alone else ""
        return "n_gpu", f"{gpus:g} GPUs, where tp * pp = {alone:g}{or_replicated}"
    return None


def _pools(get: Callable[[str], float | None], record: Record) -> Wrong:
    for half in ("prefill", "decode"):
        gpus = get(f"{half}_gpus")
        for what in ("workers", "tp", "ep", "dp"):
            count = get(f"{half}_{what}")
            if gpus is not None and count is not None and count > gpus:
                return f"{half}_{what}", f"{count:g} is more than {half}_gpus = {gpus:g}"
    prefill, decode, gpus = get("prefill_gpus"), get("decode_gpus"), get("n_gpu")
    if prefill is not None and decode is not None and gpus is not None and prefill + decode != gpus:
        return "n_gpu", f"{gpus:g} GPUs, where prefill and decode have {prefill:g} + {decode:g}"
    return None


def _said(record: Record) -> str:
    return f"{record.get('engine') or ''} {record.get('engine_options') or ''}".casefold()


IMPOSSIBLE = (_verified, _cached, _spread, _pools)
"""Checks of a row that a question must pass too."""
