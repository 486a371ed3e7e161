"""What drafting costs: a fixed cost a draft step for each pair of deployment and drafter, and a cost per request.

    log draft_fixed[pair] ~ Normal(log(roofline·1.3 + launch) + level + format·[small cache], spread)
    draft per request = factor·(drafter's parameters/verifier's)·(the verifier's cost per token)

A cycle has fixed work of `draft_extra_steps` draft steps.

Coordinates. A pair's rows inform the cost of its whole cycle, k + extra steps; where no row states an acceptance only the
ratio of the cycle's cost and the tokens that it commits shows in latency, so the cost is moved over a power of these.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.acceptance import committed_by_positions
from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, Labelled, PerLevel, Term, Unknown, Values, as_table, one_row
from bayes_sd.model.terms.acceptance import SCALE_LOG_SD, cell_level

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


BY_COMMITTED = 2.0
"""Power of the tokens per cycle by which the draft cost may grow at one latency: 2 where drafting is half of a cycle."""


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
        prior = spec.priors["draft"]
        return {
            "pair_ideal_log_s": np.log(
                prior["fixed_median"] * design.pair_roofline_s + prior["fixed_launch_s"]
            ),
            "pair_small_cache": design.pair_small_cache.astype(float),
            "pair_log_share": np.log(design.pair_parameter_share),
        }

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare levels, spreads and the pairs' costs [log s per draft step]."""
        prior = spec.priors["draft"]
        return [
            Unknown("draft_level", (), 0.0, prior["fixed_log_sd"]),
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
        """Turn the cost of a typical cycle into that of a draft step."""
        x["log_draft_cost"] = x["log_draft_cost"] - _moved(x, f, xp)
        return 0.0

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        u["log_draft_cost"] = u["log_draft_cost"] + _moved(u, f, np)


def _moved(u: Values, f: Values, xp: ModuleType) -> Any:
    """Log of a pair's typical cycle over its draft step, and over a power of the tokens that it commits.

    The host's cost of a cycle counts beside the drafting that is expected: where that is right, drafting and host move so that
    the cycle stays as long as its rows say.
    """
    log_cycle = xp.log(f["pair_length"] + xp.exp(u["log_draft_extra_steps"])[..., None])
    if "log_cycle_cost" in u:
        host = xp.exp(u["log_cycle_cost"])[..., f["pair_host"]]
        log_cycle = log_cycle + xp.log1p(host / f["pair_expected_s"])
    return log_cycle - BY_COMMITTED * f["pair_latent"] * _log_committed(u, f, xp)


def _log_committed(u: Values, f: Values, xp: ModuleType) -> Any:
    level = cell_level(u, f["pair_cell"], f["pair_doublings"])
    return xp.log(committed_by_positions(level, f["pair_profile"], f["pair_positions"], xp))


def draft_centre(u: Values, f: Values, xp: ModuleType) -> Any:
    """Expected log seconds of a draft step: roofline, launches and a slower kernel for small caches."""
    level = u["draft_level"][..., None] + u["draft_cache_format"][..., None] * f["pair_small_cache"]
    return f["pair_ideal_log_s"] + level
