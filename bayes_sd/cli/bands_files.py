"""The files that ``bands`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.errors import ConditionError, OutputError
from bayes_sd.measurements.csvfile import write_csv
from bayes_sd.plots.bands import plot_bands
from bayes_sd.plots.collapse import plot_collapse
from bayes_sd.plots.stages import plot_stages
from bayes_sd.plots.style import check_figure_path, save_figure

if TYPE_CHECKING:
    import xarray as xr


def named_figures(bands: Path | None, collapse: Path | None, stages: Path | None) -> dict[str, Path]:
    """Check the names of figure files before anything is computed.

    Returns
    -------
    dict of str to Path
        Figure ("bands", "collapse", "stages") to file, those asked for only.

    Raises
    ------
    OutputError
        If a name is not one of a figure, or two figures would share a file.
    """
    given = {"bands": bands, "collapse": collapse, "stages": stages}
    files = {name: check_figure_path(file) for name, file in given.items() if file is not None}
    if len({file.resolve() for file in files.values()}) < len(files):
        raise OutputError("two figures would go to one file: name them apart")
    return files


def write_bands(
    results: Sequence[xr.Dataset], collapse: xr.Dataset | None, folder: Path | None, files: dict[str, Path]
) -> list[Path]:
    """Write the table and figures.

    Parameters
    ----------
    results : sequence of Dataset
    collapse : Dataset, optional
        None where nothing was measured.
    folder : Path, optional
        For everything.
    files : dict of str to Path
        Figures asked for by name.

    Returns
    -------
    list of Path

    Raises
    ------
    ConditionError
        If the collapse is asked for and nothing was measured.
    """
    import pandas as pd

    from bayes_sd.decide.bands import bands_table

    if collapse is None and "collapse" in files:
        raise ConditionError("--collapse-figure draws measured points: leave --conditions out")
    written: list[Path] = []
    if folder is not None:
        table = pd.concat([bands_table(r) for r in results], ignore_index=True)
        written.append(write_csv(table, folder / "bands.csv"))
        files = {"bands": folder / "bands.png", **files}
        if collapse is not None:
            files = {"collapse": folder / "collapse.png", **files}
        files = {"stages": folder / "stages.png", **files}
    if "bands" in files:
        written.append(save_figure(plot_bands(results), files["bands"]))
    if "collapse" in files and collapse is not None:
        written.append(save_figure(plot_collapse(collapse), files["collapse"]))
    if "stages" in files:
        written.append(save_figure(plot_stages(list(results)), files["stages"]))
    return written
