"""What a verified token costs after a request's first one, in units of that: u, for dense models and for mixtures of experts.

    tokens of a step per request = 1 + u·(V − 1)

Draft tokens of one request share the reads of its cache and most of the host's work, so they may cost less than a token of
another request; in a mixture, whose experts are all read anyway under load, often clearly less.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, Labelled, PerLevel, Quantities, Term, Unknown, Values, one_row


class Further(Term):
    """Cost of further verified tokens."""

    name = "further"

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Say whether a speculating row's verifier is a mixture."""
        return {"mixing": ("routed" if labelled.sparse else "dense") if labelled.drafter else ""}

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether any row speculates."""
        return bool(coords["mixing"])

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the log factor of dense models and of mixtures."""
        prior = spec.priors["further"]
        return [
            Unknown(
                "log_further_token",
                ("mixing",),
                np.log([prior[f"{name}_median"] for name in coords["mixing"]]),
                [prior[f"{name}_log_sd"] for name in coords["mixing"]],
            )
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the factor of each kind of model."""
        return [PerLevel("mixing", ("further",), one_row(xp.exp(u["log_further_token"])))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Set the factor; without speculation no token is a further one."""
        q.further_token = q.looked_up["further"]
