"""Noise of measurements: of mean latency by source and hardware, of times to first and per further token by source.

All are Student-t on the log scale (the share of decoding on its own scale), with the degrees of freedom of the priors. The share of
decoding at two pools has more of them: it tells which pool is the limit, and heavy tails would let a fit pass over that as a bad run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, Labelled, Term, Unknown, Values

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


def similar_groups(draws: np.ndarray, names: list[str], wanted: str, rng: np.random.Generator) -> np.ndarray:
    """Draw the noise of a source that was not fitted: any source's on the same hardware, else any source's.

    Parameters
    ----------
    draws : array, shape (draw, group)
    names : list of str
        ``source | hardware`` of each group.
    wanted : str
    rng : Generator

    Returns
    -------
    array, shape (draw,)
    """
    hardware = wanted.rpartition("| ")[2]
    same = [j for j, name in enumerate(names) if name.endswith(f"| {hardware}")]
    pick = rng.choice(same or range(len(names)), size=len(draws))
    return draws[np.arange(len(draws)), pick]


class Error(Term):
    """Noise of measurements."""

    name = "error"

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the source and hardware of a row."""
        return {"noise": f"{labelled.row.get('source', '')} | {labelled.deployment.hardware}"}

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the degrees of freedom, and those of the share of decoding at two pools."""
        prior = spec.priors["noise"]
        # Posteriors of earlier versions state one number for all.
        return {name: float(prior.get(name, prior["tails"])) for name in ("tails", "pool_share_tails")}

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare log noise scales."""
        prior = spec.priors["noise"]
        return [
            Unknown(
                "log_latency_noise",
                ("noise",),
                np.log(prior["latency_median"]),
                prior["latency_log_sd"],
                unseen=similar_groups,
            ),
            Unknown("log_ttft_noise", ("source",), np.log(prior["ttft_median"]), prior["ttft_log_sd"]),
            Unknown("log_share_noise", ("source",), np.log(prior["share_median"]), prior["share_log_sd"]),
        ]
