"""The pilot: from the prior's centre to coordinates in which the posterior is about round."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.model.parameters import parameters, start_vector
from bayes_sd.sample.chains import run_chains, to_sampled
from bayes_sd.sample.density import informed_density
from bayes_sd.sample.frame import (
    curvature,
    curved_frame,
    independent_groups,
    stretched_frame,
    unravel,
)

if TYPE_CHECKING:
    from bayes_sd.model.design import Design
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.sample.problem import Frame, Problem
    from bayes_sd.sample.settings import SamplerSettings

SPREADS = {
    "log_deployment_scale": "log_cost",
    "log_draft_scale": "log_draft_cost",
    "log_acceptance_scale": "acceptance_cell",
    "log_kernel_scale": "kernel_raw",
    "log_misfit_scale": "misfit",
    "log_load_misfit_scale": "load_misfit",
}
"""Spreads of hierarchies, and what they are the spread of. A joint mode has them at zero, so they are held."""
MOST_STEPS = 500
PILOT_CHAINS, PILOT_TUNE, PILOT_DRAWS = 2, 120, 100
SECOND_TUNE, SECOND_DRAWS = 100, 500
CURVATURE_POINTS = 40
TOWARDS_MEAN = 0.7
"""How far from the mean of the draws curvature is taken, in units of their own distances. Where curvature grows along a
direction its average over the posterior is that of the narrow side; nearer to the mean it is that of the middle."""


def find_frame(problem: Problem, design: Design, spec: ModelSpec, settings: SamplerSettings) -> Frame:
    """Find a frame for a fit.

    The mode with spreads held gives a first curvature; a short run in its frame gives draws, and their average
    curvature, taken nearer to their mean, the frame; a second run in that one tells the directions to stretch.

    Parameters
    ----------
    problem : Problem
    design : Design
    spec : ModelSpec
    settings : SamplerSettings
        For its seed and number of cores.

    Returns
    -------
    Frame
    """
    first, pattern = _frame_at_mode(problem, design, spec)
    pilot = replace(
        settings,
        chains=PILOT_CHAINS,
        tune=PILOT_TUNE,
        draws=PILOT_DRAWS,
        seed=settings.seed + 1,
        max_depth=7,
        thin=1,
    )
    _, drawn = run_chains(problem, first, pilot)
    draws = drawn.reshape(-1, drawn.shape[2])
    points = draws[np.linspace(0, len(draws) - 1, CURVATURE_POINTS).astype(int)]
    mean = draws.mean(axis=0)
    points = mean + TOWARDS_MEAN * (points - mean)
    groups = independent_groups(pattern)
    with ThreadPoolExecutor(settings.cores) as pool:
        parts = np.array_split(points, settings.cores)
        sums = list(pool.map(lambda part: curvature(problem, part, groups) * len(part), parts))
    average = unravel(np.sum(sums, axis=0) / len(points), groups, pattern)
    frame = curved_frame(mean, average)
    second = replace(pilot, tune=SECOND_TUNE, draws=SECOND_DRAWS, seed=settings.seed + 2)
    _, drawn = run_chains(problem, frame, second)
    return stretched_frame(frame, drawn.reshape(-1, drawn.shape[2]))


def _frame_at_mode(problem: Problem, design: Design, spec: ModelSpec) -> tuple[Frame, np.ndarray]:
    """Climb to the mode with spreads held at their priors; give the curvature there as a frame, and its pattern."""
    from scipy.optimize import minimize

    start = to_sampled(start_vector(design, spec), problem)
    listed = parameters(design, spec)
    ends = dict(zip([p.name for p in listed], np.cumsum([p.size for p in listed]), strict=True))
    sizes = {p.name: p.size for p in listed}
    held: list[int] = []
    children: list[float] = []
    for name, child in SPREADS.items():
        held += range(ends[name] - sizes[name], ends[name])
        children += [sizes[child] / max(sizes[name], 1)] * sizes[name]
    free = np.setdiff1d(np.arange(len(start)), held)
    gradient, natural = np.empty_like(start), np.empty_like(start)

    def climb(values):
        at = start.copy()
        at[free] = values
        value = informed_density(at, gradient, natural, problem)
        return (-value, -gradient[free]) if np.isfinite(value) else (1e12, np.zeros(len(free)))

    found = minimize(
        climb, start[free], jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS, "maxcor": 30}
    )
    mode = start.copy()
    mode[free] = found.x
    bend = curvature(problem, mode[None])
    bend = 0.5 * (bend + bend.T)
    pattern = bend != 0.0
    bend[held, :] = 0.0
    bend[:, held] = 0.0
    # A spread with n members is known to 1/sqrt(2n).
    bend[held, held] = 2.0 * np.array(children) + 1.0 / problem.prior_sd[held] ** 2
    return curved_frame(mode, bend), pattern
