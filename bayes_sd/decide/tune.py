"""Which draft length, and which drafter, at this load: probabilities of being best, and what a wrong choice costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.frame import as_conditions
from bayes_sd.decide.caveats import caveats
from bayes_sd.decide.speedup import band_levels, check_band, default_loads, quantiles
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.sweep import Alternative, LoadAxis, Prepared, prepare, stability_limits, sweep

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

DRAFT_LENGTHS = tuple(range(9))
LONGEST_DRAFT = 64
N_LOADS = 25


def prepare_choices(
    posterior: Posterior,
    base: pd.DataFrame,
    draft_lengths: Sequence[int] = DRAFT_LENGTHS,
    drafters: Sequence[tuple[str, str]] = (),
    cards: Cards | None = None,
    seed: int = 0,
    thin: int = 1,
    configured: bool = False,
) -> Prepared:
    """Draw the costs of every draft length of every drafter, with no speculation once.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row.
    draft_lengths : sequence of int
        Those to choose among; 0 is no speculation.
    drafters : sequence of (method, drafter)
        Those to choose among; the base condition's by default.
    cards, seed, thin
        As in :func:`bayes_sd.forecast.sweep.prepare`.
    configured : bool
        Whether no speculation is K = 0 on a server that was started with speculation, instead of a server without.

    Returns
    -------
    Prepared

    Raises
    ------
    ConditionError
        If a draft length is out of range, there are fewer than two alternatives, or the base condition has no drafter.
    """
    base = as_conditions(base, load_needed=False, posterior=posterior)
    lengths = sorted(set(draft_lengths))
    wrong = [k for k in lengths if k != int(k) or not 0 <= k <= LONGEST_DRAFT]
    if wrong:
        raise ConditionError(f"draft length {wrong[0]}: it must be a whole number from 0 to {LONGEST_DRAFT}")
    if not drafters:
        row = base.iloc[0]
        if row["method"] == "none":
            raise ConditionError(
                "the condition has no way of drafting: give method and drafter (--method, --drafter) to tune"
            )
        drafters = [(str(row["method"]), str(row["drafter"]))]
    choices = [Alternative(int(k), drafter, method) for method, drafter in drafters for k in lengths if k > 0]
    if 0 in lengths:
        choices.insert(0, Alternative(0, configured=configured))
    if len(choices) < 2:
        raise ConditionError("one alternative leaves no choice: name at least two draft lengths or drafters")
    return prepare(posterior, base, choices, cards, seed, thin)


def tune(
    posterior: Posterior,
    base: pd.DataFrame,
    loads: Any = None,
    axis: LoadAxis = "in-flight",
    *,
    draft_lengths: Sequence[int] = DRAFT_LENGTHS,
    drafters: Sequence[tuple[str, str]] = (),
    arrivals: str | None = None,
    ci: float = 0.9,
    cards: Cards | None = None,
    seed: int = 0,
    thin: int = 1,
) -> xr.Dataset:
    """Compare draft lengths and drafters at each load.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row; its draft length only matters to an acceptance that it states.
    loads : array, optional
        By default 25 loads up to the largest median stability limit, or whole numbers in flight up to the cap.
    axis : {"in-flight", "rate", "utilisation"}
        What loads are, see :func:`bayes_sd.forecast.sweep.sweep`.
    draft_lengths : sequence of int
    drafters : sequence of (method, drafter)
        Drafters to compare; the base condition's by default.
    arrivals : str, optional
    ci : float
        Probability of the (equal-tailed) bands.
    cards : Cards, optional
    seed : int
    thin : int

    Returns
    -------
    Dataset
        From :func:`judge`.

    Raises
    ------
    ConditionError, CardError
        As :func:`prepare_choices` and :func:`bayes_sd.forecast.sweep.sweep`.
    """
    prepared = prepare_choices(posterior, base, draft_lengths, drafters, cards, seed, thin)
    return tune_prepared(posterior, prepared, loads, axis, arrivals=arrivals, ci=ci)


def tune_prepared(
    posterior: Posterior,
    prepared: Prepared,
    loads: Any = None,
    axis: LoadAxis = "in-flight",
    *,
    arrivals: str | None = None,
    ci: float = 0.9,
) -> xr.Dataset:
    """Compare alternatives whose costs are drawn already.

    Parameters
    ----------
    posterior : Posterior
    prepared : Prepared
        From :func:`prepare_choices`.
    loads, axis, arrivals, ci
        As in :func:`tune`.

    Returns
    -------
    Dataset
        From :func:`judge`.

    Raises
    ------
    ConditionError
        As :func:`bayes_sd.forecast.sweep.sweep`.
    """
    check_band(ci)
    swept = sweep(prepared, loads_to_compare(prepared, loads, axis), axis, arrivals, ttft=False)
    result = judge(swept, ci)
    result.attrs["caveats"] = caveats(posterior, prepared, swept)
    return result


def loads_to_compare(prepared: Prepared, loads: Any, axis: LoadAxis, n: int = N_LOADS) -> Any:
    """Give the loads that were asked for, or else `n` up to where alternatives have no steady state, or the batch ends."""
    if loads is not None:
        return loads
    limits = np.ones((1, 1)) if axis == "in-flight" else stability_limits(prepared)
    return default_loads(prepared, limits, axis, n)


def judge(swept: xr.Dataset, ci: float | None = 0.9) -> xr.Dataset:
    r"""Say which alternative is best, how surely, and what each costs where it is not.

    The relative regret of an alternative in a draw is the share of the attainable speed that it gives away, 1 − L_best/L:
    0 for the best, 1 for one without a steady state where another has one. It stays finite at saturation, where a
    difference of latencies does not; so the safe choice is the one with the lowest expected relative regret.

    Parameters
    ----------
    swept : Dataset
        From :func:`bayes_sd.forecast.sweep.sweep`.
    ci : float or None
        Probability of the (equal-tailed) bands; None leaves them out, which is several times faster.

    Returns
    -------
    Dataset
        Dims ``alternative``, ``load``, ``quantile`` (3: lower, 0.5, upper), ``choice`` (drafters, and ``none``). All
        expectations are over the draws in which some alternative has a steady state; they are NaN where fewer than half
        of the draws do.

        * ``p_best`` (alternative, load): probability that this one has the lowest mean latency;
        * ``relative_regret`` (alternative, load): expected share of the attainable speed given away;
        * ``regret`` (alternative, load) [s]: expected latency above the best one's, over the draws in which this
          alternative is stable (see ``p_stable``);
        * ``latency_mean`` (alternative, load) [s], likewise; ``latency_band`` (quantile, alternative, load) [s];
        * ``p_stable`` (alternative, load); ``p_defined`` (load): share of draws with some steady state;
        * ``safe`` (load): index of the alternative with the lowest expected relative regret, −1 where NaN;
        * ``probable`` (load): index of the most probably best one, −1 where NaN;
        * ``p_best_drafter`` (choice, load): probability that the best one drafts with this drafter;
        * ``safe_relative_regret``, ``safe_p_best`` (load): of the safe one.

        Coords and attributes are those of the sweep.
    """
    import xarray as xr

    latency = swept["latency"].to_numpy()
    best = latency.min(axis=1, keepdims=True)
    defined = np.isfinite(best[:, 0])
    share = defined.mean(axis=0)
    blank = share < 0.5
    n = np.where(blank, np.nan, np.maximum(defined.sum(axis=0), 1))
    with np.errstate(invalid="ignore"):
        relative = np.where(defined[:, None], 1.0 - best / latency, 0.0).sum(axis=0) / n
        above = latency - best
    winner = latency.argmin(axis=1)
    alternatives = np.arange(latency.shape[1])
    won = np.stack([((winner == i) & defined).sum(axis=0) / n for i in alternatives])
    stable = np.isfinite(latency)
    n_stable = np.where(stable.any(axis=0), stable.sum(axis=0), np.nan)
    over = ("alternative", "load")
    safe = np.where(blank, -1, np.nan_to_num(relative, nan=np.inf).argmin(axis=0))
    probable = np.where(blank, -1, np.nan_to_num(won, nan=-1.0).argmax(axis=0))
    drafters = [str(d) or "none" for d in swept["drafter"].to_numpy()]
    choices = list(dict.fromkeys(drafters))
    by_drafter = np.stack([won[[d == c for d in drafters]].sum(axis=0) for c in choices])
    at = np.arange(latency.shape[2])
    variables: dict[str, Any] = {
        "p_best": (over, won),
        "relative_regret": (over, relative),
        "regret": (over, np.where(stable, above, 0.0).sum(axis=0) / n_stable, {"units": "s"}),
        "latency_mean": (over, np.where(stable, latency, 0.0).sum(axis=0) / n_stable, {"units": "s"}),
        "p_stable": (over, stable.mean(axis=0)),
        "p_defined": (("load",), share),
        "safe": (("load",), safe),
        "probable": (("load",), probable),
        "p_best_drafter": (("choice", "load"), by_drafter),
        "safe_relative_regret": (("load",), relative[safe, at]),
        "safe_p_best": (("load",), won[safe, at]),
    }
    coords = {name: swept[name] for name in swept.coords} | {"choice": choices}
    result = xr.Dataset(variables, coords=coords, attrs=swept.attrs)
    if ci is None:
        return result
    levels = band_levels(ci)
    band = (("quantile", *over), quantiles(latency, levels), {"units": "s"})
    return result.assign_coords(quantile=levels).assign(latency_band=band).assign_attrs(ci=ci)
