"""What a term of the model is: the unknowns it declares and the one function by which it contributes.

A term stands in one file of :mod:`bayes_sd.model.terms`. Its functions take and return arrays of either backend: PyTensor
tensors when the model is built for sampling, numpy arrays of draws when a posterior is evaluated. They use operators and
the functions of `xp`, and index from the last axis, so that leading dims of draws pass through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.acceptance import logistic

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.model.arranged import Design
    from bayes_sd.model.deployments import Deployment
    from bayes_sd.model.spec import ModelSpec

Values = dict[str, Any]
"""Unknowns, facts or quantities by name."""
Coords = Mapping[str, list[Any]]
"""Names along each dim."""
INNER = ("part", "knot", "coefficient")
"""Dims inside an unknown, whose length the structure fixes; along the others are levels, of which another table has others."""


@dataclass(frozen=True)
class Unknown:
    """One named array of unknowns, on the whole real line, with a normal prior.

    Attributes
    ----------
    name : str
    dims : tuple of str
    mean, sd : float or array, optional
        Prior with numbers, broadcast along `dims`. For an unknown of a hierarchy they are None.
    centre : callable, optional
        From unknowns, facts and backend to the prior's mean, for an unknown of a hierarchy.
    spread : callable, optional
        Likewise to its standard deviation.
    spread_of : str
        Name of the unknown that this one is the log spread of, if any: a joint mode has such a spread at zero.
    unseen : callable, optional
        How a level that was not fitted is drawn where it is not from the prior: from the draws of all fitted levels, their
        names, the level's name and a generator to draws, shape (draw,).
    alike : callable
        From the name of a level that was not fitted to the name that decides its draws: levels of one such name share them.
    """

    name: str
    dims: tuple[str, ...] = ()
    mean: Any = None
    sd: Any = None
    centre: Callable[[Values, Values, ModuleType], Any] | None = None
    spread: Callable[[Values, Values, ModuleType], Any] | None = None
    spread_of: str = ""
    unseen: Callable[[np.ndarray, list[str], str, np.random.Generator], np.ndarray] | None = None
    alike: Callable[[str], str] = str

    @property
    def plain(self) -> bool:
        """Whether its prior has numbers."""
        return self.centre is None

    def shape(self, coords: Coords) -> tuple[int, ...]:
        """Give the shape that names along dims make."""
        return tuple(len(coords[d]) for d in self.dims)


@dataclass(frozen=True)
class Labelled:
    """A row with the names by which terms tell their levels.

    Attributes
    ----------
    row : Series
        Observation or condition.
    deployment : Deployment
    drafter : str
        Empty without speculation.
    sparse : bool
        Whether the verifier has routed experts.
    """

    row: pd.Series
    deployment: Deployment
    drafter: str
    sparse: bool


@dataclass(frozen=True)
class PerLevel:
    """Quantities that a term computes once for each level of a dim, before they are looked up for points.

    Attributes
    ----------
    dim : str
    names : tuple of str
        One for each row of the table.
    table : array, shape (..., name, level)
    """

    dim: str
    names: tuple[str, ...]
    table: Any


@dataclass
class Quantities:
    """What the terms have said so far of each point: named values, all of shape (..., point).

    Attributes
    ----------
    looked_up : dict of str to array
        The terms' :class:`PerLevel` quantities at each point's level.
    committed : array
        E [tokens/cycle].
    held : array
        Requests that the key-value cache holds.
    in_flight : array
        Requests that run.
    load_factor : array
        Product of the factors on every cost that grows with load.
    cycle_s : array
        Seconds that a cycle takes beside verifying and drafting, whatever the batch.
    further_token : array
        Cost of each verified token after a request's first, in those of the first.
    overhead_tokens, attention_factor : array
        Tokens by which each prefill is as if longer, and factor on attention's share of a prompt's cost.
    kernel_factor, covered, wait : array
        Factor of the kernels on a step, share of experts touched, and wait for the busiest expert.
    """

    looked_up: Values
    committed: Any = 1.0
    held: Any = np.inf
    in_flight: Any = 1.0
    load_factor: Any = 1.0
    cycle_s: Any = 0.0
    further_token: Any = 1.0
    overhead_tokens: Any = 0.0
    attention_factor: Any = 1.0
    kernel_factor: Any = 1.0
    covered: Any = 0.0
    wait: Any = 1.0


class Term:
    """Base of the terms; each overrides what it has to say."""

    name = ""
    moved: tuple[str, ...] = ()
    """Unknowns that :meth:`to_natural` replaces."""

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name a row's level along each dim that the term adds, blank where it has none."""
        return {}

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether the term has anything to say of these levels."""
        return True

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Collect the facts of levels that the term's functions use, as numbers; last dims are the levels'."""
        return {}

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the term's unknowns, parents before children."""
        return []

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Compute what differs between levels only."""
        return []

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Add the term's part to the quantities of each point that do not depend on how many requests run."""

    def at_load(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Add what depends on the requests that run, ``q.in_flight``."""

    def to_natural(self, x: Values, f: Values, xp: ModuleType) -> Any:
        """Replace coordinates that the data inform by the unknowns, in `x`; give the log volume of the change."""
        return 0.0

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural` in place, numpy only."""


def sigmoid(x: Any, xp: ModuleType = np) -> Any:
    """Give the inverse of the log odds."""
    return logistic(np.asarray(x, dtype=float)) if xp is np else xp.sigmoid(x)


def softplus(x: Any, xp: ModuleType = np) -> Any:
    """Give log(1 + exp(x))."""
    return np.logaddexp(0.0, x) if xp is np else xp.softplus(x)


def inverse_softplus(y: np.ndarray) -> np.ndarray:
    """Give log(exp(y) − 1), for large and small y."""
    return y + np.log(-np.expm1(-y))


def logit(share: Any) -> Any:
    """Give the log odds of a share, plain numbers."""
    return np.log(share) - np.log1p(-np.asarray(share, dtype=float))


def times(vectors: Any, matrix: Any, xp: ModuleType = np) -> Any:
    """Multiply vectors along the last axis by a small matrix, shape (out, in): from (..., in) to (..., out).

    PyTensor adds products up: calling a library of linear algebra for a few thousand of them would double the time that compiling
    takes.
    """
    return np.matmul(vectors, matrix.T) if xp is np else xp.sum(vectors[..., None, :] * matrix, axis=-1)


def rows_of(table: Any, n: int, xp: ModuleType = np) -> list[Any]:
    """Take a table apart by its second last axis, shape (..., 1, level) each; PyTensor does it in one node."""
    if xp is np:
        return [table[..., i : i + 1, :] for i in range(n)]
    return list(xp.split(table, np.ones(n, dtype=int), n_splits=n, axis=0)) if n > 1 else [table]


def as_table(rows: list[Any], xp: ModuleType = np) -> Any:
    """Join tables along their second last axis; draws of one broadcast to those of the others."""
    return xp.join(0, *rows) if xp is not np else _joined(rows, -2)


def in_a_row(vectors: list[Any], xp: ModuleType = np) -> Any:
    """Join vectors along their last axis; draws of one broadcast to those of the others."""
    return xp.join(0, *vectors) if xp is not np else _joined(vectors, -1)


def _joined(parts: list[np.ndarray], axis: int) -> np.ndarray:
    lead = np.broadcast_shapes(*(part.shape[:axis] for part in parts))
    return np.concatenate([np.broadcast_to(p, (*lead, *p.shape[axis:])) for p in parts], axis=axis)


def one_row(vector: Any) -> Any:
    """Make a table of one quantity, shape (..., 1, level)."""
    return vector[..., None, :]
