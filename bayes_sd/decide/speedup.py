"""Does speculation help at this load? Posterior speedup, break-even load, and why.

Speedup is latency without speculation over latency with it, draw by draw: in one draw both servers have the same
deployment, the same kernels and the same requests, so the ratio is known far better than either latency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.frame import as_conditions
from bayes_sd.decide.break_even import VERDICTS, break_even_loads
from bayes_sd.decide.caveats import caveats
from bayes_sd.decide.ground import ground_words, rows_behind
from bayes_sd.decide.speedup_words import speedup_words
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.curves import service_curve
from bayes_sd.forecast.latency import running_cap
from bayes_sd.forecast.sweep import Alternative, LoadAxis, Prepared, prepare, stability_limits, sweep

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

N_LOADS = 50
N_SEARCH = 80
"""Loads at which a break-even is looked for, besides those asked for."""
REGIMES = {
    "fades": "helps at low load and less as load grows: a request alone is cheaper, each further one dearer",
    "helps throughout": "helps at every load: a request alone is cheaper, and each further one no dearer",
    "never helps": "helps at no load: a request alone is dearer, and so is each further one",
    "helps late": "helps only at high load: a request alone is dearer, each further one cheaper",
}
"""Regimes of (C1_R, C2_R), in words."""
LEAST_DEFINED = 0.5
"""A band is blank where fewer than this share of the draws have a server with a steady state."""


def speedup(
    posterior: Posterior,
    base: pd.DataFrame,
    loads: Any = None,
    axis: LoadAxis = "rate",
    *,
    arrivals: str | None = None,
    ci: float = 0.9,
    cards: Cards | None = None,
    seed: int = 0,
    thin: int = 1,
) -> xr.Dataset:
    r"""Compute the posterior speedup of speculation over load, and where it breaks even.

    Definitions, alike for every service curve (Kong et al. 2026, arXiv:2605.15051, have a straight one):
    C1 = S(1), the latency of a request that meets no other, which is the open loop's limit at zero load; and
    C2 = (S(n) − S(1))/(n − 1), the mean slope of the service curve up to the cap n that both servers can run. For a
    straight curve C2 is that of :func:`bayes_sd.latency.service.linear_coefficients` and C1 is its C1 + C2, with which the
    latency under Poisson arrivals is exactly C1/(1 − λC2), the paper's form. With D the server without speculation,
    r = λ·C2_D and ratios R = speculative/D, the paper's speedup is (1/C1_R)·[1 + (1 − C2_R)·r/(1 − r)]; what is reported
    over load is not this formula but the ratio of the two servers' latencies, kernels' steps and queueing included.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row: the speculative server (``method``, ``drafter``, ``k``); the other one is the same without speculation.
    loads : array, optional
        Where to report it. By default 50 loads up to the larger median stability limit of the two servers, or, in flight,
        whole numbers up to the cap.
    axis : {"rate", "in-flight", "utilisation"}
        What loads are, see :func:`bayes_sd.forecast.sweep.sweep`.
    arrivals : str, optional
        Of an open loop; the base condition's by default.
    ci : float
        Probability of the (equal-tailed) bands, in (0, 1).
    cards : Cards, optional
    seed : int
    thin : int
        Use every `thin`-th draw.

    Returns
    -------
    Dataset
        Dims ``sample`` (draws), ``load``, ``alternative`` (2: ``none`` and the speculative one), ``quantile`` (3: lower,
        0.5, upper), ``verdict`` and ``regime`` (names). Variables over load:

        * ``speedup`` (sample, load): 0 where only the speculative server has no steady state, inf where only the other has
          none, NaN where neither has one;
        * ``speedup_band`` (quantile, load): over the draws where it is defined, NaN where fewer than half are;
        * ``p_faster`` (load): P(speedup > 1), likewise; ``p_defined`` (load): share of draws where it is defined;
        * ``latency_band`` (quantile, alternative, load) [s] and ``p_stable`` (alternative, load);
        * ``in_flight_band`` (quantile, alternative, load) [requests].

        Break-even, searched on a grid of its own up to the larger stability limit (in flight: up to the cap):

        * ``break_even`` (sample): load above which speculation stops helping, the first if there are several; NaN in
          draws where there is none. In units of the load axis;
        * ``break_even_band`` (quantile): over the draws that have one, NaN if fewer than 1 in 100 do;
        * ``p_verdict`` (verdict): probabilities that speculation helps at no load (``never``), below a break-even
          (``below``), only above one (``above``), or at all loads (``always``);
        * ``p_several`` : probability that the speedup crosses 1 more than once.

        Per draw: ``zero_load_speedup`` (sample) = 1/C1_R, ``c1_ratio``, ``c2_ratio`` (sample), ``c1`` [s], ``c2``
        [s/request] (sample, alternative), ``committed`` (sample) [tokens/cycle], ``limit`` (sample, alternative)
        [requests/s]; ``p_regime`` (regime): of the four signs of (C1_R − 1, C2_R − 1), words in :data:`REGIMES`.

        Attributes: those of :func:`bayes_sd.forecast.sweep.sweep`, ``k``, ``drafter``, ``ci``, ``extrapolates``,
        ``answer`` and ``caveats`` (lists of sentences).

    Raises
    ------
    ConditionError
        If the base condition does not speculate, or a load is not above 0.
    CardError
        If it names something that nothing is known about.
    """
    base = as_conditions(base, load_needed=False, posterior=posterior)
    k = base["k"].iloc[0]
    if not k > 0:
        raise ConditionError(
            "the condition does not speculate: give method, drafter and k (--method, --drafter, --k) of the speculation to judge"
        )
    check_band(ci)
    levels = band_levels(ci)
    prepared = prepare(posterior, base, [Alternative(0), Alternative(int(k))], cards, seed, thin)
    limits = stability_limits(prepared)
    if loads is None:
        loads = default_loads(prepared, limits, axis)
    shown = sweep(prepared, loads, axis, arrivals, ttft=False)
    search = sweep(prepared, _search_loads(prepared, limits, axis), axis, arrivals, ttft=False)
    result = shown[["committed"]].isel(alternative=1, drop=True)
    result["limit"] = (("sample", "alternative"), limits, {"units": "requests/s"})
    result = result.assign(_over_load(shown, levels)).assign(_break_even(search, levels))
    result = result.assign(_ratios(prepared))
    result.attrs = shown.attrs | {
        "k": int(k),
        "drafter": prepared.conditions.drafter[1],
        "ci": ci,
        "extrapolates": prepared.conditions.extrapolates[1],
        "caveats": caveats(posterior, prepared, shown),
    }
    result.attrs["answer"] = [*speedup_words(result), ground_words(rows_behind(posterior, prepared, cards))]
    return result


def default_loads(
    prepared: Prepared, limits: np.ndarray, axis: LoadAxis = "rate", n: int = N_LOADS
) -> np.ndarray:
    """Choose loads from nearly idle to saturated.

    Parameters
    ----------
    prepared : Prepared
    limits : array, shape (sample, alternative)
        Stability limits [requests/s].
    axis : {"rate", "in-flight", "utilisation"}
    n : int
        How many, at most.

    Returns
    -------
    array, shape (load,)
        Rising, in units of the axis.
    """
    medians = np.median(limits, axis=0)
    plain = prepared.plain or 0
    if axis == "in-flight":
        cap = np.median(running_cap(prepared.costs, prepared.conditions, plain))
        return np.unique(np.round(np.geomspace(1.0, cap, n)))
    # At the stability limit itself half of the draws have no finite latency.
    share = np.linspace(1.0 / n, 1.0, n) * 0.98 * medians.max()
    return share / medians[plain] if axis == "utilisation" else share


def _search_loads(prepared: Prepared, limits: np.ndarray, axis: LoadAxis) -> np.ndarray:
    if axis == "in-flight":
        return default_loads(prepared, limits, axis, N_SEARCH)
    # Some draws saturate at a higher load than the median does.
    top = np.quantile(limits.max(axis=1), 0.995)
    rates = np.concatenate([np.geomspace(0.002, 0.1, 16)[:-1], np.linspace(0.1, 1.0, N_SEARCH - 15)]) * top
    return rates / np.median(limits[:, prepared.plain or 0]) if axis == "utilisation" else rates


def _over_load(shown: xr.Dataset, levels: list[float]) -> dict[str, Any]:
    latency = shown["latency"].to_numpy()
    ratio = ratio_of(latency[:, 0], latency[:, 1])
    defined = ~np.isnan(ratio)
    share = defined.mean(axis=0)
    blank = share < LEAST_DEFINED
    faster = np.divide(
        (ratio > 1.0).sum(axis=0), defined.sum(axis=0), where=~blank, out=np.full(len(share), np.nan)
    )
    band = np.full((3, len(share)), np.nan)
    for i in np.flatnonzero(~blank):
        band[:, i] = quantiles(ratio[defined[:, i], i], levels)
    return {
        "quantile": levels,
        "load": shown["load"],
        "alternative": shown["alternative"],
        "speedup": (("sample", "load"), ratio),
        "speedup_band": (("quantile", "load"), band),
        "p_faster": (("load",), faster),
        "p_defined": (("load",), share),
        "latency_band": (("quantile", "alternative", "load"), quantiles(latency, levels), {"units": "s"}),
        "in_flight_band": (
            ("quantile", "alternative", "load"),
            quantiles(shown["in_flight"].to_numpy(), levels),
            {"units": "requests"},
        ),
        "p_stable": (("alternative", "load"), shown["stable"].to_numpy().mean(axis=0)),
    }


def check_band(ci: float) -> None:
    """Refuse a probability of a band that is none.

    Raises
    ------
    ConditionError
        If it is not between 0 and 1.
    """
    if not 0.0 < ci < 1.0:
        raise ConditionError(f"a band of probability {ci:g}: it must lie between 0 and 1")


def band_levels(ci: float) -> list[float]:
    """Give the levels of a band's lower end, median and upper end."""
    return [(1.0 - ci) / 2.0, 0.5, (1.0 + ci) / 2.0]


