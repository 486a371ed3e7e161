"""Stage costs of a deployment: an efficiency against the roofline, shared on the log scale.

    log cost[coefficient, deployment] ~ Normal(expected, spread[coefficient])
    expected = log(sum of parts, each a roofline times a factor·exp(age_slope·years)) + slope·log2(tp) + effects of hardware, ...
    slope = tp_slope + tp_engine[engine] + spread·tp_stack[stack]

A sum of physical parts under the logarithm (weights + launches; compute + links + host) is what makes an unseen
tensor-parallel size or GPU predictable: each part scales in its own way. :data:`PART_TABLE` is the list of parts. Engines age
well: a part's factor falls with the version's day. How a cost grows with tensor parallelism differs by engine and stack, so that a
size that was not measured is as uncertain as stacks are different.

Coordinates. Rows of a deployment inform the total slope of latency in load at their typical request, not its summands: log
costs of prefill, request and cache are moved as that total, decoding's share of it and the cache's share of decoding.
Otherwise the posterior is a set of narrow bent ridges. A deployment of a few rows keeps its summands: there the prior rules,
which is straight in them. Costs that rows inform little are moved partly standardised
(:func:`bayes_sd.model.facts.coordinate_facts`), and those that may be too
small to matter as logarithms below a grain and linearly above it (:func:`~bayes_sd.model.coordinates.grained`).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayes_sd.model.coordinates import (
    cache_coordinate,
    cache_share,
    grained,
    loosened,
    tightened,
    ungrained,
)
from bayes_sd.model.spec import COEFFICIENTS, KINDS, PARTS, ModelSpec
from bayes_sd.model.term import (
    Coords,
    PerLevel,
    Term,
    Unknown,
    Values,
    as_table,
    inverse_softplus,
    rows_of,
    sigmoid,
    softplus,
)
from bayes_sd.model.terms.prompts import overhead_tokens

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


TINY_S = 1e-12
NO_POOLING_LOG_SD = 1.5
"""Spread of a deployment round its roofline when nothing is shared: within a factor of 20."""
DECODING_SHARPNESS = 8.0
"""One over the share of decoding below which its coordinate is a logarithm; above, it is linear in the share."""
AGELESS = ("allreduce_latency", "prefill_attention")
"""Parts without a slope of their own in time: the first is a share of the launches, which have one; the second a share of compute."""
ALLREDUCE, PREFILL_ATTENTION = PARTS.index("allreduce_latency"), PARTS.index("prefill_attention")
TOKENS, ATTENTION = "tokens", "attention"
"""Sums of parts beside the coefficients: work of a token in a step, and attention's share in a prompt token's cost."""


class Part(NamedTuple):
    """One physical part: the roofline it multiplies, the sums it enters, and the part whose factor it shares."""

    ideal: str
    sums: tuple[str, ...]
    times: str | None = None


PART_TABLE = {
    "prefill_compute": Part("compute_token_s", ("prefill_token",)),
    "token_compute": Part("compute_token_s", ("request", TOKENS)),
    "link": Part("link_token_s", ("prefill_token", "request", TOKENS)),
    "weights": Part("weights_s", ("verify",)),
    "launch": Part("launches", ("verify",)),
    "allreduce_latency": Part("parallel_layers", ("verify",), times="launch"),
    "sequence": Part("one", ("request",)),
    "experts": Part("experts_s", ("expert",)),
    "kv": Part("kv_token_s", ("kv",)),
    "prefill_fixed": Part("one", ("prefill_fixed",)),
    "prefill_attention": Part("attention_share", (ATTENTION,)),
}


def ideal_table(roofline: dict[str, np.ndarray], log2_tp: np.ndarray) -> np.ndarray:
    """Line up the rooflines that the parts multiply.

    Parameters
    ----------
    roofline : dict of str to array, shape (deployment,)
        Fields of :class:`~bayes_sd.latency.roofline.Roofline` [s] or counts.
    log2_tp : array, shape (deployment,)

    Returns
    -------
    array, shape (part, deployment)
    """
    named = roofline | {
        "one": np.ones_like(log2_tp),
        "parallel_layers": (log2_tp > 0) * roofline["layers"],
        "experts_s": np.maximum(roofline["experts_s"], TINY_S),
    }
    return np.stack([named[PART_TABLE[p].ideal] for p in PARTS])


def _sums(names: Sequence[str]) -> np.ndarray:
    """Which part enters which sum, shape (sum, part)."""
    return np.array([[float(s in PART_TABLE[p].sums) for p in PARTS] for s in names])


def _carried() -> tuple[np.ndarray, np.ndarray]:
    """Which other part's log factor enters each part, and whether one does, shape (part,) and (part, 1)."""
    others = [PART_TABLE[part].times for part in PARTS]
    index = [PARTS.index(other) if other else 0 for other in others]
    return np.array(index), np.array([[float(other is not None)] for other in others])


