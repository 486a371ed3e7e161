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
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.coverage import FIT_NODES, covered_share, log_missed, normal_quantile, routed_share
from bayes_sd.latency.expert_load import busiest_surface, load_from_curve, surface_at_skew
from bayes_sd.latency.service import busiest_wait
from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import (
    Coords,
    Quantities,
    Term,
    Unknown,
    Values,
    as_table,
    in_a_row,
    logit,
    rows_of,
    sigmoid,
    softplus,
)

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


TYPICAL_TOKENS = 24.0
"""Tokens in a step for which the coordinates state its fixed cost: between light and heavy load of the shipped tables."""


class Experts(Term):
    """Coverage and busiest expert."""

    name = "experts"
    moved = ("log_cost",)

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether some verifier has routed experts whose coverage the spec models."""
        return bool(coords["sparse_verifier"]) and spec.moe == "coverage"

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the shape of each verifier's expert layers, and which deployment is of which."""
        sparse = design.deployment_sparse
        first = [int(np.flatnonzero(sparse == i)[0]) for i in range(len(design.coords["sparse_verifier"]))]
        total, active = (design.levels.roofline[n][first] for n in ("n_experts", "top_k_experts"))
        surfaces = [busiest_surface(int(m), int(a)) for m, a in zip(total, active, strict=True)]
        return {
            "expert_threshold": normal_quantile(routed_share(total, active)),
            "expert_most": total / active,
            "busiest_surface": np.stack(surfaces) if surfaces else np.empty((0, 0, 0)),
            "deployment_sparse": (sparse >= 0).astype(float),
            "deployment_verifier": np.maximum(sparse, 0),
        }

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

    def at_load(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Give coverage and wait at each point, nothing covered and no wait for dense verifiers."""
        spread = 1.0 + sigmoid(u["logit_routing"], xp)[..., None] * f["size_further"]
        tokens = q.in_flight[..., f["size_point"]] * spread
        verifier = f["size_verifier"]
        missed, curve = popularity(u["log_popularity_skew"], f, xp)
        share = sigmoid(u["logit_busiest_share"], xp)[..., None]
        covered, wait = step_load(
            tokens, (missed[..., verifier, :], curve[..., verifier, :]), f["size_most"], share, xp
        )
        q.covered = in_a_row([covered, np.zeros(1)], xp)[..., f["point_size"]]
        q.wait = in_a_row([wait, np.ones(1)], xp)[..., f["point_size"]]

    def to_natural(self, x: Values, f: Values, xp: ModuleType) -> Any:
        """Turn total and ratio of a step's fixed cost at typical load into its two summands."""
        active = f["coefficients"]
        rows = dict(zip(active, rows_of(x["log_cost"], len(active), xp), strict=True))
        covered = typical_log_coverage(x["log_popularity_skew"], f, xp)[..., f["deployment_verifier"]]
        total, ratio, sparse = rows["verify"], rows["expert"], f["deployment_sparse"]
        rows["verify"] = total - sparse * softplus(ratio, xp)
        rows["expert"] = xp.where(sparse > 0, total - softplus(-ratio, xp) - covered[..., None, :], ratio)
        x["log_cost"] = as_table([rows[name] for name in active], xp)
        return 0.0

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        verify, expert = (f["coefficients"].index(name) for name in ("verify", "expert"))
        covered = typical_log_coverage(u["log_popularity_skew"], f, np)[..., f["deployment_verifier"]]
        cost, sparse = u["log_cost"].copy(), f["deployment_sparse"] > 0
        rest, routed = cost[..., verify, :].copy(), cost[..., expert, :] + covered
        cost[..., verify, :] = np.where(sparse, np.logaddexp(rest, routed), rest)
        cost[..., expert, :] = np.where(sparse, routed - rest, cost[..., expert, :])
        u["log_cost"] = cost


def popularity(log_skew: Any, f: Values, xp: ModuleType = np) -> tuple[Any, Any]:
    """Tabulate the popularity law of each verifier at its skew.

    Parameters
    ----------
    log_skew : array, shape (..., verifier)
    f : dict
        ``expert_threshold``, shape (verifier,), and ``busiest_surface``.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    missed : array, shape (..., verifier, node)
        From :func:`~bayes_sd.latency.coverage.log_missed`.
    curve : array, shape (..., verifier, degree)
        From :func:`~bayes_sd.latency.expert_load.surface_at_skew`.
    """
    skew = xp.exp(log_skew)
    missed = log_missed(f["expert_threshold"], skew, xp, FIT_NODES)
    return missed, surface_at_skew(skew, f["busiest_surface"], xp)


def step_load(
    tokens: Any, law: tuple[Any, Any], most: Any, share: Any, xp: ModuleType = np
) -> tuple[Any, Any]:
    """Compute the share of experts that steps touch, and their wait for the busiest one.

    Parameters
    ----------
    tokens : array, shape (..., step)
        T [tokens].
    law : (array, array)
        From :func:`popularity`, at each step's verifier.
    most : array
        M/m, the largest load there is.
    share : array
        Part of the work per token that waits, in [0, 1].
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    covered, wait : array, shape (..., step)
    """
    missed, curve = law
    covered = covered_share(missed, tokens, xp, FIT_NODES)
    return covered, busiest_wait(share, load_from_curve(tokens, curve, most, xp))


def typical_log_coverage(log_skew: Any, f: Values, xp: ModuleType) -> Any:
    """Log share of the experts that a step of :data:`TYPICAL_TOKENS` touches, shape (..., verifier)."""
    missed = log_missed(f["expert_threshold"], xp.exp(log_skew), xp, FIT_NODES)
    return xp.log(covered_share(missed, TYPICAL_TOKENS, xp, FIT_NODES))
