"""Latency of conditions, per draw: the service curve, the load protocol, and the noise of a measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.assume import Assumed, assume
from bayes_sd.condition.equal import UNASKED, equal_rows
from bayes_sd.forecast.conditions import Conditions, resolve
from bayes_sd.forecast.costs import PredictedCosts, costs_for
from bayes_sd.forecast.curves import curve, service_curve
from bayes_sd.forecast.grid import curve_points
from bayes_sd.forecast.mixture import pool, seed_of, share_of
from bayes_sd.forecast.pools import pool_latency
from bayes_sd.forecast.prediction import Prediction
from bayes_sd.forecast.spread import RequestSpread, request_spread
from bayes_sd.forecast.tails import closed_loop_tails, open_loop_tails
from bayes_sd.latency.between import straight_between
from bayes_sd.latency.queue import InFlightLaw, Protocol, in_flight_law
from bayes_sd.latency.tails import LEVELS, cv_of
from bayes_sd.model.observed import amplified, queued_factor
from bayes_sd.model.terms.cache import smooth_minimum

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

DEFAULT_CAP = 256
"""Cap on running requests where neither the condition nor the cache says one (vLLM's default of max_num_seqs was 256
for years)."""
LARGEST_GRID = 1024


def predict(
    posterior: Posterior,
    frame: Any,
    cards: Cards | None = None,
    seed: int = 0,
    thin: int = 1,
    first: int = 0,
) -> Prediction:
    """Predict the latency of conditions.

    Parameters
    ----------
    posterior : Posterior
    frame : DataFrame, mapping or sequence of mappings
        Conditions, with the measurement table's column names: those that the question needs, the rest has defaults
        (:func:`bayes_sd.condition.as_conditions`). Lengths, draft length, drafter, precision and engine may be blank: what
        is then assumed (:func:`bayes_sd.condition.assume.assume`) widens the answer, and ``conditions.assumed`` says it.
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.
    seed : int
        For what the posterior has not seen, and for measurement noise.
    thin : int
        Use every `thin`-th draw.
    first : int
        Place of the first condition in a longer table that is predicted in parts: what is drawn for each row alone
        (measurement noise, what fills blanks) then differs from part to part.

    Returns
    -------
    Prediction

    Raises
    ------
    CardError, ConditionError
        If a condition names something that nothing is known about.
    """
    cards = posterior.cards() if cards is None else cards
    if thin > 1:
        posterior = share_of(posterior, 0, thin)
    return predict_assumed(posterior, assume(frame, posterior, cards, seed, first), cards, seed, first)


def predict_assumed(
    posterior: Posterior, assumed: Assumed, cards: Cards, seed: int = 0, first: int = 0
) -> Prediction:
    """Predict as :func:`predict` does, from conditions whose blanks are filled."""
    conditions = resolve(assumed.frames[0], posterior, cards, pools=True)
    whole = _predict(posterior, conditions, cards, seed, first)
    if assumed.unsure.any():
        shares = min(len(assumed.frames), posterior.tree["posterior"].sizes["draw"])
        parts = [
            _predict(
                share_of(posterior, j, shares),
                resolve(assumed.frames[j].loc[assumed.unsure], posterior, cards, pools=True),
                cards,
                seed_of(seed, j),
                first,
            )
            for j in range(shares)
        ]
        whole = pool(whole, parts, assumed)
    said = _assumed(whole.conditions, assumed)
    shown = assumed.as_given(whole.conditions.frame)
    return replace(whole, conditions=replace(whole.conditions, frame=shown, assumed=said))


def _assumed(conditions: Conditions, assumed: Assumed) -> list[str]:
    """Say what was assumed of each condition, an acceptance that nobody stated among it."""
    words = []
    for i, said in enumerate(assumed.words):
        open_acceptance = bool(conditions.drafter[i]) and bool(np.isnan(conditions.committed[i]))
        new = any(part in conditions.extrapolates[i] for part in ("acceptance", "drafter", "method"))
        acceptance = f"acceptance ({'from its prior' if new else 'as measured'})" if open_acceptance else ""
        words.append("; ".join(filter(None, (said, acceptance))))
    return words


def _predict(posterior: Posterior, conditions: Conditions, cards: Cards, seed: int, first: int) -> Prediction:
    """Predict the latency of resolved conditions, each complete."""
    predicted = costs_for(posterior, conditions, cards, seed)
    spread = request_spread(posterior, conditions, seed)
    shape = (posterior.n_draws, len(conditions))
    latency, told, ttft, flight, scatter = (np.empty(shape) for _ in range(5))
    # What a new measurement of such a row would tell: the whole latency, or decoding alone.
    decoding = conditions.design.rows["decoding"]
    tails = np.empty((*shape, len(LEVELS)))
    stable = np.ones(len(conditions))
    curves = _Curves(predicted, conditions)
    for i in curves.order:
        if conditions.design.rows["pools"][i]:
            columns = pool_latency(predicted, conditions, i, spread)
        elif conditions.open_loop[i]:
            columns = _open_loop(predicted, conditions, i, spread, curves.of(i))
        else:
            columns = _closed_loop(predicted, conditions, i, spread)
        latency[:, i], ttft[:, i], flight[:, i], scatter[:, i], tails[:, i] = columns
        misfit = np.exp(predicted.misfit[:, i])
        latency[:, i] *= misfit
        told[:, i] = latency[:, i] - misfit * ttft[:, i] if decoding[i] else latency[:, i]
        tails[:, i] *= misfit[:, None]
        stable[i] = np.isfinite(latency[:, i]).mean()
    scatter *= predicted.noise
    chains = int(posterior.tree["posterior"].sizes["chain"])
    new = measured_anew(posterior, told, scatter, seed, first)
    return Prediction(conditions, latency, new, ttft, flight, stable, tails, chains, told, scatter)


def measured_anew(
    posterior: Posterior, told_s: np.ndarray, scatter: np.ndarray, seed: int, first: int = 0
) -> np.ndarray:
    """Draw new measurements of conditions.

    Parameters
    ----------
    posterior : Posterior
    told_s, scatter : array, shape (draw, condition)
        As a :class:`~bayes_sd.forecast.prediction.Prediction` has them [s], [log].
    seed, first : int
        As :func:`predict` takes them.

    Returns
    -------
    array, shape (draw, condition)
        Seconds.
    """
    rng = np.random.default_rng([seed, 11, first] if first else [seed, 11])
    error = rng.standard_t(posterior.spec.priors["noise"]["tails"], size=told_s.shape)
    error *= scatter
    np.exp(error, out=error)
    error *= told_s
    return error


class _Curves:
    """Service curves of open loops: conditions that differ in their load alone share one, which is kept while they last.

    Attributes
    ----------
    order : list of int
        Conditions, those that share a curve together.
    """

    def __init__(self, predicted: PredictedCosts, conditions: Conditions) -> None:
        self._predicted, self._conditions = predicted, conditions
        shared = conditions.open_loop.any()  # closed loops have a point each, not a curve
        frame = conditions.frame
        self._alike = equal_rows(frame, but=(*UNASKED, "load_value")) if shared else np.arange(len(frame))
        self.order = [int(i) for i in np.argsort(self._alike, kind="stable")]
        self._kept: tuple[int, tuple[np.ndarray, np.ndarray]] | None = None

    def of(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Give a condition's curve, as :func:`running_curve` does."""
        group = int(self._alike[i])
        if self._kept is None or self._kept[0] != group:
            self._kept = None  # before the next one is made: each takes megabytes
            self._kept = group, running_curve(self._predicted, self._conditions, i)
        return self._kept[1]


