"""Simulated runs as files: a measurement table, and a table of single requests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.measurements.csvfile import write_csv
from bayes_sd.measurements.schema import COLUMNS
from bayes_sd.simulator.result import SimulationResult

if TYPE_CHECKING:
    import pandas as pd


def measurement_table(results: Sequence[SimulationResult]) -> pd.DataFrame:
    """Put simulated runs into a measurement table, one row a run.

    Parameters
    ----------
    results : sequence of SimulationResult

    Returns
    -------
    DataFrame
        The columns of the schema that any run fills, in the schema's order.
    """
    import pandas as pd

    frame = pd.DataFrame([result.row() for result in results])
    return frame[[column.name for column in COLUMNS if column.name in frame]]


def write_requests(results: Sequence[SimulationResult], path: str | Path) -> Path:
    """Write the measured requests of simulated runs, one line each, as CSV.

    Parameters
    ----------
    results : sequence of SimulationResult
    path : path-like
        Replaced only by a whole new file.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    import pandas as pd

    frame = pd.concat([result.requests() for result in results], ignore_index=True)
    return write_csv(frame, path, float_format="%.9g")
