"""The acceptance model in few numbers, as a card: what another model needs for a prior of its own.

    logit α[c, j] = a[c] + s[m, j] + b[c]·log2(j),   a[c] ~ Normal(level[m], cell_sd),   b[c] ~ Normal(0, slope_sd)

with s[m, 1] = 0; see :mod:`bayes_sd.acceptance.model` for the restart of the first position.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.acceptance.predict import Curves, Draws, Workload
from bayes_sd.cards.profiles import POSITIONS, Profile, Profiles, profiles_text
from bayes_sd.errors import ConvergenceError
from bayes_sd.files import write_atomically
from bayes_sd.latency.acceptance import alpha_iid_from_committed
from bayes_sd.model.term import logit, sigmoid

if TYPE_CHECKING:
    from bayes_sd.acceptance.posterior import AcceptancePosterior
    from bayes_sd.acceptance.predict import Draws

REFERENCE_LENGTH = 4
"""Draft length at which one acceptance for all positions is stated [tokens]."""
METHODS = ("eagle", "eagle3", "mtp", "ngram", "draft_model")
"""Methods that the card lists; one that was not measured has the profile of any method: flat, and wide."""


def profiles_of(posterior: AcceptancePosterior, methods: tuple[str, ...] = METHODS) -> Profiles:
    """Sum a fit up.

    Parameters
    ----------
    posterior : AcceptancePosterior
        Not i.i.d.
    methods : tuple of str

    Returns
    -------
    Profiles
        Means and sds over draws; of scales the geometric mean.
    """
    profiles = {}
    for method in methods:
        draws = Draws(posterior, Workload("", method))
        shape = draws.profile(POSITIONS)
        level, spread = draws.centre()
        profiles[method] = Profile(
            method=method,
            measured=method in posterior.about["coords"]["method"],
            mean=shape.mean(axis=0),
            sd=shape.std(axis=0),
            level_mean=float(level.mean()),
            level_sd=float(np.sqrt(level.var() + np.mean(spread**2))),
            restart_mean=float(draws.restart.mean()),
            restart_sd=float(draws.restart.std()),
            **_in_one_number(draws),
        )

    def typical(name: str) -> float:
        return (
            float(np.exp(posterior.draws(name).mean()))
            if name in posterior.tree["posterior"]
            else float("nan")
        )

    return Profiles(
        methods=profiles,
        cell_sd=typical("log_cell_sd"),
        pair_sd=typical("log_pair_sd"),
        slope_sd=typical("log_slope_sd"),
        concentration=typical("log_concentration"),
        run_sd=typical("log_run_sd"),
    )


def _in_one_number(draws: Draws) -> dict[str, float]:
    """Log odds of the i.i.d. acceptance at k = 4, and their slope in log(k/4), over draws of a new workload."""
    k = np.arange(1, 9)
    curves = Curves(sigmoid(draws.first()[:, None] + draws.shape(len(k))), draws.restart)
    odds = logit(np.clip(alpha_iid_from_committed(curves.committed(k), k), 1e-6, 1.0 - 1e-6))
    x = np.log(k / REFERENCE_LENGTH)
    slope = (odds - odds.mean(axis=1, keepdims=True)) @ (x - x.mean()) / np.sum((x - x.mean()) ** 2)
    level = odds[:, REFERENCE_LENGTH - 1]
    return {
        "one_mean": float(level.mean()),
        "one_sd": float(level.std()),
        "one_slope_mean": float(slope.mean()),
        "one_slope_sd": float(slope.std()),
    }


def write_profiles(posterior: AcceptancePosterior, path: str | Path) -> Path:
    """Write the card of a fit.

    Parameters
    ----------
    posterior : AcceptancePosterior
    path : path

    Returns
    -------
    Path

    Raises
    ------
    ConvergenceError
        If the fit did not pass its gate.
    OutputError
        If the place cannot be written.
    """
    if not posterior.passed:
        raise ConvergenceError(
            f"the fit did not pass its convergence gate ({'; '.join(posterior.about['gate']['failures'])}): "
            "no card is written from it"
        )
    text = profiles_text(profiles_of(posterior))
    return write_atomically(Path(path), lambda beside: beside.write_text(text, encoding="utf-8"))
