"""The one place that turns a design and a spec into a PyMC model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.acceptance import expected_committed_iid
from bayes_sd.latency.coverage import coverage, effective_tokens
from bayes_sd.latency.kernel import KNOTS, knot_factor, knot_position
from bayes_sd.latency.service import StageCosts, Work, first_token_s, service_latency_s, step_s
from bayes_sd.model.costs import cached_requests, expected_log_costs, token_share
from bayes_sd.model.design import Design, acceptance_logit
from bayes_sd.model.points import Points, place_points
from bayes_sd.model.spec import COEFFICIENTS, KINDS, PARTS, ModelSpec

if TYPE_CHECKING:
    import pymc as pm

NO_POOLING_LOG_SD = 1.5
"""Spread of a deployment round its roofline when nothing is shared: within a factor of 20."""
REFERENCE_DRAFT_LENGTH = 4.0


def active_coefficients(design: Design) -> list[str]:
    """List the coefficients that the observations have; no expert term for a family of dense verifiers."""
    sparse = bool((design.levels.roofline["n_experts"] > 0).any())
    return [c for c in COEFFICIENTS if sparse or c != "expert"]


def build_model(design: Design, spec: ModelSpec) -> pm.Model:
    """Build the latency model.

    Parameters
    ----------
    design : Design
        Observations in protocol order.
    spec : ModelSpec

    Returns
    -------
    pymc.Model
        Observed: ``latency`` (log s), ``ttft`` (log s), ``decode_share``, ``acceptance`` (logit), as the rows have them.
    """
    import pymc as pm
    import pytensor.tensor as pt

    coefficients = active_coefficients(design)
    coords = dict(design.coords) | {"coefficient": coefficients, "part": list(PARTS), "knot": KNOTS.tolist()}
    points = place_points(design.rows)
    with pm.Model(coords=coords) as model:
        part = _parts(spec)
        log_cost = _deployment_costs(design, spec, coefficients, part)
        costs_at = _costs_at(design, spec, points, coefficients, log_cost, part)
        committed = _committed(design, spec)
        in_flight = _in_flight(design, spec, points)
        work = Work(*(design.rows[c][points.row] for c in ("prompt", "output", "k")), committed=committed[points.row])
        covered = _coverage(design, spec, points, in_flight)
        step = step_s(costs_at, work, in_flight, covered, _kernel_factor(design, spec, points))
        service = service_latency_s(costs_at, work, in_flight, step)
        log_latency = pt.concatenate(_protocol_means(design, points, service, in_flight))
        overlap = _beta("overlap", spec.priors["overlap"]["mean"], "source")
        first = first_token_s(costs_at, work, in_flight, step, overlap[design.rows["source"][points.row]])
        _observe(design, spec, points, log_latency, service, first)
    return model


def _parts(spec: ModelSpec) -> dict[str, Any]:
    import pymc as pm
    import pytensor.tensor as pt

    table = spec.priors["part"]
    log_median = np.log([table[name]["median"] for name in PARTS])
    log_sd = np.array([table[name]["log_sd"] for name in PARTS])
    part = pt.exp(pm.Normal("log_part", log_median, log_sd, dims="part"))
    return {name: part[i] for i, name in enumerate(PARTS)}


def _deployment_costs(design: Design, spec: ModelSpec, coefficients: list[str], part: dict[str, Any]) -> Any:
    """Log cost of each coefficient and deployment, centred on roofline, slope and effects."""
    import pymc as pm
    import pytensor.tensor as pt

    levels = design.levels
    spread = spec.priors["spread"]
    ideal = levels.roofline | {"log2_tp": levels.log2_tp}
    base = expected_log_costs(part, ideal, pt)
    expected = pt.stack([base[c] for c in coefficients])
    if not spec.pooled:
        return pm.Normal("log_cost", expected, NO_POOLING_LOG_SD, dims=("coefficient", "deployment"))
    slope_sd = np.array([spread[c]["tp_slope"] for c in coefficients])
    slope = pm.Normal("tp_slope", 0.0, slope_sd, dims="coefficient")
    medians = np.array([[spread[c][kind] for kind in (*KINDS, "deployment")] for c in coefficients])
    scale = pm.LogNormal("effect_scale", np.log(medians[:, :-1]), spread["scale_log_sd"], dims=("coefficient", "kind"))
    effect = pm.Normal("effect", dims=("coefficient", "level"))
    shift = pt.dot(effect * scale[:, levels.kind], levels.member.T)
    residual = pm.LogNormal("deployment_scale", np.log(medians[:, -1]), spread["scale_log_sd"], dims="coefficient")
    expected = expected + slope[:, None] * levels.log2_tp + shift
    return pm.Normal("log_cost", expected, residual[:, None], dims=("coefficient", "deployment"))


def _costs_at(
    design: Design, spec: ModelSpec, points: Points, coefficients: list[str], log_cost: Any, part: dict[str, Any]
) -> StageCosts:
    import pytensor.tensor as pt

    at = design.rows["deployment"][points.row]
    cost = pt.exp(log_cost)
    ideal = design.levels.roofline | {"log2_tp": design.levels.log2_tp}
    share = token_share(part, ideal)
    request = cost[coefficients.index("request")]
    table = pt.concatenate([cost, [request * share]])[:, at]
    get = {name: table[i] for i, name in enumerate([*coefficients, "token"])}
    draft_fixed, draft_token, extra = _draft_costs(design, spec, points)
    return StageCosts(
        prefill_fixed_s=get["prefill_fixed"],
        prefill_token_s=get["prefill_token"],
        verify_fixed_s=get["verify"],
        verify_expert_s=get.get("expert", 0.0),
        sequence_s=get["request"] - get["token"],
        token_s=get["token"],
        kv_token_s=get["kv"],
        draft_fixed_s=draft_fixed,
        draft_token_s=draft_token * get["token"],
        draft_extra_steps=extra,
    )


def _draft_costs(design: Design, spec: ModelSpec, points: Points) -> tuple[Any, Any, Any]:
    """Fixed seconds per draft step, cost per request in units of the verifier's token cost, fixed steps per cycle."""
    import pymc as pm
    import pytensor.tensor as pt

    prior = spec.priors["draft"]
    ideal = np.log(prior["fixed_median"] * design.pair_roofline_s + prior["fixed_launch_s"])
    level = pm.Normal("draft_level", 0.0, prior["fixed_log_sd"])
    extra = pm.LogNormal("draft_extra_steps", np.log(prior["extra_steps_median"]), prior["extra_steps_log_sd"])
    share = pm.LogNormal("draft_token_share", np.log(prior["token_share_median"]), prior["token_share_log_sd"])
    if not len(ideal):
        return 0.0, 0.0, 0.0
    scale = pm.LogNormal("draft_scale", np.log(prior["pair_log_sd"]), 0.4)
    log_fixed = pm.Normal("log_draft_cost", ideal + level, scale, dims="pair")
    log_share = pm.Normal("log_draft_share", pt.log(share), 0.4, dims="pair")
    pair = design.rows["pair"][points.row]
    table = pt.exp(pt.stack([log_fixed, log_share]))[:, np.maximum(pair, 0)]
    return table[0], table[1], extra


