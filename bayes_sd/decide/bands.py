"""Latency over load: posterior predictive bands, measured points, the universal collapse, and latency by stage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.predict.conditions import resolve
from bayes_sd.predict.costs import costs_for
from bayes_sd.predict.latency import curve, predict
from bayes_sd.predict.stages import PARTS, STAGES, stage_latency_s, stage_parts_s
from bayes_sd.predict.summary import UNSTABLE_SHARE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.decide.configurations import Configuration
    from bayes_sd.inference.posterior import Posterior
    from bayes_sd.predict.conditions import Conditions
    from bayes_sd.predict.costs import PredictedCosts

N_LOADS = 17
DRAWS = 500
"""Draws used, evenly spaced over all. The Monte Carlo error of a 5 % quantile is then 1 percentage point."""


def thinned(posterior: Posterior, n: int = DRAWS) -> Posterior:
    """Give a posterior of about `n` draws, evenly spaced.

    Parameters
    ----------
    posterior : Posterior
    n : int
        Draws over all chains.

    Returns
    -------
    Posterior
    """
    step = max(1, posterior.n_draws // n)
    return replace(posterior, tree=posterior.tree.isel(draw=slice(None, None, step)))


def loads_for(configuration: Configuration, n: int = N_LOADS) -> np.ndarray:
    """Choose loads from light to the heaviest measured.

    Parameters
    ----------
    configuration : Configuration
    n : int
        How many at most.

    Returns
    -------
    array, shape (load,)
        Requests in flight (closed loop, whole numbers) or requests/s, rising.
    """
    measured = configuration.rows["load_value"].to_numpy(dtype=float)
    if configuration.rows["load_kind"].iloc[0] == "concurrency":
        return np.unique(np.round(np.geomspace(1.0, max(measured.max(), 8.0), n)))
    return np.linspace(measured.min() / 4.0, 1.1 * measured.max(), n)


def latency_bands(
    posterior: Posterior,
    configuration: Configuration,
    cards: Cards,
    loads: np.ndarray | None = None,
    ci: float = 0.9,
    seed: int = 0,
) -> xr.Dataset:
    """Predict latency over load for one configuration, with where the time goes.

    Parameters
    ----------
    posterior : Posterior
        Thin it first (:func:`thinned`) if it is large.
    configuration : Configuration
    cards : Cards
    loads : array, shape (load,), optional
        Requests in flight or requests/s; from light to the heaviest measured by default.
    ci : float
        Probability of the equal-tailed intervals, in (0, 1).
    seed : int
        For what the posterior has not seen, and for measurement noise.

    Returns
    -------
    Dataset
        Dims ``load``, ``stage`` (:data:`~bayes_sd.predict.stages.STAGES`) and ``measurement``. Per load:
        ``latency_median, latency_lower, latency_upper`` (the mean latency), ``predictive_lower, predictive_upper`` (a new
        measurement of it) [s]; ``running`` (effective batch size: mean requests running, median over draws),
        ``running_lower, running_upper``; ``in_flight`` (queued ones included); ``probability_stable``; ``extrapolates``
        (words, empty if nothing). Per load and stage: ``stage_s`` (mean seconds of a request, posterior mean; they add up),
        ``stage_lower, stage_upper`` and ``stage_share``. Latencies are NaN where no steady state is likely. Per
        measurement: ``measured_load, measured_s`` and ``tail`` (where it fell in the predictive law for its own run,
        0 to 1). Attributes: ``deployment, label, ci, load_unit, open_loop``.

    Raises
    ------
    CardError, ConditionError
        If the configuration names something that nothing is known about.
    """
    import xarray as xr

    loads = loads_for(configuration) if loads is None else np.asarray(loads, dtype=float)
    frame = _at_loads(configuration.condition, loads)
    prediction = predict(posterior, frame, cards, seed)
    stable = prediction.stable > 1.0 - UNSTABLE_SHARE
    tail = (1.0 - ci) / 2.0
    levels = [tail, 0.5, 1.0 - tail]
    low, median, high = _quantiles(prediction.latency_s, levels, stable)
    below, _, above = _quantiles(prediction.measured_s, levels, stable)
    split, running = _split(posterior, frame, cards, seed)
    mean, stage_low, stage_high = _stage_summary(split, tail, stable)
    b_low, b_median, b_high = _quantiles(np.where(np.isnan(running), np.inf, running), levels, stable)
    in_flight, _, _ = _quantiles(prediction.in_flight, [0.5, 0.5, 0.5], stable)
    total = mean.sum(axis=1, keepdims=True)
    per_load = {
        "latency_median": median,
        "latency_lower": low,
        "latency_upper": high,
        "predictive_lower": below,
        "predictive_upper": above,
        "running": b_median,
        "running_lower": b_low,
        "running_upper": b_high,
        "in_flight": in_flight,
        "probability_stable": prediction.stable,
        "extrapolates": np.array(prediction.conditions.extrapolates, dtype=object),
    }
    per_stage = {
        "stage_s": mean,
        "stage_lower": stage_low,
        "stage_upper": stage_high,
        "stage_share": mean / total,
    }
    variables: dict = {name: (("load",), values) for name, values in per_load.items()}
    variables |= {name: (("load", "stage"), values) for name, values in per_stage.items()}
    variables |= _measured(posterior, configuration, cards, seed)
    open_loop = configuration.condition["load_kind"].iloc[0] == "rate"
    attributes = {
        "deployment": configuration.deployment,
        "label": configuration.label,
        "ci": ci,
        "load_unit": "requests/s" if open_loop else "requests in flight",
        "open_loop": int(open_loop),
    }
    return xr.Dataset(variables, coords={"load": loads, "stage": list(STAGES)}, attrs=attributes)


def collapse(
    posterior: Posterior, configurations: list[Configuration], cards: Cards, ci: float = 0.9, seed: int = 0
) -> xr.Dataset:
    """Place measurements on the universal curve L/C1 = 1/(1 − λC2).

    Parameters
    ----------
    posterior : Posterior
    configurations : list of Configuration
        With measured rows.
    cards : Cards
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
    conditions = resolve(frame, posterior, cards)
    found = costs_for(posterior, conditions, cards, seed)
    latency = frame["latency_s"].to_numpy(dtype=float)
    rate = np.where(conditions.open_loop, conditions.load, conditions.load / latency)
    in_flight = np.maximum(rate * latency, 1.0)
    most = _most_in_flight(names, in_flight)
    x, y = (np.empty((posterior.n_draws, len(frame))) for _ in range(2))
    for i in range(len(frame)):
        c1, c2 = _straight(found, conditions, i, in_flight[i], most[i], posterior.spec.moe)
        y[:, i], x[:, i] = latency[i] / c1, rate[i] * c2
    tail = (1.0 - ci) / 2.0
    result: dict = {"configuration": (("measurement",), np.array(names, dtype=object))}
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
    found: PredictedCosts, conditions: Conditions, i: int, in_flight: float, most: float, moe: str
) -> tuple[np.ndarray, np.ndarray]:
    """C1 [s] and C2 [s/request] of the line nearest to a condition's service curve, shape (draw,) each."""
    b = np.append(np.geomspace(1.0, max(most, 2.0), 16), in_flight)[None, :]
    service, _, _ = curve(found, conditions, i, b, moe)
    experts = np.zeros_like(service)
    if found.n_experts[i] > 0:
        experts = stage_parts_s(found, conditions, i, b, moe)[list(PARTS).index("verify, experts")]
    target, number = (service - experts)[:, :-1], b[:, :-1]
    weight = service[:, :-1] ** -2
    weight = weight / weight.sum(axis=1, keepdims=True)
    mean_b, mean_s = (
        (weight * number).sum(axis=1, keepdims=True),
        (weight * target).sum(axis=1, keepdims=True),
    )
    slope = (weight * (number - mean_b) * (target - mean_s)).sum(axis=1)
    slope /= (weight * (number - mean_b) ** 2).sum(axis=1)
    off = np.exp(found.misfit[:, i])
    return off * (mean_s[:, 0] - slope * mean_b[:, 0] + experts[:, -1]), off * slope


