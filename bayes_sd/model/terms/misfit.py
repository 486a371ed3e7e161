"""What the formula gets wrong at lengths of a deployment: alike at all loads, and in all that grows with load.

    log latency += misfit[shape],  every load-dependent cost *= exp(load_misfit[lengths])

A shape is a deployment with drafter, draft length and rounded lengths; lengths are a deployment with rounded lengths, alike
with and without speculation. Both scales are learned, so that unseen lengths get as wide as the formula is wrong.

Coordinates. Rows tell a misfit about as well as its scale does, some better and some worse: it is moved half standardised.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

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
    loosened,
    one_row,
    tightened,
)

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


HALF = 0.5
"""Power of a scale by which its misfits are standardised."""


class Misfit(Term):
    """Misfit of a shape and of its load."""

    name = "misfit"
    moved = ("misfit", "load_misfit")

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the shape and the lengths of a row."""
        row, deployment = labelled.row, labelled.deployment
        return {
            "shape": shape_name(row, deployment, labelled.drafter),
            "lengths": lengths_name(row, deployment),
        }

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the centres of misfits."""
        coords = design.coords
        return {
            "no_misfit": np.zeros(len(coords["shape"])),
            "no_load_misfit": np.zeros(len(coords["lengths"])),
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
                spread_of="load_misfit",
            ),
            Unknown(
                "load_misfit",
                ("lengths",),
                centre=lambda u, f, xp: f["no_load_misfit"],
                spread=lambda u, f, xp: xp.exp(u["log_load_misfit_scale"])[..., None],
            ),
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the factor on costs of load at each pair of lengths."""
        return [PerLevel("lengths", ("load_off",), one_row(xp.exp(u["load_misfit"])))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Multiply what grows with load."""
        q.load_factor = q.load_factor * q.looked_up["load_off"]

    def to_natural(self, x: Values, f: Values, xp: ModuleType) -> Any:
        """Turn half standardised misfits into misfits."""
        volume: Any = 0.0
        for name in self.moved:
            log_scale = x[f"log_{name}_scale"]
            x[name] = loosened(x[name], 0.0, log_scale[..., None], HALF, xp)
            volume = volume + HALF * log_scale * f[f"n_of_{name}"]
        return volume

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        for name in self.moved:
            u[name] = tightened(u[name], 0.0, u[f"log_{name}_scale"][..., None], HALF)
