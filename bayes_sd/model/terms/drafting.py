"""What drafting costs: a fixed cost a draft step for each pair of deployment and drafter, and a cost per request.

    log draft_fixed[pair] ~ Normal(log(roofline·1.3 + launch) + level + engine[host] + format·[small cache], spread)
    draft per request = factor·(drafter's parameters/verifier's)·(the verifier's cost per token)

A cycle has fixed work of `draft_extra_steps` draft steps.

Coordinates. A pair's rows inform the cost of its whole cycle, draft steps, extra steps and the host's part together: that is
moved, and what the host leaves of it is drafting. Where no row states an acceptance only the ratio of the cycle's cost and
the tokens that it commits shows in latency, so the cost is moved over a power of these.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.acceptance import committed_by_positions
from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import (
    Coords,
    Labelled,
    PerLevel,
    Term,
    Unknown,
    Values,
    as_table,
    inverse_softplus,
    one_row,
    softplus,
)
from bayes_sd.model.terms.acceptance import SCALE_LOG_SD, cell_level

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


SHARPNESS = 4.0
"""How abruptly a cycle that is shorter than the host's part leaves nothing for drafting [1/log s]."""
BY_COMMITTED = 2.0
"""Power of the tokens per cycle by which the draft cost may grow at one latency: 2 where drafting is half of a cycle."""


def ideal_step_s(roofline_s: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """Seconds of a draft step by its roofline and the launches that the priors expect, shape (pair,)."""
    prior = spec.priors["draft"]
    return prior["fixed_median"] * roofline_s + prior["fixed_launch_s"]


class Drafting(Term):
    """Draft steps of pairs."""

    name = "drafting"
    moved = ("log_draft_cost",)

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the pair of deployment and drafter."""
        drafter = labelled.drafter
        return {"pair": f"{labelled.deployment.key} | {drafter}" if drafter else ""}

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether any row speculates."""
        return bool(coords["pair"])

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give each pair's ideal draft step, its parameters beside the verifier's, and whether its cache is small."""
        return {
            "pair_ideal_log_s": np.log(ideal_step_s(design.pair_roofline_s, spec)),
            "pair_small_cache": design.pair_small_cache.astype(float),
            "pair_log_share": np.log(design.pair_parameter_share),
            "host_of_pair": design.of_pairs("host"),
        }

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare levels, spreads and the pairs' costs [log s per draft step]."""
        prior = spec.priors["draft"]
        return [
            Unknown("draft_level", (), 0.0, prior["fixed_log_sd"]),
            # Engines run a method's drafter more or less well: one that was never seen may do so several times worse.
            Unknown("draft_engine", ("host",), 0.0, prior["engine_log_sd"]),
            Unknown("draft_cache_format", (), prior["cache_format_mean"], prior["cache_format_sd"]),
            Unknown(
                "log_draft_extra_steps", (), np.log(prior["extra_steps_median"]), prior["extra_steps_log_sd"]
            ),
            Unknown(
                "log_draft_token_factor",
                (),
                np.log(prior["token_factor_median"]),
                prior["token_factor_log_sd"],
            ),
            Unknown(
                "log_draft_scale", (), np.log(prior["pair_log_sd"]), SCALE_LOG_SD, spread_of="log_draft_cost"
            ),
            Unknown(
                "log_draft_cost",
                ("pair",),
                centre=draft_centre,
                spread=lambda u, f, xp: xp.exp(u["log_draft_scale"])[..., None],
            ),
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give a pair's seconds per draft step, and its cost per request in units of the verifier's token cost."""
        log_share = f["pair_log_share"] + u["log_draft_token_factor"][..., None]
        rows = [one_row(u["log_draft_cost"]), one_row(log_share)]
        return [PerLevel("pair", ("draft_fixed", "draft_share"), xp.exp(as_table(rows, xp)))]

    def to_natural(self, x: Values, f: Values, xp: ModuleType) -> Any:
        """Turn the cost of a typical cycle, the host's part included, into that of a draft step."""
        log_cycle = x["log_draft_cost"] + BY_COMMITTED * f["pair_latent"] * _log_committed(x, f, xp)
        volume: Any = 0.0
        if "log_cycle_cost" in x:
            log_host = x["log_cycle_cost"][..., f["pair_host"]]
            steep = SHARPNESS * (log_cycle - log_host)
            soft = softplus(steep, xp) / SHARPNESS
            log_beside = xp.log(xp.expm1(soft))
            log_cycle = log_host + log_beside
            volume = xp.sum(soft - softplus(-steep, xp) - log_beside, axis=-1)
        x["log_draft_cost"] = log_cycle - _log_steps(x, f, xp)
        return volume

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        log_cycle = u["log_draft_cost"] + _log_steps(u, f, np)
        if "log_cycle_cost" in u:
            log_host = u["log_cycle_cost"][..., f["pair_host"]]
            soft = np.logaddexp(0.0, log_cycle - log_host)
            log_cycle = log_host + inverse_softplus(SHARPNESS * soft) / SHARPNESS
        u["log_draft_cost"] = log_cycle - BY_COMMITTED * f["pair_latent"] * _log_committed(u, f, np)


def _log_steps(u: Values, f: Values, xp: ModuleType) -> Any:
    return xp.log(f["pair_passes"] + xp.exp(u["log_draft_extra_steps"])[..., None])


def _log_committed(u: Values, f: Values, xp: ModuleType) -> Any:
    level = cell_level(u, f["pair_cell"], f["pair_doublings"])
    return xp.log(committed_by_positions(level, f["pair_profile"], f["pair_positions"], xp))


def draft_centre(u: Values, f: Values, xp: ModuleType) -> Any:
    """Expected log seconds of a draft step: roofline, launches and a slower kernel for small caches."""
    level = u["draft_level"][..., None] + u["draft_cache_format"][..., None] * f["pair_small_cache"]
    return f["pair_ideal_log_s"] + level + u["draft_engine"][..., f["host_of_pair"]]