def bands_table(bands: xr.Dataset) -> pd.DataFrame:
    """Write bands as the table that an operator watches: one row a load.

    Parameters
    ----------
    bands : Dataset
        From :func:`latency_bands`.

    Returns
    -------
    DataFrame
        Latency with its intervals, effective batch size, and seconds and share of each stage; units in the names.
    """
    import pandas as pd

    table = pd.DataFrame(
        {"deployment": bands.attrs["deployment"], "configuration": bands.attrs["label"]},
        index=range(bands.sizes["load"]),
    )
    table["load"] = bands["load"].to_numpy()
    table["load_unit"] = bands.attrs["load_unit"]
    renamed = {
        "latency_median": "latency_median_s",
        "latency_lower": "latency_lower_s",
        "latency_upper": "latency_upper_s",
        "predictive_lower": "predictive_lower_s",
        "predictive_upper": "predictive_upper_s",
        "running": "effective_batch",
        "running_lower": "effective_batch_lower",
        "running_upper": "effective_batch_upper",
        "in_flight": "in_flight",
        "probability_stable": "probability_stable",
    }
    for name, column in renamed.items():
        table[column] = bands[name].to_numpy()
    for stage in bands["stage"].to_numpy():
        short = str(stage).replace(", ", "_").replace("-", "_").replace(" ", "_")
        table[f"{short}_s"] = bands["stage_s"].sel(stage=stage).to_numpy()
        table[f"{short}_share"] = bands["stage_share"].sel(stage=stage).to_numpy()
    table["extrapolates"] = bands["extrapolates"].to_numpy()
    return table


