"""Posterior draws of stage costs for any deployment and pair: measured ones as learned, new ones from their levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.experts import Experts
from bayes_sd.forecast.remote import with_remote_drafters
from bayes_sd.latency.kernel import KNOTS
from bayes_sd.latency.service import StageCosts
from bayes_sd.model.evaluate import Evaluated, evaluate
from bayes_sd.model.latency import stage_costs
from bayes_sd.model.term import sigmoid
from bayes_sd.model.terms.kernel import Kernel
from bayes_sd.model.unseen import StandardNormals

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.posterior.posterior import Posterior


@dataclass(frozen=True)
class PredictedCosts:
    """Draws of everything that latency depends on, arrays of shape (draw, condition) unless said.

    Attributes
    ----------
    costs : StageCosts
    committed : array
        E [tokens/cycle].
    committed_run_sd : array, shape (draw,)
        Log-odds sd of acceptance from run to run.
    curves : array, shape (draw, stack, knot)
        Log deviation of step time at the knots.
    stack : int array, shape (condition,)
        Which of the curves.
    experts : Experts
        What routed experts do to a step.
    sparse : int array, shape (condition,)
        Which of the verifiers with routed experts, -1 for a dense one.
    cache_requests : array
        Requests that the key-value cache holds.
    misfit : array
        What the formula gets wrong at this shape [log].
    noise : array
        Scale of a new measurement's log latency.
    overlap : array
        Share of others' prefills before the first token.
    """

    costs: StageCosts
    committed: np.ndarray
    committed_run_sd: np.ndarray
    curves: np.ndarray
    stack: np.ndarray
    experts: Experts
    sparse: np.ndarray
    cache_requests: np.ndarray
    misfit: np.ndarray
    noise: np.ndarray
    overlap: np.ndarray

    @property
    def n_draws(self) -> int:
        """Draws over all chains."""
        return len(self.committed)

    def kernel(self, i: int) -> np.ndarray:
        """Log deviation of step time at the knots for a condition, shape (draw, knot)."""
        return self.curves[:, self.stack[i]]


def costs_for(posterior: Posterior, conditions: Conditions, cards: Cards, seed: int = 0) -> PredictedCosts:
    """Draw the stage costs of conditions.

    Parameters
    ----------
    posterior : Posterior
    conditions : Conditions
    cards : Cards
        Rooflines of deployments that were not measured.
    seed : int
        For what the posterior has not seen.

    Returns
    -------
    PredictedCosts
    """
    spec, design = posterior.spec, conditions.design
    normals = StandardNormals(posterior.n_draws, seed)
    found = evaluate(posterior, spec, design, normals)
    q, u, shape = found.quantities, found.unknowns, (posterior.n_draws, len(conditions))
    run = np.exp(u["log_acceptance_run"]) if "log_acceptance_run" in u else np.zeros(posterior.n_draws)
    beside = stage_costs(q, u, found.facts, np)
    return PredictedCosts(
        costs=with_remote_drafters(beside, conditions, spec, cards, normals),
        committed=np.array(np.broadcast_to(q.committed, shape)),
        committed_run_sd=run,
        curves=_curves(found),
        stack=design.rows["stack"],
        experts=_experts(found, spec.moe, spec.routed),
        sparse=design.deployment_sparse[design.rows["deployment"]],
        cache_requests=q.held,
        misfit=u["misfit"][:, design.rows["shape"]],
        noise=np.exp(u["log_latency_noise"])[:, design.rows["noise"]],
        overlap=q.looked_up["overlap"],
    )


def _curves(found: Evaluated) -> np.ndarray:
    """Kernel curves of the stacks, flat where the model has none, shape (draw, stack, knot)."""
    for term in found.terms:
        if isinstance(term, Kernel):
            return term.curves(found.unknowns, found.facts, np)
    cost = found.unknowns["log_cost"]
    return np.zeros((len(cost), int(found.facts["n_stack"]), len(KNOTS)))


def _experts(found: Evaluated, moe: str, routed: str) -> Experts:
    u, none = found.unknowns, np.zeros(len(found.unknowns["log_cost"]))
    return Experts(
        routing=sigmoid(u.get("logit_routing", none)),
        log_skew=u.get("log_popularity_skew", none[:, None]),
        busiest_share=sigmoid(u.get("logit_busiest_share", none)),
        facts={n: found.facts[n] for n in ("expert_threshold", "expert_most", "busiest_surface")},
        moe=moe,
        routed=routed,
    )
