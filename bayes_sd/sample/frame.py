"""Frames: linear coordinates in which a posterior is about round, so that a sampler takes few steps.

A frame is x = shift + L^-T W z. L is the Cholesky factor of an average curvature of the log density, which is sparse because
deployments meet only in what they share. W stretches the few directions in which a posterior with tails is much wider than
its average curvature says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayes_sd.sample.target import Target

STEP = 1e-4
NEGLIGIBLE = 1e-4
SHARED = 120
"""Neighbours in the Hessian from which a parameter counts as one that all deployments share."""
STRETCHED = 12
"""Directions that a frame stretches."""
INDEPENDENT = 0.5
"""Share of a pilot's draws that counts as independent."""
LEAST_CURVATURE = 5e-4
"""Smallest curvature along any direction, in units of the parameters' own: flatter ones are taken as this flat."""


@dataclass(frozen=True)
class Frame:
    """Linear coordinates of a sampler, x = shift + L^-T W z.

    Attributes
    ----------
    shift : array, shape (unknown,)
    order : int array, shape (unknown,)
        Order of the unknowns that keeps L sparse.
    start, column, entry : array
        L by rows: where each row starts, and column and value of its entries, the diagonal last.
    along, stretch : array, shape (direction, unknown) and (direction,)
        Orthonormal directions that W stretches, and how much.
    """

    shift: np.ndarray
    order: np.ndarray
    start: np.ndarray
    column: np.ndarray
    entry: np.ndarray
    along: np.ndarray
    stretch: np.ndarray

    @cached_property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that a frame is, as machine code takes it."""
        return self.shift, self.order, self.start, self.column, self.entry, self.along, self.stretch

    def to_coordinates(self, z: np.ndarray) -> np.ndarray:
        """Turn the frame's coordinates into those that the data inform, shape (unknown,)."""
        from bayes_sd.sample.triangle import solve

        return solve(z, *self.arrays)

    def to_frame_gradient(self, gradient: np.ndarray) -> np.ndarray:
        """Turn a gradient in the coordinates that the data inform into one in the frame's, shape (unknown,)."""
        from bayes_sd.sample.triangle import solve_transposed

        return solve_transposed(gradient, *self.arrays[1:])


def curvature(target: Target, points: np.ndarray, groups: list[np.ndarray] | None = None) -> np.ndarray:
    """Average the curvature of the log density over points.

    Parameters
    ----------
    target : Target
    points : array, shape (point, parameter)
        In the coordinates that the data inform.
    groups : list of int array, optional
        Parameters that may be moved at once, from :func:`independent_groups`; each on its own by default.

    Returns
    -------
    array, shape (parameter, parameter)
        Minus the mean Hessian, by central differences of the gradient. With `groups`, a group's rows are its sum in
        the columns that its members do not share; :func:`unravel` takes them apart.
    """
    size = points.shape[1]
    groups = [np.array([i]) for i in range(size)] if groups is None else groups
    total = np.zeros((len(groups), size))
    for x in points:
        for g, group in enumerate(groups):
            here = x.copy()
            here[group] += STEP
            above = target(here)[1]
            here[group] = x[group] - STEP
            below = target(here)[1]
            total[g] -= (above - below) / (2.0 * STEP)
    return total / len(points)


def independent_groups(pattern: np.ndarray) -> list[np.ndarray]:
    """Group parameters so that no two of a group meet in the same third, those that nearly all meet aside.

    Deployments meet only in what they share, so a few dozen gradients tell all their curvatures at once.

    Parameters
    ----------
    pattern : bool array, shape (parameter, parameter)
        Where the Hessian is not zero.

    Returns
    -------
    list of int array
        First one group for each shared parameter, then the groups of the others.
    """
    shared = pattern.sum(axis=0) > SHARED
    own = np.flatnonzero(~shared)
    meets = pattern & ~shared[:, None]
    groups: list[list[int]] = []
    taken: list[np.ndarray] = []
    for i in own.tolist():
        for group, used in zip(groups, taken, strict=True):
            if not (used & meets[:, i]).any():
                group.append(i)
                used |= meets[:, i]
                break
        else:
            groups.append([i])
            taken.append(meets[:, i].copy())
    return [np.array([i]) for i in np.flatnonzero(shared)] + [np.array(group) for group in groups]


