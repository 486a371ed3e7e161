"""How a prompt's cost grows with its length: an overhead for each prefill, and how well attention runs.

    prefill of p tokens = t_pre·(p + overhead[deployment])·(1 + a·exp(attention[stack])·p)
    overhead = unit[deployment]·softplus(level + engine[deployment] + stack[deployment])

An engine that puts a request's prompt into a step pays launches and another read of weights, as if the prompt were longer; how much
of them is a matter of its scheduler. The unit is a share of what a step costs before its first token, in tokens of prefill: some
hundred where weights are dense, a thousand where many experts are read and few of them work for a token. So prompts eight times as
long cost less than eight times as much where the overhead is large, and more where attention's kernels are slow. Rows of one prompt
length say nothing of either, and predictions for other lengths are wide. Latency is linear in an overhead that is a good part of a
prompt, and says nothing of a small one: so is the softplus of what has a normal prior.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.deployments import OF_A_STEP
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
        """Give the unit of each deployment's overhead [tokens]; its engine and stack are facts of the stages."""
        return {"overhead_unit": overhead_unit(design.levels.roofline, spec.priors)}

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
        """Give each deployment's overhead [tokens], and each stack's factor on attention."""
        return [
            PerLevel("deployment", ("overhead",), as_table([one_row(overhead_tokens(u, f, xp))], xp)),
            PerLevel("stack", ("attention_factor",), as_table([one_row(xp.exp(u["attention_stack"]))], xp)),
        ]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Lengthen prompts by the overhead, and change what attention costs."""
        q.overhead_tokens = q.looked_up["overhead"]
        q.attention_factor = q.looked_up["attention_factor"]


def overhead_tokens(u: Values, f: Values, xp: ModuleType) -> Any:
    """Tokens by which a deployment's prefills are as if longer, shape (..., deployment)."""
    level = u["overhead_level"][..., None] + u["overhead_engine"][..., f["deployment_engine"]]
    return f["overhead_unit"] * softplus(level + u["overhead_stack"][..., f["deployment_stack"]], xp)


def overhead_unit(roofline: dict[str, np.ndarray], priors: dict[str, Any]) -> np.ndarray:
    """Compute what a prefill's overhead is measured in: some tokens, and a share of a step's cost before its first token.

    The share is in tokens of prefill, at the parts' prior medians. Experts count half: under load decoding has read most of them.

    Parameters
    ----------
    roofline : dict of str to array, shape (deployment,)
        From :func:`bayes_sd.model.deployments.rooflines`.
    priors : dict
        With ``prompts.overhead_unit_tokens`` and ``overhead_share``; posteriors of earlier versions state one of them alone.

    Returns
    -------
    array, shape (deployment,)
        [tokens]
    """
    own = priors["prompts"]
    tokens, share = (float(own.get(name, 0.0)) for name in ("overhead_unit_tokens", "overhead_share"))
    if not share:
        return np.full(len(roofline["launches"]), tokens)
    part = {name: values["median"] for name, values in priors["part"].items()}
    ideal = {name: roofline[f"read_{name}"] for name in OF_A_STEP}
    step = part["weights"] * ideal["weights_s"] + part["launch"] * ideal["launches"]
    step = step + 0.5 * part["experts"] * ideal["experts_s"]
    token = part["prefill_compute"] * ideal["compute_token_s"] + part["link"] * ideal["link_token_s"]
    return tokens + share * step / token
