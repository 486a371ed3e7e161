"""Percentiles of request latency per draw: the formulas of :mod:`bayes_sd.latency.tails` under a condition's load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.curves import take
from bayes_sd.latency import tails

if TYPE_CHECKING:
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts
    from bayes_sd.latency.queue import InFlightLaw

LEAST_WAIT = 1e-3
"""If fewer requests than this share wait behind a cap, the wait is left out: no percentile above 99 % is asked for."""
TURNAROUND_TOKENS = 4096.0
"""Prompt tokens that are read between the end of a request and the prefill of the next one of its client: two steps' worth at
the budget of 2,048 tokens a step that engines default to."""
_START_NODES, _START_WEIGHTS = np.polynomial.legendre.leggauss(6)


@dataclass(frozen=True)
class Stay:
    """What the latency of a request is made of, once it runs; arrays of shape (draw,).

    Attributes
    ----------
    own_s : array
        Its own prefill, the same for all requests [s].
    rest_s : array
        Mean of everything else [s].
    work_log_sd : array
        Sd of the log of a request's work.
    company : array
        Sd of the pace at which the engine serves it, relative to the mean: others share the engine.
    memory : array
        How long such a change of pace lasts, in units of a mean request's work (integral time).
    """

    own_s: np.ndarray
    rest_s: np.ndarray
    work_log_sd: np.ndarray
    company: np.ndarray
    memory: np.ndarray

    def log_sd(self, level: float) -> np.ndarray:
        """Sd of the log of `rest_s` from request to request, for requests near a percentile."""
        return tails.shared_log_sd(level, self.work_log_sd, self.company, self.memory)


def own_prefill_s(predicted: PredictedCosts, conditions: Conditions, i: int) -> np.ndarray:
    """Compute the seconds that a request's own prompt takes, shape (draw,)."""
    costs = take(predicted.costs, i)
    own = (
        costs.prefill_fixed_s + (conditions.prompt[i] + costs.prefill_overhead_tokens) * costs.prefill_token_s
    )
    return np.array(np.broadcast_to(own, (len(predicted.committed), 1)))[:, 0]


def closed_loop_tails(
    predicted: PredictedCosts,
    conditions: Conditions,
    i: int,
    service_s: np.ndarray,
    running: np.ndarray,
    work_log_sd: np.ndarray,
    start_share: float = 0.0,
) -> np.ndarray:
    """Compute the percentiles under a closed loop of N clients.

    With all clients' requests running the number in flight stands still, so that the spread is that of work. Requests that
    wait for a place do so for N − n departures, whose spacing varies with the work. A run from an idle server sends N at
    once: the first of them meets the prefills of its own wave only, the last one those of the next wave too.

    Parameters
    ----------
    predicted : PredictedCosts
    conditions : Conditions
    i : int
        Which condition.
    service_s : array, shape (draw,)
        S(n) [s].
    running : array, shape (draw,)
        n, requests that run.
    work_log_sd : array, shape (draw,)
    start_share : float
        Share of the requests that are of the first wave.

    Returns
    -------
    array, shape (draw, level)
        Seconds, at :data:`bayes_sd.latency.tails.LEVELS`.
    """
    own = np.minimum(own_prefill_s(predicted, conditions, i), 0.9 * service_s)
    waiting = np.maximum(conditions.load[i] - running, 0.0)
    wait = waiting * service_s / running
    # A request waits for `waiting` departures. Each takes as long as a request's work, so their sum varies by sqrt(waiting).
    company = tails.cv_of(work_log_sd) * np.sqrt(waiting) * service_s / running / (service_s - own)
    stay = Stay(own, service_s - own, work_log_sd, company, np.full_like(own, 1e6))
    prefill = running * (own - _fixed_prefill_s(predicted, i)) / service_s
    weights, slowdown = _start(start_share, prefill, running * conditions.prompt[i])
    start = own[:, None] + wait[:, None]
    scale = stay.rest_s[:, None] * slowdown + own[:, None] * (slowdown - 1.0)
    columns = [tails.mixture_quantile(q, weights, start, scale, stay.log_sd(q)) for q in tails.LEVELS]
    # The mean that was fitted is that of the whole run, first wave included.
    return np.stack(columns, axis=1) / (weights * slowdown).sum(axis=1)[:, None]


def _fixed_prefill_s(predicted: PredictedCosts, i: int) -> np.ndarray:
    return np.broadcast_to(predicted.costs.prefill_fixed_s, predicted.committed.shape)[:, i]


