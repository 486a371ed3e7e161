"""Answers to long tables in bounded memory: conditions are predicted and summarised a block at a time, equal ones once."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.assume import assume
from bayes_sd.condition.equal import equal_rows
from bayes_sd.condition.frame import as_table
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.latency import measured_anew, predict, predict_assumed
from bayes_sd.forecast.summary import NEW_BOUNDS, bounds_of_new, summarise

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.forecast.prediction import Prediction
    from bayes_sd.posterior.posterior import Posterior

BLOCK = 250
"""Conditions that are looked at at once. With 4,000 draws a process takes some 500 MB; and levels are told apart in time that
grows faster than the number of conditions."""
MOST_KEPT = 500
"""Conditions asked more than once whose draws are kept for the next time: 64 kB each with 4,000 draws."""


def predict_summary(
    posterior: Posterior,
    frame: Any,
    cards: Cards | None = None,
    seed: int = 0,
    ci: float = 0.9,
    progress: Callable[[int, int], object] | None = None,
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
    progress : callable, optional
        Called after each block with the conditions that are done and all of them.

    Returns
    -------
    DataFrame
        As :func:`bayes_sd.summarise` gives it, conditions in order. Memory does not grow with their number, the table itself
        aside; time grows with the number of those that differ from one another.

    Raises
    ------
    CardError, ConditionError
        If a condition names something that nothing is known about.
    """
    table = as_table(frame)
    cards = posterior.cards() if cards is None else cards
    if len(table) <= BLOCK:
        return summarise(predict(posterior, table, cards, seed), ci)
    answers = _Answers(posterior, table, cards, seed, ci)
    for at in range(0, len(table), BLOCK):
        answers.block(at)
        if progress is not None:
            progress(min(at + BLOCK, len(table)), len(table))
    return answers.all()


@dataclass(frozen=True)
class _Kept:
    """An answer that later rows may need: its place among those computed, and what new measurements are drawn from."""

    place: int
    stable: bool
    told_s: np.ndarray
    scatter: np.ndarray


class _Answers:
    """Answers to a table so far. Equal rows share all but the luck of a new measurement."""

    def __init__(self, posterior: Posterior, table: pd.DataFrame, cards: Cards, seed: int, ci: float) -> None:
        self._posterior, self._table, self._cards = posterior, table, cards
        self._seed, self._ci = seed, ci
        self._asks = equal_rows(table)
        self._again = np.bincount(self._asks) > 1
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._computed: list[pd.DataFrame] = []
        self._length = 0
        self._places: list[np.ndarray] = []
        self._bounds: list[np.ndarray] = []

    def block(self, at: int) -> None:
        """Answer the rows from `at` on."""
        rows, asks = self._table.iloc[at : at + BLOCK], self._asks[at : at + BLOCK]
        fresh = np.array([ask not in self._kept for ask in asks.tolist()])
        first = np.zeros(len(asks), dtype=bool)
        first[np.unique(asks, return_index=True)[1]] = True
        if (fresh & first).all() or not self._share(rows, asks, fresh & first, at):
            self._each(rows, asks, at)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    def all(self) -> pd.DataFrame:
        """Give the table of all answers."""
        import pandas as pd

        table = pd.concat(self._computed, ignore_index=True).iloc[np.concatenate(self._places)]
        bounds = np.concatenate(self._bounds, axis=1)
        return table.assign(**dict(zip(NEW_BOUNDS, bounds, strict=True))).reset_index(drop=True)

    def _each(self, rows: pd.DataFrame, asks: np.ndarray, at: int) -> None:
        """Answer rows none of which is like another, or whose blanks are filled by luck."""
        try:
            assumed = assume(rows, self._posterior, self._cards, self._seed, at)
            prediction = predict_assumed(self._posterior, assumed, self._cards, self._seed, at)
        except ConditionError as error:
            # Rows that are counted from the block's start are those of the whole table.
            said = re.sub(
                r"^conditions, row (\d+)", lambda m: f"conditions, row {int(m[1]) + at}", str(error)
            )
            raise ConditionError(said) from error
        self._places.append(self._length + np.arange(len(rows)))
        summary = self._take(prediction, asks, self._again[asks] & ~assumed.unsure)
        self._bounds.append(np.stack([summary[name] for name in NEW_BOUNDS]))

    def _share(self, rows: pd.DataFrame, asks: np.ndarray, new: np.ndarray, at: int) -> bool:
        """Answer rows of which only some ask something new; False where they cannot be answered so."""
        if new.any():
            try:
                assumed = assume(rows[new], self._posterior, self._cards, self._seed, at)
                if assumed.unsure.any():
                    return False
                prediction = predict_assumed(self._posterior, assumed, self._cards, self._seed, at)
            except ConditionError:
                return False  # told of the whole block, where the row has its number
            self._take(prediction, asks[new], np.ones(int(new.sum()), dtype=bool))
        kept = [self._kept[ask] for ask in asks.tolist()]
        for ask in asks.tolist():
            self._kept.move_to_end(ask)
        told_s, scatter = (
            np.stack([getattr(k, name) for k in kept], axis=1) for name in ("told_s", "scatter")
        )
        bounds = bounds_of_new(measured_anew(self._posterior, told_s, scatter, self._seed, at), self._ci)
        self._places.append(np.array([k.place for k in kept]))
        self._bounds.append(np.where([k.stable for k in kept], bounds, np.nan))
        return True

    def _take(self, prediction: Prediction, asks: np.ndarray, again: np.ndarray) -> pd.DataFrame:
        """Summarise computed answers, and keep those that may be asked for again."""
        summary = summarise(prediction, self._ci)
        for i in np.flatnonzero(again):
            drawn = (prediction.told_s[:, i].copy(), prediction.scatter[:, i].copy())
            self._kept[int(asks[i])] = _Kept(self._length + int(i), bool(summary["stable"].iloc[i]), *drawn)
        self._computed.append(summary)
        self._length += len(summary)
        return summary
