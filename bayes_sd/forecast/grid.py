"""Service curves at every number in flight, from their values at a few: between those they are nearly straight."""

from __future__ import annotations

import numpy as np

from bayes_sd.latency.kernel import KNOTS

PER_DOUBLING = 8
"""Points per doubling of the number in flight, beyond the first dozen numbers, which have a point each."""


def curve_points(n: int, tokens_each: float) -> np.ndarray:
    """Choose where to evaluate a service curve that is needed at 1, 2, ..., n in flight.

    Parameters
    ----------
    n : int
        Largest number in flight.
    tokens_each : float
        Tokens per request in a step, k + 1: the kernels' deviation bends where b·(k + 1) is a power of 2.

    Returns
    -------
    array, shape (point,)
        Increasing, from 1 to n.
    """
    points = np.concatenate([whole_points(n), 2.0**KNOTS / tokens_each])
    return np.unique(points[(points >= 1.0) & (points <= n)])


def whole_points(n: int) -> np.ndarray:
    """Choose whole numbers in flight from 1 to `n`, increasing, where the kernels' bends are not looked for, shape (point,)."""
    spread = 2.0 ** (np.arange(int(np.ceil(PER_DOUBLING * np.log2(max(n, 2)))) + 1) / PER_DOUBLING)
    points = np.unique(np.concatenate([np.arange(1.0, min(n, 12) + 1), np.floor(spread), [n]]))
    return points[points <= n]