def _start(share: float, prefill: np.ndarray, prompt_tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and slowdowns of the steady state and of the first wave, shape (draw, component).

    The request at place u ∈ (0, 1) of the first wave meets the prefills of the share u of the next one, less those that come
    back too late: `prefill` is their share of latency, `prompt_tokens` what a wave has to read.
    """
    ones = np.ones((len(prefill), 1))
    if share == 0.0:
        return ones, ones
    met = np.maximum(1.0 - TURNAROUND_TOKENS / prompt_tokens, 0.0)[:, None]
    later = 1.0 + prefill[:, None] * met * 0.5 * (1.0 + _START_NODES)
    weights = np.concatenate([1.0 - share * met, share * met * 0.5 * _START_WEIGHTS], axis=1)
    return weights, np.concatenate([ones, later], axis=1)


def open_loop_tails(
    predicted: PredictedCosts,
    conditions: Conditions,
    i: int,
    service_s: np.ndarray,
    law: InFlightLaw,
    n_max: np.ndarray,
    work_log_sd: np.ndarray,
    rate_rps: np.ndarray | float | None = None,
) -> np.ndarray:
    """Compute the percentiles under an open loop.

    Parameters
    ----------
    predicted : PredictedCosts
    conditions : Conditions
    i : int
        Which condition.
    service_s : array, shape (draw, n)
        S(1..n) [s].
    law : InFlightLaw
        Of shape (draw,).
    n_max : int array, shape (draw,)
        Most requests that run.
    work_log_sd : array, shape (draw,)
    rate_rps : array, shape (draw,), optional
        Arrival rate that `law` holds for; the condition's by default.

    Returns
    -------
    array, shape (draw, level)
        Seconds, at :data:`bayes_sd.latency.tails.LEVELS`; infinite in draws without a steady state.
    """
    rate, poisson = conditions.load[i] if rate_rps is None else rate_rps, bool(conditions.poisson[i])
    mean = np.clip(np.where(law.stable, law.mean_running, 1.0), 1.0, n_max)
    spread = np.where(law.stable, law.sd_running, 0.0)
    slope = _slope(service_s, mean, np.maximum(spread, 1.0), n_max)
    feedback = np.clip(rate * slope, 0.0, 0.98)
    if not poisson:
        spread = np.sqrt(mean * tails.even_share(work_log_sd, feedback) / (1.0 - feedback))
    wait = np.where(law.stable, np.maximum(law.mean - law.mean_running, 0.0) / rate, 0.0)
    total = np.where(law.stable, law.mean_latency_s, 1.0)
    own = np.minimum(own_prefill_s(predicted, conditions, i), 0.9 * (total - wait))
    cv = tails.cv_of(work_log_sd)
    rest = total - wait - own
    stay = Stay(own, rest, work_log_sd, slope * spread / rest, tails.memory_of_company(cv, feedback))
    if not poisson or not (_wait_probability(law, rate, cv) > LEAST_WAIT).any():
        weights, start, scale = np.ones((len(own), 1)), (own + wait)[:, None], rest[:, None]
    else:
        weights, start, scale = _behind_cap(stay, law, rate, cv, n_max)
    found = np.full((len(own), len(tails.LEVELS)), np.inf)
    here = law.stable  # finding a percentile of a mixture is what takes longest: not where there is none
    for column, level in enumerate(tails.LEVELS):
        sd = stay.log_sd(level)[here]
        found[here, column] = tails.mixture_quantile(level, weights[here], start[here], scale[here], sd)
    return found


def _wait_probability(law: InFlightLaw, rate: np.ndarray | float, work_cv: np.ndarray) -> np.ndarray:
    """Probability that all places are taken, from the mean number waiting: with an exponential tail one gives the other."""
    load = np.clip(rate / law.limit_rps, 0.0, 1.0 - 1e-9)
    excess = np.where(law.stable, law.mean - law.mean_running, 0.0)
    factor = 0.5 * (1.0 + work_cv**2)
    return np.clip(excess * (1.0 - load) / (load * factor), 0.0, 1.0)


def _behind_cap(
    stay: Stay, law: InFlightLaw, rate: np.ndarray | float, work_cv: np.ndarray, n_max: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Components of latency behind a cap: requests that do not wait, and those that wait and then run in a full batch."""
    probability = _wait_probability(law, rate, work_cv)
    mean_wait = 0.5 * (1.0 + work_cv**2) / np.maximum(law.limit_rps - rate, 1e-9 * law.limit_rps)
    weights, waits = tails.wait_nodes(probability, mean_wait)
    full = np.maximum(n_max / law.limit_rps - stay.own_s, stay.rest_s)
    # Those that do not wait run in smaller batches: their share follows from the mean over both kinds.
    others = (stay.rest_s - probability * full) / np.maximum(1.0 - probability, 1e-6)
    none = np.clip(others, 0.2 * stay.rest_s, stay.rest_s)
    scale = np.concatenate([none[:, None], np.repeat(full[:, None], waits.shape[1] - 1, axis=1)], axis=1)
    return weights, stay.own_s[:, None] + waits, scale


def _slope(service_s: np.ndarray, at: np.ndarray, reach: np.ndarray, n_max: np.ndarray) -> np.ndarray:
    """Secant of S over ±`reach` round a number in flight, shape (draw,) [s/request]."""
    row, top = np.arange(len(at)), np.minimum(n_max, service_s.shape[1])
    low = np.clip(np.floor(at - reach), 1, top).astype(int)
    high = np.clip(np.ceil(at + reach), 1, top).astype(int)
    low = np.where(high == low, np.maximum(low - 1, 1), low)
    rise = service_s[row, high - 1] - service_s[row, low - 1]
    return np.maximum(rise, 0.0) / np.maximum(high - low, 1)
