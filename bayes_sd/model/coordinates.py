"""Changes of coordinates that terms share: from what a sampler moves to unknowns, with the log volume of the change, and back.

Functions that give unknowns take either backend, as those of :mod:`bayes_sd.model.term` do; those that lead back are numpy's.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from bayes_sd.model.term import inverse_softplus, softplus

CACHE_SHARPNESS = 7.0
"""One over the distance from 0 and 1 below which the coordinate of the cache's share is a logarithm."""
NO_SHARE = 1e-12
"""Distance of a share from 0 and 1 that is as good as none."""


def loosened(x: Any, centre: Any, log_spread: Any, power: Any, xp: ModuleType = np) -> Any:
    """Turn a partly standardised coordinate into an unknown of a hierarchy.

    Centred coordinates (power 0) sample well where rows inform an unknown more than its hierarchy does, standardised ones (1)
    where rows say nothing; half-way (½) there is no narrow funnel for either.

    Parameters
    ----------
    x, centre, log_spread : array
        Coordinate, and the hierarchy's mean and log standard deviation.
    power : float or array, in [0, 1]
        The log volume of the change is `power` times `log_spread`, for each element.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array
    """
    return power * centre + x * xp.exp(power * log_spread)


def tightened(value: Any, centre: Any, log_spread: Any, power: Any) -> Any:
    """Invert :func:`loosened`, numpy only."""
    return (value - power * centre) * np.exp(-power * log_spread)


def grained(x: Any, log_grain: Any, xp: ModuleType = np) -> tuple[Any, Any]:
    """Turn a coordinate that is a log cost below a grain, and linear in the cost above it, into the log cost.

    log c = log g + log softplus(x − log g). A cost that rows tell to about the grain has a wall above it: the density falls as
    that of a sum of seconds does, which in the logarithm is steeper the higher the cost. Below the grain rows say nothing, and
    the prior is normal in the logarithm.

    Parameters
    ----------
    x : array
    log_grain : array
        Log of the grain g.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    log_cost, log_volume : array
        The latter of each element.
    """
    above = x - log_grain
    log_cost = xp.log(softplus(above, xp))
    return log_grain + log_cost, -softplus(-above, xp) - log_cost


def ungrained(log_cost: np.ndarray, log_grain: np.ndarray) -> np.ndarray:
    """Invert :func:`grained`, numpy only."""
    return log_grain + inverse_softplus(np.exp(log_cost - log_grain))


def cache_share(u: Any, xp: ModuleType = np) -> tuple[Any, Any, Any]:
    """Turn the coordinate of the cache's share s of decoding's slope into log s, log(1 − s) and log ds/du.

    s = log((1 + e^{cu})/(1 + e^{c(u−1)}))/c: linear between 0 and 1, which is what rows inform, and a logarithm of s or of
    1 − s beyond, so that shares stay inside.
    """
    c = CACHE_SHARPNESS
    log_share = xp.log((softplus(c * u, xp) - softplus(c * (u - 1.0), xp)) / c)
    log_rest = xp.log((softplus(c * (1.0 - u), xp) - softplus(-c * u, xp)) / c)
    log_rate = np.log1p(-np.exp(-c)) - softplus(-c * u, xp) - softplus(c * (u - 1.0), xp)
    return log_share, log_rest, log_rate


def cache_coordinate(share: np.ndarray) -> np.ndarray:
    """Invert the share of :func:`cache_share`."""
    c = CACHE_SHARPNESS
    share = np.clip(share, NO_SHARE, 1.0 - NO_SHARE)
    return (np.log(np.expm1(c * share)) - np.log1p(-np.exp(c * (share - 1.0)))) / c
