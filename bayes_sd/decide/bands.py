"""Latency over load: posterior predictive bands, measured points, and latency by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.frame import as_conditions
from bayes_sd.decide.configurations import Configuration, one_configuration
from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.stages import STAGES, stage_latency_s
from bayes_sd.forecast.summary import UNSTABLE_SHARE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

N_LOADS = 17
DRAWS = 500
"""Draws used, evenly spaced over all. The Monte Carlo error of a 5 % quantile is then 1 percentage point."""


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
    configuration: Configuration | Any,
    cards: Cards | None = None,
    loads: np.ndarray | None = None,
    ci: float = 0.9,
    seed: int = 0,
) -> xr.Dataset:
    """Predict latency over load for one configuration, with where the time goes.

    Parameters
    ----------
    posterior : Posterior
        Thin it first (:func:`bayes_sd.forecast.mixture.thinned`) if it is large.
    configuration : Configuration, or DataFrame or mapping
        A measured one, or conditions that differ in load only (:func:`bayes_sd.condition.as_conditions`).
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.
    loads : array, shape (load,), optional
        Requests in flight or requests/s; from light to the heaviest measured by default.
    ci : float
        Probability of the equal-tailed intervals, in (0, 1).
    seed : int
        For what the posterior has not seen, and for measurement noise.

    Returns
    -------
    Dataset
        Dims ``load``, ``stage`` (:data:`~bayes_sd.forecast.stages.STAGES`) and ``measurement``. Per load:
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
        If the configuration names something that nothing is known about, or conditions differ in more than load.
    """
    import xarray as xr

    cards = posterior.cards() if cards is None else cards
    if not isinstance(configuration, Configuration):
        configuration = one_configuration(as_conditions(configuration, posterior=posterior), cards)
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
    variables: dict[str, Any] = {name: (("load",), values) for name, values in per_load.items()}
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
    """Quantiles over draws; a draw without a steady state counts as longest. NaN where not kept, or infinite."""
    quantiles = np.quantile(draws, levels, axis=0, method="inverted_cdf")
    return np.where(keep & np.isfinite(quantiles), quantiles, np.nan)


def _split(
    posterior: Posterior, frame: pd.DataFrame, cards: Cards, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Latency by stage and requests running, shapes (draw, load, stage) and (draw, load)."""
    conditions = resolve(frame, posterior, cards)
    predicted = costs_for(posterior, conditions, cards, seed)
    pieces = [stage_latency_s(predicted, conditions, i) for i in range(len(frame))]
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


def _measured(posterior: Posterior, configuration: Configuration, cards: Cards, seed: int) -> dict[str, Any]:
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
