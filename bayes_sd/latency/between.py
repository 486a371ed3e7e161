"""Straight lines between points of a curve."""

from __future__ import annotations

import numpy as np


def places_between(points: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Place 1, 2, ..., n between points.

    Parameters
    ----------
    points : array, shape (point,)
        Increasing, from 1 to n.
    n : int

    Returns
    -------
    left : int array, shape (n,)
        Point to the left of each number; there is one to its right save where there is one point only.
    weight : array, shape (n,)
        Weight of the point to the right, in [0, 1].
    """
    number = np.arange(1.0, n + 1)
    left = np.clip(np.searchsorted(points, number), 1, max(len(points) - 1, 1)) - 1
    if len(points) < 2:
        return left, np.zeros(n)
    return left, (number - points[left]) / (points[left + 1] - points[left])


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
    left, weight = places_between(points, n)
    matrix, column = np.zeros((len(points), n)), np.arange(n)
    matrix[left, column] = 1.0 - weight
    if len(points) > 1:
        matrix[left + 1, column] += weight
    return matrix
