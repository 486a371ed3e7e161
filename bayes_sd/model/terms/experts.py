"""How a mixture of experts loads a step: the share of its experts that is read, and the wait for the busiest one.

    T = b·(1 + ψ·k),   φ(T) = E_z[1 − (1 − q(z))^T],   wait = 1 + share·(busiest(T) − 1)

Tokens of one sequence route alike, so a draft token counts as ψ of an independent one. Popularity is uneven by a skew for each
verifier (:mod:`bayes_sd.latency.coverage`). Most points of a table have a number of tokens that another point has too: the
law is computed once for each such *step size* and looked up.

Coordinates. Rows inform the fixed cost of a step at a typical load: it is moved as the total, and as the log ratio of what
experts and the rest take of it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from bayes_sd.latency.coverage import FIT_NODES, covered_share, log_missed
from bayes_sd.latency.expert_load import load_from_curve, surface_at_skew
from bayes_sd.latency.service import busiest_wait
from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, Quantities, Term, Unknown, Values, logit, rows_of, sigmoid, softplus

TYPICAL_TOKENS = 24.0
"""Tokens in a step for which the coordinates state its fixed cost: between light and heavy load of the shipped tables."""


class Experts(Term):
    """Coverage and busiest expert."""

    name = "experts"
    moved = ("log_cost",)

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether some verifier has routed experts whose coverage the spec models."""
        return bool(coords["sparse_verifier"]) and spec.moe == "coverage"

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare ψ, the verifiers' skews and the share of the work that waits."""
        popularity = spec.priors["popularity"]
        routing = spec.priors["routing"]
        return [
            Unknown(
                "logit_routing", (), logit(routing["independence_median"]), routing["independence_logit_sd"]
            ),
            Unknown(
                "log_popularity_skew",
                ("sparse_verifier",),
                np.log(popularity["skew_median"]),
                popularity["skew_log_sd"],
            ),
            Unknown(
                "logit_busiest_share",
                (),
                logit(popularity["busiest_share_median"]),
                popularity["busiest_share_logit_sd"],
            ),
        ]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Give coverage and wait at each point, nothing covered and no wait for dense verifiers."""
        spread = 1.0 + sigmoid(u["logit_routing"], xp)[..., None] * f["size_further"]
        tokens = q.in_flight[f["size_point"]] * spread
        skew = xp.exp(u["log_popularity_skew"])
        missed = log_missed(f["expert_threshold"], skew, xp, FIT_NODES)
        covered = covered_share(missed[f["size_verifier"]], tokens, xp, FIT_NODES)
        curve = surface_at_skew(skew, f["busiest_surface"], xp)
        busiest = load_from_curve(tokens, curve[f["size_verifier"]], f["size_most"], xp)
        wait = busiest_wait(sigmoid(u["logit_busiest_share"], xp), busiest)
        q.covered = xp.join(0, covered, np.zeros(1))[f["point_size"]]
        q.wait = xp.join(0, wait, np.ones(1))[f["point_size"]]

    def to_natural(self, x: Values, f: Values, xp: ModuleType) -> Any:
        """Turn total and ratio of a step's fixed cost at typical load into its two summands."""
        active = f["coefficients"]
        rows = dict(zip(active, rows_of(x["log_cost"], len(active), xp), strict=True))
        covered = typical_log_coverage(x["log_popularity_skew"], f, xp)[..., f["deployment_verifier"]]
        total, ratio, sparse = rows["verify"], rows["expert"], f["deployment_sparse"]
        rows["verify"] = total - sparse * softplus(ratio, xp)
        rows["expert"] = xp.where(sparse > 0, total - softplus(-ratio, xp) - covered[..., None, :], ratio)
        joined = [rows[name] for name in active]
        x["log_cost"] = np.concatenate(joined, axis=-2) if xp is np else xp.join(0, *joined)
        return 0.0

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        verify, expert = (f["coefficients"].index(name) for name in ("verify", "expert"))
        covered = typical_log_coverage(u["log_popularity_skew"], f, np)[f["deployment_verifier"]]
        cost, sparse = u["log_cost"].copy(), f["deployment_sparse"] > 0
        rest, routed = cost[verify].copy(), cost[expert] + covered
        cost[verify] = np.where(sparse, np.logaddexp(rest, routed), rest)
        cost[expert] = np.where(sparse, routed - rest, cost[expert])
        u["log_cost"] = cost


def typical_log_coverage(log_skew: Any, f: Values, xp: ModuleType) -> Any:
    """Log share of the experts that a step of :data:`TYPICAL_TOKENS` touches, shape (..., verifier)."""
    missed = log_missed(f["expert_threshold"], xp.exp(log_skew), xp, FIT_NODES)
    return xp.log(covered_share(missed, TYPICAL_TOKENS, xp, FIT_NODES))