def part_sums(u: Values, f: Values, names: Sequence[str], xp: ModuleType = np) -> Any:
    """Add the parts up.

    Parameters
    ----------
    u : dict
        ``log_part`` and, where ages are known, ``part_age`` [1/year], shape (..., part).
    f : dict
        ``ideal`` from :func:`ideal_table`, and ``part_years``, years by part and deployment.
    names : sequence of str
        Which sums: coefficients [s], :data:`TOKENS` [s], :data:`ATTENTION` [1/token].
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array, shape (..., sum, deployment)
        Expected costs before effects.
    """
    log_factor = u["log_part"][..., :, None]
    if "part_age" in u:
        log_factor = log_factor + u["part_age"][..., :, None] * f["part_years"]
    other, carried = _carried()
    parts = xp.exp(log_factor + carried * log_factor[..., other, :]) * f["ideal"]
    return xp.sum(_sums(names)[:, :, None] * parts[..., None, :, :], axis=-2)


class Stages(Term):
    """Prefill, verify, per-request and cache costs of deployments."""

    name = "stages"
    moved = ("log_part", "log_cost")

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give rooflines, levels and the spread of each level's effect."""
        levels = design.levels
        active = active_coefficients(bool((levels.roofline["n_experts"] > 0).any()))
        level_of = levels.level_of
        return {
            "ideal": ideal_table(levels.roofline, levels.log2_tp),
            "log2_tp": levels.log2_tp.astype(float),
            "part_years": np.array([[n not in AGELESS] for n in PARTS]) * levels.age_years,
            "deployment_engine": levels.index("engine")[1],
            "deployment_stack": levels.index("stack")[1],
            "level_of": np.maximum(level_of, 0).ravel(),
            "has_level": (level_of >= 0).astype(float),
            "effect_scale": effect_scales(active, spec)[:, levels.kind],
        }

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare parts, slopes, effects and the deployments' costs [log s]."""
        part, spread, age = spec.priors["part"], spec.priors["spread"], spec.priors["age"]
        active = coords["coefficient"]
        widths = [spread[c]["deployment"] for c in active]
        found = [
            Unknown(
                "log_part",
                ("part",),
                np.log([part[n]["median"] for n in PARTS]),
                [part[n]["log_sd"] for n in PARTS],
            )
        ]
        if spec.pooled:
            found += [
                Unknown(
                    "part_age",
                    ("part",),
                    [age["host_mean" if n in age["host"] else "mean"] for n in PARTS],
                    [age["host_sd" if n in age["host"] else "sd"] for n in PARTS],
                ),
                *_tp_slopes(active, spec),
                Unknown("tp_slope", ("coefficient",), 0.0, [spread[c]["tp_slope"] for c in active]),
                Unknown("effect", ("coefficient", "level"), effect_means(active, coords["level"], spec), 1.0),
                Unknown(
                    "log_deployment_scale",
                    ("coefficient",),
                    np.log(widths),
                    [spread[c]["deployment_log_sd"] for c in active],
                    spread_of="log_cost",
                ),
            ]
        centre, scale = (pooled_centre, pooled_spread) if spec.pooled else (plain_centre, plain_spread)
        return [*found, Unknown("log_cost", ("coefficient", "deployment"), centre=centre, spread=scale)]

    def per_level(self, u: Values, f: Values, xp: ModuleType) -> list[PerLevel]:
        """Give each deployment's costs, the share of a request's cost that its tokens make, and attention's.

        Rows without speculation inform only the sum t_seq + t_tok; the split follows from the rooflines' parts.
        """
        sums = part_sums(u, f, ("request", TOKENS, ATTENTION), xp)
        request, tokens, attention = rows_of(sums, 3, xp)
        pieces = [xp.exp(u["log_cost"]), tokens / request, attention]
        return [PerLevel("deployment", (*f["coefficients"], "token_share", ATTENTION), as_table(pieces, xp))]

    def to_natural(self, x: Values, f: Values, xp: ModuleType) -> Any:
        """Turn totals and shares of a typical request's slope into costs; a launch is moved together with all-reduces."""
        active = f["coefficients"]
        x["log_part"] = x["log_part"] - _launch() * softplus(x["log_part"][..., ALLREDUCE], xp)[..., None]
        rows = dict(zip(active, rows_of(x["log_cost"], len(active), xp), strict=True))
        total, share, cache = (rows[name] for name in ("prefill_token", "request", "kv"))
        soft = softplus(DECODING_SHARPNESS * share, xp) / DECODING_SHARPNESS
        log_share = xp.log(-xp.expm1(-soft))
        log_cache, log_rest, log_rate = cache_share(cache, xp)
        log_prompt, log_attention = _typical_prompt(x, f, xp)
        decode = total + log_share - f["typical_log_output"]
        new = {
            "prefill_token": total - soft - log_prompt - softplus(log_attention, xp),
            "request": decode + log_rest,
            "kv": decode + log_cache - f["typical_log_context"],
        }
        rows |= {name: xp.where(f["summed"], value, rows[name]) for name, value in new.items()}
        x["log_cost"] = as_table([rows[name] for name in active], xp)
        further: Any = 0.0
        if "log_deployment_scale" in x:
            log_spread = x["log_deployment_scale"][..., :, None]
            x["log_cost"] = loosened(x["log_cost"], pooled_centre(x, f, xp), log_spread, f["loose"], xp)
            further = xp.sum(log_spread * f["loose"], axis=(-2, -1))
        cost, bend = grained(x["log_cost"], f["log_grain"], xp)
        x["log_cost"] = xp.where(f["has_grain"], cost, x["log_cost"])
        further = further + xp.sum(xp.where(f["has_grain"], bend, 0.0), axis=(-2, -1))
        volume = log_rate - log_cache - log_rest - softplus(-DECODING_SHARPNESS * share, xp) - log_share
        return further + xp.sum(xp.where(f["summed"], volume, 0.0), axis=(-2, -1))

    def to_coordinates(self, u: Values, f: Values) -> None:
        """Invert :meth:`to_natural`."""
        active = f["coefficients"]
        cost = np.where(f["has_grain"], ungrained(u["log_cost"], f["log_grain"]), u["log_cost"])
        if "log_deployment_scale" in u:
            log_spread = u["log_deployment_scale"][..., :, None]
            cost = tightened(cost, pooled_centre(u, f, np), log_spread, f["loose"])
        at = {name: active.index(name) for name in ("prefill_token", "request", "kv")}
        log_prompt, attention = (value[..., 0, :] for value in _typical_prompt(u, f, np))
        prefill = cost[..., at["prefill_token"], :] + log_prompt + softplus(attention)
        request = cost[..., at["request"], :].copy()
        kv = cost[..., at["kv"], :] + f["typical_log_context"]
        decode = np.logaddexp(request, kv) + f["typical_log_output"]
        soft = DECODING_SHARPNESS * np.logaddexp(0.0, decode - prefill)
        summed = f["summed"].astype(bool)
        new = {
            "prefill_token": np.logaddexp(prefill, decode),
            "request": inverse_softplus(soft) / DECODING_SHARPNESS,
            "kv": cache_coordinate(sigmoid(kv - request)),
        }
        for name, value in new.items():
            cost[..., at[name], :] = np.where(summed, value, cost[..., at[name], :])
        u["log_cost"] = cost
        u["log_part"] = u["log_part"] + _launch() * softplus(u["log_part"][..., ALLREDUCE])[..., None]


