"""From what the terms say to latency: stage costs, the service curve at each point, and the mean under each load protocol.

The formulas of a step and of a request are those of :mod:`bayes_sd.latency.service`; here they meet the terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from bayes_sd.latency.service import StageCosts, Work, first_token_s, service_latency_s, step_s
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
    drafts, token = "draft_fixed" in get, get["request"] * get["token_share"]
    return StageCosts(
        prefill_fixed_s=get["prefill_fixed"],
        prefill_token_s=off * get["prefill_token"] * (1.0 + get["attention"] * f["prompt"]),
        verify_fixed_s=get["verify"],
        verify_expert_s=get.get("expert", 0.0),
        sequence_s=off * (get["request"] - token),
        token_s=off * token,
        kv_token_s=off * get["kv"],
        draft_fixed_s=f["speculates"] * get["draft_fixed"] if drafts else 0.0,
        draft_token_s=off * f["speculates"] * get["draft_share"] * token if drafts else 0.0,
        draft_extra_steps=xp.exp(u["log_draft_extra_steps"])[..., None] if drafts else 0.0,
        cycle_s=q.cycle_s,
    )


def service(q: Quantities, u: Values, f: Values, xp: ModuleType) -> tuple[Any, Any]:
    """Compute S(n) and the time to first token of a request that runs, at each point.

    Returns
    -------
    service_s, first_s : array, shape (..., point)
        Seconds.
    """
    costs = stage_costs(q, u, f, xp)
    work = Work(f["prompt"], f["output"], f["k"], q.committed)
    step = step_s(costs, work, q.in_flight, q.covered, q.kernel_factor, q.wait)
    whole = service_latency_s(costs, work, q.in_flight, step)
    return whole, first_token_s(costs, work, q.in_flight, step, q.looked_up["overlap"])


def log_means(service_s: Any, in_flight: Any, f: Values, xp: ModuleType) -> Any:
    """Compute the log mean latency of closed loops and of open loops with even arrivals, shape (row,).

    Closed: S(n)·N/n. Even arrivals: one Newton step on the log scale from the measured number in flight: exact where model
    and measurement agree, finite everywhere, and it spares a root search inside the sampler. Near saturation throughput
    hardly rises with the number in flight and the step would be endless: how far a run gets then is a matter of its length.
    """
    lower, upper = service_s[f["left_point"]], service_s[f["right_point"]]
    n = lower.shape[0]
    measured, below = f["in_flight_measured"], f["in_flight_below"]
    x0, x1 = below / lower, (below + 1.0) / upper
    throughput = x0 + (measured - below) * (x1 - x0)
    elasticity = xp.sqrt((measured * (x1 - x0) / throughput) ** 2 + LEAST_ELASTICITY**2)
    even = f["log_latency"][:n] + (f["log_load"][:n] - xp.log(throughput)) / elasticity
    closed = f["log_load"][:n] + xp.log(lower / in_flight[f["left_point"]])
    return xp.where(f["row_closed"], closed, even)


def log_poisson_means(service_s: Any, f: Values, xp: ModuleType) -> Any:
    """Compute the log mean latency under Poisson arrivals, from the stationary law P(n) ∝ Π λ·S(j)/j, shape (row,)."""
    number = f["poisson_number"]
    log_rate = f["log_load"][f["left_point"].shape[0] :]
    curve = service_s[f["poisson_point"]].reshape(number.shape)
    log_weight = xp.cumsum(xp.log(curve) + log_rate[:, None] - xp.log(number), axis=1)
    shift = xp.maximum(xp.max(log_weight, axis=1, keepdims=True), 0.0)
    weight = xp.exp(log_weight - shift)
    total = xp.sum(weight, axis=1) + xp.exp(-shift[:, 0])
    return xp.log(xp.sum(weight * number, axis=1) / total) - log_rate


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
