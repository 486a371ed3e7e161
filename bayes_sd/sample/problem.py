"""A design as flat arrays: what the compiled density reads.

The arrays hold numbers only, so that one machine-code version serves every family, data set and prior, and is cached
on disk after the first fit.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from bayes_sd.latency.coverage import FIT_NODES, popularity_nodes, popularity_threshold
from bayes_sd.latency.expert_load import LARGEST_SKEW, LARGEST_TOKENS, SURFACE_DEGREES, busiest_surface
from bayes_sd.latency.kernel import KNOTS, knot_factor
from bayes_sd.model.old_build import (
    CACHE_SHARPNESS,
    LEAST_ELASTICITY,
    REFERENCE_DRAFT_LENGTH,
    decode_share,
    kernel_index,
    noise_factor,
    timed_rows,
)
from bayes_sd.model.costs import cached_requests
from bayes_sd.model.design import Design, acceptance_logit
from bayes_sd.model.parameters import (
    NO_POOLING_LOG_SD,
    active_coefficients,
    draft_ideal_log_s,
    effect_scales,
    parameters,
)
from bayes_sd.model.points import place_points
from bayes_sd.model.spec import KINDS, ModelSpec

Problem = namedtuple(
    "Problem",
    "offset prior_mean prior_sd sizes settings ideal log2_tp level_of kind_of "
    "row_int row_float point_row point_in_flight point_start point_weight "
    "knot_factor ttft_slot share_slot share_value pair_ideal pair_length typical pair_drafter cell_drafter accept_row accept_logit "
    "effect_scale pair_small_cache cell_profile sparse popularity_nodes popularity_weights busiest_surface summed "
    "pair_log_share kernel_centred deployment_sparse cell_synthetic pair_latent_cell",
)
Problem.__doc__ = "Flat arrays of a fit; see :func:`flatten`."
Frame = namedtuple("Frame", "shift order start column entry along stretch")
Frame.__doc__ = "Linear coordinates of a sampler; see :mod:`bayes_sd.sample.frame`."

TYPICAL_TOKENS = 24.0
"""Tokens in a step at whose coverage the cost of experts is what rows inform, see density.to_natural."""
FEW_ROWS = 2
"""Rows from which a deployment's total slope in load is what its rows inform, see density.to_natural."""
ROW_INTS = ("deployment", "pair", "cell", "source", "noise", "engine", "shape", "stack", "sparse", "lengths")
ROW_FLOATS = (
    "prompt",
    "output",
    "k",
    "committed",
    "load",
    "log_latency",
    "log_ttft",
    "cap",
    "held",
    "quiet",
)
IDEALS = (
    "compute_token_s",
    "link_token_s",
    "weights_s",
    "experts_s",
    "kv_token_s",
    "layers",
    "attention_share",
    "launches",
)


