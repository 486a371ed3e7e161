"""The one place that turns a design and a spec into a PyMC model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.acceptance import expected_committed_profile
from bayes_sd.latency.coverage import FIT_NODES, coverage_skewed, effective_tokens
from bayes_sd.latency.expert_load import busiest_expert_load
from bayes_sd.latency.kernel import KNOTS, knot_factor, knot_position
from bayes_sd.latency.service import StageCosts, Work, busiest_wait, first_token_s, service_latency_s, step_s
from bayes_sd.model.costs import cached_requests, expected_log_costs, prompt_growth, token_share
from bayes_sd.model.design import Design, acceptance_logit
from bayes_sd.model.parameters import (
    NO_POOLING_LOG_SD,
    active_coefficients,
    draft_ideal_log_s,
    effect_scales,
    model_coords,
    parameters,
)
from bayes_sd.model.points import Points, place_points
from bayes_sd.model.spec import PARTS, ModelSpec

if TYPE_CHECKING:
    import pymc as pm

REFERENCE_DRAFT_LENGTH = 4.0
"""Draft length [tokens] at which an acceptance cell's level is stated."""
QUEUED_NOISE = 4.0
"""Noise of rows whose requests queue for the cache, in units of the others'."""
MOST_AMPLIFIED = 3.0
"""Noise near an open loop's saturation, at most, in units of that at low load."""
LEAST_ELASTICITY = 0.1
"""Relative gain of throughput for a gain of requests in flight below which an open loop's row tells no more: a per cent of
throughput is at most ten of latency."""
CACHE_SHARPNESS = 12.0
"""How abruptly the cache limits the requests that run: lengths vary, so the limit bites a little before it binds."""


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

    points = place_points(design.rows)
    with pm.Model(coords=model_coords(design)) as model:
        free = {
            p.name: pm.Normal(p.name, p.mean, p.sd, dims=p.dims or None)
            for p in parameters(design, spec)
            if p.mean is not None
        }
        part = {name: pt.exp(free["log_part"][i]) for i, name in enumerate(PARTS)}
        costs_at = _costs_at(design, spec, points, part, free)
        committed = _committed(design, spec, free)
        in_flight = _in_flight(design, points, free)
        prompt, output, k = (design.rows[c][points.row] for c in ("prompt", "output", "k"))
        work = Work(prompt, output, k, committed[points.row])
        covered, wait = _experts(design, spec, points, in_flight, free)
        step = step_s(costs_at, work, in_flight, covered, _kernel_factor(design, spec, points, free), wait)
        service = service_latency_s(costs_at, work, in_flight, step)
        scale = pt.exp(free["log_misfit_scale"])
        misfit = pm.Normal("misfit", 0.0, scale, dims="shape")[design.rows["shape"]]
        log_latency = pt.concatenate(_protocol_means(design, points, service, in_flight)) + misfit
        overlap = pt.sigmoid(free["logit_overlap"])[design.rows["source"][points.row]]
        first = first_token_s(costs_at, work, in_flight, step, overlap)
        _observe(design, spec, points, log_latency, service, first, free)
    return model


def _deployment_costs(design: Design, spec: ModelSpec, part: dict[str, Any], free: dict[str, Any]) -> Any:
    """Log cost of each coefficient and deployment, centred on roofline, slope and effects."""
    import pymc as pm
    import pytensor.tensor as pt

    levels = design.levels
    base = expected_log_costs(part, levels.roofline | {"log2_tp": levels.log2_tp}, pt)
    expected = pt.stack([base[c] for c in active_coefficients(design)])
    if not spec.pooled:
        return pm.Normal("log_cost", expected, NO_POOLING_LOG_SD, dims=("coefficient", "deployment"))
    scale = effect_scales(active_coefficients(design), spec)[:, levels.kind]
    shift = pt.dot(free["effect"] * scale, levels.member.T)
    expected = expected + free["tp_slope"][:, None] * levels.log2_tp + shift
    residual = pt.exp(free["log_deployment_scale"])[:, None]
    return pm.Normal("log_cost", expected, residual, dims=("coefficient", "deployment"))


