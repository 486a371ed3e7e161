"""Answers to conditions that leave something open: each filling of the blanks gets its share of the draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bayes_sd.condition.assume import Assumed
    from bayes_sd.forecast.prediction import Prediction
    from bayes_sd.posterior.posterior import Posterior

DRAWN = ("latency_s", "measured_s", "ttft_s", "in_flight", "tails_s", "told_s", "scatter")
"""Arrays of a prediction whose first axis is draws and whose second is conditions."""


def share_of(posterior: Posterior, j: int, shares: int) -> Posterior:
    """Give the j-th share of a posterior's draws: every one of `shares`, the same of each chain."""
    return replace(posterior, tree=posterior.tree.isel(draw=slice(j, None, shares)))


def thinned(posterior: Posterior, draws: int) -> Posterior:
    """Keep evenly spaced draws of each chain: at most `draws` over all chains, as near to it as that allows."""
    return share_of(posterior, 0, max(1, -(-posterior.n_draws // draws)))


def seed_of(seed: int, j: int) -> int:
    """Give each share a seed of its own: what was never measured differs between shares as it does between draws."""
    return int(np.random.SeedSequence([seed, j]).generate_state(1)[0])


def pool(whole: Prediction, parts: Sequence[Prediction], assumed: Assumed) -> Prediction:
    """Put the shares' predictions in the place of those conditions that are unsure.

    Parameters
    ----------
    whole : Prediction
        Of all conditions, with one filling.
    parts : sequence of Prediction
        Of the unsure conditions, one a share, in order.
    assumed : Assumed
        Which conditions are unsure.

    Returns
    -------
    Prediction
        As many draws as before; which of the unsure conditions extrapolate in what is what they do in any filling.
    """
    at = np.flatnonzero(assumed.unsure)
    changed = {}
    for name in DRAWN:
        values = getattr(whole, name).copy()
        by_chain = values.reshape(whole.chains, -1, *values.shape[1:])
        for j, part in enumerate(parts):
            own = getattr(part, name)
            by_chain[:, j :: len(parts), at] = own.reshape(whole.chains, -1, *own.shape[1:])
        changed[name] = by_chain.reshape(values.shape)
    stable = whole.stable.copy()
    stable[at] = np.isfinite(changed["latency_s"][:, at]).mean(axis=0)
    reasons = list(whole.conditions.extrapolates)
    for place, i in enumerate(at):
        said = [
            reason for part in parts for reason in part.conditions.extrapolates[place].split("; ") if reason
        ]
        reasons[i] = "; ".join(dict.fromkeys(said))
    conditions = replace(whole.conditions, extrapolates=reasons)
    return replace(whole, conditions=conditions, stable=stable, **changed)
