"""Repeats of one benchmark cell, put together before a fit.

A model's misfit at a cell is the same in every repeat of it, so repeats are not independent evidence: three runs that
agree within half a per cent do not make the model right within a third of that. A fit therefore sees their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.cards.engine_names import read_engine
from bayes_sd.cards.engines import read_day
from bayes_sd.measurements.schema import AVERAGED, CELL

if TYPE_CHECKING:
    import pandas as pd

SHAPE_STEPS_PER_DOUBLING = 4.0
"""Lengths within about a fifth of each other count as the same shape."""
MONTH_DAYS = 31
"""Days within which runs of an engine whose version is not stated count as one engine."""


def average_repeats(frame: pd.DataFrame) -> pd.DataFrame:
    """Average the repeats of each cell: geometric means of times, lengths and acceptance.

    Parameters
    ----------
    frame : DataFrame
        Observations after the rules.

    Returns
    -------
    DataFrame
        One row a cell, in order of first appearance, with the number of rows averaged in ``n_repeats``; other columns
        are the first repeat's.
    """
    steps = [
        np.round(SHAPE_STEPS_PER_DOUBLING * np.log2(frame[c])) for c in ("prompt_tokens", "output_tokens")
    ]
    keyed = frame.assign(shape=[f"{p:g}x{g:g}" for p, g in zip(*steps, strict=True)])
    keys = [c for c in (*CELL, "shape") if c in keyed]
    keyed["period"] = _periods(keyed, keys)
    groups = keyed.groupby([*keys, "period"], dropna=False, sort=False)
    cells = groups.head(1).copy()
    number = groups.ngroup().loc[cells.index]
    for column in AVERAGED:
        if column in frame:
            means = np.exp(np.log(frame[column]).groupby(groups.ngroup()).mean())
            cells[column] = means.loc[number].to_numpy()
    cells["n_repeats"] = groups.size().to_numpy()
    cells = cells.drop(columns=["shape", "period"]).reset_index(drop=True)
    cells.attrs = dict(frame.attrs)
    return cells


def _periods(frame: pd.DataFrame, keys: list[str]) -> np.ndarray:
    """Number the periods in which each cell was run, shape (row,): what ran more than a month after a period began is another one.

    A stated version tells one engine from the next by itself (0 for such rows); -1 where neither it nor the day is known.
    """
    periods = np.zeros(len(frame), dtype=int)
    if "run_date" not in frame:
        return periods
    dated = (frame["run_date"].fillna("") != "").to_numpy()
    if not dated.any():
        return periods
    released = {name: read_engine(name).version is not None for name in frame["engine"].unique()}
    loose = ~frame["engine"].map(released).to_numpy(dtype=bool)
    periods[loose & ~dated] = -1
    rows = np.flatnonzero(loose & dated)
    days = np.array([read_day(text).toordinal() for text in frame["run_date"].iloc[rows]])
    cells = frame.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()[rows]
    began = (-1, 0)
    for place in np.lexsort((days, cells)):
        if began[0] != cells[place]:
            began, period = (int(cells[place]), int(days[place])), 1
        elif days[place] - began[1] > MONTH_DAYS:
            began, period = (int(cells[place]), int(days[place])), period + 1
        periods[rows[place]] = period
    return periods
