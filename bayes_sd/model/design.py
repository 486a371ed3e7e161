"""The design of a fit: observations and cards turned into the arrays and coordinates that a model is built from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_sd.cards.profiles import read_profiles
from bayes_sd.errors import ModelError
from bayes_sd.latency.acceptance import expected_committed_profile
from bayes_sd.model.deployments import (
    Deployment,
    deployment_of,
    drafter_of,
    drafter_roofline_s,
    parameter_share,
    rooflines,
)
from bayes_sd.model.points import protocol_order
from bayes_sd.model.spec import KINDS, ModelSpec

if TYPE_CHECKING:
    from bayes_sd.cards import Cards

RESERVED_OUTPUT = {"trtllm": 1.0}
"""Share of the output that an engine sets aside in the cache when it admits a request. TensorRT-LLM's default scheduler
never evicts and so reserves all of it; vLLM and SGLang admit by what is used now, and evict."""
LARGEST_LOGIT = 7.0
"""Log odds of acceptance beyond which one is as good as none or all."""
PROFILE_POSITIONS = 16
"""Draft positions that an acceptance profile tells apart; those beyond are like the last."""
SYNTHETIC = ("random", "synthetic", "shared_prefix")
"""How the names of workloads begin whose text no drafter was trained on."""
LEAST_COMMITTED = 1.02
"""Tokens per cycle below which a measured acceptance is not told apart from none (its logit would be infinite)."""


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
        found = dict.fromkeys(d.level(kind) for d in deployments)
        names += found
        kinds += [index] * len(found)
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


def codes(values: list[str]) -> tuple[np.ndarray, list[str]]:
    """Number names in order of first appearance; blank names get −1."""
    names = list(dict.fromkeys(v for v in values if v))
    position = {name: i for i, name in enumerate(names)}
    return np.array([position.get(v, -1) for v in values], dtype=int), names


def cell_name(row: pd.Series, deployment: Deployment, drafter: str) -> str:
    """Name the acceptance cell of a speculating row: what its acceptance depends on."""
    workload = row.get("workload")
    return " | ".join(
        [deployment.verifier, drafter, workload if isinstance(workload, str) and workload else "?"]
    )


def cell_workload(cell: str) -> str:
    """Give the workload in the name of an acceptance cell."""
    return cell.rpartition(" | ")[2]


def is_synthetic(workload: str) -> bool:
    """Say whether a workload's text is random or made up, by its first word.

    Parameters
    ----------
    workload : str
        As in tables: ``random 1k-1k`` of InferenceX, ``shared_prefix ...`` of inference-perf's generator, ``random-words``
        and ``random-tokens`` of ``measure``.

    Returns
    -------
    bool
    """
    return workload.casefold().startswith(SYNTHETIC)


def rounded_lengths(row: pd.Series) -> str:
    """Give the prompt and output length of a row, to a quarter of a doubling."""
    steps = [round(4.0 * np.log2(row[c])) / 4.0 for c in ("prompt_tokens", "output_tokens")]
    return f"{2 ** steps[0]:.0f}+{2 ** steps[1]:.0f}"


def lengths_name(row: pd.Series, deployment: Deployment) -> str:
    """Name the lengths of a row on its deployment, to a quarter of a doubling."""
    return f"{deployment.key} | {rounded_lengths(row)}"


def shape_name(row: pd.Series, deployment: Deployment, drafter: str) -> str:
    """Name the shape of a row: its deployment, drafter, draft length, and lengths to a quarter of a doubling."""
    speculation = f"{drafter} k={row['k']:g}" if drafter else "none"
    return f"{deployment.key} | {speculation} | {rounded_lengths(row)}"


def measured_committed(frame: pd.DataFrame) -> np.ndarray:
    """Take E, tokens committed per cycle, from what a row states: mean length, counts, or accepted over drafted.

    Parameters
    ----------
    frame : DataFrame
        Observations or conditions.

    Returns
    -------
    array, shape (row,)
        1 without speculation, NaN where nothing is stated [tokens/cycle].
    """
    k = frame["k"].to_numpy(dtype=float)
    stated = _column(frame, "mean_accepted_len")
    counted = 1.0 + _column(frame, "n_accepted_tokens") / _column(frame, "n_drafts")
    shared = 1.0 + k * _column(frame, "acceptance")
    committed = np.where(np.isnan(stated), np.where(np.isnan(counted), shared, counted), stated)
    return np.where(k > 0, np.clip(committed, LEAST_COMMITTED, k + 1.0 - 1e-3), 1.0)


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

    Raises
    ------
    ModelError
        If there are fewer than two observations, or speculating rows of which none states an acceptance.
    """
    if len(frame) < 2:
        raise ModelError(
            f"{len(frame)} observation(s) left after the rules: a fit needs at least 2, better 10 per deployment"
        )
    plain = _plain_columns(frame)
    order = protocol_order(plain)
    frame = frame.iloc[order].reset_index(drop=True)
    deployments = [deployment_of(row, cards) for _, row in frame.iterrows()]
    index, keys = codes([d.key for d in deployments])
    first = [int(np.flatnonzero(index == i)[0]) for i in range(len(keys))]
    levels = build_levels(frame.iloc[first], [deployments[i] for i in first], cards)
    engines, engine_of = levels.index("engine")
    stacks, stack_of = levels.index("stack")
    sparse, sparse_names = codes(
        [
            d.verifier if n > 0 else ""
            for d, n in zip(levels.deployments, levels.roofline["n_experts"], strict=True)
        ]
    )
    rows = {name: column[order] for name, column in plain.items()}
    rows["deployment"] = index
    rows["engine"] = engine_of[index]
    rows["stack"] = stack_of[index]
    rows["cache_tokens"] = levels.roofline["cache_tokens"][index]
    rows["reserve"] = np.array(
        [RESERVED_OUTPUT.get(deployments[i].engine_base, 0.0) for i in range(len(frame))]
    )
    _require_acceptance(rows)
    rows["source"], sources = codes(frame["source"].tolist())
    rows["noise"], noises = codes(
        [f"{s} | {d.hardware}" for s, d in zip(frame["source"], deployments, strict=True)]
    )
    speculating = rows["k"] > 0
    drafters = [
        drafter_of(row, cards) if s else "" for (_, row), s in zip(frame.iterrows(), speculating, strict=True)
    ]
    pair_names = [f"{d.key} | {n}" if n else "" for d, n in zip(deployments, drafters, strict=True)]
    rows["pair"], pairs = codes(pair_names)
    rows["drafter"], drafter_names = codes(drafters)
    rows["shape"], shapes = codes(
        [
            shape_name(row, d, n)
            for (_, row), d, n in zip(frame.iterrows(), deployments, drafters, strict=True)
        ]
    )
    rows["lengths"], lengths = codes(
        [lengths_name(row, d) for (_, row), d in zip(frame.iterrows(), deployments, strict=True)]
    )
    cell_names = [
        cell_name(row, d, n) if n else ""
        for (_, row), d, n in zip(frame.iterrows(), deployments, drafters, strict=True)
    ]
    rows["cell"], cells = codes(cell_names)
    pair_row = [pair_names.index(name) for name in pairs]
    coords = {
        "deployment": keys,
        "level": levels.names,
        "kind": list(KINDS),
        "engine": engines,
        "stack": stacks,
        "source": sources,
        "noise": noises,
        "pair": pairs,
        "drafter": drafter_names,
        "cell": cells,
        "shape": shapes,
        "lengths": lengths,
        "sparse_verifier": sparse_names,
    }
    return Design(
        levels=levels,
        rows=rows,
        coords=coords,
        pair_roofline_s=np.array(
            [drafter_roofline_s(frame.iloc[i], deployments[i], cards) for i in pair_row]
        ),
        pair_drafter=np.array([rows["drafter"][i] for i in pair_row], dtype=int),
        pair_parameter_share=np.array([parameter_share(frame.iloc[i], cards) for i in pair_row]),
        pair_small_cache=np.array([cache_is_small(deployments[i], cards) for i in pair_row], dtype=bool),
        deployment_sparse=sparse,
        cell_drafter=np.array([rows["drafter"][cell_names.index(c)] for c in cells], dtype=int),
        cell_synthetic=np.array([is_synthetic(cell_workload(c)) for c in cells], dtype=bool),
        cell_profile=np.array(
            [method_profile(frame["method"].iloc[cell_names.index(c)]) for c in cells]
        ).reshape(len(cells), PROFILE_POSITIONS),
        frame=frame,
    )