def _tp_slopes(active: list[str], spec: ModelSpec) -> list[Unknown]:
    """Declare how slopes in log2 of the tensor-parallel size differ by engine, and by stack."""
    spread = spec.priors["spread"]
    return [
        Unknown(
            "tp_engine", ("coefficient", "engine"), 0.0, np.array([[spread[c]["tp_engine"]] for c in active])
        ),
        # How far stacks lie apart is stated: those of two sizes or more, some ten, teach it little, and at the price of a funnel.
        Unknown(
            "tp_stack", ("coefficient", "stack"), 0.0, np.array([[spread[c]["tp_stack"]] for c in active])
        ),
    ]


def _typical_prompt(u: Values, f: Values, xp: ModuleType) -> tuple[Any, Any]:
    """Log tokens of a deployment's typical prefill, overhead included, and log of attention's share, shape (..., 1, deployment)."""
    log_prompt = f["typical_log_prompt"]
    log_attention = u["log_part"][..., PREFILL_ATTENTION, None] + f["typical_log_attention"]
    if "overhead_level" in u:
        log_prompt = xp.log(xp.exp(log_prompt) + overhead_tokens(u, f, xp))
        log_attention = log_attention + u["attention_stack"][..., f["deployment_stack"]]
    return log_prompt[..., None, :], log_attention[..., None, :]