def _closed_loop(
    predicted: PredictedCosts, conditions: Conditions, i: int, spread: RequestSpread
) -> tuple[np.ndarray, ...]:
    """Latency of N clients, S(n)·N/n, where n of them run: as many as the engine's cap and cache allow."""
    offered = min(conditions.load[i], conditions.cap[i])
    running = smooth_minimum(predicted.cache_requests[:, [i]], offered)
    service, _, first = (values[:, 0] for values in curve(predicted, conditions, i, running))
    running = running[:, 0]
    latency = service * conditions.load[i] / running
    queued = queued_factor(running / offered)
    work, start = spread.work_log_sd(predicted, conditions, i), float(spread.start_share[i])
    tails = closed_loop_tails(predicted, conditions, i, service, running, work, start)
    flight = np.full_like(latency, conditions.load[i])
    return latency, first + latency - service, flight, queued, tails


def running_cap(predicted: PredictedCosts, conditions: Conditions, i: int) -> np.ndarray:
    """Give the most requests that run at once in an open loop: the engine's cap, or what its cache holds.

    Returns
    -------
    int array, shape (draw,)
    """
    cap = conditions.cap[i] if np.isfinite(conditions.cap[i]) else DEFAULT_CAP
    held = np.floor(np.clip(predicted.cache_requests[:, i], 1, None))
    return np.minimum(held, min(cap, LARGEST_GRID)).astype(int)


