"""Facts of observations, of the points at which the service curve is needed, and indices between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.acceptance import counted_positions, extended_profile
from bayes_sd.latency.between import places_between
from bayes_sd.latency.coverage import further_tokens
from bayes_sd.latency.kernel import KNOTS, knot_position
from bayes_sd.latency.queue.renewal import dispersion
from bayes_sd.latency.service import met_of
from bayes_sd.model.observed import decode_share, noise_factor, nominal_in_flight, pool_noise, timed_rows
from bayes_sd.model.points import pool_numbers
from bayes_sd.model.stated import acceptance_logit, told_logit
from bayes_sd.model.term import Values
from bayes_sd.model.terms.acceptance import doublings
from bayes_sd.model.terms.cache import nominal_held

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.points import Points
    from bayes_sd.model.spec import ModelSpec

NEVER_FULL = 0.2
"""Requests offered over those that the cache holds below which the cache has no say: 0.2^12 is 4·10⁻⁹."""


def level_of_points(design: Design, points: Points) -> dict[str, np.ndarray]:
    """Give the level of each point along every dim that quantities are looked up by, shape (point,)."""
    left = left_knots(design, points)[0]
    dims = [dim for dim in design.coords if dim in design.rows]
    level_of = {dim: np.maximum(design.rows[dim][points.row], 0) for dim in dims}
    return level_of | {"left_knot": left, "right_knot": left + 1}


def left_knots(design: Design, points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Place each point on its stack's kernel curve: left knot among all stacks' knots, and weight of the right one."""
    row = points.row
    met = met_of(nominal_in_flight(design, points), design.rows["ranks"][row])
    left, weight = knot_position(met * design.rows["verified"][row])
    return design.rows["stack"][row] * len(KNOTS) + left, weight


def point_facts(design: Design, points: Points) -> Values:
    """Collect the facts of points, shape (point,) each.

    Parameters
    ----------
    design : Design
    points : Points

    Returns
    -------
    dict of str to array
    """
    rows, row = design.rows, points.row
    closed = ~rows["open_loop"][row]
    lengths = (rows[n][row] for n in ("reserve", "cache_tokens", "own_prompt", "output"))
    unknown = np.isnan(rows["committed"])
    each = np.where(rows["pools"], rows["load"] / rows["decode_workers"], 1.0)
    position = np.where(unknown, np.cumsum(unknown) - 1, unknown.sum() + np.arange(len(unknown)))
    return {
        "prompt": rows["prompt"][row],
        "output": rows["output"][row],
        "k": rows["k"][row],
        "passes": rows["passes"][row],
        "verified": rows["verified"][row],
        "cached": rows["cached"][row],
        "ranks": rows["ranks"][row],
        "speculates": (rows["k"][row] > 0).astype(float),
        "idles": (rows["idle"][row] >= 0).astype(float),
        "nominal_held": nominal_held(*lengths),
        "offered": np.where(closed, np.minimum(rows["cap"][row], points.in_flight), points.in_flight),
        "limited": closed,
        "knot_weight": left_knots(design, points)[1],
        "clients_each": each[row],
        # Under a rate nobody chose a batch for a number of clients.
        "admits": closed & (rows["admission"][row] >= 0),
        "stated": np.nan_to_num(rows["committed"], nan=1.0),
        "point_committed": position[row],
    }


def size_facts(design: Design, points: Points, facts: Values, routed: str) -> Values:
    """Find the distinct step sizes of mixtures of experts, and which point has which.

    Points of one verifier, draft length and load share one, save where the cache may limit the requests that run.
    """
    row = points.row
    verifier = design.deployment_sparse[design.rows["deployment"][row]]
    k, offered = facts["verified"] - 1.0, facts["offered"]
    free = offered < NEVER_FULL * facts["nominal_held"]
    own = np.where(facts["limited"] & ~free, np.arange(len(row)), -1)
    keys = np.stack([verifier, k, offered, own], axis=1)[verifier >= 0]
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    at = np.flatnonzero(verifier >= 0)
    point_size = np.full(len(row), len(first))
    point_size[at] = which.ravel()
    chosen = at[first]
    return {
        "size_point": chosen,
        "size_further": further_tokens(k[chosen], routed),
        "size_verifier": verifier[chosen],
        "size_most": facts["expert_most"][verifier[chosen]],
        "point_size": point_size,
        "point_sparse": (verifier >= 0).astype(float),
    }


