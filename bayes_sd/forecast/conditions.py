"""Conditions: what to predict for, with every name resolved against the posterior, and what is new about each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.cards.engine_names import read_engine
from bayes_sd.cards.fits import check_fits
from bayes_sd.condition.equal import UNASKED, equal_rows
from bayes_sd.condition.frame import as_conditions
from bayes_sd.errors import CardError, ConditionError
from bayes_sd.measurements import read_conditions
from bayes_sd.measurements.schema import METHODS, POOLS_NEEDED, of_role
from bayes_sd.model.arranged import Design
from bayes_sd.model.deployments import Deployment, deployment_of
from bayes_sd.model.design import arrange
from bayes_sd.model.pools import has_pools
from bayes_sd.model.remote_rows import REMOTE_DRAFTER, is_remote
from bayes_sd.model.spec import KINDS
from bayes_sd.model.terms.idle import CONFIGURED

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

BEYOND = 1.1
"""A length or load this much outside the measured range of its deployment counts as extrapolation."""

ELSEWHERE = (
    *UNASKED,
    *(name for role in ("load", "requests", "drafting", "acceptance") for name in of_role(role)),
)
"""Columns that name no deployment: rows which differ in these alone have one in common."""
NEW = {
    "memory": "kind of memory",
    "version": "engine version",
    "parallel": "layout of GPUs",
    "unpacked": "number format unpacked",
}
"""What a kind of level that was never measured is called, where not by its own name."""
IDLE = "speculation configured and off"
NO_MIXTURE = "mixture of experts"
"""What a trace without any mixture extrapolates in when it is asked about one."""


@dataclass(frozen=True)
class Conditions:
    """Resolved conditions.

    Attributes
    ----------
    frame : DataFrame
        As given.
    deployments : list of Deployment
        One per condition.
    drafter, pair, cell : list of str
        Names, empty without speculation.
    k, committed, prompt, output, load, cap : array, shape (condition,)
        `committed` is NaN where acceptance must be predicted; `cap` is inf where unknown.
    open_loop, poisson : bool array, shape (condition,)
        The latter of all random arrivals.
    gap_scv : array, shape (condition,)
        Squared coefficient of variation of the gaps between random arrivals, 1 for Poisson's.
    shape : list of str
        Deployment, drafter, draft length and rounded lengths.
    lengths : list of str
        Deployment and rounded lengths.
    extrapolates : list of str
        What is new about each condition, empty if nothing.
    design : Design
        The conditions' levels and what cards say of them.
    """

    frame: pd.DataFrame
    deployments: list[Deployment]
    drafter: list[str]
    pair: list[str]
    cell: list[str]
    k: np.ndarray
    committed: np.ndarray
    prompt: np.ndarray
    output: np.ndarray
    load: np.ndarray
    cap: np.ndarray
    open_loop: np.ndarray
    poisson: np.ndarray
    gap_scv: np.ndarray
    shape: list[str]
    lengths: list[str]
    extrapolates: list[str]
    design: Design
    assumed: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.deployments)

    @cached_property
    def records(self) -> list[Any]:
        """Rows of `frame` as plain values by column: a thousand look-ups of pandas' rows take longer than a prediction."""
        return self.frame.to_dict("records")


def read_conditions_for(path: str | Path) -> pd.DataFrame:
    """Read a table of conditions (see :func:`bayes_sd.measurements.read_conditions`)."""
    return read_conditions(Path(path))


