"""The design of a fit: observations and cards turned into the arrays and coordinates that a model is built from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_sd.errors import ModelError
from bayes_sd.measurements.latency import DECODING
from bayes_sd.measurements.schema import gap_shape
from bayes_sd.model.arranged import Design, Levels
from bayes_sd.model.deployments import (
    Deployment,
    deployment_of,
    drafter_of,
    drafter_roofline_s,
    parameter_share,
    rooflines,
)
from bayes_sd.model.names import cell_workload, codes, is_synthetic
from bayes_sd.model.points import protocol_order
from bayes_sd.model.pool_columns import pool_columns
from bayes_sd.model.pools import has_pools
from bayes_sd.model.spec import KINDS
from bayes_sd.model.stated import (
    PROFILE_POSITIONS,
    draft_passes,
    measured_committed,
    method_profile,
    number_column,
    verify_tokens,
)
from bayes_sd.model.term import Labelled
from bayes_sd.model.terms import TERMS

if TYPE_CHECKING:
    from bayes_sd.cards import Cards

RESERVED_OUTPUT = {"trtllm": 1.0}
"""Share of the output that an engine sets aside in the cache when it admits a request. TensorRT-LLM's default scheduler
never evicts and so reserves all of it; vLLM and SGLang admit by what is used now, and evict."""


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
        levels = dict.fromkeys(level for d in deployments if (level := d.level(kind)))
        names += levels
        kinds += [index] * len(levels)
    member = np.zeros((len(deployments), len(names)))
    for i, deployment in enumerate(deployments):
        for level in filter(None, map(deployment.level, KINDS)):
            member[i, names.index(level)] = 1.0
    return Levels(
        deployments=deployments,
        names=names,
        kind=np.array(kinds),
        member=member,
        roofline=rooflines(frame, deployments, cards),
        log2_tp=np.log2([d.spread.tp for d in deployments]),
        age_years=np.array([d.age.years for d in deployments]),
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
    given: list[Any] = frame.to_dict("records")
    pools = np.array([has_pools(row) for row in given])
    frame = frame.iloc[protocol_order(plain_columns(frame) | {"pools": pools})].reset_index(drop=True)
    _require_acceptance(plain_columns(frame))
    ordered: list[Any] = frame.to_dict("records")
    return arrange(frame, [deployment_of(row, cards) for row in ordered], cards)


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
    each: list[Any] = frame.to_dict("records")  # look-ups in pandas' rows take longer than all else here
    rows["deployment"], keys = codes([d.key for d in deployments])
    first = _first(rows["deployment"], len(keys))
    levels = build_levels(frame.iloc[first], [deployments[i] for i in first], cards)
    drafters = [drafter_of(row, cards) if k > 0 else "" for row, k in zip(each, rows["k"], strict=True)]
    coords: dict[str, list[Any]] = {"deployment": keys, "level": levels.names, "kind": list(KINDS)}
    for kind in ("engine", "stack"):
        coords[kind], of_deployment = levels.index(kind)
        rows[kind] = of_deployment[rows["deployment"]]
    labels = [
        Labelled(row, d, drafter, bool(levels.roofline["n_experts"][i] > 0))
        for row, d, drafter, i in zip(each, deployments, drafters, rows["deployment"], strict=True)
    ]
    for term in TERMS:
        named = [term.levels_of(label) for label in labels]
        for dim in named[0]:
            rows[dim], coords[dim] = codes([names[dim] for names in named])
    rows["cache_tokens"] = levels.roofline["cache_tokens"][rows["deployment"]]
    rows |= pool_columns(each, deployments, cards)
    rows["ranks"] = np.array([float(d.spread.ranks) for d in deployments])
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


def _first(codes_of_rows: np.ndarray, n: int) -> np.ndarray:
    """Find the first row of each of `n` levels, shape (level,)."""
    return np.array([int(np.flatnonzero(codes_of_rows == i)[0]) for i in range(n)], dtype=int)


def cache_is_small(deployment: Deployment, cards: Cards) -> bool:
    """Say whether a deployment's key-value cache has fewer than 16 bits per element."""
    return cards.precision(deployment.precision, deployment.verifier).kv.bytes_per_element < 2.0


def plain_columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Give the numeric columns of rows, NaN where something was not measured, shape (row,) each."""
    load = frame["load_value"].to_numpy(dtype=float)
    arrivals = _arrivals(frame)
    return {
        "prompt": frame["prompt_tokens"].to_numpy(dtype=float),
        # A cached prefix is counted once for all that share it, so a request fills the cache with the rest.
        "own_prompt": np.maximum(
            frame["prompt_tokens"].to_numpy(dtype=float)
            - np.nan_to_num(number_column(frame, "cached_prompt_tokens")),
            1.0,
        ),
        "output": frame["output_tokens"].to_numpy(dtype=float),
        "k": frame["k"].to_numpy(dtype=float),
        "committed": measured_committed(frame),
        "load": load,
        "open_loop": (frame["load_kind"] == "rate").to_numpy(),
        "poisson": arrivals != "even",
        "gap_scv": np.array([1.0 / gap_shape(a) for a in arrivals]),
        "latency_s": number_column(frame, "latency_s"),
        "decoding": (frame["latency_part"] == DECODING).to_numpy()
        if "latency_part" in frame
        else np.zeros(len(frame), dtype=bool),
        "ttft_s": number_column(frame, "mean_ttft_ms") / 1e3,
        "tpot_s": number_column(frame, "mean_tpot_ms") / 1e3,
        "passes": draft_passes(frame),
        "verified": verify_tokens(frame),
        "cached": np.nan_to_num(number_column(frame, "cached_prompt_tokens")),
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
