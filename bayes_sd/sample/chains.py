"""Chains: nutpie's NUTS on the compiled density, in a frame."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.sample.settings import TARGET

if TYPE_CHECKING:
    from bayes_sd.sample.problem import Frame, Problem
    from bayes_sd.sample.settings import SamplerSettings

START_SPREAD = 0.3
"""Spread of the chains' starts in the frame's coordinates, in which the posterior has a spread of about one."""


def run_chains(
    problem: Problem, frame: Frame, settings: SamplerSettings, progress: bool = False
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Run nutpie's NUTS in a frame.

    Parameters
    ----------
    problem : Problem
    frame : Frame
    settings : SamplerSettings
    progress : bool

    Returns
    -------
    stats : dict of str to array, shape (chain, draw)
        What the sampler says of each kept draw; of divergences, cut trajectories and steps, of all iterations since the last.
    drawn : array, shape (chain, draw, parameter)
        In the coordinates that the data inform.

    Raises
    ------
    KeyboardInterrupt
        If interrupted.
    """
    import nutpie

    from bayes_sd.sample.native import compiled_model

    size, thin = len(frame.shift), settings.thin or 1

    def first_point(seed):
        return START_SPREAD * np.random.default_rng(seed).normal(size=size)

    trace = nutpie.sample(
        compiled_model(problem, frame, first_point),
        draws=settings.draws * thin,
        tune=settings.tune,
        chains=settings.chains,
        cores=settings.cores,
        seed=settings.seed,
        progress_bar=progress and sys.stderr.isatty(),
        save_warmup=False,
        target_accept=settings.target_accept or TARGET,
        maxdepth=settings.max_depth,
    )
    drawn = trace.posterior["parameters"].to_numpy()
    if drawn.shape[:2] != (settings.chains, settings.draws * thin) or not np.isfinite(drawn[:, -1]).all():
        raise KeyboardInterrupt
    return _kept_stats(trace.sample_stats, thin), drawn[:, thin - 1 :: thin]


def _kept_stats(found: Any, thin: int) -> dict[str, np.ndarray]:
    collected: dict[str, Any] = {"diverging": np.any, "maxdepth_reached": np.any, "n_steps": np.sum}
    stats = {}
    for name in ("diverging", "depth", "n_steps", "energy", "step_size", "maxdepth_reached", "logp"):
        if name in found:
            values = found[name].to_numpy().reshape(found.sizes["chain"], -1, thin)
            stats[name] = collected[name](values, axis=2) if name in collected else values[:, :, -1]
    return stats


def to_sampled(natural: np.ndarray, problem: Problem) -> np.ndarray:
    """Invert :func:`bayes_sd.sample.density.to_natural`.

    Parameters
    ----------
    natural : array, shape (parameter,)
    problem : Problem

    Returns
    -------
    array, shape (parameter,)
    """
    from bayes_sd.sample import density as layout

    x, offset = natural.copy(), problem.offset
    cost = x[offset[layout.COST] : offset[layout.COST + 1]].reshape(-1, problem.sizes[1])
    prompt, output, context = problem.typical.T
    attention = [layout.prompt_attention(x, problem, d, p) for d, p in enumerate(np.exp(prompt))]
    prefill = cost[layout.C_PREFILL] + prompt + np.log1p(attention)
    request, kv = cost[layout.C_REQUEST].copy(), cost[layout.C_KV] + context
    decode = np.logaddexp(request, kv) + output
    summed = problem.summed > 0
    cost[layout.C_PREFILL, summed] = np.logaddexp(prefill, decode)[summed]
    soft = layout.SHARE_SHARPNESS * np.logaddexp(0.0, decode - prefill)
    # log(exp(y) - 1), for large and small y
    coordinate = (soft + np.log(-np.expm1(-soft))) / layout.SHARE_SHARPNESS
    cost[layout.C_REQUEST, summed] = coordinate[summed]
    odds = (kv - request)[summed]
    cost[layout.C_KV, summed] = 1.0 / (1.0 + np.exp(-odds)) + layout.CACHE_SHARE_WIDTH * odds
    part = offset[layout.PART]
    x[part + layout.P_LAUNCH] += np.log1p(np.exp(x[part + layout.P_ALLREDUCE]))
    for i, member in enumerate(problem.sparse):
        covered, _ = layout.typical_coverage(x[offset[layout.SKEW] + i], member[2], problem)
        own = problem.deployment_sparse == i
        verify, expert = cost[layout.C_VERIFY, own].copy(), cost[layout.C_EXPERT, own] + covered
        cost[layout.C_VERIFY, own] = np.logaddexp(verify, expert)
        cost[layout.C_EXPERT, own] = expert - verify
    scale = np.exp(x[offset[layout.KERNEL_SCALE]])
    x[offset[layout.KERNEL_RAW] : offset[layout.KERNEL_RAW + 1]] *= np.where(
        problem.kernel_centred, scale, 1.0
    )
    extra = np.exp(x[offset[layout.DRAFT_EXTRA]])
    x[offset[layout.DRAFT_COST] : offset[layout.DRAFT_COST + 1]] += np.log(problem.pair_length + extra)
    for pair in np.flatnonzero(problem.pair_latent_cell >= 0):
        committed, _, _ = layout.committed_of(
            x, problem, problem.pair_latent_cell[pair], problem.pair_length[pair]
        )
        x[offset[layout.DRAFT_COST] + pair] -= layout.DRAFT_BY_COMMITTED * np.log(committed)
    return x