def resolve(frame: pd.DataFrame, posterior: Posterior, cards: Cards, pools: bool = False) -> Conditions:
    """Resolve a table of conditions.

    Parameters
    ----------
    frame : DataFrame, mapping or sequence of mappings
        With the measurement table's column names; see :func:`bayes_sd.condition.as_conditions`.
    posterior : Posterior
    cards : Cards
    pools : bool
        Whether the question has an answer for separate pools of prefill and decode.

    Returns
    -------
    Conditions

    Raises
    ------
    CardError
        If hardware, precision or verifier are unknown.
    ConditionError
        If a server has separate pools for prefill and decode and the question no answer for them, a needed column is missing, a
        value cannot be used, or a draft length is missing where a method speculates.
    """
    frame = as_conditions(frame, posterior=posterior)
    deployments = _deployments(frame, posterior, cards)
    _refuse_separate_pools(frame, deployments, pools)
    _refuse_too_large(frame, deployments, posterior, cards)
    k = frame["k"].to_numpy(dtype=float)
    missing = np.flatnonzero(np.isnan(k))
    if len(missing):
        row = frame.iloc[missing[0]].get("row", missing[0] + 2)
        raise ConditionError(
            f"row {row}: method speculates and k is blank; give the draft length in column k"
        )
    design = arrange(frame, deployments, cards)
    rows, coords = design.rows, design.coords

    def named(dim: str) -> list[str]:
        return [coords[dim][i] if i >= 0 else "" for i in rows[dim]]

    conditions = Conditions(
        frame=frame,
        deployments=deployments,
        drafter=named("drafter"),
        pair=named("pair"),
        cell=named("cell"),
        k=k,
        committed=rows["committed"],
        prompt=rows["prompt"],
        output=rows["output"],
        load=rows["load"],
        cap=rows["cap"],
        open_loop=rows["open_loop"],
        poisson=rows["poisson"],
        gap_scv=rows["gap_scv"],
        shape=named("shape"),
        lengths=named("lengths"),
        extrapolates=[],
        design=design,
    )
    conditions.extrapolates.extend(_extrapolates(conditions, posterior))
    return conditions


def _deployments(frame: pd.DataFrame, posterior: Posterior, cards: Cards) -> list[Deployment]:
    """Name the deployment of each row, once for rows that differ in nothing that names one."""
    alike = equal_rows(frame, but=ELSEWHERE)
    firsts = np.unique(alike, return_index=True)[1]
    rows: list[Any] = frame.iloc[firsts].to_dict("records")
    found = [_near_engine(deployment_of(row, cards), posterior) for row in rows]
    return [found[group] for group in alike]


def _refuse_separate_pools(frame: pd.DataFrame, deployments: list[Deployment], pools: bool) -> None:
    """Refuse servers with a pool for prefill and one for decode where the answer would be that of another structure."""
    for i, deployment in enumerate(deployments):
        if not deployment.disaggregated:
            continue
        row = frame.iloc[i].get("row", i + 1)
        what = f"row {row}: {deployment.engine!r} runs prefill and decode on separate GPUs"
        if not pools:
            raise ConditionError(
                f"{what}; only predict has an answer for that: ask about one pool as a server of its own"
            )
        if not has_pools(frame.iloc[i]):
            needed = ", ".join(POOLS_NEEDED)
            raise ConditionError(f"{what}: say how many, in the columns {needed}; or leave the row out")
        if frame["load_kind"].iloc[i] == "rate":
            raise ConditionError(
                f"{what}, for which there is a law of closed loops only: give the load as concurrency"
            )


def _refuse_too_large(
    frame: pd.DataFrame, deployments: list[Deployment], posterior: Posterior, cards: Cards
) -> None:
    """Refuse a model whose weights alone are larger than the memory of its GPUs; one that was measured evidently ran."""
    told = {d.key for d in posterior.levels.deployments}
    for i, deployment in enumerate(deployments):
        key = deployment.key
        if key in told:
            continue
        row = frame.iloc[i]
        if has_pools(row):
            continue
        told.add(key)
        verifier = cards.verifier_from_row(row)
        precision = cards.precision(deployment.precision, verifier.name)
        gpus = max(deployment.spread.gpus, int(row["n_gpu"]))
        try:
            check_fits(verifier, cards.hardware(deployment.hardware), precision, gpus)
        except CardError as error:
            raise ConditionError(f"row {row.get('row', i + 1)}: {error}") from error


