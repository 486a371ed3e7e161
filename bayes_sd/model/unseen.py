"""Draws of unknowns for the levels that are asked about: measured ones as learned, others from their prior or hierarchy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from bayes_sd.model.term import INNER, Coords, Unknown, Values


class Draws(Protocol):
    """What a posterior gives: draws by name, and the names along dims."""

    @property
    def n_draws(self) -> int:
        """Draws over all chains."""

    def has(self, name: str) -> bool:
        """Whether the unknown was fitted."""

    def draws(self, name: str) -> np.ndarray:
        """Draws, shape (draw, ...)."""

    def names(self, dim: str) -> list[str]:
        """Names along a dim."""


class StandardNormals:
    """Standard normal draws by name: one set for each, so that conditions that share a new level agree."""

    def __init__(self, n_draws: int, seed: int) -> None:
        self._n, self._seed = n_draws, seed
        self._made: dict[tuple, np.ndarray] = {}

    def generator(self, *name: object) -> np.random.Generator:
        """Give a generator that the seed and a name decide."""
        digest = np.frombuffer(repr(name).encode(), dtype=np.uint8)
        return np.random.default_rng([self._seed, *digest.tolist()])

    def normal(self, *name: object, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Give draws of shape (draw, *shape) for a name."""
        if name not in self._made:
            self._made[name] = self.generator(*name).normal(size=(self._n, *shape))
        return self._made[name]


def draw_unknowns(
    unknowns: Sequence[Unknown], posterior: Draws, coords: Coords, f: Values, normals: StandardNormals
) -> Values:
    """Draw unknowns at wanted levels.

    Parameters
    ----------
    unknowns : sequence of Unknown
        Parents before children.
    posterior : Draws
    coords : mapping of str to list
        The wanted names along each dim.
    f : dict
        Facts of the wanted levels.
    normals : StandardNormals
        For what the posterior has not seen.

    Returns
    -------
    dict of str to array, shape (draw, *dims)
    """
    u: Values = {}
    for unknown in unknowns:
        u[unknown.name] = _draw(unknown, posterior, coords, normals, partial(prior_of, unknown, u, f))
    return u


def prior_of(unknown: Unknown, u: Values, f: Values) -> tuple[Any, Any]:
    """Give mean and standard deviation of an unknown's prior, given those it depends on, that broadcast to its shape."""
    if unknown.centre is None or unknown.spread is None:
        return np.asarray(unknown.mean, dtype=float), np.asarray(unknown.sd, dtype=float)
    return unknown.centre(u, f, np), unknown.spread(u, f, np)


def _draw(
    unknown: Unknown,
    posterior: Draws,
    coords: Coords,
    normals: StandardNormals,
    prior: Callable[[], tuple[Any, Any]],
) -> np.ndarray:
    """Take what was learned, and fill levels that were not with draws of the prior."""
    shape = (posterior.n_draws, *unknown.shape(coords))
    places = [_places(posterior, unknown.name, dim, coords[dim]) for dim in unknown.dims]
    learned = posterior.has(unknown.name)
    if learned and all((place >= 0).all() for place in places):
        taken = posterior.draws(unknown.name)
        for axis, place in enumerate(places):
            taken = np.take(taken, place, axis=axis + 1)
        return taken
    centre, spread = prior()
    drawn = np.broadcast_to(centre, shape) + spread * _normals(unknown, coords, normals)
    if learned:
        known = [np.flatnonzero(place >= 0) for place in places]
        taken = posterior.draws(unknown.name)
        for axis, (place, at) in enumerate(zip(places, known, strict=True)):
            taken = np.take(taken, place[at], axis=axis + 1)
        drawn[np.ix_(np.arange(len(drawn)), *known)] = taken
        if unknown.unseen is not None:
            _draw_unseen(unknown, posterior, coords, normals, drawn)
    return drawn


def _places(posterior: Draws, name: str, dim: str, wanted: Sequence[Any]) -> np.ndarray:
    """Where each wanted name stands among the fitted ones, −1 where it does not."""
    if not posterior.has(name):
        return np.full(len(wanted), -1)
    position = {str(v): i for i, v in enumerate(posterior.names(dim))}
    return np.array([position.get(str(v), -1) for v in wanted], dtype=int)


def _normals(unknown: Unknown, coords: Coords, normals: StandardNormals) -> np.ndarray:
    """Standard normals of an unknown's shape, by the names of its levels."""
    axis = next((i for i, dim in enumerate(unknown.dims) if dim not in INNER), None)
    if axis is None:
        return normals.normal(unknown.name, shape=unknown.shape(coords))
    inner = tuple(len(coords[d]) for i, d in enumerate(unknown.dims) if i != axis)
    names = [unknown.alike(str(level)) for level in coords[unknown.dims[axis]]]
    each = [normals.normal(unknown.name, name, shape=inner) for name in names]
    return np.stack(each, axis=axis + 1)


def _draw_unseen(
    unknown: Unknown, posterior: Draws, coords: Coords, normals: StandardNormals, drawn: np.ndarray
) -> None:
    """Replace the levels that were not fitted by what the unknown says of them."""
    (dim,) = unknown.dims
    names, learned = posterior.names(dim), posterior.draws(unknown.name)
    for j, level in enumerate(coords[dim]):
        if str(level) not in names and unknown.unseen is not None:
            drawn[:, j] = unknown.unseen(learned, names, str(level), normals.generator(unknown.name, level))
