"""Facts of a design as numeric arrays: what the model's graph takes as inputs, so that one graph serves every table.

Here are the facts of levels (rooflines of deployments, profiles of cells, ...) and those that the coordinates need;
:mod:`bayes_sd.model.rowfacts` has the facts of observations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.acceptance import counted_positions, extended_profile
from bayes_sd.latency.kernel import KNOTS
from bayes_sd.model.observed import QUEUED_NOISE, nominal_in_flight, pool_noise, queued
from bayes_sd.model.spec import KINDS, PARTS
from bayes_sd.model.term import Values
from bayes_sd.model.terms import TERMS
from bayes_sd.model.terms.acceptance import doublings
from bayes_sd.model.terms.drafting import ideal_step_s
from bayes_sd.model.terms.stages import active_coefficients

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.points import Points
    from bayes_sd.model.spec import ModelSpec

FEW_ROWS = 6
"""Rows from which a deployment's total slope in load is what its rows inform (see the coordinates of the stage costs). Two or three
rows of one length tell a total and nothing of its parts, where the prior rules."""
LOOSE = {"prefill_fixed": 0.5}
"""Power of the deployments' spread by which a coefficient is standardised. Few rows tell the fixed cost of a prefill from the rest of
a request; nothing tells a dense deployment's cost of experts, which is standardised fully."""
LOOSE_IN_FEW_ROWS = {"prefill_token": 1.0, "request": 0.5, "kv": 1.0}
"""The same where a deployment has few rows, which tell the sum of its costs: those of prompts and cache differ less between
deployments than such rows tell."""
GRAIN = 0.08
"""Share of a latency that a cost makes up where rows begin to tell it, in units of a row's noise factor: a few times the noise."""


def model_coords(design: Design) -> dict[str, list]:
    """Give the names along every dim of the model."""
    sparse = bool((design.levels.roofline["n_experts"] > 0).any())
    return dict(design.coords) | {
        "coefficient": list(active_coefficients(sparse)),
        "part": list(PARTS),
        "kind": list(KINDS),
        "knot": KNOTS.tolist(),
    }


def level_facts(design: Design, spec: ModelSpec) -> Values:
    """Collect the facts of levels.

    Parameters
    ----------
    design : Design
    spec : ModelSpec

    Returns
    -------
    dict of str to array
        Last dims are the levels', as :mod:`bayes_sd.model.terms` use them.
    """
    facts: Values = {}
    for term in TERMS:
        if spec.has(term.name):
            facts |= term.facts(design, spec)
    return facts


def coordinate_facts(design: Design, spec: ModelSpec, points: Points, knots: np.ndarray) -> Values:
    """Collect what the coordinates of sampling need.

    Parameters
    ----------
    design : Design
    spec : ModelSpec
    points : Points
    knots : int array, shape (point,)
        Left knot of each point among all stacks' knots.

    Returns
    -------
    dict of str to array
    """
    rows, n = design.rows, len(design.levels.deployments)
    active = model_coords(design)["coefficient"]
    prompt, output, context = _typical(rows, n).T
    summed = _summed(rows, n)
    centred = _informed_knots(knots, len(design.coords["stack"]))
    return (
        {
            "typical_log_prompt": prompt,
            "typical_log_output": output,
            "typical_log_context": context,
            "typical_log_attention": np.log(design.levels.roofline["attention_share"]) + prompt,
            "summed": summed,
            "loose": _looseness(active, design.levels.roofline["n_experts"], summed),
            # Curves that no row sees are their priors, which are round as they are.
            "kernel_centred": centred,
            "n_centred": float(centred.sum()),
        }
        | _grain_facts(design, points, active, summed)
        | _pair_facts(design, spec)
    )


def _looseness(active: Sequence[str], n_experts: np.ndarray, summed: np.ndarray) -> np.ndarray:
    """Give the power by which each cost is standardised, shape (coefficient, deployment)."""
    power = np.zeros((len(active), len(summed)))
    for i, coefficient in enumerate(active):
        few = LOOSE_IN_FEW_ROWS.get(coefficient, 0.0)
        power[i] = LOOSE.get(coefficient, np.where(summed, 0.0, few))
        if coefficient == "expert":
            power[i] = np.where(n_experts == 0, 1.0, power[i])
    return power


