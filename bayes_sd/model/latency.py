"""From what the terms say to latency: stage costs, the service curve at each point, and the mean under each load protocol.

The formulas of a step and of a request are those of :mod:`bayes_sd.latency.service`; here they meet the terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from bayes_sd.latency.pools import two_pools
from bayes_sd.latency.service import (
    StageCosts,
    Work,
    first_token_s,
    prefill_tokens,
    service_latency_s,
    step_s,
)
from bayes_sd.model.observed import amplified, queued_factor
from bayes_sd.model.term import PerLevel, Quantities, Term, Values
from bayes_sd.model.terms.cache import smooth_minimum

LEAST_ELASTICITY = 0.1
"""Relative gain of throughput for a gain of requests in flight below which an open loop's row tells no more: a per cent of
throughput is at most ten of latency."""


def per_level(terms: Sequence[Term], u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
    """Collect what terms compute once a level."""
    return [piece for term in terms for piece in term.per_level(u, f, xp)]


def contribute(terms: Sequence[Term], looked_up: Values, u: Values, f: Values, xp: ModuleType) -> Quantities:
    """Let every term add its part, in order: the quantities of each point, whatever its load."""
    q = Quantities(looked_up)
    for term in terms:
        term.contribute(q, u, f, xp)
    return q


def put_under_load(terms: Sequence[Term], q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
    """Find the requests that run (in a closed loop no more than the cache holds), and what depends on them."""
    q.in_flight = xp.where(f["limited"], smooth_minimum(q.held, f["offered"]), f["offered"])
    q.covered = f["point_sparse"]
    for term in terms:
        term.at_load(q, u, f, xp)


def stage_costs(q: Quantities, u: Values, f: Values, xp: ModuleType) -> StageCosts:
    """Line up the costs of each point.

    Parameters
    ----------
    q : Quantities
    u, f : dict
        Unknowns, and facts of points: ``prompt`` [tokens] and ``speculates`` (1 or 0).
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    StageCosts
        Seconds, shape (..., point).
    """
    get, off = q.looked_up, q.load_factor
    attention = get["attention"] * q.attention_factor
    drafts, token = "draft_fixed" in get, get["request"] * get["token_share"]
    return StageCosts(
        prefill_fixed_s=get["prefill_fixed"],
        prefill_token_s=off * get["prefill_token"] * (1.0 + attention * (f["prompt"] + f["cached"])),
        verify_fixed_s=get["verify"],
        verify_expert_s=get.get("expert", 0.0),
        sequence_s=off * (get["request"] - token),
        token_s=off * token,
        kv_token_s=off * get["kv"],
        draft_fixed_s=f["speculates"] * get["draft_fixed"] if drafts else 0.0,
        draft_token_s=off * f["speculates"] * get["draft_share"] * token if drafts else 0.0,
        draft_extra_steps=xp.exp(u["log_draft_extra_steps"])[..., None] if drafts else 0.0,
        cycle_s=q.cycle_s,
        further_token=q.further_token,
        prefill_overhead_tokens=q.overhead_tokens,
    )


class Served(NamedTuple):
    """Seconds of a request at each point, shape (..., point).

    Attributes
    ----------
    whole_s : array
        S(n).
    first_s : array
        Time to first token of a request that runs.
    decode_s : array
        All its steps.
    read_s : array
        Its own prompt by itself, the fixed part left out.
    fixed_s : array
        Fixed part of a prefill.
    """

    whole_s: Any
    first_s: Any
    decode_s: Any
    read_s: Any
    fixed_s: Any


def service(q: Quantities, u: Values, f: Values, xp: ModuleType) -> Served:
    """Compute S(n) and its parts at each point.

    Returns
    -------
    Served
    """
    costs = stage_costs(q, u, f, xp)
    work = Work(
        prompt_tokens=f["prompt"],
        output_tokens=f["output"],
        draft_length=f["k"],
        committed=q.committed,
        draft_passes=f["passes"],
        verify_tokens=f["verified"],
        cached_tokens=f["cached"],
        ranks=f["ranks"],
    )
    step = step_s(costs, work, q.in_flight, q.covered, q.kernel_factor, q.wait)
    whole = service_latency_s(costs, work, q.in_flight, step)
    first = first_token_s(costs, work, q.in_flight, step, q.looked_up["overlap"])
    read = prefill_tokens(costs, work) * costs.prefill_token_s
    return Served(whole, first, work.cycles * step, read, costs.prefill_fixed_s)


Means = tuple[Any, Any]
"""Log mean latency and noise beside that of a sound row, shape (row,) each."""


def closed_means(
    served: Served, in_flight: Any, f: Values, xp: ModuleType, some_decode: bool = False
) -> Means:
    """Compute the mean latency of closed loops, S(n)·N/n where n of N requests run.

    With `some_decode`, rows that ``closed_decoding`` flags tell the time after the first token alone.
    """
    n = f["n_closed"]
    service, running = served.whole_s[:n], in_flight[:n]
    noise = queued_factor(running / f["closed_admitted"], xp)
    latency = f["log_load"][:n] + xp.log(service / running)
    if some_decode:
        alone = xp.log(service - served.first_s[:n])
        latency = xp.where(f["closed_decoding"], alone, latency)
    return latency, noise


def even_means(service_s: Any, f: Values, xp: ModuleType) -> Means:
    """Compute the mean latency of open loops with even arrivals, B/λ where B is the number in flight at which X(B) = λ.

    Log throughput X(n) = n/S(n) is a parabola in log n through three points, below, at and above the number in flight that was
    measured; what the model says hardly depends on where these stand. Where throughput hardly rises with the number in
    flight, B would be endless: how far a run gets then is a matter of its length, and :data:`LEAST_ELASTICITY` bounds it.
    Noise is that of the load at the middle point: taken at the solution it would shrink with a latency that is too low.
    """
    log_number = f["even_log_number"]
    log_rate = f["log_load"][f["n_closed"] : f["n_closed"] + log_number.shape[0]]
    log_rise = log_number - xp.log(service_s[f["even_point"]])
    below, above = log_number[:, 0] - log_number[:, 1], log_number[:, 2] - log_number[:, 1]
    low, high = (log_rise[:, 0] - log_rise[:, 1]) / below, (log_rise[:, 2] - log_rise[:, 1]) / above
    bend = (high - low) / (above - below)
    slope = low - bend * below
    ahead = log_rate - log_rise[:, 1]
    # Bounded at both ends of the way: where throughput falls by a tenth at the middle and rises by the least at the solution, they
    # would cancel. Half of the least one, so that loads that tell something are left alone.
    gain = _at_least(slope, 0.5 * LEAST_ELASTICITY, xp)
    square = _at_least(gain**2 + 4.0 * bend * ahead, LEAST_ELASTICITY**2, xp)
    log_flight = log_number[:, 1] + 2.0 * ahead / (gain + xp.sqrt(square))
    return log_flight - log_rate, amplified(slope, xp)


def _at_least(value: Any, least: float, xp: ModuleType) -> Any:
    """Give the larger of a value and a bound, rounded where they meet."""
    return 0.5 * (value + least + xp.sqrt((value - least) ** 2 + (0.3 * least) ** 2))


def poisson_means(service_s: Any, f: Values, xp: ModuleType) -> Means:
    """Compute the mean latency under random arrivals, Σ q(n)·S(n + 1) with q(n) ∝ [Π λ·S(j)/j]^(1/w) requests met.

    w is 1 under Poisson arrivals, where it is exact, and what :func:`bayes_sd.latency.queue.renewal.dispersion` says of gamma gaps.
    All steps slower by a factor is all rates higher by it, and what is met changes by its variance over w: so the elasticity.
    """
    number, spread = f["poisson_number"], f["poisson_spread"][:, None]
    left = service_s[f["poisson_left"]]
    curve = left + f["poisson_weight"] * (service_s[f["poisson_right"]] - left)
    step = (xp.log(curve) + f["poisson_log_rate"][:, None] - xp.log(number)) / spread
    log_weight = xp.cumsum(step, axis=1) - step
    weight = xp.exp(log_weight - xp.max(log_weight, axis=1, keepdims=True))
    total, met = xp.sum(weight, axis=1), number - 1.0
    latency = xp.sum(weight * curve, axis=1) / total
    mean = xp.sum(weight * met, axis=1) / total
    variance = xp.sum(weight * met**2, axis=1) / total - mean**2
    return xp.log(latency), amplified(mean * spread[:, 0] / variance, xp)


def pool_means(served: Served, in_flight: Any, f: Values, xp: ModuleType) -> tuple[Means, Any]:
    """Compute the mean latency of closed loops at two pools, with their noise, and their seconds of decoding, shape (row,)."""
    at = f["pool_point"]
    # Where a decode worker runs fewer than it is given, the others wait.
    waiting = f["pool_each"] / in_flight[at]
    read, fixed = served.read_s[at[:, -1]], served.fixed_s[at[:, -1]]
    found = two_pools(
        served.decode_s[at],
        waiting,
        f["pool_number"],
        f["pool_clients"],
        fixed + f["pool_ratio"] * read,
        f["pool_turns"] * read,
        xp,
    )
    return (xp.log(found.latency_s), f["pool_noise"]), found.decode_s


def gather_index(
    layout: Sequence[tuple[str, tuple[str, ...]]], sizes: dict[str, int], level_of: dict[str, np.ndarray]
) -> np.ndarray:
    """Index that looks all per-level quantities up at once in their concatenation, quantity after quantity.

    Parameters
    ----------
    layout : sequence of (dim, names)
        The tables of :class:`PerLevel`, in order.
    sizes : dict of str to int
        Levels along each dim.
    level_of : dict of str to int array, shape (point,)
        Level of each point along each dim.

    Returns
    -------
    int array, shape (quantity·point,)
    """
    start, pieces = 0, []
    for dim, names in layout:
        for _ in names:
            pieces.append(start + level_of[dim])
            start += sizes[dim]
    return np.concatenate(pieces)
