"""A design as data: rows as numbers, the levels that they belong to, and what cards say of those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.spec import KINDS, ModelSpec
from bayes_sd.model.stated import PROFILE_POSITIONS

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.model.deployments import Deployment


@dataclass(frozen=True)
class Levels:
    """Deployments, the levels they belong to, and their rooflines.

    Attributes
    ----------
    deployments : list of Deployment
    names : list of str
        Levels of all kinds, ``"kind: name"``.
    kind : int array, shape (level,)
        Index of each level's kind in :data:`~bayes_sd.model.spec.KINDS`.
    member : float array, shape (deployment, level)
        1 where the deployment belongs to the level.
    roofline : dict of str to array, shape (deployment,)
    log2_tp : array, shape (deployment,)
    age_years : array, shape (deployment,)
        Of the engine's version, since :data:`bayes_sd.model.ages.REFERENCE`.
    """

    deployments: list[Deployment]
    names: list[str]
    kind: np.ndarray
    member: np.ndarray
    roofline: dict[str, np.ndarray]
    log2_tp: np.ndarray
    age_years: np.ndarray

    @property
    def level_of(self) -> np.ndarray:
        """Level of each kind that a deployment belongs to, -1 where it has none, shape (kind, deployment)."""
        own = [(self.member > 0) & (self.kind == kind) for kind in range(len(KINDS))]
        found = [np.where(o.any(axis=1), o @ np.arange(len(self.names)), -1) for o in own]
        return np.stack(found).astype(int)

    def index(self, kind: str) -> tuple[list[str], np.ndarray]:
        """Give the levels of a kind that every deployment has one of, and each deployment's index among them."""
        own = [name for name, k in zip(self.names, self.kind, strict=True) if KINDS[k] == kind]
        return own, np.array([own.index(d.level(kind)) for d in self.deployments])


@dataclass(frozen=True)
class Design:
    """Everything numeric that a model needs.

    Attributes
    ----------
    levels : Levels
    rows : dict of str to array, shape (observation,)
        Columns of the observations as numbers: indices ``deployment, pair, drafter, cell, source, noise, engine``;
        ``prompt, output, k, committed`` (NaN if unknown), ``load, latency_s, ttft_s, tpot_s, cap, cache_tokens``;
        ``open_loop, poisson`` flags, the latter of all random arrivals, and ``gap_scv``, 1 for Poisson's.
    coords : dict of str to list
        Names along each dim.
    pair_roofline_s : array, shape (pair,)
    pair_parameter_share : array, shape (pair,)
        Parameters that a draft step works through for a token, in units of the verifier's.
    pair_small_cache : bool array, shape (pair,)
        Whether the pair's key-value cache has fewer than 16 bits.
    deployment_sparse : int array, shape (deployment,)
        Which of the verifiers with routed experts, -1 for a dense one.
    cell_drafter : array, shape (cell,)
        Drafter of each acceptance cell (verifier, drafter, workload).
    cell_synthetic : bool array, shape (cell,)
        Whether the cell's text is random or made up, see :func:`is_synthetic`.
    cell_profile : array, shape (cell, position)
        How the log odds of acceptance differ by draft position, by the cell's method.
    frame : DataFrame
        The observations.
    """

    levels: Levels
    rows: dict[str, np.ndarray]
    coords: dict[str, list[Any]]
    pair_roofline_s: np.ndarray
    pair_parameter_share: np.ndarray
    pair_small_cache: np.ndarray
    deployment_sparse: np.ndarray
    cell_drafter: np.ndarray
    cell_synthetic: np.ndarray
    cell_profile: np.ndarray
    frame: pd.DataFrame

    def of_cells(self, dim: str) -> np.ndarray:
        """Give the level along a dim of each acceptance cell's rows, shape (cell,)."""
        return self._of("cell", dim)

    def of_pairs(self, dim: str) -> np.ndarray:
        """Give the level along a dim of each pair's first row, shape (pair,)."""
        return self._of("pair", dim)

    def _of(self, group: str, dim: str) -> np.ndarray:
        first = [int(np.flatnonzero(self.rows[group] == i)[0]) for i in range(len(self.coords[group]))]
        return self.rows[dim][np.array(first, dtype=int)]

    def row_profile(self, spec: ModelSpec) -> np.ndarray:
        """Give each observation the acceptance profile of its cell, shape (observation, position)."""
        if spec.acceptance == "iid":
            return np.zeros((len(self.rows["cell"]), PROFILE_POSITIONS))
        padded = np.vstack([self.cell_profile, np.zeros((1, PROFILE_POSITIONS))])
        return padded[self.rows["cell"]]