def _grain_facts(design: Design, points: Points, active: Sequence[str], summed: np.ndarray) -> Values:
    """Give the grain of each deployment's costs, and whether they are moved by it, shape (coefficient, deployment).

    A cost's grain is a :data:`GRAIN` of a latency, over how often a request pays it, in the row where it counts most. Costs that are
    moved as shares of a total have walls of another kind; those of a step are never small.
    """
    rows = design.rows
    running = np.maximum(nominal_in_flight(design, points)[points.running] / rows["ranks"], 1.0)
    unsure = np.where(queued(design, points), QUEUED_NOISE, pool_noise(rows))
    told_s = GRAIN * unsure * rows["latency_s"]
    context = rows["prompt"] + 0.5 * rows["output"]
    paid = {
        "prefill_fixed": np.ones_like(running),
        "prefill_token": rows["prompt"] * running,
        "request": rows["output"] * running,
        "kv": rows["output"] * context * running,
    }
    grain, moved = np.zeros((2, len(active), len(summed)))
    for i, name in enumerate(active):
        if name in paid:
            grain[i] = np.inf
            np.minimum.at(grain[i], rows["deployment"], np.log(told_s / paid[name]))
            moved[i] = 1.0 if name == "prefill_fixed" else ~summed
    return {"log_grain": grain, "has_grain": moved}


def _pair_facts(design: Design, spec: ModelSpec) -> Values:
    """What a pair's coordinate goes by: draft length, expected seconds of drafting, host, and cell if no row states E."""
    rows, n = design.rows, len(design.coords["pair"])
    length, passes = (
        np.array([rows[name][rows["pair"] == i].mean() for i in range(n)]) for name in ("k", "passes")
    )
    cell, host, latent = np.zeros(n, dtype=int), np.zeros(n, dtype=int), np.zeros(n)
    for i in range(n):
        own = rows["pair"] == i
        cell[i], host[i] = rows["cell"][own][0], rows["host"][own][0]
        latent[i] = float(np.isnan(rows["committed"][own]).all())
    positions = int(max(length.max(initial=1.0), 1.0))
    prior = spec.priors["draft"]
    slower = np.exp(prior["cache_format_mean"] * design.pair_small_cache)
    expected_s = ideal_step_s(design.pair_roofline_s, spec) * slower * (passes + prior["extra_steps_median"])
    profile = design.cell_profile[cell] * (spec.acceptance == "position")
    return {
        "pair_passes": passes,
        "pair_latent": latent,
        "pair_cell": cell,
        "pair_host": host,
        "host_log_expected": np.log(
            [expected_s[host == i].mean() for i in range(len(design.coords["host"]))]
        ),
        "pair_doublings": doublings(length),
        "pair_profile": extended_profile(profile, positions),
        "pair_positions": counted_positions(np.floor(length), positions),
    }


def _summed(rows: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Flag the deployments whose rows inform a total slope in load, shape (deployment,).

    Those of two pools don't: there a prompt does not hold up decoding, whose slope is told by itself and the prefill's hardly.
    """
    # Rows that differ only in how they draft tell one point of the slope, and those of a single load none of it.
    where = np.stack([rows[name] for name in ("deployment", "load", "prompt", "output")], axis=1)
    counts = np.bincount(np.unique(where, axis=0)[:, 0].astype(int), minlength=n)
    loads = np.bincount(np.unique(where[:, :2], axis=0)[:, 0].astype(int), minlength=n)
    pooled = np.bincount(rows["deployment"], weights=rows["pools"], minlength=n)
    return (counts >= FEW_ROWS) & (loads > 1) & (pooled == 0)


def _typical(rows: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Log prompt, output and mean context of the shape that informs a deployment's slope best, shape (deployment, 3).

    That is the one with the most prompt per output token: there latency grows fastest with load.
    """
    lengths = np.log([rows["prompt"], rows["output"], rows["prompt"] + 0.5 * rows["output"]])
    typical = np.empty((n, 3))
    for d in range(n):
        own = lengths[:, rows["deployment"] == d]
        typical[d] = own[:, np.argmax(own[0] - own[1])]
        typical[d, 2] = own[2].mean()
    return typical


def _informed_knots(left: np.ndarray, n_stacks: int) -> np.ndarray:
    """Flag the knots that the observations inform: up to the last one that a point of the stack stands next to."""
    flags = np.zeros((n_stacks, len(KNOTS)))
    stack, knot = np.divmod(left, len(KNOTS))
    for s in range(n_stacks):
        flags[s, : knot[stack == s].max(initial=-2) + 2] = 1.0
    return flags
