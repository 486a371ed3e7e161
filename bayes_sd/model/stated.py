"""What rows state of acceptance, and what that says of the level of their cell."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.cards.profiles import read_profiles
from bayes_sd.latency.acceptance import expected_committed_profile

if TYPE_CHECKING:
    import pandas as pd

LARGEST_LOGIT = 7.0
"""Log odds of acceptance beyond which one is as good as none or all."""
PROFILE_POSITIONS = 16
"""Draft positions that an acceptance profile tells apart; those beyond are like the last."""
LEAST_COMMITTED = 1.02
"""Tokens per cycle below which a measured acceptance is not told apart from none (its logit would be infinite)."""
TOLD = ("told_k", "told_committed")
"""Columns by which a condition that states no acceptance says which draft length was seen to commit how many tokens a cycle."""
PASSES = {"dflash": 1.0, "dspark": 1.0, "medusa": 1.0, "peagle": 1.0, "ngram": 0.0, "suffix": 0.0}
"""Passes of the drafter per cycle where it is not one for each drafted token: heads and block drafters propose all tokens at once,
lookups run on the host."""


def measured_committed(frame: pd.DataFrame) -> np.ndarray:
    """Take E, tokens committed per cycle, from what a row states: mean length, counts, or accepted over drafted.

    Parameters
    ----------
    frame : DataFrame
        Observations or conditions.

    Returns
    -------
    array, shape (row,)
        1 without speculation, NaN where nothing is stated [tokens/cycle].
    """
    k = frame["k"].to_numpy(dtype=float)
    stated = number_column(frame, "mean_accepted_len")
    counted = 1.0 + number_column(frame, "n_accepted_tokens") / number_column(frame, "n_drafts")
    shared = 1.0 + k * number_column(frame, "acceptance")
    committed = np.where(np.isnan(stated), np.where(np.isnan(counted), shared, counted), stated)
    return np.where(k > 0, np.clip(committed, 1.0, k + 1.0 - 1e-3), 1.0)


def plain_name(method: object) -> str:
    """Give a method's name without case and separators."""
    return str(method).lower().replace("-", "").replace("_", "")


def draft_passes(frame: pd.DataFrame) -> np.ndarray:
    """Give the passes of the drafter per cycle: as stated, or by the method (:data:`PASSES`), or k, shape (row,)."""
    k = frame["k"].to_numpy(dtype=float)
    methods = frame["method"] if "method" in frame else [""] * len(frame)
    usual = np.array([PASSES.get(plain_name(m), np.nan) for m in methods])
    stated = number_column(frame, "draft_passes")
    passes = np.where(np.isnan(stated), np.where(np.isnan(usual), k, usual), stated)
    return np.where(k > 0, passes, 0.0)


def verify_tokens(frame: pd.DataFrame) -> np.ndarray:
    """Give the tokens that a cycle verifies per request: as stated, or k + 1, shape (row,)."""
    k = frame["k"].to_numpy(dtype=float)
    stated = number_column(frame, "verify_tokens")
    return np.where((k > 0) & np.isfinite(stated), stated, k + 1.0)


def method_profile(method: object) -> np.ndarray:
    """Give how the log odds of acceptance differ by draft position for a speculation method.

    Parameters
    ----------
    method : str
        As tables write it, ``eagle3`` for example.

    Returns
    -------
    array, shape (position,)
        From ``models/acceptance.toml``; zero (all positions alike) for a method that it does not have.
    """
    known = _profiles()
    return known.get(plain_name(method), np.zeros(PROFILE_POSITIONS))


@lru_cache(maxsize=1)
def _profiles() -> dict[str, np.ndarray]:
    return {
        name.replace("_", ""): np.asarray(profile.mean, dtype=float)
        for name, profile in read_profiles().methods.items()
    }


def acceptance_logit(committed: np.ndarray, k: np.ndarray, profile: np.ndarray) -> np.ndarray:
    """Find the level of acceptance that commits E tokens per cycle of draft length k.

    Parameters
    ----------
    committed, k : array, shape (row,)
        E [tokens/cycle], NaN where unknown, and draft length [tokens].
    profile : array, shape (row, position)
        How log odds differ by position.

    Returns
    -------
    array, shape (row,)
        Log odds at which :func:`~bayes_sd.latency.acceptance.expected_committed_profile` gives E; NaN where unknown.
    """
    logits = np.full(len(k), np.nan)
    known = np.flatnonzero((k > 0) & np.isfinite(committed))
    lower, upper = np.full(len(known), -LARGEST_LOGIT), np.full(len(known), LARGEST_LOGIT)
    committed = np.maximum(committed, LEAST_COMMITTED)
    for _ in range(60):
        middle = 0.5 * (lower + upper)
        above = expected_committed_profile(middle, profile[known], k[known].astype(int)) > committed[known]
        lower, upper = np.where(above, lower, middle), np.where(above, middle, upper)
    logits[known] = 0.5 * (lower + upper)
    return logits


def told_logit(frame: pd.DataFrame, profile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the level of acceptance that conditions were told at another draft length (:data:`TOLD`).

    Parameters
    ----------
    frame : DataFrame
    profile : array, shape (row, position)

    Returns
    -------
    logit, k : array, shape (row,)
        Log odds at that draft length, and it; NaN where nothing was told.
    """
    k, committed = (number_column(frame, name) for name in TOLD)
    return acceptance_logit(committed, np.nan_to_num(k), profile), k


def number_column(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Give a column as numbers, NaN where it or a cell is missing, shape (row,)."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=float, na_value=np.nan)
