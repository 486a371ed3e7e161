"""Sampling: the compiled density, nutpie's NUTS, and draws by name."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.parameters import Parameter, model_coords, parameters

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.inference.problem import Frame, Problem
    from bayes_sd.model.design import Design
    from bayes_sd.model.spec import ModelSpec

TARGET, TARGET_WITH_EXPERTS = 0.8, 0.9
THIN, LARGE, THIN_LARGE = 2, 1500, 3
"""Iterations per kept draw, and those of a posterior of so many parameters, whose hyperparameters move slowly."""
START_SPREAD = 0.3
"""Spread of the chains' starts in the frame's coordinates, in which the posterior has a spread of about one."""


@dataclass(frozen=True)
class SamplerSettings:
    """How to sample.

    Attributes
    ----------
    draws, tune, chains, cores : int
        Kept and warm-up iterations per chain; chains; chains run at once.
    seed : int
    target_accept : float, optional
        Mean acceptance statistic that the step size is tuned to; by default 0.8, and 0.9 with mixtures of experts, whose
        posterior bends more.
    max_depth : int
        Doublings of a trajectory at most.
    thin : int, optional
        Iterations per kept draw: neighbours are much alike, and half of them say nearly as much in half the file. By default 2,
        and 3 where there are more than 1,500 parameters.
    """

    draws: int = 1000
    tune: int = 250
    chains: int = 4
    cores: int = 2
    seed: int = 20260515
    target_accept: float | None = None
    max_depth: int = 10
    thin: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as plain values."""
        return asdict(self)


def sample(design: Design, spec: ModelSpec, settings: SamplerSettings, progress: bool = False) -> xr.DataTree:
    """Draw from the posterior.

    A short pilot finds coordinates in which the posterior is about round (:mod:`bayes_sd.inference.frame`); then all
    chains are run in those, with a warm-up of their own.

    Parameters
    ----------
    design : Design
    spec : ModelSpec
    settings : SamplerSettings
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataTree
        Groups ``posterior`` (dims chain, draw and those of :mod:`bayes_sd.model.parameters`) and ``sample_stats``.

    Raises
    ------
    KeyboardInterrupt
        If interrupted; nothing is returned then.
    """
    from bayes_sd.inference.density import to_natural
    from bayes_sd.inference.pilot import find_frame
    from bayes_sd.inference.problem import flatten

    # nutpie brings plotting libraries along, which take as long to import as the mode takes to find.
    Thread(target=import_module, args=("nutpie",), daemon=True).start()
    problem = flatten(design, spec)
    if settings.target_accept is None:
        bends = (design.deployment_sparse >= 0).any()
        settings = replace(settings, target_accept=TARGET_WITH_EXPERTS if bends else TARGET)
    if settings.thin is None:
        settings = replace(settings, thin=THIN_LARGE if len(problem.prior_sd) > LARGE else THIN)
    frame = find_frame(problem, design, spec, settings)
    stats, drawn = run_chains(problem, frame, settings, progress)
    natural = np.empty_like(drawn)
    for chain in range(len(drawn)):
        for draw in range(drawn.shape[1]):
            to_natural(drawn[chain, draw], natural[chain, draw], problem)
    return _named(natural, stats, design, spec)


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

    from bayes_sd.inference.native import compiled_model

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
    """Invert :func:`bayes_sd.inference.density.to_natural`.

    Parameters
    ----------
    natural : array, shape (parameter,)
    problem : Problem

    Returns
    -------
    array, shape (parameter,)
    """
    from bayes_sd.inference import density as layout

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


def _named(drawn: np.ndarray, stats: dict[str, np.ndarray], design: Design, spec: ModelSpec) -> xr.DataTree:
    import xarray as xr

    listed = parameters(design, spec)
    coords = model_coords(design)
    chains, draws = drawn.shape[:2]
    ends = np.cumsum([p.size for p in listed])

    def variable(p: Parameter, end: int):
        values = drawn[:, :, end - p.size : end].reshape(chains, draws, *p.shape)
        return ("chain", "draw", *p.dims), values.astype(np.float32)

    used = {d for p in listed for d in p.dims}
    posterior = xr.Dataset(
        {p.name: variable(p, int(end)) for p, end in zip(listed, ends, strict=True)},
        coords={"chain": np.arange(chains), "draw": np.arange(draws)}
        | {d: coords[d] for d in coords if d in used},
    )
    stats_set = xr.Dataset(
        {name: (("chain", "draw"), values) for name, values in stats.items()},
        coords={"chain": np.arange(chains), "draw": np.arange(draws)},
    )
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats_set})