def row_facts(design: Design, spec: ModelSpec, points: Points) -> Values:
    """Collect the facts of observations and of what was measured.

    Parameters
    ----------
    design : Design
    spec : ModelSpec
    points : Points

    Returns
    -------
    dict of str to array
    """
    rows = design.rows
    ttft, share = timed_rows(design, points)
    running = points.running
    return {
        "row_shape": rows["shape"],
        "row_noise": rows["noise"],
        "noise_factor": noise_factor(design),
        "log_latency": np.log(rows["latency_s"]),
        "log_load": np.log(rows["load"]),
        "n_closed": np.array(points.closed),
        "closed_admitted": np.minimum(rows["load"], rows["cap"])[: points.closed],
        "closed_decoding": rows["decoding"][: points.closed],
        **_even_facts(points),
        **_pool_facts(rows, points),
        "ttft_point": running[ttft],
        "ttft_source": rows["source"][ttft],
        "log_ttft": np.log(rows["ttft_s"][ttft]),
        "share_row": share,
        "share_point": running[share[~rows["pools"][share]]],
        "share_pool": share[rows["pools"][share]] - (len(rows["load"]) - points.pools),
        "share_source": rows["source"][share],
        "share_noise": pool_noise(rows)[share],
        "share_pooled": rows["pools"][share].astype(float),
        "measured_share": decode_share(design)[share],
        **_poisson_facts(points),
        "poisson_log_rate": np.log(rows["load"][rows["open_loop"] & rows["poisson"]]),
        # Benchmarks ask for a fixed length as a rule, so that requests of a measured row are taken as equal.
        "poisson_spread": dispersion(rows["gap_scv"][rows["open_loop"] & rows["poisson"]]),
        **latent_facts(design, spec),
        **_seen_facts(design, spec),
    }


def _even_facts(points: Points) -> Values:
    """Numbers in flight of the even rows, log, and their points, shape (row, step)."""
    at = points.even_points
    return {"even_point": at, "even_log_number": np.log(points.in_flight[at])}


def _pool_facts(rows: dict[str, np.ndarray], points: Points) -> Values:
    """Clients, workers and points of the rows of two pools, shape (row,), and numbers that decode, (row, share)."""
    own = np.flatnonzero(rows["pools"])
    clients, ranks = rows["load"][own], rows["prefill_ranks"][own]
    return {
        "pool_point": points.pool_points,
        "pool_clients": clients,
        "pool_number": pool_numbers(clients),
        "pool_each": points.in_flight[points.pool_points],
        "pool_ratio": rows["prefill_ratio"][own],
        "pool_turns": clients * rows["prefill_ratio"][own] / ranks,
        "pool_noise": pool_noise(rows)[own],
    }


def _poisson_facts(points: Points) -> Values:
    """Numbers in flight of the Poisson rows, the points on either side of each, and the right one's weight, shape (row, number)."""
    number = np.arange(1.0, points.reach + 1.0)
    known = points.poisson_numbers
    left, weight = places_between(known, points.reach)
    return {
        "poisson_number": np.tile(number, (points.poisson, 1)),
        "poisson_left": points.poisson_points[:, left],
        "poisson_right": points.poisson_points[:, np.minimum(left + 1, len(known) - 1)],
        "poisson_weight": weight,
    }


def latent_facts(design: Design, spec: ModelSpec) -> Values:
    """Cells, draft lengths and profiles of the rows that state no acceptance."""
    rows, profile = design.rows, design.row_profile(spec)
    latent = np.flatnonzero(np.isnan(rows["committed"]))
    positions = int(max(rows["k"][latent].max(initial=1.0), 1.0))
    logit, told_k = (values[latent] for values in told_logit(design.frame, profile))
    told = np.isfinite(logit)
    return {
        "latent_told": told.astype(float),
        "told_logit": np.where(told, logit, 0.0),
        "told_doublings": doublings(np.where(told, told_k, 1.0)),
        "latent_run": np.zeros(len(latent)),
        "latent_cell": np.maximum(rows["cell"][latent], 0),
        "latent_doublings": doublings(rows["k"][latent]),
        "latent_profile": extended_profile(profile[latent], positions),
        "latent_positions": counted_positions(rows["k"][latent], positions),
    }


def _seen_facts(design: Design, spec: ModelSpec) -> Values:
    """Cells, draft lengths and levels of the rows that state an acceptance."""
    rows = design.rows
    logits = acceptance_logit(rows["committed"], rows["k"], design.row_profile(spec))
    seen = np.flatnonzero(np.isfinite(logits))
    return {
        "seen_cell": rows["cell"][seen],
        "seen_doublings": doublings(rows["k"][seen]),
        "seen_logit": logits[seen],
    }