def running_curve(predicted: PredictedCosts, conditions: Conditions, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute an open loop's service curve as far as requests may run at once.

    Parameters
    ----------
    predicted, conditions, i
        As in :func:`curve`.

    Returns
    -------
    n_max : int array, shape (draw,)
        Most requests that run, from :func:`running_cap`.
    service_s : array, shape (draw, n)
        S(1..n) [s], n the largest of `n_max`; straight between the points of :func:`bayes_sd.forecast.grid.curve_points`.
    """
    n_max = running_cap(predicted, conditions, i)
    points = curve_points(int(n_max.max()), conditions.design.rows["verified"][i])
    service, _ = service_curve(predicted, conditions, i, points[None, :])
    return n_max, service @ straight_between(points, int(n_max.max()))


def steady_state(
    predicted: PredictedCosts,
    conditions: Conditions,
    i: int,
    rate_rps: np.ndarray,
    running: tuple[np.ndarray, np.ndarray],
    work_log_sd: np.ndarray,
) -> tuple[InFlightLaw, np.ndarray, np.ndarray, np.ndarray]:
    """Compute an open loop's steady state, the shape's misfit left out.

    Parameters
    ----------
    predicted, conditions, i
        As in :func:`curve`.
    rate_rps : array, shape (draw,)
    running : (array, array)
        From :func:`running_curve`.
    work_log_sd : array, shape (draw,)
        Spread of requests' work, from :class:`bayes_sd.forecast.spread.RequestSpread`.

    Returns
    -------
    law : InFlightLaw
    latency_s, ttft_s : array, shape (draw,)
        Means [s]; inf without a steady state.
    tails_s : array, shape (draw, level)
    """
    n_max, service = running
    protocol: Protocol = "poisson" if conditions.poisson[i] else "even"
    scv = float(conditions.gap_scv[i])
    law = in_flight_law(service, protocol, rate_rps, n_max, cv_of(work_log_sd), levels=(), gap_scv=scv)
    latency = np.where(law.stable, law.mean_latency_s, np.inf)
    busy = np.clip(np.where(law.stable, law.mean_running, 1.0), 1.0, n_max)
    at, _, first = curve(predicted, conditions, i, busy[:, None])
    ttft = np.where(law.stable, first[:, 0] + np.maximum(latency - at[:, 0], 0.0), np.inf)
    tails = open_loop_tails(predicted, conditions, i, service, law, n_max, work_log_sd, rate_rps)
    return law, latency, ttft, tails


def _open_loop(
    predicted: PredictedCosts,
    conditions: Conditions,
    i: int,
    spread: RequestSpread,
    running: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, ...]:
    """Latency at an arrival rate, from the stationary law of the number in flight."""
    rate = np.full(len(running[0]), conditions.load[i])
    work = spread.work_log_sd(predicted, conditions, i)
    law, latency, ttft, tails = steady_state(predicted, conditions, i, rate, running, work)
    # Near saturation a small error of a cost makes a large one of latency, and runs differ more from one another.
    return latency, ttft, law.mean, amplified(1.0 - rate / law.limit_rps), tails
