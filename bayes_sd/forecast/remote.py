"""A drafter on hardware of its own: another GPU, another tensor-parallel size, or processor cores.

Nobody measured such a server for this package, so what it costs is the drafter as it is known beside the verifier, carried over::

    pass        c1d·(ideal pass there / ideal pass beside the verifier)·exp(ε),   ε ~ Normal(0, 0.35)
    its token   t_dtok·(matrix rate of the verifier's GPUs / of the drafter's), plus the data of a cycle over the link
    cycle       h_c + 2·(latency of the link + message),   message ~ LogNormal(100 µs, 0.8)

Ideal passes read the drafter's weights from its own memory and pay the launches that the priors of drafting expect. A message is what
a program takes to hand a tensor to another one and be woken by it, both ways once a cycle. A drafter that reads the verifier's hidden
states (EAGLE, MTP, heads) gets those of every verified token; a draft model gets tokens, which are next to nothing. Draft
probabilities are taken to stay where they are. What the prompt's hidden states
cost before the first draft is left out.

*Ahead.* A drafter that needs tokens only can draft the next cycle while this one is verified, on the guess that all its tokens and its
next one are right (post-verify of PEARL, Liu et al. 2024, arXiv:2408.11850; McDanel 2024, arXiv:2410.17375). It is right with
probability h = α_1···α_{k+1} for a request, and the batch is spared the shorter of verifying and drafting where it is for all: h^b.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.acceptance import extended_profile
from bayes_sd.latency.roofline import draft_step_s
from bayes_sd.model.pools import stated_number
from bayes_sd.model.remote_rows import is_apart, is_remote, link_rate, row_text, speculates
from bayes_sd.model.stated import acceptance_logit, method_profile, plain_name
from bayes_sd.model.term import sigmoid
from bayes_sd.model.terms.drafting import ideal_step_s

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards, Drafter
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.latency.service import StageCosts
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.model.unseen import StandardNormals

MESSAGE_S, MESSAGE_LOG_SD = 1e-4, 0.8
"""Median of what a message between two programs takes beside the link's latency [s], and the sd of its logarithm: some tens to some
hundreds of microseconds, by how they wait for each other. An assumption."""
CARRIED_LOG_SD = 0.35
"""How far a drafter's pass on other hardware is from what its ideal there says [log]: as far as a drafter on another deployment is."""
TOKENS_ONLY = ("draftmodel", "ngram", "suffix")
"""Methods that need nothing of the verifier's but tokens, and so can draft ahead."""
STATES = {"eagle3": 3.0, "dflash": 3.0}
"""Layers whose hidden states a drafter reads, where it reads any and that is not one."""
STATE_BYTES = 2.0


def with_remote_drafters(
    costs: StageCosts, conditions: Conditions, spec: ModelSpec, cards: Cards, normals: StandardNormals
) -> StageCosts:
    """Give the costs of conditions whose drafter is elsewhere; those of all others stay as they are.

    Parameters
    ----------
    costs : StageCosts
        With the drafter beside the verifier.
    conditions : Conditions
    spec : ModelSpec
    cards : Cards
    normals : StandardNormals
        For what no measurement says.

    Returns
    -------
    StageCosts

    Raises
    ------
    ConditionError
        If nothing is known of the drafter's weights, or its hardware has no card.
    """
    rows = conditions.records
    remote = [i for i, row in enumerate(rows) if is_remote(row)]
    if not remote:
        return costs
    shape = len(normals.normal("remote message")), len(rows)
    names = ("draft_fixed_s", "draft_token_s", "cycle_s")
    moved = {n: np.array(np.broadcast_to(getattr(costs, n), shape)) for n in names}
    for i in remote:
        row, deployment = rows[i], conditions.deployments[i]
        drafter = cards.drafter_from_row(row)
        if drafter is None:
            raise ConditionError(
                f"drafter {row.get('drafter')!r} has no card: what it costs elsewhere follows from its size; state drafter_params_b"
            )
        here = cards.hardware(deployment.hardware)
        there = (
            cards.hardware(row_text(row, "drafter_hardware")) if row_text(row, "drafter_hardware") else here
        )
        tp = int(stated_number(row, "drafter_tp") or 1)
        weights = [draft_step_s(drafter, there, tp), draft_step_s(drafter, here, deployment.spread.tp)]
        ideal = ideal_step_s(np.array(weights), spec)
        own = normals.normal("remote pass", conditions.drafter[i], there.name, tp)
        moved["draft_fixed_s"][:, i] *= ideal[0] / ideal[1] * np.exp(CARRIED_LOG_SD * own)
        moved["draft_token_s"][:, i] *= (
            deployment.spread.tp * here.flop_rate("fp16") / (tp * there.flop_rate("fp16"))
        )
        if is_apart(row):
            message = MESSAGE_S * np.exp(MESSAGE_LOG_SD * normals.normal("remote message"))
            moved["cycle_s"][:, i] += 2.0 * ((stated_number(row, "drafter_link_us") or 0.0) * 1e-6 + message)
            seconds = (
                state_bytes(row, drafter, cards)
                * conditions.design.rows["verified"][i]
                / link_rate(row, there)
            )
            moved["draft_token_s"][:, i] += seconds / conditions.k[i]
    return replace(costs, **moved)


def state_bytes(row: pd.Series, drafter: Drafter, cards: Cards) -> float:
    """Give the bytes of hidden states that the drafter is sent for each verified token; 0 where it reads tokens only."""
    method = plain_name(row.get("method"))
    if method in TOKENS_ONLY:
        return 0.0
    return (
        STATES.get(method, 1.0)
        * STATE_BYTES
        * float(cards.verifier_from_row(row).hidden_size or drafter.hidden_size or 0)
    )


def ahead_share(committed: np.ndarray, conditions: Conditions, i: int) -> np.ndarray | None:
    """Compute the probability that a request's next draft, made while this one is verified, is right; None where none is.

    Parameters
    ----------
    committed : array, shape (draw,)
        E [tokens/cycle].
    conditions : Conditions
    i : int
        Which condition.

    Returns
    -------
    array, shape (draw, 1), or None

    Raises
    ------
    ConditionError
        If the drafter reads the verifier's hidden states, which there are none of before it has verified.
    """
    row = conditions.records[i]
    if row_text(row, "draft_overlap") != "ahead" or not speculates(row):
        return None
    method = plain_name(row.get("method"))
    if method not in TOKENS_ONLY:
        raise ConditionError(
            f"method {row.get('method')} drafts from the verifier's hidden states, so it cannot draft ahead of it: leave "
            "draft_overlap blank, or ask about a draft_model"
        )
    k = int(conditions.k[i])
    profile = extended_profile(method_profile(row.get("method")), k + 1)
    n = len(committed)
    level = acceptance_logit(committed, np.full(n, float(k)), np.tile(profile[:k], (n, 1)))
    cycles = conditions.output[i] / committed
    # A request's first draft has no cycle to be made in.
    right = np.prod(sigmoid(level[:, None] + profile), axis=1) * np.maximum(1.0 - 1.0 / cycles, 0.0)
    return right[:, None]