def _committed(design: Design, spec: ModelSpec) -> Any:
    """Tokens per cycle of each observation: as measured where it was, else from the acceptance of its cell."""
    import pymc as pm
    import pytensor.tensor as pt

    rows = design.rows
    unknown = np.isnan(rows["committed"])
    if not design.coords["cell"]:
        return rows["committed"]
    prior = spec.priors["acceptance"]
    drafter = pm.Normal("acceptance_drafter", prior["logit_mean"], prior["logit_sd"], dims="drafter")
    scale = pm.LogNormal("acceptance_scale", np.log(prior["workload_sd"]), 0.4)
    cell = pm.Normal("acceptance_cell", drafter[design.cell_drafter], scale, dims="cell")
    slope = pm.Normal("acceptance_length_slope", 0.0, prior["length_slope_sd"])
    run = pm.LogNormal("acceptance_run_scale", np.log(prior["run_sd"]), 0.5)
    logit = cell[np.maximum(rows["cell"], 0)] + slope * np.log(np.maximum(rows["k"], 1.0) / REFERENCE_DRAFT_LENGTH)
    measured = acceptance_logit(rows["committed"], rows["k"])
    seen = np.flatnonzero(np.isfinite(measured))
    pm.StudentT("acceptance", nu=4.0, mu=logit[seen], sigma=run, observed=measured[seen])
    if not unknown.any():
        return rows["committed"]
    latent = expected_committed_iid(pt.sigmoid(logit), rows["k"].astype(int), pt)
    return pt.where(unknown, latent, np.nan_to_num(rows["committed"], nan=1.0))


