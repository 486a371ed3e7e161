"""How many workers for prefill and how many for decode: the fewest GPUs that hold an objective with probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.frame import as_conditions
from bayes_sd.decide.objective import read_objective
from bayes_sd.decide.plan import DRAWS, check_plan, highest_rates
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.alternatives import Alternative, prepare
from bayes_sd.forecast.split import prepare_split, split_latency
from bayes_sd.measurements.schema import POOLS

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

MOST_GPUS, LARGEST = 32, 1024
"""GPUs that are looked at by default, and at most."""


def plan_splits(
    posterior: Posterior,
    base: pd.DataFrame,
    slo: str | Sequence[str],
    rate_rps: float,
    *,
    prefill_gpus: int | None = None,
    decode_gpus: int | None = None,
    most_gpus: int = MOST_GPUS,
    probability: float = 0.9,
    cards: Cards | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Find the split of GPUs between prefill and decode workers that holds an objective at a rate.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row: the server as one pool, an open loop. Its draft length is that of the decode workers.
    slo : str or sequence of str
        Objectives, as of :func:`bayes_sd.decide.plan.plan`.
    rate_rps : float
        Of all workers together [requests/s].
    prefill_gpus, decode_gpus : int, optional
        GPUs of one worker of each pool, a tensor-parallel group; the condition's tensor-parallel size by default.
    most_gpus : int
        GPUs of both pools at most.
    probability : float
        That the objective is to be held with, in (0, 1).
    cards : Cards, optional
    seed : int

    Returns
    -------
    Dataset
        Dim ``split``, by GPUs: ``prefill_workers``, ``decode_workers``, ``gpus``, ``p_held`` (probability that all objectives are
        held), ``p_stable``, ``latency_median_s``, ``p95_median_s``, ``ttft_median_s``. Dim ``gpus_used``: ``best_split`` (index of the
        one with the highest ``p_held`` of so many GPUs or fewer), its ``frontier``, and ``one_pool``: the probability with as many
        GPUs as replicas that do both. Attributes: ``chosen`` (index, −1: none), ``one_pool_gpus`` (fewest as one pool; NaN: none),
        ``slo``, ``rate_rps``, ``probability``, ``prefill_gpus``, ``decode_gpus``, ``deployment``, ``words``.

    Raises
    ------
    ConditionError
        If an objective does not parse, a number is out of range, no split has so few GPUs, or arrivals are not Poisson.
    """
    import xarray as xr

    objectives = [read_objective(text) for text in ([slo] if isinstance(slo, str) else slo)]
    check_plan(objectives, rate_rps, probability, None)
    base = as_conditions(base, load_needed=False, posterior=posterior)
    arrivals = str(base["arrivals"].iloc[0])
    if arrivals != "poisson":
        raise ConditionError(
            f"arrivals {arrivals}: the law of two pools under a rate is one of Poisson arrivals (--arrivals poisson)"
        )
    cards = posterior.cards() if cards is None else cards
    own = int(base["tp"].iloc[0])
    sizes = [own if size is None else size for size in (prefill_gpus, decode_gpus)]
    _check(sizes, most_gpus)
    thin = max(1, posterior.n_draws // DRAWS)
    split = prepare_split(posterior, _as_pools(base, *sizes), cards, seed, thin)
    rows = []
    for n_p, n_d in _splits(sizes, most_gpus):
        found = split_latency(split, n_p, n_d, rate_rps)
        ratio = np.max([o.of(found.latency_s, found.ttft_s, found.tails_s) for o in objectives], axis=0)
        finite = np.isfinite(found.latency_s)
        rows.append(
            {
                "prefill_workers": n_p,
                "decode_workers": n_d,
                "gpus": n_p * sizes[0] + n_d * sizes[1],
                "p_held": (ratio <= 1.0).mean(),
                "p_stable": finite.mean(),
                "latency_median_s": np.median(found.latency_s),
                "p95_median_s": np.median(found.tails_s[:, 1]),
                "ttft_median_s": np.median(found.ttft_s),
            }
        )
    table = {name: ("split", np.array([row[name] for row in rows])) for name in rows[0]}
    result = xr.Dataset(table).sortby(["gpus", "prefill_workers"])
    result = result.assign(
        _frontier(result, _one_pool(posterior, base, objectives, rate_rps, cards, seed, thin, most_gpus))
    )
    enough = np.flatnonzero(result["p_held"].to_numpy() >= probability)
    gpus = result["gpus"].to_numpy()
    chosen = (
        max(enough[gpus[enough] == gpus[enough].min()], key=lambda i: result["p_held"].to_numpy()[i])
        if len(enough)
        else -1
    )
    together = np.flatnonzero(result["one_pool"].to_numpy() >= probability)
    result.attrs = {
        "chosen": int(chosen),
        "one_pool_gpus": float(result["gpus_used"].to_numpy()[together[0]])
        if len(together)
        else float("nan"),
        "slo": ", ".join(map(str, objectives)),
        "rate_rps": rate_rps,
        "probability": probability,
        "prefill_gpus": sizes[0],
        "decode_gpus": sizes[1],
        "most_gpus": most_gpus,
        "deployment": split.conditions.deployments[0].key,
        "extrapolates": split.conditions.extrapolates[0],
    }
    return result.assign_attrs(words=split_words(result))


def _check(sizes: list[int], most: int) -> None:
    for size in sizes:
        if size < 1:
            raise ConditionError(f"a worker of {size} GPUs: it has at least one")
    if not sum(sizes) <= most <= LARGEST:
        raise ConditionError(
            f"at most {most} GPUs: give from {sum(sizes)}, one worker of each pool, to {LARGEST} (--most-gpus)"
        )


def _splits(sizes: list[int], most: int) -> list[tuple[int, int]]:
    """All numbers of prefill and decode workers within so many GPUs."""
    return [
        (n_p, n_d)
        for n_p in range(1, (most - sizes[1]) // sizes[0] + 1)
        for n_d in range(1, (most - n_p * sizes[0]) // sizes[1] + 1)
    ]


def _as_pools(base: pd.DataFrame, prefill: int, decode: int) -> pd.DataFrame:
    """Give a condition's server as one worker of each pool."""
    options = str(base["engine_options"].iloc[0] or "") if "engine_options" in base else ""
    pools: dict[str, Any] = dict.fromkeys(POOLS, np.nan) | {
        "prefill_gpus": float(prefill),
        "decode_gpus": float(decode),
        "prefill_workers": 1.0,
        "decode_workers": 1.0,
        "tp": float(decode),
        "n_gpu": float(prefill + decode),
        "engine_options": options
        if "disagg" in options.casefold()
        else " ".join(filter(None, [options, "disaggregated"])),
    }
    return base.assign(**pools)


def _one_pool(
    posterior: Posterior,
    base: pd.DataFrame,
    objectives: Any,
    rate: float,
    cards: Cards,
    seed: int,
    thin: int,
    most: int,
) -> np.ndarray:
    """Probability that 1, 2, ... GPUs hold the objectives as replicas that read and decode, shape (most,)."""
    prepared = prepare(posterior, base, [Alternative(int(base["k"].iloc[0]))], cards, seed, thin)
    highest = highest_rates(prepared, 0, objectives)[0]
    each = int(base["n_gpu"].iloc[0])
    replicas = np.arange(1, most + 1) // each
    return (highest[:, None] * replicas >= rate).mean(axis=0)


def _frontier(result: xr.Dataset, one_pool: np.ndarray) -> dict[str, Any]:
    gpus, held = result["gpus"].to_numpy(), result["p_held"].to_numpy()
    used = np.arange(gpus.min(), len(one_pool) + 1)
    best = np.array([int(np.where(gpus <= n, held, -1.0).argmax()) for n in used])
    return {
        "gpus_used": ("gpus_used", used),
        "best_split": ("gpus_used", best),
        "frontier": ("gpus_used", held[best]),
        "one_pool": ("gpus_used", one_pool[used - 1]),
    }


def split_words(result: xr.Dataset) -> list[str]:
    """Say which split holds the objective with the fewest GPUs, and what one pool takes for it.

    Parameters
    ----------
    result : Dataset
        From :func:`plan_splits`.

    Returns
    -------
    list of str
    """
    about, sure = result.attrs, f"{result.attrs['probability']:.0%}"
    slo, rate, i = about["slo"], about["rate_rps"], about["chosen"]
    if i < 0:
        best = int(result["p_held"].to_numpy().argmax())
        return [
            f"No split of up to {about['most_gpus']} GPUs holds {slo} at {rate:g} requests/s with probability {sure}: the best, "
            f"{_called(result, best)}, does with {float(result['p_held'][best]):.0%}.",
            *_alone(about),
        ]
    return [
        f"{_called(result, i)} ({int(result['gpus'][i])} GPUs) hold {slo} at {rate:g} requests/s with probability "
        f"{float(result['p_held'][i]):.0%}: the fewest GPUs that promise {sure}.",
        *_alone(about),
    ]


def _called(result: xr.Dataset, i: int) -> str:
    n_p, n_d = (int(result[f"{half}_workers"][i]) for half in ("prefill", "decode"))
    return f"{n_p} prefill and {n_d} decode worker{'s' if n_d > 1 else ''}"


def _alone(about: dict[str, Any]) -> list[str]:
    gpus = about["one_pool_gpus"]
    if not np.isfinite(gpus):
        return [f"Replicas that do both hold it with none of up to {about['most_gpus']} GPUs."]
    return [f"Replicas that do both need {gpus:.0f} GPUs for it."]
