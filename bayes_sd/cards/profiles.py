"""Acceptance profiles as a card: how likely each position of a draft is accepted, for each way of drafting.

    logit α[c, j] = a[c] + s[m, j] + b[c]·log2(j),   a[c] ~ Normal(level[m], cell_sd),   b[c] ~ Normal(0, slope_sd)

with s[m, 1] = 0, for a workload c, a method m and a position j of the draft. :mod:`bayes_sd.acceptance.profiles` makes the card of a
fit; :mod:`bayes_sd.acceptance.model` says how the first position restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bayes_sd.errors import CardError
from bayes_sd.files import shipped
from bayes_sd.loading import load_toml

POSITIONS = 16


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


def profiles_text(profiles: Profiles) -> str:
    """Write the card as TOML.

    Parameters
    ----------
    profiles : Profiles

    Returns
    -------
    str
        What :func:`read_profiles` reads.
    """
    lines = [
        "# Acceptance of drafted tokens by position, summed up from a fit of the shipped counts and lengths. Made by",
        "#     uv run bayes_sd acceptance --output traces/acceptance.nc --profiles models/acceptance.toml",
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
