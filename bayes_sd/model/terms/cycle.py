"""What a speculative cycle costs the host and a plain step does not, by engine and method.

    step += [k > 0]·exp(log_cycle_cost[host]),    log_cycle_cost[host] ~ Normal(cycle_level, host spread)

Launching a drafter outside captured graphs, its own sampling and metadata, and scheduling that cannot overlap with the GPU
take about as long whatever the model: a small part of a step of 20 ms, as much as the whole of one of 1 ms. A server
without speculation pays nothing.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, Labelled, PerLevel, Quantities, Term, Unknown, Values, one_row

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


class Cycle(Term):
    """Host's fixed cost of a speculative cycle."""

    name = "cycle"

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the engine and method of a speculating row."""
        method = str(labelled.row.get("method", "")).casefold()
        return {"host": f"{labelled.deployment.engine_base} | {method}" if labelled.drafter else ""}

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether any row speculates."""
        return bool(coords["host"])

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the spread of hosts, a number: two or three hosts do not tell one."""
        n = len(design.coords["host"])
        return {"no_host": np.zeros(n), "host_sd": np.full(n, spec.priors["cycle"]["host_log_sd"])}

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the level and each host's cost [log s per cycle]."""
        prior = spec.priors["cycle"]
        return [
            Unknown("cycle_level", (), np.log(prior["median_s"]), prior["log_sd"]),
            Unknown(
                "log_cycle_cost",
                ("host",),
                centre=lambda u, f, xp: u["cycle_level"][..., None] + f["no_host"],
                spread=lambda u, f, xp: f["host_sd"],
            ),
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the seconds per cycle of each host."""
        return [PerLevel("host", ("cycle",), one_row(xp.exp(u["log_cycle_cost"])))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Add the cost to the cycles of those that speculate."""
        q.cycle_s = q.cycle_s + f["speculates"] * q.looked_up["cycle"]
