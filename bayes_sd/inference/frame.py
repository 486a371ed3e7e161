"""Frames: linear coordinates in which a posterior is about round, so that a sampler takes few steps.

A frame is x = shift + L^-T z. L is the Cholesky factor of an average curvature of the log density, which is sparse because
deployments meet only in what they share.
"""

from __future__ import annotations

import numpy as np

from bayes_sd.inference.density import from_frame, informed_density
from bayes_sd.inference.problem import Frame, Problem

STEP = 1e-4
NEGLIGIBLE = 1e-4
LEAST_CURVATURE = 5e-4
"""Smallest curvature along any direction, in units of the parameters' own: flatter ones are taken as this flat."""


def curvature(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Average the curvature of the log density over points.

    Parameters
    ----------
    problem : Problem
    points : array, shape (point, parameter)
        In the coordinates that the data inform.

    Returns
    -------
    array, shape (parameter, parameter)
        Minus the mean Hessian, by central differences of the gradient.
    """
    size = points.shape[1]
    total, natural = np.zeros((size, size)), np.empty(size)
    above, below = np.empty(size), np.empty(size)
    for x in points:
        for i in range(size):
            here, at = x.copy(), x[i]
            here[i] = at + STEP
            informed_density(here, above, natural, problem)
            here[i] = at - STEP
            informed_density(here, below, natural, problem)
            total[i] -= (above - below) / (2.0 * STEP)
    return 0.5 * (total + total.T) / len(points)


def curved_frame(shift: np.ndarray, curvature: np.ndarray) -> Frame:
    """Make a frame from a curvature.

    Parameters
    ----------
    shift : array, shape (parameter,)
    curvature : array, shape (parameter, parameter)

    Returns
    -------
    Frame
    """
    return _frame(shift, _positive(curvature))


def from_coordinates(frame: Frame, z: np.ndarray) -> np.ndarray:
    """Turn a frame's coordinates into those that the data inform, shape (parameter,)."""
    x, work = np.empty_like(z), np.empty_like(z)
    from_frame(z, x, work, frame)
    return x


def _positive(matrix: np.ndarray) -> np.ndarray:
    """Bend a symmetric matrix to a positive definite one, keeping its pattern where that is enough."""
    scale = np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-12))
    unit = matrix / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(unit)
    if values[0] < LEAST_CURVATURE:
        low = values < LEAST_CURVATURE
        lift = np.maximum(np.abs(values[low]), LEAST_CURVATURE) - values[low]
        unit = unit + (vectors[:, low] * lift) @ vectors[:, low].T
    return unit * np.outer(scale, scale)


def _frame(shift: np.ndarray, precision: np.ndarray) -> Frame:
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    size, scale = len(shift), np.sqrt(np.diag(precision))
    unit = precision / np.outer(scale, scale)
    sparse = csc_matrix(np.where(np.abs(unit) > NEGLIGIBLE, unit, 0.0))
    # The order that keeps the factor sparse; the factor itself is taken of the whole matrix, a matter of milliseconds.
    found = splu(sparse, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).perm_c
    factors = {}
    for order in (found, np.argsort(found)):
        factor = np.linalg.cholesky(unit[np.ix_(order, order)])
        factor[np.abs(factor) < NEGLIGIBLE] = 0.0
        factors[np.count_nonzero(factor)] = factor, order
    factor, order = factors[min(factors)]
    factor *= scale[order][:, None]
    row, column = np.nonzero(factor)
    return Frame(
        shift=shift.astype(float),
        order=order.astype(np.int64),
        start=np.searchsorted(row, np.arange(size + 1)).astype(np.int64),
        column=column.astype(np.int64),
        entry=factor[row, column],
    )