def quantiles(values: np.ndarray, levels: list[float]) -> np.ndarray:
    """Give quantiles over the first axis, each one of the draws: a mean of a finite and an infinite one is none.

    Parameters
    ----------
    values : array, shape (sample, ...)
    levels : list of float

    Returns
    -------
    array, shape (quantile, ...)
    """
    return np.quantile(values, levels, axis=0, method="inverted_cdf")


def ratio_of(plain_s: np.ndarray, speculative_s: np.ndarray) -> np.ndarray:
    """Give the speedup, with infinite latencies in their right place: 0, inf, or NaN where both are.

    Parameters
    ----------
    plain_s, speculative_s : array
        Mean latencies [s].

    Returns
    -------
    array
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(plain_s / speculative_s)


def _break_even(search: xr.Dataset, levels: list[float]) -> dict[str, Any]:
    loads, latency = search["load"].to_numpy(), search["latency"].to_numpy()
    crossing, verdict, n_crossings = break_even_loads(loads, latency[:, 0], latency[:, 1])
    has = np.isfinite(crossing)
    band = quantiles(crossing[has], levels) if has.mean() >= 0.01 else np.full(3, np.nan)
    units = {"units": search.attrs["load_units"]}
    return {
        "break_even": (("sample",), crossing, units),
        "break_even_band": (("quantile",), band, units),
        "verdict": list(VERDICTS),
        "p_verdict": (("verdict",), np.bincount(verdict, minlength=len(VERDICTS)) / len(verdict)),
        "p_several": ((), float(np.mean(n_crossings > 1))),
    }


def _ratios(prepared: Prepared) -> dict[str, Any]:
    c1, c2 = cost_coefficients(prepared)
    first, second = c1[:, 1] / c1[:, 0], c2[:, 1] / c2[:, 0]
    code = np.select([(first < 1) & (second > 1), first < 1, second >= 1], [0, 1, 2], default=3)
    dims = ("sample", "alternative")
    return {
        "c1": (dims, c1, {"units": "s"}),
        "c2": (dims, c2, {"units": "s/request"}),
        "c1_ratio": (("sample",), first),
        "c2_ratio": (("sample",), second),
        "zero_load_speedup": (("sample",), 1.0 / first),
        "regime": list(REGIMES),
        "p_regime": (("regime",), np.bincount(code, minlength=len(REGIMES)) / len(code)),
    }


def cost_coefficients(prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Compute C1 = S(1) and C2 = (S(n) − S(1))/(n − 1), with n the smallest cap of the alternatives.

    Parameters
    ----------
    prepared : Prepared

    Returns
    -------
    c1_s, c2_s : array, shape (sample, alternative)
        Seconds, and seconds per request; each shape's misfit included.
    """
    many = range(len(prepared.alternatives))
    costs, conditions = prepared.costs, prepared.conditions
    n = np.min([running_cap(costs, conditions, i) for i in many], axis=0)
    n = np.maximum(n, 2).astype(float)
    ends = np.stack([np.ones_like(n), n], axis=1)
    service = np.stack([service_curve(costs, conditions, i, ends)[0] for i in many], axis=1)
    service = service * np.exp(costs.misfit)[:, :, None]
    return service[:, :, 0], (service[:, :, 1] - service[:, :, 0]) / (n[:, None] - 1.0)