def method_profile(method: object) -> np.ndarray:
    """Give how the log odds of acceptance differ by draft position for a speculation method.

    Parameters
    ----------
    method : str
        As tables write it, ``eagle3`` for example.

    Returns
    -------
    array, shape (position,)
        From ``models/acceptance.toml``; zero (all positions alike) for a method that it does not have.
    """
    known = _profiles()
    name = str(method).lower().replace("-", "").replace("_", "")
    return known.get(name, np.zeros(PROFILE_POSITIONS))


@lru_cache(maxsize=1)
def _profiles() -> dict[str, np.ndarray]:
    return {
        name.replace("_", ""): np.asarray(profile.mean, dtype=float)
        for name, profile in read_profiles().methods.items()
    }


def cache_is_small(deployment: Deployment, cards: Cards) -> bool:
    """Say whether a deployment's key-value cache has fewer than 16 bits per element."""
    return cards.precision(deployment.precision, deployment.verifier).kv.bytes_per_element < 2.0


def acceptance_logit(committed: np.ndarray, k: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Find the level of acceptance that commits E tokens per cycle of draft length k.

    Parameters
    ----------
    committed, k : array, shape (row,)
        E [tokens/cycle], NaN where unknown, and draft length [tokens].
    profile : array, shape (row, position)
        How log odds differ by position.

    Returns
    -------
    array, shape (row,)
        Log odds at which :func:`~bayes_sd.latency.acceptance.expected_committed_profile` gives E; NaN where unknown.
    """
    logits = np.full(len(k), np.nan)
    known = np.flatnonzero((k > 0) & np.isfinite(committed))
    lower, upper = np.full(len(known), -LARGEST_LOGIT), np.full(len(known), LARGEST_LOGIT)
    for _ in range(60):
        middle = 0.5 * (lower + upper)
        above = expected_committed_profile(middle, profile[known], k[known].astype(int)) > committed[known]
        lower, upper = np.where(above, lower, middle), np.where(above, middle, upper)
    logits[known] = 0.5 * (lower + upper)
    return logits


def _plain_columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    load = frame["load_value"].to_numpy(dtype=float)
    return {
        "prompt": frame["prompt_tokens"].to_numpy(dtype=float),
        "output": frame["output_tokens"].to_numpy(dtype=float),
        "k": frame["k"].to_numpy(dtype=float),
        "committed": measured_committed(frame),
        "load": load,
        "open_loop": (frame["load_kind"] == "rate").to_numpy(),
        "poisson": _arrivals(frame) == "poisson",
        "latency_s": frame["latency_s"].to_numpy(dtype=float),
        "ttft_s": _column(frame, "mean_ttft_ms") / 1e3,
        "tpot_s": _column(frame, "mean_tpot_ms") / 1e3,
        "cap": np.nan_to_num(_column(frame, "max_num_seqs"), nan=np.inf),
    }


def _arrivals(frame: pd.DataFrame) -> np.ndarray:
    if "arrivals" not in frame:
        return np.full(len(frame), "even")
    return frame["arrivals"].fillna("even").to_numpy(dtype=str)


def _column(frame: pd.DataFrame, name: str) -> np.ndarray:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=float, na_value=np.nan)


def _require_acceptance(rows: dict[str, np.ndarray]) -> None:
    speculating = rows["k"] > 0
    if speculating.any() and np.isnan(rows["committed"][speculating]).all():
        raise ModelError(
            f"{int(speculating.sum())} rows speculate and none states an acceptance: "
            "give mean_accepted_len, acceptance, or accepted and draft counts for at least one"
        )