def flatten(design: Design, spec: ModelSpec) -> Problem:
    """Flatten a design and spec.

    Parameters
    ----------
    design : Design
    spec : ModelSpec

    Returns
    -------
    Problem
        Of arrays: ``offset`` of each parameter in the vector, priors of all unknowns (sd 0 for hierarchies), sizes,
        settings, and the columns of observations and points.
    """
    listed = parameters(design, spec)
    sizes = np.array([p.size for p in listed])
    rows, points = design.rows, place_points(design.rows)
    deployment = rows["deployment"]
    integers = dict(rows) | {"sparse": design.deployment_sparse[deployment]}
    sparse = _sparse_verifiers(design)
    nodes, weights = popularity_nodes(FIT_NODES)
    floats = dict(rows) | {
        "log_latency": np.log(rows["latency_s"]),
        "log_ttft": np.log(rows["ttft_s"]),
        "held": cached_requests(0.0, rows["reserve"], rows["cache_tokens"], rows["prompt"], rows["output"]),
        "quiet": 1.0 / noise_factor(design, points),
    }
    n_rows = len(deployment)
    ttft, share = timed_rows(design, points)
    start, weight = kernel_index(design, points)
    logits = acceptance_logit(rows["committed"], rows["k"], design.row_profile(spec))
    member = design.levels.member
    return Problem(
        offset=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        prior_mean=np.concatenate(
            [np.ravel(np.zeros(p.shape) if p.mean is None else p.mean) for p in listed]
        ),
        prior_sd=np.concatenate([np.ravel(np.zeros(p.shape) if p.sd is None else p.sd) for p in listed]),
        sizes=np.array(
            [
                len(active_coefficients(design)),
                len(design.levels.deployments),
                len(design.levels.names),
                len(KINDS),
                len(KNOTS),
                points.closed,
                points.even,
                points.poisson,
                points.reach,
            ],
            dtype=np.int64,
        ),
        settings=np.array(
            [
                spec.priors["noise"]["tails"],
                float(spec.pooled),
                float(spec.kernel),
                float(spec.moe == "coverage"),
                spec.priors["acceptance"]["drafter_sd"],
                CACHE_SHARPNESS,
                NO_POOLING_LOG_SD,
                REFERENCE_DRAFT_LENGTH,
                *SURFACE_DEGREES,
                LARGEST_SKEW,
                LARGEST_TOKENS,
                float(spec.routed == "k"),
                TYPICAL_TOKENS,
                LEAST_ELASTICITY,
            ]
        ),
        ideal=np.stack([design.levels.roofline[name] for name in IDEALS]),
        log2_tp=design.levels.log2_tp.astype(float),
        level_of=np.stack([np.flatnonzero(row) for row in member]).astype(np.int64),
        kind_of=design.levels.kind.astype(np.int64),
        row_int=np.stack([integers[name] for name in ROW_INTS], axis=1).astype(np.int64),
        row_float=np.stack([floats[name] for name in ROW_FLOATS], axis=1).astype(float),
        point_row=points.row.astype(np.int64),
        point_in_flight=points.in_flight.astype(float),
        point_start=start.astype(np.int64),
        point_weight=weight.astype(float),
        knot_factor=knot_factor(spec.priors["kernel"]["length_doublings"]),
        ttft_slot=_flags(ttft, n_rows),
        share_slot=_flags(share, n_rows),
        share_value=decode_share(design),
        pair_ideal=draft_ideal_log_s(design, spec),
        pair_length=np.array(
            [rows["k"][rows["pair"] == i].mean() for i in range(len(design.coords["pair"]))]
        ),
        typical=_typical(rows, len(design.levels.deployments)),
        pair_drafter=design.pair_drafter.astype(np.int64),
        cell_drafter=design.cell_drafter.astype(np.int64),
        accept_row=np.flatnonzero(np.isfinite(logits)).astype(np.int64),
        accept_logit=logits,
        effect_scale=effect_scales(active_coefficients(design), spec).ravel(),
        pair_small_cache=design.pair_small_cache.astype(float),
        cell_profile=design.cell_profile * (spec.acceptance == "position"),
        sparse=sparse,
        popularity_nodes=nodes,
        popularity_weights=weights,
        busiest_surface=np.array([busiest_surface(int(m[0]), int(m[1])).ravel() for m in sparse]).reshape(
            len(sparse), int(np.prod(SURFACE_DEGREES))
        ),
        summed=(np.bincount(deployment, minlength=len(design.levels.deployments)) >= FEW_ROWS).astype(
            np.int64
        ),
        pair_log_share=np.log(design.pair_parameter_share),
        deployment_sparse=design.deployment_sparse.astype(np.int64),
        # Curves that no row sees are their priors, which are round as they are.
        kernel_centred=_informed_knots(start, len(design.coords["stack"])) * int(spec.kernel),
        cell_synthetic=design.cell_synthetic.astype(float),
        pair_latent_cell=_latent_cells(rows, len(design.coords["pair"])),
    )


def _latent_cells(rows: dict[str, np.ndarray], n_pairs: int) -> np.ndarray:
    """Give the acceptance cell of each pair none of whose rows states an acceptance, −1 for the others, shape (pair,)."""
    found = np.full(n_pairs, -1, dtype=np.int64)
    for i in range(n_pairs):
        own = rows["pair"] == i
        if np.isnan(rows["committed"][own]).all():
            found[i] = rows["cell"][own][0]
    return found


def _sparse_verifiers(design: Design) -> np.ndarray:
    """Experts, experts per token and the popularity law's centre of each verifier that has some, shape (verifier, 3)."""
    found = np.empty((len(design.coords["sparse_verifier"]), 3))
    for i in range(len(found)):
        own = np.flatnonzero(design.deployment_sparse == i)[0]
        total, active = (design.levels.roofline[name][own] for name in ("n_experts", "top_k_experts"))
        found[i] = total, active, popularity_threshold(total, active, 0.0)
    return found


def _typical(rows: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Log prompt, output and mean context of the shape that informs a deployment's slope best, shape (deployment, 3).

    That is the one with the most prompt per output token: there latency grows fastest with load.
    """
    lengths = np.log([rows["prompt"], rows["output"], rows["prompt"] + 0.5 * rows["output"]])
    found = np.empty((n, 3))
    for d in range(n):
        own = lengths[:, rows["deployment"] == d]
        found[d] = own[:, np.argmax(own[0] - own[1])]
        found[d, 2] = own[2].mean()
    return found


def _informed_knots(start: np.ndarray, n_stacks: int) -> np.ndarray:
    """Flag the knots that the observations inform: up to the last one that a point of the stack stands next to."""
    flags = np.zeros((n_stacks, len(KNOTS)), dtype=np.int64)
    stack, left = np.divmod(start, len(KNOTS))
    for s in range(n_stacks):
        flags[s, : left[stack == s].max(initial=-2) + 2] = 1
    return flags.ravel()


def _flags(index: np.ndarray, n: int) -> np.ndarray:
    flags = np.zeros(n, dtype=np.int64)
    flags[index] = 1
    return flags
