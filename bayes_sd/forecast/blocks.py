"""Answers to long tables in bounded memory: conditions are predicted and summarised a block at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bayes_sd.condition.frame import as_table
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.summary import summarise

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

BLOCK = 250
"""Conditions that are looked at at once. With 4,000 draws a process takes some 500 MB; and levels are told apart in time that
grows faster than the number of conditions."""


def predict_summary(
    posterior: Posterior, frame: Any, cards: Cards | None = None, seed: int = 0, ci: float = 0.9
) -> pd.DataFrame:
    """Predict conditions and summarise them, however many there are.

    Parameters
    ----------
    posterior : Posterior
    frame : DataFrame, mapping or sequence of mappings
        Conditions, as :func:`bayes_sd.predict` takes them.
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.
    seed : int
        What was never measured has the same draws in all blocks.
    ci : float
        Probability of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        As :func:`bayes_sd.summarise` gives it, conditions in order. Memory does not grow with their number, the table itself
        aside.

    Raises
    ------
    CardError, ConditionError
        If a condition names something that nothing is known about.
    """
    import pandas as pd

    table = as_table(frame)
    cards = posterior.cards() if cards is None else cards
    if len(table) <= BLOCK:
        return summarise(predict(posterior, table, cards, seed), ci)
    parts = [_block(posterior, table, at, cards, seed, ci) for at in range(0, len(table), BLOCK)]
    return pd.concat(parts, ignore_index=True)


def _block(
    posterior: Posterior, table: pd.DataFrame, at: int, cards: Cards, seed: int, ci: float
) -> pd.DataFrame:
    try:
        return summarise(predict(posterior, table.iloc[at : at + BLOCK], cards, seed, first=at), ci)
    except ConditionError as error:
        # Rows that are counted from the block's start are those of the whole table.
        said = re.sub(r"^conditions, row (\d+)", lambda m: f"conditions, row {int(m[1]) + at}", str(error))
        raise ConditionError(said) from error
