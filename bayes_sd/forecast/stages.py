"""Where a request's latency goes: prefill, draft, verify and waiting, load-independent and load-dependent, per draw.

The service curve is linear in the stage costs, so a stage's part of S(b) is S(b) with all other costs set to zero. A
request in a batch of b progresses at rate 1/S(b), so that of each second in flight the share s_x(b)/S(b) goes to stage x;
averaged over the stationary law P(n) of the number present, n_max of which run,

    latency in stage x = 1/λ · Σ_n P(n)·m·s_x(m)/S(m),    waiting = 1/λ · Σ_n P(n)·(n − m),    m = min(n, n_max).

Both add up to the mean latency exactly, for any service curve (Little's law, per stage).
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.curves import service_curve
from bayes_sd.forecast.grid import curve_points
from bayes_sd.forecast.latency import running_cap
from bayes_sd.latency.between import straight_between
from bayes_sd.latency.queue import InFlightLaw, dispersion, in_flight_law
from bayes_sd.latency.queue.renewal import met_weights
from bayes_sd.latency.service import StageCosts
from bayes_sd.model.terms.cache import smooth_minimum

if TYPE_CHECKING:
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts

PARTS: dict[str, tuple[str, ...]] = {
    "prefill, load-independent": ("prefill_fixed_s",),
    "prefill, load-dependent": ("prefill_token_s",),
    "draft, load-independent": ("draft_fixed_s", "cycle_s"),
    "draft, load-dependent": ("draft_token_s",),
    "verify, load-independent": ("verify_fixed_s",),
    "verify, experts": ("verify_expert_s",),
    "verify, load-dependent": ("sequence_s", "token_s", "kv_token_s"),
}
"""Stage parts and the costs that make them. The experts' part is load-independent at full coverage and grows with load
below it; it is 0 for dense verifiers."""
WAITING = "waiting"
"""Time before a request runs, behind the engine's cap or a full cache."""
STAGES = (*PARTS, WAITING)
DIVISOR = ("draft_extra_steps", "further_token", "prefill_overhead_tokens")
"""Not costs but numbers of steps and tokens and a ratio: never set to zero."""


def stage_parts_s(
    predicted: PredictedCosts, conditions: Conditions, i: int, in_flight: np.ndarray
) -> np.ndarray:
    """Compute the parts of a condition's service curve.

    Parameters
    ----------
    predicted : PredictedCosts
    conditions : Conditions
    i : int
        Which condition.
    in_flight : array, broadcastable to (draw, n)
        b [requests].

    Returns
    -------
    array, shape (stage, draw, n)
        Seconds, in the order of :data:`PARTS`; their sum is S(b).
    """
    parts = []
    for names in PARTS.values():
        only = replace(predicted, costs=_only(predicted.costs, names))
        parts.append(service_curve(only, conditions, i, in_flight)[0])
    return np.stack(parts)


def _only(costs: StageCosts, names: tuple[str, ...]) -> StageCosts:
    zero = {
        f.name: np.zeros_like(getattr(costs, f.name))
        for f in fields(costs)
        if f.name not in names and f.name not in DIVISOR
    }
    return replace(costs, **zero)


def stage_latency_s(
    predicted: PredictedCosts, conditions: Conditions, i: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split the mean latency of a condition by stage.

    Parameters
    ----------
    predicted : PredictedCosts
    conditions : Conditions
    i : int
        Which condition.

    Returns
    -------
    latency_s : array, shape (draw, stage)
        Seconds of the mean latency spent in each of :data:`STAGES`, the shape's misfit spread over all; NaN in draws
        without a steady state.
    running : array, shape (draw,)
        Effective batch size: mean requests running.
    """
    split = _open_loop if conditions.open_loop[i] else _closed_loop
    parts, waiting, running = split(predicted, conditions, i)
    latency = np.concatenate([parts, waiting[None]]).T
    return latency * np.exp(predicted.misfit[:, [i]]), running


Split = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Latency by stage [s], shape (stage, draw); waiting [s] and requests running, shape (draw,)."""


def _closed_loop(predicted: PredictedCosts, conditions: Conditions, i: int) -> Split:
    offered = min(conditions.load[i], conditions.cap[i])
    running = smooth_minimum(predicted.cache_requests[:, [i]], offered)
    parts = stage_parts_s(predicted, conditions, i, running)[..., 0]
    waiting = parts.sum(axis=0) * (conditions.load[i] / running[:, 0] - 1.0)
    return parts, waiting, running[:, 0]


def _open_loop(predicted: PredictedCosts, conditions: Conditions, i: int) -> Split:
    rate = conditions.load[i]
    n_max = running_cap(predicted, conditions, i)
    grid = np.arange(1.0, n_max.max() + 1)
    points = curve_points(len(grid), conditions.design.rows["verified"][i])
    parts = stage_parts_s(predicted, conditions, i, points[None, :]) @ straight_between(points, len(grid))
    service = parts.sum(axis=0)
    poisson = bool(conditions.poisson[i])
    scv = float(conditions.gap_scv[i])
    law = in_flight_law(
        service, "poisson" if poisson else "even", np.full(len(n_max), rate), n_max, gap_scv=scv
    )
    if poisson:
        held = np.where(law.stable, rate, 0.5 * law.limit_rps)
        weight, _ = met_weights(service, held, n_max, dispersion(scv, 1.0))
    else:
        weight = _even_weight(law, len(grid)) * (grid / service) / rate
    seconds = np.einsum("dn,sdn->sd", weight, parts)
    waiting = np.where(law.stable, law.mean_latency_s, np.nan) - seconds.sum(axis=0)
    seconds = np.where(law.stable, seconds, np.nan)
    return seconds, np.maximum(waiting, 0.0), np.where(law.stable, law.mean_running, np.nan)


def _even_weight(law: InFlightLaw, n: int) -> np.ndarray:
    """Probability of 1..n running where the number alternates between two neighbours, shape (draw, n)."""
    mean = np.where(law.stable, law.mean_running, 1.0)
    low = np.minimum(np.floor(mean), n - 1)
    weight = np.zeros((len(mean), n + 1))
    row = np.arange(len(mean))
    weight[row, low.astype(int)] = 1.0 - (mean - low)
    weight[row, low.astype(int) + 1] = mean - low
    return weight[:, 1:]
