"""Which rows of a table of conditions can be answered, and why the others cannot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.condition.assume import assume
from bayes_sd.errors import BayesSdError
from bayes_sd.forecast.blocks import BLOCK
from bayes_sd.forecast.conditions import resolve
from bayes_sd.measurements.table import Left

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

PLACE = re.compile(r"^(?:conditions, )?row \d+[:,] ?")
"""Where a message says that an error is, in a table of one row."""


def answerable(
    posterior: Posterior, frame: pd.DataFrame, cards: Cards, seed: int = 0
) -> tuple[pd.DataFrame, list[Left]]:
    """Part the rows that can be answered from those that cannot.

    Parameters
    ----------
    posterior : Posterior
    frame : DataFrame
        From :func:`bayes_sd.measurements.read_conditions`.
    cards : Cards
    seed : int

    Returns
    -------
    kept : DataFrame
    left : list of Left
        The others, by line of the file, with what is wrong with each.
    """
    faults = [
        found
        for at in range(0, len(frame), BLOCK)
        for found in _faults(posterior, frame.iloc[at : at + BLOCK], cards, seed, at)
    ]
    if not faults:
        return frame, []
    left = [Left(int(frame["row"].iloc[i]), why) for i, why in faults]
    kept = np.ones(len(frame), dtype=bool)
    kept[[i for i, _ in faults]] = False
    return frame[kept].reset_index(drop=True), left


def _faults(
    posterior: Posterior, frame: pd.DataFrame, cards: Cards, seed: int, at: int
) -> list[tuple[int, str]]:
    """Find the rows that cannot be answered by halving: few faults in many rows cost few attempts."""
    why = _fault(posterior, frame, cards, seed)
    if why is None:
        return []
    if len(frame) == 1:
        return [(at, why)]
    half = len(frame) // 2
    return [
        *_faults(posterior, frame.iloc[:half], cards, seed, at),
        *_faults(posterior, frame.iloc[half:], cards, seed, at + half),
    ]


def _fault(posterior: Posterior, frame: pd.DataFrame, cards: Cards, seed: int) -> str | None:
    """Say why conditions cannot be answered, the place left out; None where they can."""
    try:
        for filled in assume(frame, posterior, cards, seed).frames[:1]:
            resolve(filled, posterior, cards, pools=True)
    except BayesSdError as error:
        return PLACE.sub("", str(error))
    return None