def unravel(rows: np.ndarray, groups: list[np.ndarray], pattern: np.ndarray) -> np.ndarray:
    """Take grouped curvatures apart.

    Parameters
    ----------
    rows : array, shape (group, parameter)
        From :func:`curvature`.
    groups : list of int array
    pattern : bool array, shape (parameter, parameter)

    Returns
    -------
    array, shape (parameter, parameter)
        Symmetric.
    """
    shared = pattern.sum(axis=0) > SHARED
    found = np.zeros(pattern.shape)
    for row, group in zip(rows, groups, strict=True):
        for i in group:
            columns = pattern[i] if shared[i] else pattern[i] & ~shared
            found[i, columns] = row[columns]
    own = np.ix_(shared, ~shared)
    found[np.ix_(~shared, shared)] = found[own].T
    return 0.5 * (found + found.T)


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


def stretched_frame(frame: Frame, draws: np.ndarray) -> Frame:
    """Stretch a frame along the directions in which draws are widest.

    Parameters
    ----------
    frame : Frame
        Not stretched yet.
    draws : array, shape (draw, parameter)
        In the coordinates that the data inform.

    Returns
    -------
    Frame
        With at most :data:`STRETCHED` directions. A variance v in a direction of curvature 1 is met half-way, by a scale of
        v^(1/4): what then is left of the width is as much as what is gained in curvature, which bounds the step. In many dims
        few draws are wide in some direction by chance: those are left alone, and the others' variance is what it is beyond
        chance (the spiked covariance model: Baik and Silverstein 2006, doi:10.1016/j.jmva.2005.08.003; Paul 2007).
    """
    size = len(frame.shift)
    factor = np.zeros((size, size))
    row = np.repeat(np.arange(size), np.diff(frame.start))
    factor[row, frame.column] = frame.entry
    z = (draws - draws.mean(axis=0))[:, frame.order] @ factor
    # The widest directions of few draws in many dims, from the small matrix of their products.
    values, vectors = np.linalg.eigh(z @ z.T / len(z))
    widest = np.argsort(values)[::-1][:STRETCHED]
    along = (vectors[:, widest] / np.sqrt(values[widest] * len(z))).T @ z
    variance = beyond_chance(values[widest], size / (INDEPENDENT * len(z)))
    kept = variance > 1.0
    return replace(frame, along=np.ascontiguousarray(along[kept]), stretch=variance[kept] ** 0.25)


def beyond_chance(values: np.ndarray, ratio: float) -> np.ndarray:
    """Give the variance along principal directions of draws that is not chance.

    Parameters
    ----------
    values : array, shape (direction,)
        Largest eigenvalues of the draws' covariance, where all but a few true ones are 1.
    ratio : float
        Dimensions over independent draws.

    Returns
    -------
    array, shape (direction,)
        True variance along the direction that was found, which is not quite the true one; 1 where it may be chance.
    """
    edge = (1.0 + np.sqrt(ratio)) ** 2
    above = np.maximum(values, edge)
    middle = above + 1.0 - ratio
    true = 0.5 * (middle + np.sqrt(np.maximum(middle**2 - 4.0 * above, 0.0)))
    excess = np.maximum(true - 1.0, 1e-12)
    aligned = np.clip((1.0 - ratio / excess**2) / (1.0 + ratio / excess), 0.0, 1.0)
    return np.where(values > edge, 1.0 + excess * aligned, 1.0)


def _positive(matrix: np.ndarray) -> np.ndarray:
    """Bend a symmetric matrix to a positive definite one, keeping its pattern where that is enough."""
    from scipy.linalg import eigh

    scale = np.sqrt(np.maximum(np.abs(np.diag(matrix)), 1e-12))
    unit = matrix / np.outer(scale, scale)
    # Only the flattest: all directions take six times as long. Iterations for a few need not end, as many are alike.
    values, vectors = eigh(unit, subset_by_value=(-np.inf, LEAST_CURVATURE))
    lift = np.maximum(np.abs(values), LEAST_CURVATURE) - values
    return (unit + (vectors * lift) @ vectors.T if len(values) else unit) * np.outer(scale, scale)


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
        along=np.empty((0, size)),
        stretch=np.empty(0),
    )
