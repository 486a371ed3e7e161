"""Checks the rows that a posterior file keeps against the schema of tables, as a table's cells are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.errors import TraceError
from bayes_sd.measurements.schema import GAMMA, Column
from bayes_sd.posterior.validate import DAMAGED

if TYPE_CHECKING:
    import xarray as xr

NUMBERS = ("number", "count", "flag")
ROWS = ("observation",)
"""Dims of a column."""


def check_rows(observed: xr.Dataset, columns: Mapping[str, Column]) -> None:
    """Refuse rows that no table can have: another kind of value, or one out of its column's range.

    Parameters
    ----------
    observed : Dataset
        Group of a posterior file; what is no column of the schema is passed over.
    columns : mapping
        Name to column.

    Raises
    ------
    TraceError
        Without the file's name.
    """
    for name, values in observed.data_vars.items():
        column = columns.get(str(name))
        if column is None:
            continue
        if values.dims != ROWS or not _holds(values.to_numpy(), column):
            raise TraceError(f"its column {column.name} of observed rows holds what none can; {DAMAGED}")


def _holds(values: np.ndarray, column: Column) -> bool:
    """Whether every value is one that a table may have there, or a blank."""
    if column.kind not in NUMBERS:
        if values.dtype.kind not in "OUS":
            # A column without any text is kept as numbers that are none.
            return values.dtype.kind == "f" and bool(np.isnan(values).all())
        known = (*column.choices, "")
        return not column.choices or all(v in known or v.startswith(GAMMA) for v in map(str, values))
    if values.dtype.kind not in "fiub":
        return False
    there = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return bool((there >= column.low).all() and (there <= column.high).all())
