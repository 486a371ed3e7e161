"""Repeats of one benchmark cell, put together before a fit.

A model's misfit at a cell is the same in every repeat of it, so repeats are not independent evidence: three runs that
agree within half a per cent do not make the model right within a third of that. A fit therefore sees their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.measurements.schema import AVERAGED, CELL

if TYPE_CHECKING:
    import pandas as pd

SHAPE_STEPS_PER_DOUBLING = 4.0
"""Lengths within about a fifth of each other count as the same shape."""


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
    groups = keyed.groupby([c for c in (*CELL, "shape") if c in keyed], dropna=False, sort=False)
    cells = groups.head(1).copy()
    number = groups.ngroup().loc[cells.index]
    for column in AVERAGED:
        if column in frame:
            means = np.exp(np.log(frame[column]).groupby(groups.ngroup()).mean())
            cells[column] = means.loc[number].to_numpy()
    cells["n_repeats"] = groups.size().to_numpy()
    cells = cells.drop(columns="shape").reset_index(drop=True)
    cells.attrs = dict(frame.attrs)
    return cells
