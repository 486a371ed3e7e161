"""The acceptance model in few numbers, as a card: what another model needs for a prior of its own.

    logit α[c, j] = a[c] + s[m, j] + b[c]·log2(j),   a[c] ~ Normal(level[m], cell_sd),   b[c] ~ Normal(0, slope_sd)

with s[m, 1] = 0; see :mod:`bayes_sd.acceptance.model` for the restart of the first position.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import CardError, ConvergenceError
from bayes_sd.files import shipped, write_atomically
from bayes_sd.loading import load_toml

if TYPE_CHECKING:
    from bayes_sd.acceptance.posterior import AcceptancePosterior
    from bayes_sd.acceptance.predict import Draws

POSITIONS = 16
REFERENCE_LENGTH = 4
"""Draft length at which one acceptance for all positions is stated [tokens]."""
METHODS = ("eagle", "eagle3", "mtp", "ngram", "draft_model")
"""Methods that the card lists; one that was not measured has the profile of any method: flat, and wide."""
FILE = "acceptance.toml"


@dataclass(frozen=True)
class Profile:
    """One method's acceptance by position.

    Attributes
    ----------
    method : str
    measured : bool
        Whether any of its workloads was measured.
    mean, sd : array, shape (position,)
        Log odds of positions 1.. against the first.
    level_mean, level_sd : float
        Log odds of the first position of a new workload of a new pair.
    restart_mean, restart_sd : float
        Log odds that the first position gains per share of fully accepted drafts.
    one_mean, one_sd : float
        The same acceptance said in one number: log odds of the i.i.d. acceptance that gives E at k = 4, of a new workload
        of a new pair.
    one_slope_mean, one_slope_sd : float
        How those log odds move with log(k/4), over k = 1 to 8.
    """

    method: str
    measured: bool
    mean: np.ndarray
    sd: np.ndarray
    level_mean: float
    level_sd: float
    restart_mean: float
    restart_sd: float
    one_mean: float
    one_sd: float
    one_slope_mean: float
    one_slope_sd: float


@dataclass(frozen=True)
class Profiles:
    """The card.

    Attributes
    ----------
    methods : dict of str to Profile
    cell_sd : float
        Spread of the first position between workloads of a pair [log odds].
    pair_sd : float
        Spread between pairs of a method [log odds].
    slope_sd : float
        Spread of a workload's slope [log odds per doubling of the position].
    concentration : float
        φ of the beta-binomial.
    run_sd : float
        Spread of log(E − 1) from run to run.
    """

    methods: dict[str, Profile]
    cell_sd: float
    pair_sd: float
    slope_sd: float
    concentration: float
    run_sd: float


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
    from bayes_sd.acceptance.predict import Draws, Workload

    found = {}
    for method in methods:
        draws = Draws(posterior, Workload("", method))
        shape = draws.profile(POSITIONS)
        level, spread = draws.centre()
        found[method] = Profile(
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
        methods=found,
        cell_sd=typical("log_cell_sd"),
        pair_sd=typical("log_pair_sd"),
        slope_sd=typical("log_slope_sd"),
        concentration=typical("log_concentration"),
        run_sd=typical("log_run_sd"),
    )


def _in_one_number(draws: Draws) -> dict[str, float]:
    """Log odds of the i.i.d. acceptance at k = 4, and their slope in log(k/4), over draws of a new workload."""
    from bayes_sd.acceptance.predict import Curves, logit, sigmoid
    from bayes_sd.latency.acceptance import alpha_iid_from_committed

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
    text = _text(profiles_of(posterior))
    return write_atomically(Path(path), lambda beside: beside.write_text(text, encoding="utf-8"))


def read_profiles(path: str | Path | None = None) -> Profiles:
    """Read a card of profiles.

    Parameters
    ----------
    path : path, optional
        Default: the shipped one.

    Returns
    -------
    Profiles

    Raises
    ------
    CardError
        If the file is missing or no such card.
    """
    file = shipped("models") / FILE if path is None else Path(path)
    card = load_toml(file, CardError)
    try:
        methods = {name: _profile(name, entry) for name, entry in card["profile"].items()}
        spread = {name: float(card["spread"][name]) for name in _SPREADS}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CardError(
            f"{file}: not a card of profiles ({type(error).__name__}: {error}); write it again with "
            "`acceptance --profiles`"
        ) from error
    return Profiles(methods=methods, **spread)


_NUMBERS = (
    "level_mean", "level_sd", "restart_mean", "restart_sd", "one_mean", "one_sd", "one_slope_mean", "one_slope_sd",
)  # fmt: skip
_SPREADS = ("cell_sd", "pair_sd", "slope_sd", "concentration", "run_sd")


def _profile(name: str, entry: dict[str, Any]) -> Profile:
    mean, sd = (np.asarray(entry[key], dtype=float) for key in ("mean", "sd"))
    if mean.shape != sd.shape or mean.ndim != 1:
        raise ValueError(f"mean and sd of {name} differ in length")
    rest = {key: float(entry[key]) for key in _NUMBERS}
    return Profile(name, bool(entry["measured"]), mean, sd, **rest)


def _text(profiles: Profiles) -> str:
    lines = [
        "# Acceptance of drafted tokens by position, summed up from a fit of the shipped counts and lengths. Made by",
        "#     python -m bayes_sd acceptance --output traces/acceptance.nc --profiles models/acceptance.toml",
        "# docs/acceptance.md says what it means. All in log odds:",
        "#",
        "#     logit alpha[cell, j] = a[cell] + s[method, j] + b[cell]*log2(j)",
        "#     a[cell] ~ Normal(level_mean, level_sd)   b[cell] ~ Normal(0, slope_sd)   s[method, j] ~ Normal(mean, sd)",
        "#     logit alpha_1 of drafts of k = logit alpha[cell, 1] + restart*(share of drafts accepted to the last token)",
        "#",
        "# The same in one number a workload: the i.i.d. acceptance that gives E at k is, in log odds,",
        "#     one + one_slope*log(k/4),   one ~ Normal(one_mean, one_sd),   one_slope ~ Normal(one_slope_mean, one_slope_sd)",
        "",
        "[spread]",
        f"cell_sd = {profiles.cell_sd:.3f}",
        f"pair_sd = {profiles.pair_sd:.3f}",
        f"slope_sd = {profiles.slope_sd:.3f}",
        f"concentration = {profiles.concentration:.0f}",
        f"run_sd = {profiles.run_sd:.4f}",
    ]
    for name, profile in profiles.methods.items():
        lines += [
            "",
            f"[profile.{name}]",
            f"measured = {str(profile.measured).lower()}",
            *(f"{key} = {getattr(profile, key):.3f}" for key in _NUMBERS),
            "mean = [" + ", ".join(f"{v + 0.0:.3f}" for v in profile.mean) + "]",
            "sd = [" + ", ".join(f"{v:.3f}" for v in profile.sd) + "]",
        ]
    return "\n".join(lines) + "\n"