def _at_loads(condition: pd.DataFrame, loads: np.ndarray) -> pd.DataFrame:
    return condition.iloc[[0] * len(loads)].reset_index(drop=True).assign(load_value=loads)


def _quantiles(draws: np.ndarray, levels: list[float], keep: np.ndarray) -> np.ndarray:
    """Quantiles over draws, infinite ones counted as long; NaN where not to be kept or infinite."""
    found = np.quantile(draws, levels, axis=0, method="inverted_cdf")
    return np.where(keep & np.isfinite(found), found, np.nan)


def _split(
    posterior: Posterior, frame: pd.DataFrame, cards: Cards, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Latency by stage and requests running, shapes (draw, load, stage) and (draw, load)."""
    conditions = resolve(frame, posterior, cards)
    found = costs_for(posterior, conditions, cards, seed)
    pieces = [stage_latency_s(found, conditions, i, posterior.spec.moe) for i in range(len(frame))]
    return np.stack([p[0] for p in pieces], axis=1), np.stack([p[1] for p in pieces], axis=1)


def _stage_summary(split: np.ndarray, tail: float, stable: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and interval per stage over draws with a steady state, shape (load, stage) each."""
    shape = split.shape[1:]
    mean, low, high = (np.full(shape, np.nan) for _ in range(3))
    for i in np.flatnonzero(stable):
        kept = split[np.isfinite(split[:, i]).all(axis=1), i]
        mean[i] = kept.mean(axis=0)
        low[i], high[i] = np.quantile(kept, [tail, 1.0 - tail], axis=0)
    return mean, low, high


def _measured(posterior: Posterior, configuration: Configuration, cards: Cards, seed: int) -> dict:
    """Measured points, and where each fell among predictions for it, with the acceptance of its own run."""
    rows = configuration.rows
    if "latency_s" not in rows:
        empty = np.empty(0)
        return dict.fromkeys(("measured_load", "measured_s", "tail"), (("measurement",), empty))
    measured = rows["latency_s"].to_numpy(dtype=float)
    draws = predict(posterior, rows, cards, seed).measured_s
    return {
        "measured_load": (("measurement",), rows["load_value"].to_numpy(dtype=float)),
        "measured_s": (("measurement",), measured),
        "tail": (("measurement",), np.mean(draws <= measured, axis=0)),
    }
