"""How many of the other requests' prefills fall before one's own first token, by source of the measurements.

Clients that start together meet all of them, requests that arrive spread out hardly any; a benchmark's way of sending
decides, so the share belongs to the source. It matters to the time to first token only.
"""

from __future__ import annotations

from types import ModuleType

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, Labelled, PerLevel, Term, Unknown, Values, logit, one_row, sigmoid


class Overlap(Term):
    """Share of others' prefills before the first token."""

    name = "overlap"

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the source of a row."""
        return {"source": str(labelled.row.get("source", ""))}

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the share's log odds."""
        prior = spec.priors["overlap"]
        return [Unknown("logit_overlap", ("source",), logit(prior["median"]), prior["logit_sd"])]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the share for each source."""
        return [PerLevel("source", ("overlap",), one_row(sigmoid(u["logit_overlap"], xp)))]
