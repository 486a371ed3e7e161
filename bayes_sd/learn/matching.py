"""Importance-weighted moment matching: draws are moved until what is left for weights to do is little.

Weights that say too much leave few draws. Then the draws are moved by a linear map to where the weights' moments are, and
weighted anew by the exact densities: of the new place, times the map's volume, over the draw's own (Paananen et al. 2021,
arXiv:1906.08850). With a thousand unknowns, moments of all of them would be mostly noise. New rows tell of a few directions only:
those of what they measure. So moments are matched there, and carried to all unknowns by regression on them, as a Gaussian
posterior would move. Weights are flattened until a fifth of the draws count before moments are taken, so that far moves are made in
several steps. Whatever the map, the weights at the end are those of the exact posterior.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.learn.weights import Weights, smoothed, tempered

if TYPE_CHECKING:
    from bayes_sd.learn.wider import Wider
    from bayes_sd.model.term import Values

STEPS, PATIENCE = 12, 3
"""Moves at most, and moves without a better one after which there are no more."""
COUNTED = 0.2
"""Share of the draws that count where moments are taken."""
DIRECTIONS = 12
"""Directions in which moments are matched, at most."""
TOLD = 0.1
"""Least standard deviation of a direction, in units of the measurements' noise: of others new rows tell nothing."""
NEAR = 150
"""Coordinates that a direction is told from, at most; a twentieth of the draws if that is less."""
FIRM = 1e-3
"""Ridge of that regression, in units of the coordinates' variance."""


@dataclass(frozen=True)
class Moved:
    """Draws that were moved.

    Attributes
    ----------
    u : dict of str to array, shape (draw, *dims)
    weights : Weights
    steps : int
        Moves that were made.
    """

    u: Values
    weights: Weights
    steps: int


def matched(wider: Wider, weighed: np.ndarray, enough: float) -> Moved:
    """Move draws until their weights are reliable.

    Parameters
    ----------
    wider : Wider
    weighed : int array
        Draws to weigh; all draws tell the directions.
    enough : float
        Effective draws to reach.

    Returns
    -------
    Moved
        The best that was found; its weights may not be reliable.
    """
    x = wider.to_coordinates()
    # log density of the draws as they are: the joint one without what the new rows say.
    own = {name: values[weighed] for name, values in wider.u.items()}
    of_draws = wider.log_joint(own) - wider.gain(own) + wider.target.log_volume(x[weighed])
    log_map, best = 0.0, None
    for step in range(STEPS + 1):
        u = wider.target.to_natural(x[weighed])
        with np.errstate(all="ignore"):
            ratio = wider.log_joint(u) + wider.target.log_volume(x[weighed]) + log_map - of_draws
        ratio = np.where(np.isfinite(ratio), ratio, -np.inf)
        weights = smoothed(ratio)
        found = Moved(u, weights, step)
        if best is None or _better(weights, best.weights):
            best = found
        done = weights.reliable and weights.effective >= enough
        if done or step - best.steps >= PATIENCE or not np.isfinite(ratio).any():
            break
        x, grown = _moved(wider, x, weighed, tempered(ratio, COUNTED * len(weighed)))
        log_map += grown
    assert best is not None
    return best


def _better(one: Weights, other: Weights) -> bool:
    """Say whether weights are better: reliable ones by how many draws count, others by k-hat."""
    if one.reliable and other.reliable:
        return one.effective > other.effective
    return one.k_hat < other.k_hat


def _moved(wider: Wider, x: np.ndarray, weighed: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Move draws to weighted moments of what the new rows measure; give the log volume of the map."""
    u = wider.target.to_natural(x)
    features = _features(*wider.added.expected(u, wider.coords)[:2])
    if not features.shape[1]:
        return x, 0.0
    centre, here = x.mean(axis=0), features[weighed]
    wanted = weight @ here
    apart = here - wanted
    # Features are standardised over all draws: their covariance is the identity.
    root = _root(apart.T @ (apart * weight[:, None]))
    carried = (x - centre).T @ features / len(x)
    told = _regression(x - centre, features, carried)
    turned = root - np.eye(len(root))
    moved = x + wanted @ carried.T + ((x - centre) @ told) @ turned.T @ carried.T
    sign, grown = np.linalg.slogdet(np.eye(len(root)) + turned @ told.T @ carried)
    if sign <= 0.0:  # a map that folds: shift only
        return x + wanted @ carried.T, 0.0
    return moved, float(grown)


def _features(mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Directions of what the new rows measure, principal ones in units of noise, standardised, shape (draw, direction)."""
    standard = mean / np.median(scale, axis=0)
    standard = np.where(np.isfinite(standard), standard, 0.0)
    standard = standard - standard.mean(axis=0)
    left, size, _ = np.linalg.svd(standard, full_matrices=False)
    sd = size / np.sqrt(len(standard))
    return left[:, :DIRECTIONS][:, sd[:DIRECTIONS] > TOLD] * np.sqrt(len(standard))


def _regression(apart: np.ndarray, features: np.ndarray, carried: np.ndarray) -> np.ndarray:
    """Tell features from the coordinates that go with them most, shape (coordinate, direction)."""
    sd = np.maximum(apart.std(axis=0), 1e-12)
    strength = np.abs(carried / sd[:, None]).max(axis=1)
    near = np.argsort(strength)[::-1][: min(NEAR, len(apart) // 20)]
    z = apart[:, near] / sd[near]
    gram = z.T @ z / len(z) + FIRM * np.eye(len(near))
    found = np.zeros_like(carried)
    found[near] = np.linalg.solve(gram, z.T @ features / len(z)) / sd[near][:, None]
    return found


def _root(covariance: np.ndarray) -> np.ndarray:
    """Symmetric square root."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 1e-8))) @ vectors.T
