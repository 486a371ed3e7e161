"""The pilot: from the prior's centre to coordinates in which the posterior is about round."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from bayes_sd.sample.chains import run_chains
from bayes_sd.sample.frame import (
    curvature,
    curved_frame,
    independent_groups,
    stretched_frame,
    unravel,
)

if TYPE_CHECKING:
    from bayes_sd.sample.frame import Frame
    from bayes_sd.sample.settings import SamplerSettings
    from bayes_sd.sample.target import Target

MOST_STEPS = 500
PILOT_CHAINS, PILOT_TUNE, PILOT_DRAWS = 2, 120, 100
SECOND_TUNE, SECOND_DRAWS = 100, 500
CURVATURE_POINTS, FINAL_POINTS, CURVATURE_PARTS = 40, 80, 8
"""Draws over which curvature is averaged: first, and for the frame of the chains; and parts in which it is done."""


def find_frame(target: Target, settings: SamplerSettings) -> Frame:
    """Find a frame for a fit.

    The mode with spreads held gives a first curvature; a short run in its frame gives draws, and their average curvature a second
    frame; a longer run in that one gives the draws for the last, and tells the directions to stretch.

    Parameters
    ----------
    target : Target
    settings : SamplerSettings
        For its seed and number of cores.

    Returns
    -------
    Frame
    """
    first, pattern = _frame_at_mode(target)
    return _after_two_runs(target, first, pattern, independent_groups(pattern), settings)


def _after_two_runs(
    target: Target, first: Frame, pattern: np.ndarray, groups: list[np.ndarray], settings: SamplerSettings
) -> Frame:
    """Make a frame of the draws of a short run in a first one, and the last of those of a longer run in that."""
    pilot = replace(
        settings,
        chains=PILOT_CHAINS,
        tune=PILOT_TUNE,
        draws=PILOT_DRAWS,
        seed=settings.seed + 1,
        max_depth=7,
        thin=1,
    )
    _, drawn = run_chains(target, first, pilot)
    frame = _frame_of_draws(target, drawn, CURVATURE_POINTS, pattern, groups, settings.cores)
    second = replace(pilot, tune=SECOND_TUNE, draws=SECOND_DRAWS, seed=settings.seed + 2)
    _, drawn = run_chains(target, frame, second)
    frame = _frame_of_draws(target, drawn, FINAL_POINTS, pattern, groups, settings.cores)
    return stretched_frame(frame, drawn.reshape(-1, drawn.shape[2]))


def refined_frame(target: Target, starts: np.ndarray, settings: SamplerSettings) -> Frame:
    """Find a frame from points that are about where the posterior is, such as draws of one with fewer rows.

    Their average curvature gives a first frame, in place of the mode's; then it is as :func:`find_frame`.

    Parameters
    ----------
    target : Target
    starts : array, shape (point, unknown)
        In the coordinates that the data inform.
    settings : SamplerSettings
        For its seed and number of cores.

    Returns
    -------
    Frame
    """
    with threadpool_limits(limits=1):
        bend = curvature(target, starts.mean(axis=0)[None])
        pattern = (bend != 0.0) | (bend.T != 0.0)
        groups = independent_groups(pattern)
        first = _frame_of_draws(
            target, starts[None], min(CURVATURE_POINTS, len(starts)), pattern, groups, settings.cores
        )
        return _after_two_runs(target, first, pattern, groups, settings)


def drawn_frame(target: Target, draws: np.ndarray, settings: SamplerSettings) -> Frame:
    """Make a frame of a posterior's own draws, as the last pilot's give it: for a run that is to go on where another ended.

    Parameters
    ----------
    target : Target
    draws : array, shape (draw, unknown)
        In the coordinates that the data inform.
    settings : SamplerSettings
        For its number of cores.

    Returns
    -------
    Frame
    """
    with threadpool_limits(limits=1):
        bend = curvature(target, draws.mean(axis=0)[None])
        pattern = (bend != 0.0) | (bend.T != 0.0)
        frame = _frame_of_draws(
            target, draws[None], FINAL_POINTS, pattern, independent_groups(pattern), settings.cores
        )
        return stretched_frame(frame, draws)


def _frame_of_draws(
    target: Target, drawn: np.ndarray, n: int, pattern: np.ndarray, groups: list[np.ndarray], cores: int
) -> Frame:
    """Make a frame of the average curvature at `n` of the draws.

    Over a posterior minus the mean Hessian is the mean square of the gradient, which is positive; at other points, also nearer to the
    mean, it need not be, and directions cancel out that are stiff nearly everywhere.
    """
    draws = drawn.reshape(-1, drawn.shape[2])
    points = draws[np.linspace(0, len(draws) - 1, n).astype(int)]
    with ThreadPoolExecutor(cores) as pool:
        # As many parts on any machine: sums in another order are other numbers, and a fit must not depend on the cores.
        parts = np.array_split(points, CURVATURE_PARTS)
        sums = list(pool.map(lambda part: curvature(target, part, groups) * len(part), parts))
    return curved_frame(draws.mean(axis=0), unravel(np.sum(sums, axis=0) / n, groups, pattern))


def _frame_at_mode(target: Target) -> tuple[Frame, np.ndarray]:
    """Climb to the mode with spreads held at their priors; give the curvature there as a frame, and its pattern."""
    from scipy.optimize import minimize

    start, (held, members) = target.start(), _spreads(target)
    free = np.setdiff1d(np.arange(target.size), held)

    def climb(values):
        at = start.copy()
        at[free] = values
        value, gradient = target(at)
        return (-value, -gradient[free]) if np.isfinite(value) else (1e12, np.zeros(len(free)))

    found = minimize(
        climb, start[free], jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS, "maxcor": 30}
    )
    mode = start.copy()
    mode[free] = found.x
    bend = curvature(target, mode[None])
    bend = 0.5 * (bend + bend.T)
    pattern = bend != 0.0
    bend[held, :] = 0.0
    bend[:, held] = 0.0
    # A spread with n members is known to 1/sqrt(2n).
    bend[held, held] = 2.0 * members + 1.0 / target.prior_sd[held] ** 2
    return curved_frame(mode, bend), pattern


def _spreads(target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Find the spreads of hierarchies, which a joint mode has at zero, and how many members each has."""
    spans = target.spans
    held: list[int] = []
    members: list[float] = []
    for unknown in target.inputs.unknowns:
        if unknown.spread_of:
            own, children = spans[unknown.name], spans[unknown.spread_of]
            n = own.stop - own.start
            held += range(own.start, own.stop)
            members += [(children.stop - children.start) / max(n, 1)] * n
    return np.array(held, dtype=int), np.array(members)
