"""Importance weights: smoothed by Pareto, judged by k-hat, and turned into draws of equal weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Weights:
    """Smoothed weights of draws.

    Attributes
    ----------
    weight : array, shape (draw,)
        Sums to 1.
    k_hat : float
        Shape of the tail of the raw weights.
    effective : float
        Draws of equal weight that would say as much.
    """

    weight: np.ndarray
    k_hat: float
    effective: float

    @property
    def reliable(self) -> bool:
        """Whether means under the weights have an error that can be trusted (Vehtari et al., arXiv:1507.02646)."""
        return bool(self.k_hat < largest_k_hat(len(self.weight)))


def largest_k_hat(n_draws: int) -> float:
    """Give the k-hat up to which so many draws are enough, 0.7 at most."""
    return min(1.0 - 1.0 / np.log10(max(n_draws, 11)), 0.7)


def smoothed(log_ratio: np.ndarray) -> Weights:
    """Smooth importance ratios (PSIS).

    Parameters
    ----------
    log_ratio : array, shape (draw,)
        Log density wanted over that of the draws, up to a constant; -inf where a draw is impossible.

    Returns
    -------
    Weights
    """
    from arviz_stats.base import array_stats

    n, top = len(log_ratio), log_ratio.max()
    even = np.full(n, 1.0 / n)
    if not np.isfinite(top):
        return Weights(even, np.inf, 0.0)
    if np.ptp(log_ratio) < 1e-9:
        return Weights(even, -1.0, float(n))
    try:
        # ArviZ has leave-one-out in mind: it takes minus the log ratios.
        log_weight, k_hat = array_stats.psislw(-np.maximum(log_ratio - top, -700.0))
    except ValueError:  # no tail to smooth: all of it is one value
        log_weight, k_hat = log_ratio - top, np.inf
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    return Weights(weight, float(k_hat) if np.isfinite(k_hat) else np.inf, effective(weight))


def effective(weight: np.ndarray) -> float:
    """Give the number of equally weighted draws that say as much as weighted ones (Kish)."""
    return float(weight.sum() ** 2 / np.square(weight).sum())


def tempered(log_ratio: np.ndarray, least: float) -> np.ndarray:
    """Flatten ratios until so many draws count.

    Parameters
    ----------
    log_ratio : array, shape (draw,)
    least : float
        Effective draws.

    Returns
    -------
    array, shape (draw,)
        Sums to 1: the ratios to the highest power, at most 1, that leaves `least` effective draws.
    """
    shifted = np.maximum(log_ratio - log_ratio.max(), -1e6)

    def at(power: float) -> np.ndarray:
        raised = np.exp(power * shifted)
        return raised / raised.sum()

    low, high = 0.0, 1.0
    if effective(at(1.0)) >= least:
        return at(1.0)
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(at(middle)) >= least else (low, middle)
    return at(low)


def resampled(weight: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Pick draws of equal weight: stratified, so that a draw comes as often as its weight says but for rounding.

    Parameters
    ----------
    weight : array, shape (draw,)
        Sums to 1.
    n : int
        How many to pick.
    rng : Generator

    Returns
    -------
    int array, shape (n,)
        In random order, so that copies of one draw spread over the chains.
    """
    edges = np.cumsum(weight)
    edges[-1] = 1.0
    picked = np.searchsorted(edges, (np.arange(n) + rng.uniform(size=n)) / n, side="right")
    return rng.permutation(np.minimum(picked, len(weight) - 1))
