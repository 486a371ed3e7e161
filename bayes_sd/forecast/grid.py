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
    spread = 2.0 ** (np.arange(int(np.ceil(PER_DOUBLING * np.log2(max(n, 2)))) + 1) / PER_DOUBLING)
    bends = 2.0**KNOTS / tokens_each
    points = np.concatenate([[1.0, n], np.arange(1.0, min(n, 12) + 1), np.floor(spread), bends])
    return np.unique(points[(points >= 1.0) & (points <= n)])


def straight_between(points: np.ndarray, n: int) -> np.ndarray:
    """Give the matrix that turns values at points into values at 1, 2, ..., n.

    Parameters
    ----------
    points : array, shape (point,)
        Increasing, from 1 to n.
    n : int

    Returns
    -------
    array, shape (point, n)
    """
    number = np.arange(1.0, n + 1)
    right = np.clip(np.searchsorted(points, number), 1, max(len(points) - 1, 1))
    matrix = np.zeros((len(points), n))
    if len(points) == 1:
        return matrix + 1.0
    weight = (number - points[right - 1]) / (points[right] - points[right - 1])
    matrix[right - 1, np.arange(n)] = 1.0 - weight
    matrix[right, np.arange(n)] += weight
    return matrix
