"""A decision as losses: what each choice gives away in each draw of a posterior, and what its interval is of.

A loss is 0 for the best choice of a draw. Of draft lengths, of drafters and of speculating at all it is the share of the
attainable speed that is given away, 1 - L_best/L, as in :func:`bayes_sd.decide.tune.judge`. Of replicas it is what too many
cost and what too few would, in units of the replicas that are probably needed: with c_u/c_o = p/(1 - p) the best choice is the
p-quantile (the newsvendor's rule), which is what :func:`bayes_sd.decide.plan.plan` promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayes_sd.decide.objective import read_objective
from bayes_sd.decide.plan import check_plan, highest_rates
from bayes_sd.decide.speedup import default_loads
from bayes_sd.decide.tune import DRAFT_LENGTHS, prepare_choices
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.sweep import Alternative, LoadAxis, Prepared, prepare, stability_limits, sweep

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

Kind = Literal["k", "speculate", "drafter", "replicas"]
KINDS: tuple[Kind, ...] = ("k", "speculate", "drafter", "replicas")
N_LOADS = 5
"""Loads that a decision is made at where none is asked for."""
MOST_REPLICAS = 10_000


@dataclass(frozen=True)
class Decision:
    """A choice to be made.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    choices : list of str
        Draft lengths, drafters or numbers of replicas.
    loss : array, shape (draw, choice, part)
        What a choice gives away; a part is a load, decided on its own.
    weight : array, shape (part,)
        Sums to 1.
    parts : list of str
        Names of the parts.
    log_quantity : array, shape (draw, part)
        Logarithm of what an interval would be of: the latency of the safest choice, or the rate that a replica holds.
    prepared : Prepared
        The servers that are chosen among, with their draws.
    """

    kind: Kind
    choices: list[str]
    loss: np.ndarray
    weight: np.ndarray
    parts: list[str]
    log_quantity: np.ndarray
    prepared: Prepared

    @property
    def safe(self) -> np.ndarray:
        """Index of the choice with the lowest expected loss, shape (part,)."""
        return self.loss.mean(axis=0).argmin(axis=0)

    @property
    def regret(self) -> float:
        """Expected loss of the safe choices, mean over the parts: what knowing all would be worth."""
        return float(self.loss.mean(axis=0).min(axis=0) @ self.weight)


def latency_decision(
    posterior: Posterior,
    base: pd.DataFrame,
    kind: Kind,
    *,
    loads: Any = None,
    axis: LoadAxis = "in-flight",
    draft_lengths: Sequence[int] = DRAFT_LENGTHS,
    drafters: Sequence[tuple[str, str]] = (),
    cards: Cards | None = None,
    seed: int = 0,
) -> Decision:
    """Make the decision for a draft length, a drafter, or speculation at all.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row.
    kind : {"k", "speculate", "drafter"}
        ``"k"``: among `draft_lengths` (0 is no speculation). ``"speculate"``: the condition's draft length, or none.
        ``"drafter"``: among `drafters` at the condition's draft length, or none.
    loads : array, optional
        Loads to decide at; five over the range of the axis by default.
    axis : {"in-flight", "rate", "utilisation"}
    draft_lengths : sequence of int
    drafters : sequence of (method, drafter)
    cards : Cards, optional
    seed : int

    Returns
    -------
    Decision

    Raises
    ------
    ConditionError
        If the condition does not speculate, fewer than two drafters are given to choose among, or no choice has a steady
        state in half of the draws at any load.
    """
    if kind == "drafter" and len(drafters) < 2:
        raise ConditionError("one drafter leaves no choice: name two or more (--drafter, repeated)")
    own = [int(base["k"].iloc[0])]
    lengths = draft_lengths if kind == "k" else sorted({0, *(own if own[0] > 0 else [])})
    prepared = prepare_choices(posterior, base, lengths, drafters, cards, seed)
    if loads is None:
        limits = np.ones((1, 1)) if axis == "in-flight" else stability_limits(prepared)
        loads = default_loads(prepared, limits, axis, N_LOADS)
    swept = sweep(prepared, loads, axis, ttft=False)
    latency = swept["latency"].to_numpy()
    best = latency.min(axis=1, keepdims=True)
    defined = np.isfinite(best)
    kept = np.flatnonzero(defined.mean(axis=(0, 1)) >= 0.5)
    if not len(kept):
        raise ConditionError("no server of these keeps up with any of the loads: give lower ones (--loads)")
    with np.errstate(invalid="ignore"):
        loss = np.where(defined, 1.0 - best / latency, 0.0)[:, :, kept]
    safe = loss.mean(axis=0).argmin(axis=0)
    chosen = latency[:, safe, kept]
    finite = np.where(np.isfinite(chosen), chosen, np.nan)
    worst = np.nanmax(np.where(np.isnan(finite), 0.0, finite), axis=0)
    return Decision(
        kind=kind,
        choices=prepared.names,
        loss=loss,
        weight=np.full(len(kept), 1.0 / len(kept)),
        parts=[f"{float(v):.3g}" for v in swept["load"].to_numpy()[kept]],
        # A draw without a steady state counts as one that is as slow as the slowest that has one.
        log_quantity=np.log(np.where(np.isnan(finite), worst, finite)),
        prepared=prepared,
    )


def replicas_decision(
    posterior: Posterior,
    base: pd.DataFrame,
    slo: str | Sequence[str],
    rate_rps: float,
    *,
    probability: float = 0.9,
    cards: Cards | None = None,
    seed: int = 0,
) -> Decision:
    """Make the decision for a number of replicas.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row, an open loop; its draft length is the one that all replicas have.
    slo : str or sequence of str
        Objectives, as of :func:`bayes_sd.decide.plan.plan`.
    rate_rps : float
        Of all replicas together [requests/s].
    probability : float
        That the replicas are to be enough with, in (0, 1).
    cards : Cards, optional
    seed : int

    Returns
    -------
    Decision

    Raises
    ------
    ConditionError
        If an objective does not parse, a number is out of range, or half of the draws miss the objectives even idle.
    """
    objectives = [read_objective(text) for text in ([slo] if isinstance(slo, str) else slo)]
    check_plan(objectives, rate_rps, probability, None)
    prepared = prepare(posterior, base, [Alternative(int(base["k"].iloc[0]))], cards, seed)
    highest, _, _ = highest_rates(prepared, 0, objectives)
    held = highest > 0.0
    if held.mean() < 0.5:
        raise ConditionError(
            f"even an idle server misses {', '.join(map(str, objectives))} in {1 - held.mean():.0%} of the draws: no number of "
            "replicas helps; give a wider objective"
        )
    needed = np.ceil(rate_rps / np.where(held, highest, np.inf) * (1.0 - 1e-9))
    top = np.quantile(needed[held], 0.999)
    if top > MOST_REPLICAS:
        raise ConditionError(
            f"{top:.0f} replicas and more: give a lower --rate, or one of a part of the servers"
        )
    numbers = np.unique(np.minimum(needed[held], top))
    short = probability / (1.0 - probability)
    over = numbers[None, :] - needed[:, None]
    loss = (np.maximum(over, 0.0) + short * np.maximum(-over, 0.0)) / np.median(needed[held])
    loss[~held] = 0.0  # no number of replicas helps there
    quantity = np.log(np.where(held, highest, highest[held].min()))
    return Decision(
        kind="replicas",
        choices=[f"{n:.0f}" for n in numbers],
        loss=loss[:, :, None],
        weight=np.ones(1),
        parts=[f"{rate_rps:g} requests/s"],
        log_quantity=quantity[:, None],
        prepared=prepared,
    )
