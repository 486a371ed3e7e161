"""Straight lines between points of a curve, as a matrix."""

from __future__ import annotations

import numpy as np


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
