"""Latency of conditions, per draw: the service curve, the load protocol, and the noise of a measurement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.coverage import coverage, effective_tokens
from bayes_sd.latency.kernel import kernel_deviation
from bayes_sd.latency.queue import Protocol, in_flight_law
from bayes_sd.latency.service import StageCosts, Work, first_token_s, service_latency_s, step_s
from bayes_sd.model.build import QUEUED_NOISE, smooth_minimum
from bayes_sd.predict.conditions import Conditions, resolve
from bayes_sd.predict.costs import PredictedCosts, costs_for

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.inference.posterior import Posterior

DEFAULT_CAP = 256
"""Cap on running requests where neither the condition nor the cache says one (vLLM's default of max_num_seqs was 256
for years)."""
LARGEST_GRID = 1024
UNSTABLE_SHARE = 0.5
"""A condition is called unstable when at least this share of the draws has no steady state."""


@dataclass(frozen=True)
class Prediction:
    """Draws for conditions.

    Attributes
    ----------
    conditions : Conditions
    latency_s : array, shape (draw, condition)
        Mean latency [s]; inf in draws without a steady state.
    measured_s : array, shape (draw, condition)
        A new measurement of it [s].
    ttft_s : array, shape (draw, condition)
        Mean time to first token [s], waiting included.
    in_flight : array, shape (draw, condition)
        Mean requests in flight, queued ones included.
    stable : array, shape (condition,)
        Probability that there is a steady state.
    """

    conditions: Conditions
    latency_s: np.ndarray
    measured_s: np.ndarray
    ttft_s: np.ndarray
    in_flight: np.ndarray
    stable: np.ndarray

    def to_dataset(self) -> xr.Dataset:
        """Give the draws with names, dims ``sample`` and ``condition``."""
        import xarray as xr

        dims = ("sample", "condition")
        return xr.Dataset(
            {
                "latency": (dims, self.latency_s, {"units": "s"}),
                "measured": (dims, self.measured_s, {"units": "s"}),
                "ttft": (dims, self.ttft_s, {"units": "s"}),
                "in_flight": (dims, self.in_flight, {"units": "requests"}),
                "stable": (("condition",), self.stable),
                "extrapolates": (("condition",), np.array(self.conditions.extrapolates, dtype=object)),
            }
        )


def take(costs: StageCosts, i: int) -> StageCosts:
    """Give one condition's costs with a trailing axis for the number in flight, shape (draw, 1)."""

    def column(value):
        return value[:, [i]] if np.ndim(value) == 2 and value.shape[1] > 1 else np.reshape(value, (-1, 1))

    return StageCosts(**{name: column(getattr(costs, name)) for name in costs.__dataclass_fields__})


def curve(
    found: PredictedCosts, conditions: Conditions, i: int, in_flight: np.ndarray, moe: str = "coverage"
):
    """Compute a condition's service latency, step and time to first token at given numbers in flight.

    Parameters
    ----------
    found : PredictedCosts
    conditions : Conditions
    i : int
        Which condition.
    in_flight : array, broadcastable to (draw, n)
    moe : {"coverage", "dense"}

    Returns
    -------
    service_s, step, first_s : array, shape (draw, n)
        Seconds.
    """
    costs = take(found.costs, i)
    work = Work(
        prompt_tokens=conditions.prompt[i],
        output_tokens=conditions.output[i],
        draft_length=conditions.k[i],
        committed=found.committed[:, [i]],
    )
    n = np.atleast_2d(in_flight)
    covered: np.ndarray | float = 0.0
    if found.n_experts[i] > 0:
        tokens = effective_tokens(n, conditions.k[i], found.routing[:, None])
        covered = 1.0 if moe == "dense" else coverage(tokens, found.n_experts[i], found.top_k_experts[i])
    deviation = kernel_deviation(found.kernel[:, i], n * (conditions.k[i] + 1.0))
    step = step_s(costs, work, n, covered, np.exp(deviation))
    service = service_latency_s(costs, work, n, step)
    return service, step, first_token_s(costs, work, n, step, found.overlap[:, [i]])


def predict(
    posterior: Posterior, frame: pd.DataFrame, cards: Cards | None = None, seed: int = 0, thin: int = 1
) -> Prediction:
    """Predict the latency of conditions.

    Parameters
    ----------
    posterior : Posterior
    frame : DataFrame
        Conditions, with the measurement table's column names.
    cards : Cards, optional
        The shipped ones by default.
    seed : int
        For what the posterior has not seen, and for measurement noise.
    thin : int
        Use every `thin`-th draw.

    Returns
    -------
    Prediction

    Raises
    ------
    CardError, ConditionError
        If a condition names something that nothing is known about.
    """
    if cards is None:
        from bayes_sd.cards import load_cards

        cards = load_cards()
    if thin > 1:
        posterior = replace(posterior, tree=posterior.tree.isel(draw=slice(None, None, thin)))
    conditions = resolve(frame, posterior, cards)
    found = costs_for(posterior, conditions, cards, seed)
    shape = (posterior.n_draws, len(conditions))
    latency, ttft, flight, noise = (np.empty(shape) for _ in range(4))
    stable = np.ones(len(conditions))
    for i in range(len(conditions)):
        one = _open_loop if conditions.open_loop[i] else _closed_loop
        latency[:, i], ttft[:, i], flight[:, i], noise[:, i] = one(found, conditions, i, posterior.spec.moe)
        latency[:, i] *= np.exp(found.misfit[:, i])
        stable[i] = np.isfinite(latency[:, i]).mean()
    rng = np.random.default_rng([seed, 11])
    tails = posterior.spec.priors["noise"]["tails"]
    error = rng.standard_t(tails, size=shape) * found.noise * noise
    return Prediction(conditions, latency, latency * np.exp(error), ttft, flight, stable)


