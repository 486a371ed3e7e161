"""Rows of a table of conditions that ask the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

UNASKED = ("file", "row")
"""Columns that say where a row stands, not what it asks."""


def equal_rows(frame: pd.DataFrame, but: Collection[str] = UNASKED) -> np.ndarray:
    """Number the rows of a table so that equal ones have the same number.

    Parameters
    ----------
    frame : DataFrame
    but : collection of str
        Columns in which equal rows may differ.

    Returns
    -------
    int array, shape (row,)
        From 0, in the order of first appearance. Rows with cells that cannot be compared are all told apart.
    """
    import pandas as pd

    group = np.zeros(len(frame), dtype=np.int64)
    for name, column in frame.items():
        if name in but:
            continue
        try:
            codes, values = pd.factorize(column, use_na_sentinel=False)
        except TypeError:  # a list in a cell, for example
            return np.arange(len(frame))
        if len(values) > 1:
            group = pd.factorize(group * len(values) + codes)[0].astype(np.int64)
    return group
