"""The last way of an update: a run of the sampler from where the moved draws are, and a longer one where that is not enough."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.learn.weights import resampled, tempered
from bayes_sd.sample.gate import Gate, judge
from bayes_sd.sample.pilot import drawn_frame, refined_frame
from bayes_sd.sample.sampler import sample
from bayes_sd.sample.settings import SamplerSettings
from bayes_sd.sample.target import make_target

if TYPE_CHECKING:
    from bayes_sd.learn.matching import Moved
    from bayes_sd.learn.wider import Wider
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.model.term import Values
    from bayes_sd.sample.frame import Frame
    from bayes_sd.sample.target import Target

STARTS, LEAST_STARTS = 80, 40.0
"""Draws whose curvature a first frame is made of, and how many of them count once their weights are flattened."""
TUNE, CHAINS, DRAWS = 250, 4, 1000
"""Warm-up iterations, chains, and draws of each: the gate of a fit asks for 400 effective ones."""
LONGER, TOLD = 2, 1000
"""How many times as many draws a second run keeps, where the first did not mix, and draws of the first that its frame is made of."""


@dataclass(frozen=True)
class Sampled:
    """Draws of a short run.

    Attributes
    ----------
    u : dict of str to array, shape (draw, *dims)
        Chain after chain.
    gate : Gate
    """

    u: Values
    gate: Gate


def sampled(wider: Wider, moved: Moved, spec: ModelSpec, seed: int) -> Sampled:
    """Run the sampler on all rows, in a frame that moved draws give; a fit would look for one from the prior's centre.

    If that does not pass the gate of a fit, a longer run follows in a frame that its draws give.

    Parameters
    ----------
    wider : Wider
    moved : Moved
        From :func:`bayes_sd.learn.matching.matched`, whose weights need not be reliable.
    spec : ModelSpec
    seed : int

    Returns
    -------
    Sampled
        Whether it converged is for the caller to ask of the gate.
    """
    target = make_target(wider.whole.inputs)
    settings = SamplerSettings(draws=DRAWS, tune=TUNE, chains=CHAINS, seed=seed + 1)
    frame = refined_frame(target, _starts(target, moved, seed), settings)
    first = _run(wider, spec, settings, frame)
    if first.gate.passed:
        return first
    # What did not mix has still found the place: its own draws tell coordinates in which a longer run does better.
    picked = np.unique(np.linspace(0, CHAINS * DRAWS - 1, TOLD).astype(int))
    frame = drawn_frame(target, _coordinates(target, first.u, picked), settings)
    return _run(wider, spec, replace(settings, draws=LONGER * DRAWS, seed=seed + 2), frame)


def _starts(target: Target, moved: Moved, seed: int) -> np.ndarray:
    """Pick moved draws by their weights, flattened until some count, shape (draw, coordinate)."""
    n = len(moved.weights.weight)
    weight = tempered(np.log(np.maximum(moved.weights.weight, 1e-300)), min(LEAST_STARTS, 0.5 * n))
    chosen = np.unique(resampled(weight, min(STARTS, n), np.random.default_rng(seed)))
    return _coordinates(target, moved.u, chosen)


def _coordinates(target: Target, u: Values, chosen: np.ndarray) -> np.ndarray:
    return target.to_coordinates({name: values[chosen] for name, values in u.items()})


def _run(wider: Wider, spec: ModelSpec, settings: SamplerSettings, frame: Frame) -> Sampled:
    """Run the sampler on all rows in a frame, and judge it."""
    tree = sample(wider.whole.design, spec, settings, frame=frame)
    found = tree["posterior"].to_dataset()
    u = {}
    for unknown in wider.whole.inputs.unknowns:
        values = found[unknown.name].to_numpy()
        u[unknown.name] = values.reshape(-1, *values.shape[2:]).astype(float)
    return Sampled(u, judge(tree))
