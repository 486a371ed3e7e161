"""What a speculative cycle costs the host and a plain step does not, by engine, method and kind of model.

    step += [k > 0]·exp(log_cycle_cost[host])

Launching a drafter outside captured graphs, its own sampling and metadata, and scheduling that cannot overlap with the GPU
take about as long whatever the model: a small part of a step of 20 ms, as much as the whole of one of 1 ms. A server
without speculation pays nothing.

Coordinates. Latency is linear in a cost that is a good part of a cycle, and says nothing of one that is a small part: the
cost is moved linearly above a part of the expected drafting, and as its logarithm below.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import (
    Coords,
    Labelled,
    PerLevel,
    Quantities,
    Term,
    Unknown,
    Values,
    inverse_softplus,
    one_row,
    softplus,
)

SHARPNESS = 8.0
"""One over the part of a host's expected drafting below which its cost is moved as a logarithm."""


class Cycle(Term):
    """Host's fixed cost of a speculative cycle."""

    name = "cycle"
    moved = ("log_cycle_cost",)

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the engine and method of a speculating row, and whether its verifier is a mixture, whose steps are launched apart."""
        method = str(labelled.row.get("method", "")).casefold()
        kind = "routed" if labelled.sparse else "dense"
        host = f"{labelled.deployment.engine_base} | {method} | {kind}"
        return {"host": host if labelled.drafter else ""}

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether any row speculates."""
        return bool(coords["host"])

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare each host's cost [log s per cycle]; the two or three of a table say nothing of a common level."""
        prior = spec.priors["cycle"]
        return [Unknown("log_cycle_cost", ("host",), np.log(prior["median_s"]), prior["log_sd"])]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the seconds per cycle of each host."""
        return [PerLevel("host", ("cycle",), one_row(xp.exp(u["log_cycle_cost"])))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Add the cost to the cycles of those that speculate."""
        q.cycle_s = q.cycle_s + f["speculates"] * q.looked_up["cycle"]

    def to_natural(self, x: Values, f: Values, xp: ModuleType) -> Any:
        """Turn the coordinate into the log cost."""
        steep = SHARPNESS * x["log_cycle_cost"]
        soft = softplus(steep, xp)
        x["log_cycle_cost"] = f["host_log_expected"] + xp.log(soft / SHARPNESS)
        volume = np.log(SHARPNESS) - softplus(-steep, xp) - xp.log(soft)
        return xp.sum(volume, axis=-1)

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        share = np.exp(u["log_cycle_cost"] - f["host_log_expected"])
        u["log_cycle_cost"] = inverse_softplus(SHARPNESS * share) / SHARPNESS
