"""The design of a fit: observations and cards turned into the arrays and coordinates that a model is built from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_sd.errors import ModelError
from bayes_sd.model.deployments import (
    Deployment,
    deployment_of,
    drafter_of,
    drafter_roofline_s,
    parameter_share,
    rooflines,
)
from bayes_sd.model.names import cell_name, cell_workload, codes, is_synthetic, lengths_name, shape_name
from bayes_sd.model.points import protocol_order
from bayes_sd.model.spec import KINDS, ModelSpec
from bayes_sd.model.stated import PROFILE_POSITIONS, measured_committed, method_profile, number_column

if TYPE_CHECKING:
    from bayes_sd.cards import Cards

RESERVED_OUTPUT = {"trtllm": 1.0}
"""Share of the output that an engine sets aside in the cache when it admits a request. TensorRT-LLM's default scheduler
never evicts and so reserves all of it; vLLM and SGLang admit by what is used now, and evict."""


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
    """

    deployments: list[Deployment]
    names: list[str]
    kind: np.ndarray
    member: np.ndarray
    roofline: dict[str, np.ndarray]
    log2_tp: np.ndarray

    def index(self, kind: str) -> tuple[list[str], np.ndarray]:
        """Give the levels of one kind and each deployment's index among them."""
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
        ``open_loop, poisson`` flags.
    coords : dict of str to list
        Names along each dim.
    pair_roofline_s, pair_deployment, pair_drafter : array, shape (pair,)
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
    pair_drafter: np.ndarray
    pair_parameter_share: np.ndarray
    pair_small_cache: np.ndarray
    deployment_sparse: np.ndarray
    cell_drafter: np.ndarray
    cell_synthetic: np.ndarray
    cell_profile: np.ndarray
    frame: pd.DataFrame

    def row_profile(self, spec: ModelSpec) -> np.ndarray:
        """Give each observation the acceptance profile of its cell, shape (observation, position)."""
        if spec.acceptance == "iid":
            return np.zeros((len(self.rows["cell"]), PROFILE_POSITIONS))
        padded = np.vstack([self.cell_profile, np.zeros((1, PROFILE_POSITIONS))])
        return padded[self.rows["cell"]]


def build_levels(frame: pd.DataFrame, deployments: list[Deployment], cards: Cards) -> Levels:
    """Collect the levels of a list of deployments.

    Parameters
    ----------
    frame : DataFrame
        One row per deployment, in order.
    deployments : list of Deployment
    cards : Cards

    Returns
    -------
    Levels
    """
    names: list[str] = []
    kinds: list[int] = []
    for index, kind in enumerate(KINDS):
        levels = dict.fromkeys(d.level(kind) for d in deployments)
        names += levels
        kinds += [index] * len(levels)
    member = np.zeros((len(deployments), len(names)))
    for i, deployment in enumerate(deployments):
        for kind in KINDS:
            member[i, names.index(deployment.level(kind))] = 1.0
    return Levels(
        deployments=deployments,
        names=names,
        kind=np.array(kinds),
        member=member,
        roofline=rooflines(frame, deployments, cards),
        log2_tp=np.log2([d.tp for d in deployments]),
    )


def build_design(frame: pd.DataFrame, cards: Cards) -> Design:
    """Turn observations into a design.

    Parameters
    ----------
    frame : DataFrame
        Observations after the rules, one row each.
    cards : Cards

    Returns
    -------
    Design
        Observations in protocol order.

    Raises
    ------
    ModelError
        If there are fewer than two observations, or speculating rows of which none states an acceptance.
    """
    if len(frame) < 2:
        raise ModelError(
            f"{len(frame)} observation(s) left after the rules: a fit needs at least 2, better 10 per deployment"
        )
    frame = frame.iloc[protocol_order(plain_columns(frame))].reset_index(drop=True)
    _require_acceptance(plain_columns(frame))
    return arrange(frame, [deployment_of(row, cards) for _, row in frame.iterrows()], cards)