def _in_flight(design: Design, spec: ModelSpec, points: Points) -> Any:
    """Requests that run at once: the load, or what the engine's cap and its cache hold in a closed loop."""
    import pymc as pm
    import pytensor.tensor as pt

    prior = spec.priors["cache"]
    efficiency = pm.Normal(
        "log_cache_efficiency", np.log(prior["efficiency_median"]), prior["efficiency_log_sd"], dims="engine"
    )
    reserve = _beta("cache_reserve", prior["reserve_mean"], "engine")
    rows, n = design.rows, points.closed
    engine = rows["engine"][:n]
    held = cached_requests(
        efficiency[engine], reserve[engine], rows["cache_tokens"][:n], rows["prompt"][:n], rows["output"][:n]
    )
    running = pt.minimum(pt.minimum(held, rows["cap"][:n]), points.in_flight[:n])
    return pt.concatenate([running, points.in_flight[n:]]) if len(points.in_flight) > n else running


def _coverage(design: Design, spec: ModelSpec, points: Points, in_flight: Any) -> Any:
    """Share of routed experts that each point's step touches."""
    import pymc as pm
    import pytensor.tensor as pt

    deployment = design.rows["deployment"][points.row]
    experts = design.levels.roofline["n_experts"][deployment]
    if not (experts > 0).any() or spec.moe == "dense":
        return (experts > 0).astype(float)
    top_k = design.levels.roofline["top_k_experts"][deployment]
    psi = pm.Beta("routing_independence", 2.0, 2.0)
    tokens = effective_tokens(in_flight, design.rows["k"][points.row], psi)
    touched = coverage(tokens, np.maximum(experts, 2.0), np.maximum(top_k, 1.0), pt)
    return touched * (experts > 0)


def _kernel_factor(design: Design, spec: ModelSpec, points: Points) -> Any:
    import pymc as pm
    import pytensor.tensor as pt

    if not spec.kernel:
        return 1.0
    prior = spec.priors["kernel"]
    scale = pm.LogNormal("kernel_scale", np.log(prior["scale_median"]), prior["scale_log_sd"])
    raw = pm.Normal("kernel_raw", dims=("stack", "knot"))
    curve = scale * pt.dot(raw, knot_factor(prior["length_doublings"]).T)
    _, stack_of = design.levels.index("stack")
    row = points.row
    left, weight = knot_position(nominal_in_flight(design, points) * (design.rows["k"][row] + 1.0))
    start = stack_of[design.rows["deployment"][row]] * len(KNOTS) + left
    flat = curve.ravel()
    return pt.exp(flat[start] * (1.0 - weight) + flat[start + 1] * weight)


def nominal_in_flight(design: Design, points: Points) -> np.ndarray:
    """Requests at each point with the cache at its nominal size, which places a point on the kernel curve."""
    rows, row = design.rows, points.row
    held = cached_requests(np.log(0.9), 0.6, rows["cache_tokens"][row], rows["prompt"][row], rows["output"][row])
    limit = np.where(rows["open_loop"][row], np.inf, np.minimum(held, rows["cap"][row]))
    return np.minimum(points.in_flight, limit)


