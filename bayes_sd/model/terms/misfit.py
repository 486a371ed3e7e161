"""What the formula gets wrong at lengths of a deployment: alike at all loads, and in all that grows with load.

    log latency += misfit[shape],  every load-dependent cost *= exp(scale·heavy(raw[lengths])),  raw ~ Normal(0, 1)

A shape is a deployment with drafter, draft length and rounded lengths; lengths are a deployment with rounded lengths, alike
with and without speculation. Both scales are learned, so that unseen lengths get as wide as the formula is wrong. What load costs
has heavy tails, where a family's priors say nothing else: most lengths are near the formula, and a few, of servers with
something amiss, four scales away. With normal ones these few would decide how wide all others are.

Coordinates. Rows tell a misfit about as well as its scale does, some better and some worse: it is moved half standardised.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.coordinates import loosened, tightened
from bayes_sd.model.names import lengths_name, shape_name
from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import (
    Coords,
    Labelled,
    PerLevel,
    Quantities,
    Term,
    Unknown,
    Values,
    one_row,
)

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


HALF = 0.5
"""Power of a scale by which its misfits are standardised."""


def heavy(z: Any, bend: Any) -> Any:
    """Turn a standard normal into about Student's t with ν degrees of freedom, bend = 1/(4ν), 0 for the normal itself.

    The first term of the Cornish-Fisher expansion, t = z + (z³ + z)/(4ν) (Fisher and Cornish 1960, Technometrics 2, 209).
    """
    return z + bend * (z * z * z + z)


def load_misfit(u: Values, f: Values, xp: ModuleType) -> Any:
    """Log factor on what load costs at each pair of lengths, shape (..., lengths)."""
    scale = xp.exp(u["log_load_misfit_scale"])[..., None] * f["load_misfit_share"]
    return scale * heavy(u["load_misfit_raw"], f["load_misfit_bend"])


class Misfit(Term):
    """Misfit of a shape and of its load."""

    name = "misfit"
    moved = ("misfit", "load_misfit_raw")

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the shape and the lengths of a row."""
        row, deployment = labelled.row, labelled.deployment
        return {
            "shape": shape_name(row, deployment, labelled.drafter),
            "lengths": lengths_name(row, deployment),
        }

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the centres of misfits, their numbers, and the bend of the heavy tails.

        Lengths at two pools have no misfit of load: their rows have noise enough for it, and two rows could not tell which it is.
        """
        coords, rows = design.coords, design.rows
        pooled = np.unique(rows["lengths"][rows["pools"]])
        return {
            "load_misfit_share": np.isin(np.arange(len(coords["lengths"])), pooled, invert=True).astype(
                float
            ),
            "no_misfit": np.zeros(len(coords["shape"])),
            "load_misfit_bend": 0.25 / spec.priors["misfit"]["load_tails"],
            "n_of_misfit": float(len(coords["shape"])),
            "n_of_load_misfit": float(len(coords["lengths"])),
        }

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare scales and misfits [log]."""
        prior = spec.priors["misfit"]
        return [
            Unknown(
                "log_misfit_scale",
                (),
                np.log(prior["scale_median"]),
                prior["scale_log_sd"],
                spread_of="misfit",
            ),
            Unknown(
                "misfit",
                ("shape",),
                centre=lambda u, f, xp: f["no_misfit"],
                spread=lambda u, f, xp: xp.exp(u["log_misfit_scale"])[..., None],
            ),
            Unknown(
                "log_load_misfit_scale",
                (),
                np.log(prior["load_scale_median"]),
                prior["load_scale_log_sd"],
                spread_of="load_misfit_raw",
            ),
            Unknown("load_misfit_raw", ("lengths",), 0.0, 1.0),
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the factor on costs of load at each pair of lengths."""
        return [PerLevel("lengths", ("load_off",), one_row(xp.exp(load_misfit(u, f, xp))))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Multiply what grows with load."""
        q.load_factor = q.load_factor * q.looked_up["load_off"]

    def to_natural(self, x: Values, f: Values, xp: ModuleType) -> Any:
        """Turn half standardised misfits into misfits."""
        log_scale, log_load_scale = x["log_misfit_scale"], x["log_load_misfit_scale"]
        x["misfit"] = loosened(x["misfit"], 0.0, log_scale[..., None], HALF, xp)
        x["load_misfit_raw"] = loosened(x["load_misfit_raw"], 0.0, -log_load_scale[..., None], HALF, xp)
        return HALF * (log_scale * f["n_of_misfit"] - log_load_scale * f["n_of_load_misfit"])

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        u["misfit"] = tightened(u["misfit"], 0.0, u["log_misfit_scale"][..., None], HALF)
        u["load_misfit_raw"] = tightened(
            u["load_misfit_raw"], 0.0, -u["log_load_misfit_scale"][..., None], HALF
        )
