"""A choice among many ways to serve against the best of the plain ones: chains for trees, fixed draft lengths for policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.speedup import band_levels, quantiles, ratio_of

if TYPE_CHECKING:
    import xarray as xr

WORTH_MORE = 0.001
"""Something larger must save at least this share of the attainable speed: of what is within it the smallest is taken."""


def against(
    judged: xr.Dataset, latency: np.ndarray, size: np.ndarray, plain: np.ndarray, ci: float, name: str
) -> dict[str, Any]:
    """Choose an alternative for each load, and compare it with the best plain one draw by draw.

    Parameters
    ----------
    judged : Dataset
        From :func:`bayes_sd.decide.tune.judge`.
    latency : array, shape (sample, alternative, load)
        Seconds.
    size : array, shape (alternative,)
        Of alternatives that are equally good the smallest is chosen.
    plain : bool array, shape (alternative,)
    ci : float
        Probability of the band.
    name : str
        What the best plain one is called.

    Returns
    -------
    dict
        Variables ``chosen`` and `name` (load), −1 where none has a steady state; ``gain_band`` (quantile, load), latency of the
        plain one over that of the chosen one; ``p_faster`` (load).
    """
    regret = np.nan_to_num(judged["relative_regret"].to_numpy(), nan=np.inf)
    chosen, best = (smallest(regret, size, own) for own in (np.ones(len(size), dtype=bool), plain))
    at = np.arange(latency.shape[2])
    with np.errstate(invalid="ignore"):
        gain = ratio_of(latency[:, best, at], latency[:, chosen, at])
        faster = (latency[:, chosen, at] < latency[:, best, at]).mean(axis=0)
    none = judged["safe"].to_numpy() < 0
    return {
        "chosen": ("load", np.where(none, -1, chosen)),
        name: ("load", np.where(none, -1, best)),
        "gain_band": (("quantile", "load"), quantiles(np.nan_to_num(gain, nan=1.0), band_levels(ci))),
        "p_faster": ("load", np.where(none, np.nan, faster)),
    }


def smallest(regret: np.ndarray, size: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Choose the smallest alternative whose expected regret is next to the least, shape (load,).

    Parameters
    ----------
    regret : array, shape (alternative, load)
        Expected share of the attainable speed given away.
    size : array, shape (alternative,)
    own : bool array, shape (alternative,)
        Those to choose among.
    """
    among = np.where(own[:, None], regret, np.inf)
    near = among <= among.min(axis=0) + WORTH_MORE
    return np.where(near, size[:, None] + np.where(np.isfinite(among), among, 0.0), np.inf).argmin(axis=0)