def arrange(frame: pd.DataFrame, deployments: list[Deployment], cards: Cards) -> Design:
    """Number the levels that rows belong to, and collect what cards say of them.

    Parameters
    ----------
    frame : DataFrame
        Observations or conditions.
    deployments : list of Deployment
        One per row.
    cards : Cards

    Returns
    -------
    Design
        Rows in the order given.
    """
    rows = plain_columns(frame)
    each = [row for _, row in frame.iterrows()]
    rows["deployment"], keys = codes([d.key for d in deployments])
    first = _first(rows["deployment"], len(keys))
    levels = build_levels(frame.iloc[first], [deployments[i] for i in first], cards)
    drafters = [drafter_of(row, cards) if k > 0 else "" for row, k in zip(each, rows["k"], strict=True)]
    coords: dict[str, list[Any]] = {"deployment": keys, "level": levels.names, "kind": list(KINDS)}
    for kind in ("engine", "stack"):
        coords[kind], of_deployment = levels.index(kind)
        rows[kind] = of_deployment[rows["deployment"]]
    for dim, names in _row_levels(each, deployments, drafters).items():
        rows[dim], coords[dim] = codes(names)
    rows["cache_tokens"] = levels.roofline["cache_tokens"][rows["deployment"]]
    rows["reserve"] = np.array([RESERVED_OUTPUT.get(d.engine_base, 0.0) for d in deployments])
    sparse, coords["sparse_verifier"] = codes(
        [
            d.verifier if n > 0 else ""
            for d, n in zip(levels.deployments, levels.roofline["n_experts"], strict=True)
        ]
    )
    pair, cell = (_first(rows[dim], len(coords[dim])) for dim in ("pair", "cell"))
    return Design(
        levels=levels,
        rows=rows,
        coords=coords,
        pair_roofline_s=np.array([drafter_roofline_s(each[i], deployments[i], cards) for i in pair]),
        pair_drafter=rows["drafter"][pair],
        pair_parameter_share=np.array([parameter_share(each[i], cards) for i in pair]),
        pair_small_cache=np.array([cache_is_small(deployments[i], cards) for i in pair], dtype=bool),
        deployment_sparse=sparse,
        cell_drafter=rows["drafter"][cell],
        cell_synthetic=np.array([is_synthetic(cell_workload(c)) for c in coords["cell"]], dtype=bool),
        cell_profile=np.array([method_profile(each[i].get("method")) for i in cell]).reshape(
            len(cell), PROFILE_POSITIONS
        ),
        frame=frame,
    )


def _row_levels(
    rows: list[pd.Series], deployments: list[Deployment], drafters: list[str]
) -> dict[str, list[str]]:
    """Name the level of each row along every dim that is not the deployment's, blank where it has none."""
    named = list(zip(rows, deployments, drafters, strict=True))
    return {
        "source": [str(row.get("source", "")) for row in rows],
        "noise": [f"{row.get('source', '')} | {d.hardware}" for row, d, _ in named],
        "pair": [f"{d.key} | {drafter}" if drafter else "" for _, d, drafter in named],
        "drafter": drafters,
        "shape": [shape_name(row, d, drafter) for row, d, drafter in named],
        "lengths": [lengths_name(row, d) for row, d, _ in named],
        "cell": [cell_name(row, d, drafter) if drafter else "" for row, d, drafter in named],
    }


def _first(codes_of_rows: np.ndarray, n: int) -> np.ndarray:
    """Find the first row of each of `n` levels, shape (level,)."""
    return np.array([int(np.flatnonzero(codes_of_rows == i)[0]) for i in range(n)], dtype=int)


def cache_is_small(deployment: Deployment, cards: Cards) -> bool:
    """Say whether a deployment's key-value cache has fewer than 16 bits per element."""
    return cards.precision(deployment.precision, deployment.verifier).kv.bytes_per_element < 2.0


def plain_columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give the numeric columns of rows, NaN where something was not measured, shape (row,) each."""
    load = frame["load_value"].to_numpy(dtype=float)
    return {
        "prompt": frame["prompt_tokens"].to_numpy(dtype=float),
        "output": frame["output_tokens"].to_numpy(dtype=float),
        "k": frame["k"].to_numpy(dtype=float),
        "committed": measured_committed(frame),
        "load": load,
        "open_loop": (frame["load_kind"] == "rate").to_numpy(),
        "poisson": _arrivals(frame) == "poisson",
        "latency_s": number_column(frame, "latency_s"),
        "ttft_s": number_column(frame, "mean_ttft_ms") / 1e3,
        "tpot_s": number_column(frame, "mean_tpot_ms") / 1e3,
        "cap": np.nan_to_num(number_column(frame, "max_num_seqs"), nan=np.inf),
    }


def _arrivals(frame: pd.DataFrame) -> np.ndarray:
    if "arrivals" not in frame:
        return np.full(len(frame), "even")
    return frame["arrivals"].fillna("even").to_numpy(dtype=str)


def _require_acceptance(rows: dict[str, np.ndarray]) -> None:
    speculating = rows["k"] > 0
    if speculating.any() and np.isnan(rows["committed"][speculating]).all():
        raise ModelError(
            f"{int(speculating.sum())} rows speculate and none states an acceptance: "
            "give mean_accepted_len, acceptance, or accepted and draft counts for at least one"
        )
