"""The universal collapse: measurements on L/C1 = 1/(1 − λC2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.curves import curve
from bayes_sd.forecast.stages import PARTS, stage_parts_s

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.decide.configurations import Configuration
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts
    from bayes_sd.posterior.posterior import Posterior


def collapse(
    posterior: Posterior,
    configurations: list[Configuration],
    cards: Cards | None = None,
    ci: float = 0.9,
    seed: int = 0,
) -> xr.Dataset:
    """Place measurements on the universal curve L/C1 = 1/(1 − λC2).

    Parameters
    ----------
    posterior : Posterior
    configurations : list of Configuration
        With measured rows.
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.
    ci : float
        Probability of the intervals.
    seed : int

    Returns
    -------
    Dataset
        Dim ``measurement``: ``x`` = λ·C2 (load relative to saturation), ``y`` = L/C1 (latency relative to an empty
        server), each with ``_lower`` and ``_upper`` over the posterior of C1 and C2; ``deviation`` = median of
        y·(1 − x) − 1; ``configuration`` (name). λ is the rate of an open loop and N/L of a closed one. C1 and C2 are,
        per draw, the straight line nearest to the service curve between 1 and the configuration's most requests in flight
        (relative least squares); the experts' part is added to C1 at the coverage that the load has.

    Notes
    -----
    Kong et al. 2026 (arXiv:2605.15051). The curve is the limit of even arrivals and many requests in flight, and holds
    exactly for closed loops; under Poisson arrivals y = (1 + C2/C1)/(1 − x).
    """
    import pandas as pd
    import xarray as xr

    frame = pd.concat([c.rows for c in configurations], ignore_index=True)
    names = [c.name for c in configurations for _ in range(len(c.rows))]
    cards = posterior.cards() if cards is None else cards
    conditions = resolve(frame, posterior, cards)
    predicted = costs_for(posterior, conditions, cards, seed)
    latency = frame["latency_s"].to_numpy(dtype=float)
    rate = np.where(conditions.open_loop, conditions.load, conditions.load / latency)
    in_flight = np.maximum(rate * latency, 1.0)
    most = _most_in_flight(names, in_flight)
    x, y = (np.empty((posterior.n_draws, len(frame))) for _ in range(2))
    for i in range(len(frame)):
        c1, c2 = _straight(predicted, conditions, i, in_flight[i], most[i])
        y[:, i], x[:, i] = latency[i] / c1, rate[i] * c2
    tail = (1.0 - ci) / 2.0
    result: dict[str, Any] = {"configuration": (("measurement",), np.array(names, dtype=object))}
    for name, values in (("x", x), ("y", y)):
        low, median, high = np.quantile(values, [tail, 0.5, 1.0 - tail], axis=0)
        result |= {
            name: (("measurement",), median),
            f"{name}_lower": (("measurement",), low),
            f"{name}_upper": (("measurement",), high),
        }
    result["deviation"] = (("measurement",), np.median(y * (1.0 - x) - 1.0, axis=0))
    result["open_loop"] = (("measurement",), conditions.open_loop)
    return xr.Dataset(result, attrs={"ci": ci})


def _most_in_flight(names: list[str], in_flight: np.ndarray) -> np.ndarray:
    """Most requests in flight among the measurements of each one's configuration, shape (measurement,)."""
    own = np.array(names)
    return np.array([in_flight[own == name].max() for name in names])


def _straight(
    predicted: PredictedCosts, conditions: Conditions, i: int, in_flight: float, most: float
) -> tuple[np.ndarray, np.ndarray]:
    """C1 [s] and C2 [s/request] of the line nearest to a condition's service curve, shape (draw,) each."""
    b = np.append(np.geomspace(1.0, max(most, 2.0), 16), in_flight)[None, :]
    service, _, _ = curve(predicted, conditions, i, b)
    experts = np.zeros_like(service)
    if predicted.sparse[i] >= 0:
        experts = stage_parts_s(predicted, conditions, i, b)[list(PARTS).index("verify, experts")]
    target, number = (service - experts)[:, :-1], b[:, :-1]
    weight = service[:, :-1] ** -2
    weight = weight / weight.sum(axis=1, keepdims=True)
    mean_b, mean_s = (
        (weight * number).sum(axis=1, keepdims=True),
        (weight * target).sum(axis=1, keepdims=True),
    )
    slope = (weight * (number - mean_b) * (target - mean_s)).sum(axis=1)
    slope /= (weight * (number - mean_b) ** 2).sum(axis=1)
    off = np.exp(predicted.misfit[:, i])
    return off * (mean_s[:, 0] - slope * mean_b[:, 0] + experts[:, -1]), off * slope
