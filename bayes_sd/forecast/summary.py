"""Predictions in a table: medians and intervals of the draws, one row a condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.tails import LEVELS
from bayes_sd.measurements.latency import LATENCY

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.forecast.prediction import Prediction

NEW_BOUNDS = ("predictive_lower_s", "predictive_upper_s")
"""Columns of the interval of a new measurement."""
UNSTABLE_SHARE = 0.5
"""A condition is called unstable when at least this share of the draws has no steady state."""


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
        latency), ``predictive_lower_s, predictive_upper_s`` (a new measurement), ``latency_p50_s, latency_p95_s,
        latency_p99_s`` (percentiles of single requests: posterior medians) each followed by ``_lower_s`` and ``_upper_s``,
        ``ttft_median_s, in_flight_mean, stable, probability_stable, extrapolates, assumed``. Latencies of an unstable condition
        are blank.
    """
    tail = (1.0 - ci) / 2.0
    latency, measured = prediction.latency_s, prediction.measured_s
    stable = prediction.stable > 1.0 - UNSTABLE_SHARE
    with np.errstate(invalid="ignore"):
        lower, median, upper = np.quantile(latency, [tail, 0.5, 1.0 - tail], axis=0, method="inverted_cdf")
        finite = np.isfinite(latency)
        total = np.where(finite, latency, 0.0).sum(axis=0)
        mean = np.divide(total, finite.sum(axis=0), out=np.full(len(total), np.nan), where=finite.any(axis=0))
        flight = np.where(np.isfinite(prediction.in_flight), prediction.in_flight, np.nan)
    columns = {
        "latency_mean_s": mean,
        "latency_median_s": median,
        "latency_lower_s": lower,
        "latency_upper_s": upper,
        **dict(zip(NEW_BOUNDS, bounds_of_new(measured, ci), strict=True)),
        **_tail_columns(prediction.tails_s, [0.5, tail, 1.0 - tail]),
        "ttft_median_s": np.quantile(prediction.ttft_s, 0.5, axis=0, method="inverted_cdf"),
        "in_flight_mean": np.array([np.nanmean(c) if np.isfinite(c).any() else np.nan for c in flight.T]),
    }
    drop = [c for c in ("file", "row", *LATENCY) if c in prediction.conditions.frame]
    result = prediction.conditions.frame.drop(columns=drop).reset_index(drop=True)
    for name, values in columns.items():
        result[name] = np.where(stable, values, np.nan)
    result["stable"] = stable
    result["probability_stable"] = prediction.stable
    result["extrapolates"] = prediction.conditions.extrapolates
    result["assumed"] = prediction.conditions.assumed
    return result


def bounds_of_new(measured_s: np.ndarray, ci: float) -> np.ndarray:
    """Give the ends of the interval of new measurements, shape (2, condition) [s], from draws of shape (draw, condition)."""
    tail = (1.0 - ci) / 2.0
    with np.errstate(invalid="ignore"):
        ends: np.ndarray = np.quantile(measured_s, [tail, 1.0 - tail], axis=0, method="inverted_cdf")
    return ends


def _tail_columns(tails_s: np.ndarray, probabilities: list[float]) -> dict[str, np.ndarray]:
    """Median and interval of each percentile, shape (condition,) [s]."""
    with np.errstate(invalid="ignore"):
        levels = np.quantile(tails_s, probabilities, axis=0, method="inverted_cdf")
    return {
        f"latency_p{level * 100:.0f}{end}_s": levels[j, :, column]
        for column, level in enumerate(LEVELS)
        for j, end in enumerate(("", "_lower", "_upper"))
    }
