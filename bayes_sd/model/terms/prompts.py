"""How a prompt's cost grows with its length: an overhead for each prefill, and how well attention runs.

    prefill of p tokens = t_pre·(p + overhead[stack])·(1 + a·exp(attention[stack])·p)
    overhead[stack] = unit·softplus(level + engine + stack)

An engine that puts a request's prompt into a step pays launches and another read of weights, as if the prompt were some hundred
tokens longer; how much is a matter of its scheduler. So prompts eight times as long cost less than eight times as much where
the overhead is large, and more where attention's kernels are slow. Rows of one prompt length say nothing of either, and predictions
for other lengths are wide. Latency is linear in an overhead that is a good part of a prompt, and says nothing of a small one: so is
the softplus of what has a normal prior.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import (
    Coords,
    PerLevel,
    Quantities,
    Term,
    Unknown,
    Values,
    as_table,
    one_row,
    softplus,
)

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


class Prompts(Term):
    """Prefill's overhead and attention, by stack."""

    name = "prompts"

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the engine of each stack, and the overhead's unit [tokens]."""
        _, stack = design.levels.index("stack")
        _, engine = design.levels.index("engine")
        first = [int(np.flatnonzero(stack == i)[0]) for i in range(len(design.coords["stack"]))]
        unit = float(spec.priors["prompts"]["overhead_unit_tokens"])
        return {"stack_engine": engine[first], "overhead_unit": unit}

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the overhead, before the softplus, and the effect on attention."""
        prior = spec.priors["prompts"]
        return [
            Unknown("overhead_level", (), prior["overhead_mean"], prior["overhead_sd"]),
            Unknown("overhead_engine", ("engine",), 0.0, prior["engine_sd"]),
            Unknown("overhead_stack", ("stack",), 0.0, prior["stack_sd"]),
            Unknown("attention_stack", ("stack",), 0.0, prior["attention_log_sd"]),
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give each stack's overhead [tokens] and factor on attention."""
        rows = [one_row(overhead_tokens(u, f, xp)), one_row(xp.exp(u["attention_stack"]))]
        return [PerLevel("stack", ("overhead", "attention_factor"), as_table(rows, xp))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Lengthen prompts by the overhead, and change what attention costs."""
        q.overhead_tokens = q.looked_up["overhead"]
        q.attention_factor = q.looked_up["attention_factor"]


def overhead_tokens(u: Values, f: Values, xp: ModuleType) -> Any:
    """Tokens by which a stack's prefills are as if longer, shape (..., stack)."""
    level = u["overhead_level"][..., None] + u["overhead_engine"][..., f["stack_engine"]]
    return f["overhead_unit"] * softplus(level + u["overhead_stack"], xp)
