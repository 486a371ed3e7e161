"""The draft length that a question takes where it states none: the one that gives away least over all loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.condition.defaults import DRAFT_LENGTHS
from bayes_sd.decide.tune import judge, prepare_choices
from bayes_sd.forecast.latency import running_cap
from bayes_sd.forecast.sweep import sweep

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

LOADS = 7
"""Batch sizes looked at, as many a doubling everywhere from 1 to the cap."""
DRAWS = 400
"""Draws used: a draft length that is the better one by a hair may lose to its neighbour, which then is as good."""


def best_length(posterior: Posterior, base: pd.DataFrame, cards: Cards | None = None, seed: int = 0) -> int:
    """Choose the draft length with the lowest expected regret over batch sizes from 1 to the cap, alike for each doubling.

    Whether to speculate at all is another question: no speculation is not among the choices, but counts as what could
    have been done instead.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row that names a way of drafting.
    cards : Cards, optional
    seed : int

    Returns
    -------
    int
        One of :data:`~bayes_sd.condition.defaults.DRAFT_LENGTHS`.

    Raises
    ------
    ConditionError, CardError
        As :func:`bayes_sd.decide.tune.prepare_choices`.
    """
    thin = max(1, posterior.n_draws // DRAWS)
    prepared = prepare_choices(posterior, base, (0, *DRAFT_LENGTHS), (), cards, seed, thin)
    cap = float(np.median(running_cap(prepared.costs, prepared.conditions, 0)))
    sizes = np.unique(np.round(np.geomspace(1.0, max(cap, 1.0), LOADS)))
    judged = judge(sweep(prepared, sizes, "in-flight", ttft=False), None)
    lost = np.nan_to_num(judged["relative_regret"].to_numpy()).mean(axis=1)
    lengths = judged["k"].to_numpy()
    lost[lengths == 0] = np.inf
    return int(lengths[lost.argmin()])
