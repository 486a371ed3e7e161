"""Solving with a frame's sparse triangle, compiled and kept on disk: every step of a chain does it twice."""

from __future__ import annotations

import numpy as np
from numba import njit

# Python's lock is kept: a solve takes some twenty microseconds, and giving the lock up and waiting for it again takes longer.
compiled = njit(cache=True, error_model="numpy")


@compiled
def _stretched(z: np.ndarray, along: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """Stretch a vector along orthonormal directions: z becomes W z."""
    out = z.copy()
    for j in range(stretch.size):
        direction, length = along[j], 0.0
        for i in range(z.size):
            length += direction[i] * out[i]
        length *= stretch[j] - 1.0
        for i in range(z.size):
            out[i] += length * direction[i]
    return out


@compiled
def solve(
    z: np.ndarray,
    shift: np.ndarray,
    order: np.ndarray,
    start: np.ndarray,
    column: np.ndarray,
    entry: np.ndarray,
    along: np.ndarray,
    stretch: np.ndarray,
) -> np.ndarray:
    """Compute shift + L^-T W z, shape (unknown,); arrays as in :class:`~bayes_sd.sample.frame.Frame`."""
    work, x = _stretched(z, along, stretch), np.empty_like(z)
    for i in range(z.size - 1, -1, -1):
        last = start[i + 1] - 1
        solved = work[i] / entry[last]
        x[order[i]] = solved + shift[order[i]]
        for e in range(start[i], last):
            work[column[e]] -= entry[e] * solved
    return x


@compiled
def solve_transposed(
    gradient: np.ndarray,
    order: np.ndarray,
    start: np.ndarray,
    column: np.ndarray,
    entry: np.ndarray,
    along: np.ndarray,
    stretch: np.ndarray,
) -> np.ndarray:
    """Compute W L^-1 of a gradient, shape (unknown,)."""
    work = np.empty_like(gradient)
    for i in range(gradient.size):
        last = start[i + 1] - 1
        total = gradient[order[i]]
        for e in range(start[i], last):
            total -= entry[e] * work[column[e]]
        work[i] = total / entry[last]
    return _stretched(work, along, stretch)
