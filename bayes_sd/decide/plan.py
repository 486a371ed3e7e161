"""Capacity under a latency objective: the rate that one replica holds, the replicas for a rate, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.frame import as_conditions
from bayes_sd.decide.ground import ground_words, rows_behind
from bayes_sd.decide.objective import Objective, read_objective
from bayes_sd.decide.plan_words import plan_caveats, plan_words
from bayes_sd.decide.speedup import quantiles
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.latency import running_curve, steady_state
from bayes_sd.forecast.spread import spread_of_lengths
from bayes_sd.forecast.sweep import Alternative, Prepared, arrivals_of, prepare, requests_words

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

HALVINGS = 14
"""Steps of the search for the highest rate: to 1 part in 16,000 of the stability limit."""
IDLE, FULL = 1e-3, 0.9995
"""Shares of the stability limit between which the highest rate is looked for."""
DRAWS = 2000
MOST_RATE, MOST_PRICE = 1e9, 1e9
"""Requests/s of all replicas, and price of a GPU-hour."""
SECONDS_PER_HOUR = 3600.0
AT_LIMIT = 0.98
"""If the objectives still hold at this share of the stability limit, saturation limits the rate, and not they."""


def plan(
    posterior: Posterior,
    base: pd.DataFrame,
    slo: str | Sequence[str],
    rate_rps: float | None = None,
    *,
    probability: float = 0.9,
    price_per_gpu_hour: float | None = None,
    cards: Cards | None = None,
    seed: int = 0,
    ci: float = 0.9,
) -> xr.Dataset:
    """Find the rate that one replica holds within an objective, and the replicas that a rate needs.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row, an open loop: a speculative server is compared with the same one without speculation.
    slo : str or sequence of str
        Objectives to be held all together, such as ``"p95<2s"``: mean, p50, p95 or p99 of request latency, or ttft (the mean
        time to first token), in s or ms.
    rate_rps : float, optional
        Rate of all replicas together, spread evenly over them [requests/s].
    probability : float
        That promises are kept with, in (0, 1).
    price_per_gpu_hour : float, optional
        In any currency.
    cards : Cards, optional
    seed : int
    ci : float
        Probability of the equal-tailed intervals, in (0, 1).

    Returns
    -------
    Dataset
        Dims ``sample`` (draws; at most about 2,000), ``alternative`` (``none``, and the speculative one if there is one),
        ``quantile`` (lower, 0.5, upper).

        * ``highest_rate`` (sample, alternative) [requests/s]: of one replica within the objectives; 0 in draws where even an
          idle server misses them. ``highest_rate_band`` (quantile, alternative);
        * ``promised_rate`` (alternative) [requests/s]: held with `probability`;
        * ``limit_band`` (quantile, alternative) [requests/s]: stability limit;
        * ``p_infeasible`` (alternative): probability that no rate is held; ``p_saturation`` (alternative): that the
          objectives still hold at 98 % of the stability limit, so that saturation binds;
        * ``idle_ratio_band`` (quantile, alternative): the worst statistic of an idle server over its objective.

        With a rate: ``replicas`` (sample, alternative), inf where infeasible; ``replicas_band``; ``promised_replicas``
        (alternative): enough with `probability`; ``gpus`` (alternative): of them. With a price: ``cost_per_hour`` and
        ``cost_per_million_tokens`` (alternative; output tokens). With two alternatives ``p_more`` (): probability that
        speculation holds the higher rate.

        Attributes: ``slo``, ``probability``, ``rate_rps``, ``gpus_per_replica``, ``deployment``, ``requests``, ``arrivals``,
        ``extrapolates``, ``words`` and ``caveats`` (sentences).

    Raises
    ------
    ConditionError
        If an objective does not parse, or a rate, probability or price is out of range.
    """
    import xarray as xr

    objectives = [read_objective(text) for text in ([slo] if isinstance(slo, str) else slo)]
    check_plan(objectives, rate_rps, probability, price_per_gpu_hour, ci)
    base = as_conditions(base, load_needed=False, posterior=posterior)
    alternatives = [Alternative(0)]
    if base["k"].iloc[0] > 0:
        alternatives.append(Alternative(int(base["k"].iloc[0])))
    thin = max(1, posterior.n_draws // DRAWS)
    prepared = prepare(posterior, base, alternatives, cards, seed, thin)
    searched = [highest_rates(prepared, i, objectives) for i in range(len(alternatives))]
    highest, limit, idle = (np.stack(column, axis=1) for column in zip(*searched, strict=True))
    levels = [(1.0 - ci) / 2.0, 0.5, (1.0 + ci) / 2.0]
    draws, band, each = ("sample", "alternative"), ("quantile", "alternative"), ("alternative",)
    rps = {"units": "requests/s"}
    promised = np.quantile(highest, 1.0 - probability, axis=0, method="inverted_cdf")
    variables: dict[str, Any] = {
        "highest_rate": (draws, highest, rps),
        "highest_rate_band": (band, quantiles(highest, levels), rps),
        "promised_rate": (each, promised, rps),
        "limit_band": (band, quantiles(limit, levels), rps),
        "idle_ratio_band": (band, quantiles(idle, levels)),
        "p_infeasible": (each, (highest == 0.0).mean(axis=0)),
        "p_saturation": (each, (highest > AT_LIMIT * limit).mean(axis=0)),
    }
    if len(alternatives) == 2:
        variables["p_more"] = ((), float((highest[:, 1] > highest[:, 0]).mean()))
    per_replica = int(base["n_gpu"].iloc[0])
    if rate_rps is not None:
        output = float(base["output_tokens"].iloc[0])
        variables |= _replicas(
            highest, rate_rps, probability, levels, per_replica, price_per_gpu_hour, output
        )
    result = xr.Dataset(variables, coords={"alternative": prepared.names, "quantile": levels})
    result.attrs = {
        "slo": ", ".join(map(str, objectives)),
        "probability": probability,
        "ci": ci,
        "rate_rps": rate_rps,
        "gpus_per_replica": per_replica,
        "deployment": prepared.conditions.deployments[0].key,
        "requests": requests_words(prepared),
        "drafter": prepared.conditions.drafter[-1],
        "arrivals": arrivals_of(prepared, None).name,
        "extrapolates": dict(zip(prepared.names, prepared.conditions.extrapolates, strict=True)),
    }

    result.attrs["words"] = [*plan_words(result), ground_words(rows_behind(posterior, prepared, cards))]
    stated = base["output_tokens_std"].notna().iloc[0]
    workload = str(base["workload"].iloc[0])
    result.attrs["caveats"] = plan_caveats(result, None if stated else spread_of_lengths(workload)[0])
    return result


def check_plan(
    objectives: Sequence[Objective],
    rate_rps: float | None,
    probability: float,
    price_per_gpu_hour: float | None,
    ci: float = 0.9,
) -> None:
    """Check the numbers of a plan, before a posterior is asked.

    Parameters
    ----------
    objectives, rate_rps, probability, price_per_gpu_hour, ci
        As for :func:`plan`.

    Raises
    ------
    ConditionError
        If one is missing or out of range.
    """
    rate, price = rate_rps, price_per_gpu_hour
    if not objectives:
        raise ConditionError("no objective: give one, as p95<2s")
    if rate is not None and not 0 < rate <= MOST_RATE:
        raise ConditionError(f"a rate of {rate:g} requests/s: it must be above 0, and at most {MOST_RATE:g}")
    for value, what in ((probability, "probability"), (ci, "ci")):
        if not 0.0 < value < 1.0:
            raise ConditionError(f"a {what} of {value:g}: it must lie between 0 and 1")
    if price is not None and not 0 <= price <= MOST_PRICE:
        raise ConditionError(f"a price of {price:g} per GPU-hour: it must be from 0 to {MOST_PRICE:g}")


def highest_rates(
    prepared: Prepared, i: int, objectives: Sequence[Objective]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the highest rate that an alternative holds within all objectives, per draw, by halving.

    Parameters
    ----------
    prepared : Prepared
    i : int
        Which alternative.
    objectives : sequence of Objective

    Returns
    -------
    highest_rps : array, shape (draw,)
        0 where an idle server misses an objective.
    limit_rps : array, shape (draw,)
        Stability limit.
    idle : array, shape (draw,)
        Worst statistic over its objective, at a thousandth of the limit.
    """
    running = running_curve(prepared.costs, prepared.conditions, i)
    work = prepared.spread.work_log_sd(prepared.costs, prepared.conditions, i)
    misfit = np.exp(prepared.costs.misfit[:, i])
    n_max, service = running
    throughput = np.arange(1, service.shape[1] + 1) / service
    if prepared.conditions.poisson[i]:
        limit = throughput[np.arange(len(n_max)), n_max - 1]
    else:
        limit = np.where(np.arange(1, service.shape[1] + 1) <= n_max[:, None], throughput, 0.0).max(axis=1)

    def worst(rate: np.ndarray) -> np.ndarray:
        _, latency, ttft, tails = steady_state(prepared.costs, prepared.conditions, i, rate, running, work)
        ratios = [o.of(latency * misfit, ttft, tails * misfit[:, None]) for o in objectives]
        return np.max(ratios, axis=0)

    idle = worst(IDLE * limit)
    low, high = np.full(len(limit), IDLE), np.full(len(limit), FULL)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        held = worst(middle * limit) <= 1.0
        low, high = np.where(held, middle, low), np.where(held, high, middle)
    return np.where(idle <= 1.0, low * limit, 0.0), limit, idle


def _replicas(
    highest: np.ndarray,
    rate: float,
    probability: float,
    levels: list[float],
    gpus_per_replica: int,
    price: float | None,
    output_tokens: float,
) -> dict[str, Any]:
    """Replicas for a rate, and what they cost."""
    with np.errstate(divide="ignore"):
        # Slightly less, so that rounding adds no replica where the rate is held exactly.
        replicas = np.ceil(rate / highest * (1.0 - 1e-9))
    promised = np.quantile(replicas, probability, axis=0, method="inverted_cdf")
    each = ("alternative",)
    variables: dict[str, Any] = {
        "replicas": (("sample", "alternative"), replicas),
        "replicas_band": (("quantile", "alternative"), quantiles(replicas, levels)),
        "promised_replicas": (each, promised),
        "gpus": (each, promised * gpus_per_replica),
    }
    if price is not None:
        hourly = promised * gpus_per_replica * price
        tokens = rate * output_tokens * SECONDS_PER_HOUR
        variables["cost_per_hour"] = (each, hourly)
        variables["cost_per_million_tokens"] = (each, hourly / tokens * 1e6)
    return variables