def pooled_centre(u: Values, f: Values, xp: ModuleType) -> Any:
    """Expected log cost of each coefficient and deployment, effects of all its levels included."""
    slope = u["tp_slope"][..., :, None] + u["tp_engine"][..., :, f["deployment_engine"]]
    slope = slope + u["tp_stack"][..., :, f["deployment_stack"]]
    scaled = (u["effect"] * f["effect_scale"])[..., :, f["level_of"]]
    shape = (*scaled.shape[:-2], len(f["coefficients"]), len(KINDS), -1)
    of_kind = scaled.reshape(shape) * f["has_level"]
    return plain_centre(u, f, xp) + slope * f["log2_tp"] + xp.sum(of_kind, axis=-2)


def plain_centre(u: Values, f: Values, xp: ModuleType) -> Any:
    """Expected log cost from the rooflines alone."""
    return xp.log(part_sums(u, f, f["coefficients"], xp))


def pooled_spread(u: Values, f: Values, xp: ModuleType) -> Any:
    """Spread of deployments round their expectation, learned for each coefficient."""
    return xp.exp(u["log_deployment_scale"])[..., :, None]


def plain_spread(u: Values, f: Values, xp: ModuleType) -> float:
    """Spread of deployments that share nothing."""
    return NO_POOLING_LOG_SD


def effect_scales(coefficients: Sequence[str], spec: ModelSpec) -> np.ndarray:
    """Spread of each kind of effect on each coefficient, shape (coefficient, kind); 0 of a kind unknown to an earlier version."""
    return np.array([[spec.priors["spread"][c].get(kind, 0.0) for kind in KINDS] for c in coefficients])


def effect_means(coefficients: list[str], levels: list[str], spec: ModelSpec) -> np.ndarray:
    """Prior means of effects, in units of their kind's spread, shape (coefficient, level); 0 where nothing is known."""
    known = spec.priors["known"]
    means = np.zeros((len(coefficients), len(levels)))
    for i, coefficient in enumerate(coefficients):
        for j, level in enumerate(levels):
            if level in known.get(coefficient, {}):
                spread = spec.priors["spread"][coefficient][level.partition(":")[0]]
                means[i, j] = known[coefficient][level]["mean"] / spread
    return means


def active_coefficients(sparse: bool) -> tuple[str, ...]:
    """List the coefficients of a family; no expert term where all verifiers are dense."""
    return tuple(c for c in COEFFICIENTS if sparse or c != "expert")


def _launch() -> np.ndarray:
    return (np.array(PARTS) == "launch").astype(float)