def _protocol_means(design: Design, points: Points, service: Any, in_flight: Any) -> list[Any]:
    """Log mean latency per protocol, in the order of the observations."""
    import pytensor.tensor as pt

    rows = design.rows
    closed, even = points.closed, points.even
    found = []
    if closed:
        waits = np.log(points.in_flight[:closed])
        found.append(pt.log(service[:closed] / in_flight[:closed]) + waits)
    if even:
        span = slice(closed, closed + even)
        measured = rows["load"][span] * rows["latency_s"][span]
        below = np.floor(measured)
        x0 = below / service[span]
        x1 = (below + 1.0) / service[closed + even : closed + 2 * even]
        throughput = x0 + (measured - below) * (x1 - x0)
        # One Newton step on the log scale from the measured number in flight: exact where model and measurement
        # agree, finite everywhere, and it spares a root search inside the sampler.
        elasticity = measured * (x1 - x0) / throughput
        found.append(np.log(rows["latency_s"][span]) + (np.log(rows["load"][span]) - pt.log(throughput)) / elasticity)
    if points.poisson:
        found.append(_poisson_means(design, points, service))
    return found


def _poisson_means(design: Design, points: Points, service: Any) -> Any:
    """Log mean latency under Poisson arrivals, from the stationary law P(n) ∝ Π λ·S(j)/j."""
    import pytensor.tensor as pt

    rate = design.rows["load"][points.closed + points.even :]
    number = np.arange(1.0, points.reach + 1)
    curve = service[points.closed + 2 * points.even :].reshape((points.poisson, points.reach))
    log_weight = pt.cumsum(pt.log(curve) + np.log(rate)[:, None] - np.log(number), axis=1)
    shift = pt.maximum(pt.max(log_weight, axis=1, keepdims=True), 0.0)
    weight = pt.exp(log_weight - shift)
    total = pt.sum(weight, axis=1) + pt.exp(-shift[:, 0])
    return pt.log(pt.sum(weight * number, axis=1) / total) - np.log(rate)


def _observe(
    design: Design, spec: ModelSpec, points: Points, log_latency: Any, service: Any, first: Any
) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    rows, prior = design.rows, spec.priors["noise"]
    tails = prior["tails"]
    sigma = pm.LogNormal("latency_noise", np.log(prior["latency_median"]), prior["latency_log_sd"], dims="noise")
    pm.StudentT(
        "latency", nu=tails, mu=log_latency, sigma=sigma[rows["noise"]], observed=np.log(rows["latency_s"])
    )
    running = points.running
    nominal = nominal_in_flight(design, points)
    queued = ~rows["open_loop"] & (nominal[running] < rows["load"])
    timed = np.flatnonzero(np.isfinite(rows["ttft_s"]) & ~queued)
    if len(timed):
        sigma = pm.LogNormal("ttft_noise", np.log(prior["ttft_median"]), prior["ttft_log_sd"], dims="source")
        pm.StudentT(
            "ttft",
            nu=tails,
            mu=pt.log(first[running[timed]]),
            sigma=sigma[rows["source"][timed]],
            observed=np.log(rows["ttft_s"][timed]),
        )
    shared = np.flatnonzero(np.isnan(rows["ttft_s"]) & np.isfinite(rows["tpot_s"]) & (rows["output"] > 2))
    if len(shared):
        sigma = pm.LogNormal("share_noise", np.log(prior["share_median"]), prior["share_log_sd"], dims="source")
        at = running[shared]
        decoding = (service[at] - first[at]) * pt.exp(-log_latency[shared])
        observed = (rows["output"][shared] - 1.0) * rows["tpot_s"][shared] / rows["latency_s"][shared]
        pm.StudentT("decode_share", nu=tails, mu=decoding, sigma=sigma[rows["source"][shared]], observed=observed)


def _beta(name: str, mean: float, dim: str) -> Any:
    import pymc as pm

    return pm.Beta(name, 4.0 * mean, 4.0 * (1.0 - mean), dims=dim)