def _costs_at(
    design: Design, spec: ModelSpec, points: Points, part: dict[str, Any], free: dict[str, Any]
) -> StageCosts:
    import pytensor.tensor as pt

    coefficients = active_coefficients(design)
    at = design.rows["deployment"][points.row]
    cost = pt.exp(_deployment_costs(design, spec, part, free))
    share = token_share(part, design.levels.roofline | {"log2_tp": design.levels.log2_tp})
    request = cost[coefficients.index("request")]
    table = pt.concatenate([cost, [request * share]])[:, at]
    get = {name: table[i] for i, name in enumerate([*coefficients, "token"])}
    draft_fixed, draft_token = _draft_costs(design, spec, points, free)
    off = pt.exp(_load_misfit(free))[design.rows["lengths"][points.row]]
    attention, prompt = design.levels.roofline["attention_share"][at], design.rows["prompt"][points.row]
    return StageCosts(
        prefill_fixed_s=get["prefill_fixed"],
        prefill_token_s=off * get["prefill_token"] * prompt_growth(part, attention, prompt),
        verify_fixed_s=get["verify"],
        verify_expert_s=get.get("expert", 0.0),
        sequence_s=off * (get["request"] - get["token"]),
        token_s=off * get["token"],
        kv_token_s=off * get["kv"],
        draft_fixed_s=draft_fixed,
        draft_token_s=off * draft_token * get["token"],
        draft_extra_steps=pt.exp(free["log_draft_extra_steps"]),
    )


def _load_misfit(free: dict[str, Any]) -> Any:
    """What the formula gets wrong, at lengths of a deployment, of all that grows with load; log scale."""
    import pymc as pm
    import pytensor.tensor as pt

    return pm.Normal("load_misfit", 0.0, pt.exp(free["log_load_misfit_scale"]), dims="lengths")


def _draft_costs(design: Design, spec: ModelSpec, points: Points, free: dict[str, Any]) -> tuple[Any, Any]:
    """Fixed seconds per draft step, and cost per request in units of the verifier's token cost."""
    import pymc as pm
    import pytensor.tensor as pt

    ideal = draft_ideal_log_s(design, spec) + free["draft_level"]
    ideal = ideal + free["draft_cache_format"] * design.pair_small_cache
    log_fixed = pm.Normal("log_draft_cost", ideal, pt.exp(free["log_draft_scale"]), dims="pair")
    log_share = np.log(design.pair_parameter_share) + free["log_draft_token_factor"]
    if not design.coords["pair"]:
        return 0.0, 0.0
    table = pt.exp(pt.stack([log_fixed, log_share]))[:, np.maximum(design.rows["pair"][points.row], 0)]
    return table[0], table[1]


def _committed(design: Design, spec: ModelSpec, free: dict[str, Any]) -> Any:
    """Tokens per cycle of each observation: as measured where it was, else from the acceptance of its cell."""
    import pymc as pm
    import pytensor.tensor as pt

    rows = design.rows
    unknown = np.isnan(rows["committed"])
    drafter_sd = spec.priors["acceptance"]["drafter_sd"]
    drafter = pm.Normal("acceptance_drafter", free["acceptance_level"], drafter_sd, dims="drafter")
    if not design.coords["cell"]:
        pm.Normal("acceptance_cell", 0.0, 1.0, dims="cell")
        return rows["committed"]
    spread = pt.exp(free["log_acceptance_scale"])
    centre = drafter[design.cell_drafter] + free["acceptance_synthetic"] * design.cell_synthetic
    cell = pm.Normal("acceptance_cell", centre, spread, dims="cell")
    doublings = np.log(np.maximum(rows["k"], 1.0) / REFERENCE_DRAFT_LENGTH)
    profile = design.row_profile(spec)
    logits = cell[np.maximum(rows["cell"], 0)] + free["acceptance_length_slope"] * doublings
    measured = acceptance_logit(rows["committed"], rows["k"], profile)
    seen = np.flatnonzero(np.isfinite(measured))
    sigma = pt.exp(free["log_acceptance_run"])
    pm.StudentT(
        "acceptance", nu=spec.priors["noise"]["tails"], mu=logits[seen], sigma=sigma, observed=measured[seen]
    )
    if not unknown.any():
        return rows["committed"]
    latent = expected_committed_profile(logits, profile, rows["k"].astype(int), pt)
    return pt.where(unknown, latent, np.nan_to_num(rows["committed"], nan=1.0))


