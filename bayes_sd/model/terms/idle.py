"""What a server on which speculation is configured pays where it drafts nothing, K = 0 by a table or for the moment.

    step: verify ← verify·(1 + fixed[engine]),  request, cache ← ·(1 + load[engine])

The drafter's weights and cache stay in memory, its cache is kept up to date, and some graphs and overlaps are off. One engineer
measured 6.6 % more time per token at 2 requests in flight and 21.6 % more at 189 (a comment on vLLM's issue 49548): so a small share
of what a step costs whatever the batch, and a larger one of what a request in it costs. "Not configured" is another server, and pays
nothing.
"""

from __future__ import annotations

from types import ModuleType

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
    as_table,
    one_row,
)

CONFIGURED = "speculation_configured"
"""Column that says whether a server was started with speculation, whatever it drafts."""


class Idle(Term):
    """Cost of speculation that is configured and off."""

    name = "idle"

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the engine of a row that drafts nothing on a server with speculation configured."""
        idle = labelled.row.get(CONFIGURED) == 1 and not labelled.drafter
        return {"idle": labelled.deployment.engine_base if idle else ""}

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether any row is of such a server; posteriors of earlier versions have no such prior."""
        return bool(coords["idle"]) and "idle" in spec.priors

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the log of both shares, engine by engine."""
        prior = spec.priors["idle"]
        return [
            Unknown(f"log_idle_{part}", ("idle",), np.log(prior[f"{part}_median"]), prior["log_sd"])
            for part in ("fixed", "load")
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the shares of each engine."""
        shares = [one_row(xp.exp(u[f"log_idle_{part}"])) for part in ("fixed", "load")]
        return [PerLevel("idle", ("idle_fixed", "idle_load"), as_table(shares, xp))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Raise what a step costs where speculation is configured and off."""
        for share, costs in (("idle_fixed", ("verify",)), ("idle_load", ("request", "kv"))):
            factor = 1.0 + f["idles"] * q.looked_up[share]
            for cost in costs:
                q.looked_up[cost] = q.looked_up[cost] * factor