def _closed_loop(found: PredictedCosts, conditions: Conditions, i: int, moe: str):
    """Latency of N clients: S(n)·N/n with n = what the cap and the cache let run."""
    offered = min(conditions.load[i], conditions.cap[i])
    running = smooth_minimum(found.cache_requests[:, [i]], offered)
    service, _, first = curve(found, conditions, i, running, moe)
    latency = service * conditions.load[i] / running
    queued = np.where(running < 0.9 * offered, QUEUED_NOISE, 1.0)
    columns = (latency, first + latency - service, np.full_like(latency, conditions.load[i]), queued)
    return tuple(column[:, 0] for column in columns)


def _open_loop(found: PredictedCosts, conditions: Conditions, i: int, moe: str):
    """Latency at an arrival rate, from the stationary law of the number in flight."""
    cap = conditions.cap[i] if np.isfinite(conditions.cap[i]) else DEFAULT_CAP
    held = np.floor(np.clip(found.cache_requests[:, i], 1, None))
    n_max = np.minimum(held, min(cap, LARGEST_GRID)).astype(int)
    grid = np.arange(1.0, n_max.max() + 1)
    service, _, _ = curve(found, conditions, i, grid[None, :], moe)
    protocol: Protocol = "poisson" if conditions.poisson[i] else "even"
    law = in_flight_law(service, protocol, np.full(len(n_max), conditions.load[i]), n_max)
    latency = np.where(law.stable, law.mean_latency_s, np.inf)
    running = np.clip(np.where(law.stable, law.mean_running, 1.0), 1.0, n_max)
    at, _, first = curve(found, conditions, i, running[:, None], moe)
    ttft = np.where(law.stable, first[:, 0] + np.maximum(latency - at[:, 0], 0.0), np.inf)
    # Near saturation a small error of a cost is a large one of latency, and so is a run's luck.
    headroom = np.clip(1.0 - conditions.load[i] / law.limit_rps, 0.1, 1.0)
    return latency, ttft, law.mean, 1.0 / np.sqrt(headroom)


def summarise(prediction: Prediction, ci: float = 0.9) -> pd.DataFrame:
    """Summarise draws: the conditions in order, with means, medians and intervals.

    Parameters
    ----------
    prediction : Prediction
    ci : float
        Probability of the (equal-tailed) intervals, in (0, 1).

    Returns
    -------
    DataFrame
        The conditions' columns, then ``latency_mean_s, latency_median_s, latency_lower_s, latency_upper_s`` (the mean
        latency), ``predictive_lower_s, predictive_upper_s`` (a new measurement), ``ttft_median_s, in_flight_mean,
        stable, probability_stable, extrapolates``. Latencies of an unstable condition are blank.
    """
    tail = (1.0 - ci) / 2.0
    latency, measured = prediction.latency_s, prediction.measured_s
    stable = prediction.stable > 1.0 - UNSTABLE_SHARE
    with np.errstate(invalid="ignore"):
        lower, median, upper = np.quantile(latency, [tail, 0.5, 1.0 - tail], axis=0, method="inverted_cdf")
        low, high = np.quantile(measured, [tail, 1.0 - tail], axis=0, method="inverted_cdf")
        finite = np.isfinite(latency)
        total = np.where(finite, latency, 0.0).sum(axis=0)
        mean = np.divide(total, finite.sum(axis=0), out=np.full(len(total), np.nan), where=finite.any(axis=0))
        flight = np.where(np.isfinite(prediction.in_flight), prediction.in_flight, np.nan)
    columns = {
        "latency_mean_s": mean,
        "latency_median_s": median,
        "latency_lower_s": lower,
        "latency_upper_s": upper,
        "predictive_lower_s": low,
        "predictive_upper_s": high,
        "ttft_median_s": np.quantile(prediction.ttft_s, 0.5, axis=0, method="inverted_cdf"),
        "in_flight_mean": np.array([np.nanmean(c) if np.isfinite(c).any() else np.nan for c in flight.T]),
    }
    drop = [c for c in ("file", "row", "latency_s", "latency_statistic") if c in prediction.conditions.frame]
    result = prediction.conditions.frame.drop(columns=drop).reset_index(drop=True)
    for name, values in columns.items():
        result[name] = np.where(stable, values, np.nan)
    result["stable"] = stable
    result["probability_stable"] = prediction.stable
    result["extrapolates"] = prediction.conditions.extrapolates
    return result
