"""How a prompt's cost grows with its length: an overhead for each prefill, and how well attention runs.

    prefill of p tokens = t_pre·(p + overhead[stack])·(1 + a·exp(attention[stack])·p)
    log overhead[stack] ~ Normal(level + engine, sd)

An engine that puts a request's prompt into a step pays launches and another read of weights, as if the prompt were some hundred
tokens longer; how much is a matter of its scheduler. So prompts eight times as long cost less than eight times as much where
the overhead is large, and more where attention's kernels are slow. Rows of one prompt length say nothing of either, and predictions
for other lengths are wide.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, PerLevel, Quantities, Term, Unknown, Values, as_table, one_row

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


class Prompts(Term):
    """Prefill's overhead and attention, by stack."""

    name = "prompts"

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the engine of each stack."""
        _, stack = design.levels.index("stack")
        _, engine = design.levels.index("engine")
        first = [int(np.flatnonzero(stack == i)[0]) for i in range(len(design.coords["stack"]))]
        return {"stack_engine": engine[first]}

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare the overhead [log tokens] and the effect on attention."""
        prior = spec.priors["prompts"]
        return [
            Unknown("overhead_level", (), np.log(prior["overhead_median_tokens"]), prior["overhead_log_sd"]),
            Unknown("overhead_engine", ("engine",), 0.0, prior["engine_log_sd"]),
            Unknown("overhead_stack", ("stack",), 0.0, prior["stack_log_sd"]),
            Unknown("attention_stack", ("stack",), 0.0, prior["attention_log_sd"]),
        ]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give each stack's overhead [tokens] and factor on attention."""
        rows = [one_row(xp.exp(log_overhead(u, f))), one_row(xp.exp(u["attention_stack"]))]
        return [PerLevel("stack", ("overhead", "attention_factor"), as_table(rows, xp))]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Lengthen prompts by the overhead, and change what attention costs."""
        q.overhead_tokens = q.looked_up["overhead"]
        q.attention_factor = q.looked_up["attention_factor"]


def log_overhead(u: Values, f: Values) -> Any:
    """Log tokens by which a stack's prefills are as if longer, shape (..., stack)."""
    return u["overhead_level"][..., None] + u["overhead_engine"][..., f["stack_engine"]] + u["overhead_stack"]
