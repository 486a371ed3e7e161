"""How kernels leave the straight line of step time: a curve per stack over the tokens in a step.

    log step time of the verifier += scale·curve(log2(b·(k + 1)))

The curve is linear between knots one doubling apart (:mod:`bayes_sd.latency.kernel`).
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.kernel import knot_factor
from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, PerLevel, Quantities, Term, Unknown, Values, times

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


class Kernel(Term):
    """Deviation of the kernels from a straight line."""

    name = "kernel"
    moved = ("kernel_raw",)

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether the spec has kernel curves."""
        return spec.kernel

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the matrix that correlates knots."""
        return {"knot_factor": knot_factor(spec.priors["kernel"]["length_doublings"])}

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the scale of all curves and their independent normals."""
        prior = spec.priors["kernel"]
        return [
            Unknown(
                "log_kernel_scale",
                (),
                np.log(prior["scale_median"]),
                prior["scale_log_sd"],
                spread_of="kernel_raw",
            ),
            Unknown("kernel_raw", ("stack", "knot"), 0.0, 1.0),
        ]

    def curves(self, u: Values, f: Values, xp: ModuleType):
        """Compute the log deviation at the knots, shape (..., stack, knot)."""
        scale = xp.exp(u["log_kernel_scale"])
        return scale[..., None, None] * times(u["kernel_raw"], f["knot_factor"], xp)

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give the deviation at every knot of every stack, as one flat axis."""
        curves = self.curves(u, f, xp)
        flat = curves.reshape((*curves.shape[:-2], -1))[..., None, :]
        return [PerLevel("left_knot", ("left",), flat), PerLevel("right_knot", ("right",), flat)]

    def at_load(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Interpolate between the knots on either side of a point."""
        weight = f["knot_weight"]
        q.kernel_factor = xp.exp(q.looked_up["left"] * (1.0 - weight) + q.looked_up["right"] * weight)

    def to_natural(self, x: Values, f: Values, xp: ModuleType):
        """Move curves in log units where rows inform them, and in units of their scale where none does."""
        centred, log_scale = f["kernel_centred"], x["log_kernel_scale"]
        x["kernel_raw"] = x["kernel_raw"] * xp.exp(-centred * log_scale[..., None, None])
        return -f["n_centred"] * log_scale

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        log_scale = np.asarray(u["log_kernel_scale"])[..., None, None]
        u["kernel_raw"] = u["kernel_raw"] * np.exp(f["kernel_centred"] * log_scale)