def _in_flight(design: Design, points: Points, free: dict[str, Any]) -> Any:
    """Requests that run at once: the load, or what the engine's cap and its cache hold in a closed loop."""
    import pytensor.tensor as pt

    rows, n = design.rows, points.closed
    engine = rows["engine"][:n]
    lengths = (rows["reserve"][:n], rows["cache_tokens"][:n], rows["prompt"][:n], rows["output"][:n])
    efficiency = free["log_cache_efficiency"][engine] + free["cache_stack"][rows["stack"][:n]]
    held = cached_requests(efficiency, *lengths)
    running = smooth_minimum(held, np.minimum(rows["cap"][:n], points.in_flight[:n]))
    return pt.concatenate([running, points.in_flight[n:]]) if len(points.in_flight) > n else running


def _experts(
    design: Design, spec: ModelSpec, points: Points, in_flight: Any, free: dict[str, Any]
) -> tuple[Any, Any]:
    """Share of the experts that each point's step touches (0 for dense verifiers), and the wait for the busiest."""
    import pytensor.tensor as pt

    deployment = design.rows["deployment"][points.row]
    sparse = design.deployment_sparse[deployment]
    if (sparse < 0).all() or spec.moe == "dense":
        return (sparse >= 0).astype(float), 1.0
    psi = pt.sigmoid(free["logit_routing"])
    share = pt.sigmoid(free["logit_busiest_share"])
    tokens = effective_tokens(in_flight, design.rows["k"][points.row], psi, spec.routed)
    covered, wait = 0.0, 1.0
    for i in range(len(design.coords["sparse_verifier"])):
        own = design.deployment_sparse == i
        total, active = (int(design.levels.roofline[n][own][0]) for n in ("n_experts", "top_k_experts"))
        skew = pt.exp(free["log_popularity_skew"][i])
        here = (sparse == i).astype(float)
        covered = covered + here * coverage_skewed(tokens, total, active, skew, pt, FIT_NODES)
        busiest = busiest_expert_load(tokens, total, active, skew, pt)
        wait = wait + here * (busiest_wait(share, busiest) - 1.0)
    return covered, wait


def _kernel_factor(design: Design, spec: ModelSpec, points: Points, free: dict[str, Any]) -> Any:
    import pytensor.tensor as pt

    if not spec.kernel:
        return 1.0
    factor = knot_factor(spec.priors["kernel"]["length_doublings"])
    curve = pt.exp(free["log_kernel_scale"]) * pt.dot(free["kernel_raw"], factor.T)
    start, weight = kernel_index(design, points)
    flat = curve.ravel()
    return pt.exp(flat[start] * (1.0 - weight) + flat[start + 1] * weight)