def _near_engine(deployment: Deployment, posterior: Posterior) -> Deployment:
    """Where a condition names no engine, or no version, take what its verifier, GPU and formats were measured with, if it is one."""
    named = read_engine(deployment.engine.partition(" +")[0])
    if named.version or deployment.age.known:
        return deployment
    same = [
        d
        for d in posterior.levels.deployments
        if (d.verifier, d.hardware, d.precision)
        == (deployment.verifier, deployment.hardware, deployment.precision)
        and named.family in ("unknown", read_engine(d.engine).family)
        and (deployment.engine == "unknown" or (" +" in d.engine) == (" +" in deployment.engine))
    ]
    if len({d.engine for d in same}) != 1:
        return deployment
    return replace(deployment, engine=same[0].engine, age=same[0].age)


def _extrapolates(conditions: Conditions, posterior: Posterior) -> list[str]:
    levels = posterior.levels
    keys = {d.key: i for i, d in enumerate(levels.deployments)}
    known = set(levels.names)
    pairs, cells = set(posterior.names("pair")), set(posterior.names("cell"))
    drafters, idle = set(posterior.names("drafter")), set(posterior.names("idle"))
    methods = {*METHODS, *posterior.observed["method"]}
    dense_only = not (levels.roofline["n_experts"] > 0).any()
    sparse = conditions.design.deployment_sparse[conditions.design.rows["deployment"]] >= 0
    reasons = []
    told: dict[str, list[str]] = {}
    for i, deployment in enumerate(conditions.deployments):
        key = deployment.key
        at = keys.get(key)
        if key not in told:
            levels_new = _new_levels(deployment, known)
            alone = at is None and not levels_new
            told[key] = [_combination(deployment, posterior)] if alone else levels_new
        new = list(told[key])
        if dense_only and sparse[i]:
            new.insert(0, NO_MIXTURE)  # the gravest
        if at is not None:
            new += _outside(conditions, i, posterior.about["measured"][at])
        if conditions.drafter[i]:
            if conditions.drafter[i] not in drafters:
                new.append("drafter" if str(conditions.frame["method"].iloc[i]) in methods else "method")
            elif conditions.pair[i] not in pairs:
                new.append("drafter on this deployment")
            if is_remote(conditions.records[i]):
                new.append(REMOTE_DRAFTER)
            if np.isnan(conditions.committed[i]) and conditions.cell[i] not in cells:
                new.append("acceptance")
        elif conditions.frame.iloc[i].get(CONFIGURED) == 1 and deployment.engine_base not in idle:
            new.append(IDLE)
        reasons.append("; ".join(new))
    return reasons


def _new_levels(deployment: Deployment, known: set[str]) -> list[str]:
    """Name the kinds of level of which the deployment's own was never measured, the usual case aside."""
    names = {kind: deployment.level(kind) for kind in KINDS if kind != "stack"}
    new = {kind for kind, name in names.items() if name and name not in known}
    implied = {"memory": "hardware", "version": "engine", "unpacked": "precision"}
    return [NEW.get(kind, kind) for kind in KINDS if kind in new and implied.get(kind) not in new]


def _combination(deployment: Deployment, posterior: Posterior) -> str:
    """Say what is new about a deployment of which every part was measured."""
    alike = [
        d
        for d in posterior.levels.deployments
        if (d.verifier, d.hardware, d.precision)
        == (deployment.verifier, deployment.hardware, deployment.precision)
    ]
    if any(d.engine == deployment.engine for d in alike):
        return f"tensor-parallel size {deployment.tp}"
    return "engine version" if any(d.engine_base == deployment.engine_base for d in alike) else "combination"


def _outside(conditions: Conditions, i: int, measured: dict[str, list[float]]) -> list[str]:
    words = []
    for name, value in (("prompt", conditions.prompt[i]), ("output", conditions.output[i])):
        low, high = measured[name]
        if not low / BEYOND <= value <= high * BEYOND:
            words.append(f"{name} length")
    low, high = measured["k"]
    if not low <= conditions.k[i] <= high:
        words.append("draft length")
    same_loop = bool(conditions.open_loop[i]) in measured["open_loop"]
    low, high = measured["load"]
    if (
        same_loop
        and len(measured["open_loop"]) == 1
        and not low / BEYOND <= conditions.load[i] <= high * BEYOND
    ):
        words.append("load")
    return words
