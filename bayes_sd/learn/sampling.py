"""The last way of an update: a short run of the sampler that starts where the moved draws are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.learn.weights import resampled, tempered
from bayes_sd.sample.gate import Gate, judge
from bayes_sd.sample.pilot import refined_frame
from bayes_sd.sample.sampler import sample
from bayes_sd.sample.settings import SamplerSettings
from bayes_sd.sample.target import make_target

if TYPE_CHECKING:
    from bayes_sd.learn.matching import Moved
    from bayes_sd.learn.wider import Wider
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.model.term import Values

STARTS, LEAST_STARTS = 80, 40.0
"""Draws whose curvature a first frame is made of, and how many of them count once their weights are flattened."""
TUNE, CHAINS, DRAWS = 250, 4, 1000
"""Warm-up iterations, chains, and draws of each: the gate of a fit asks for 400 effective ones."""


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
    n = len(moved.weights.weight)
    weight = tempered(np.log(np.maximum(moved.weights.weight, 1e-300)), min(LEAST_STARTS, 0.5 * n))
    chosen = np.unique(resampled(weight, min(STARTS, n), np.random.default_rng(seed)))
    starts = np.stack([target.to_coordinates({k: v[i].copy() for k, v in moved.u.items()}) for i in chosen])
    settings = SamplerSettings(draws=DRAWS, tune=TUNE, chains=CHAINS, seed=seed + 1)
    frame = refined_frame(target, starts, settings)
    tree = sample(wider.whole.design, spec, settings, frame=frame)
    found = tree["posterior"].to_dataset()
    u = {
        unknown.name: found[unknown.name]
        .to_numpy()
        .reshape(CHAINS * DRAWS, *found[unknown.name].shape[2:])
        .astype(float)
        for unknown in wider.whole.inputs.unknowns
    }
    return Sampled(u, judge(tree))