def kernel_index(design: Design, points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Place each point on its stack's kernel curve: index of the left knot in the flattened curves, weight of the right."""
    _, stack_of = design.levels.index("stack")
    row = points.row
    left, weight = knot_position(nominal_in_flight(design, points) * (design.rows["k"][row] + 1.0))
    return stack_of[design.rows["deployment"][row]] * len(KNOTS) + left, weight


def smooth_minimum(held: Any, load: Any) -> Any:
    """Requests that run when `load` are offered and the cache holds `held`: their minimum, rounded where they meet."""
    return load * (1.0 + (load / held) ** CACHE_SHARPNESS) ** (-1.0 / CACHE_SHARPNESS)


def nominal_in_flight(design: Design, points: Points) -> np.ndarray:
    """Requests at each point with the cache at its nominal size, which places a point on the kernel curve."""
    rows, row = design.rows, points.row
    lengths = (rows[name][row] for name in ("reserve", "cache_tokens", "prompt", "output"))
    held = cached_requests(np.log(0.9), *lengths)
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
        # agree, finite everywhere, and it spares a root search inside the sampler. Near saturation throughput hardly rises
        # with the number in flight and the step would be endless: how far a run gets then is a matter of its length.
        elasticity = pt.sqrt((measured * (x1 - x0) / throughput) ** 2 + LEAST_ELASTICITY**2)
        found.append(
            np.log(rows["latency_s"][span]) + (np.log(rows["load"][span]) - pt.log(throughput)) / elasticity
        )
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


def noise_factor(design: Design, points: Points) -> np.ndarray:
    """Noise of each observation in units of its group's: more where requests queue, and near an open loop's saturation.

    Where requests queue for the cache a measurement depends on evictions and run length, and two such rows may
    contradict each other. In an open loop a run whose steps are all a per cent slower has 1/(1 - ρ) per cent more latency
    (L = C1/(1 - ρ), ρ = λC2), but only part of the noise is of that kind: the factor is the square root, taken from
    the data as latency over the shape's lowest.
    """
    rows = design.rows
    queued = ~rows["open_loop"] & (nominal_in_flight(design, points)[points.running] < rows["load"])
    lowest = np.full(len(design.coords["shape"]), np.inf)
    np.minimum.at(lowest, rows["shape"], rows["latency_s"])
    amplified = np.minimum(np.sqrt(rows["latency_s"] / lowest[rows["shape"]]), MOST_AMPLIFIED)
    return np.where(queued, QUEUED_NOISE, np.where(rows["open_loop"], amplified, 1.0))


def timed_rows(design: Design, points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Find the observations whose time to first token, or else time per output token, is used.

    Returns
    -------
    ttft, share : int array
        Observations with a time to first token of running (not queued) requests; those with a time per output token only.
    """
    rows = design.rows
    queued = ~rows["open_loop"] & (nominal_in_flight(design, points)[points.running] < rows["load"])
    # Under Poisson arrivals no single number in flight stands for the run.
    usable = ~(rows["open_loop"] & rows["poisson"])
    ttft = np.flatnonzero(np.isfinite(rows["ttft_s"]) & ~queued & usable)
    untimed = np.isnan(rows["ttft_s"]) & np.isfinite(rows["tpot_s"])
    share = np.flatnonzero(untimed & (rows["output"] > 2) & usable)
    return ttft, share


def decode_share(design: Design) -> np.ndarray:
    """Measured share of a request's latency after its first token, (g − 1)·TPOT/L, shape (observation,)."""
    rows = design.rows
    return (rows["output"] - 1.0) * rows["tpot_s"] / rows["latency_s"]


def _observe(
    design: Design,
    spec: ModelSpec,
    points: Points,
    log_latency: Any,
    service: Any,
    first: Any,
    free: dict[str, Any],
) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    rows, tails = design.rows, spec.priors["noise"]["tails"]
    sigma = pt.exp(free["log_latency_noise"])[rows["noise"]] * noise_factor(design, points)
    pm.StudentT("latency", nu=tails, mu=log_latency, sigma=sigma, observed=np.log(rows["latency_s"]))
    ttft, share = timed_rows(design, points)
    if len(ttft):
        sigma = pt.exp(free["log_ttft_noise"])[rows["source"][ttft]]
        mu = pt.log(first[points.running[ttft]])
        pm.StudentT("ttft", nu=tails, mu=mu, sigma=sigma, observed=np.log(rows["ttft_s"][ttft]))
    if len(share):
        sigma = pt.exp(free["log_share_noise"])[rows["source"][share]]
        at = points.running[share]
        decoding = (service[at] - first[at]) * pt.exp(-log_latency[share])
        pm.StudentT("decode_share", nu=tails, mu=decoding, sigma=sigma, observed=decode_share(design)[share])
