"""What ``bands`` writes and prints."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bayes_sd.errors import ConditionError, OutputError
from bayes_sd.measurements.csvfile import write_csv
from bayes_sd.plots.bands import plot_bands
from bayes_sd.plots.style import check_figure_path, save_figure

if TYPE_CHECKING:
    import xarray as xr

SHOWN = 5
"""Loads per configuration that the terminal shows."""
STAGES = ("prefill", "draft", "verify", "waiting")


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
    from bayes_sd.plots.collapse import plot_collapse
    from bayes_sd.plots.stages import plot_stages

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


def print_bands(results: Sequence[xr.Dataset], written: Sequence[Path], as_json: bool) -> None:
    """Print a few loads of each configuration, and what was written."""
    import pandas as pd

    from bayes_sd.decide.bands import bands_table

    if as_json:
        table = pd.concat([bands_table(r) for r in results], ignore_index=True)
        click.echo(table.to_json(orient="records", indent=1))
        return
    for deployment in dict.fromkeys(r.attrs["deployment"] for r in results):
        click.echo(_table(deployment, [r for r in results if r.attrs["deployment"] == deployment]))
    for file in written:
        click.echo(f"wrote {file}")
    if not written:
        click.echo("Give --output FOLDER for the whole table and the figures.")


def _table(deployment: str, results: Sequence[xr.Dataset]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    text = io.StringIO()
    console = Console(file=text, width=118, force_terminal=False, highlight=False)
    console.print(deployment)
    for result in results:
        table = Table(title=result.attrs["label"], box=box.SIMPLE, title_justify="left")
        table.add_column("requests/s" if result.attrs["open_loop"] else "in flight", justify="right")
        names = ("latency, s", f"{result.attrs['ci']:.0%} of measurements, s", "batch", *STAGES)
        for name in names:
            table.add_column(name, justify="right", no_wrap=True)
        for row in _rows(result):
            table.add_row(*row)
        console.print(table)
        new = sorted({str(v) for v in result["extrapolates"].to_numpy() if v})
        if new:
            console.print(f"  Extrapolates, at some loads: {'; '.join(new)}.", soft_wrap=True)
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines() if line.strip())


def _rows(bands: xr.Dataset) -> list[list[str]]:
    """Cells of a few loads: load, latency, interval, effective batch size, share of each stage."""
    import numpy as np

    rows = []
    for i in np.unique(np.linspace(0, bands.sizes["load"] - 1, SHOWN).round().astype(int)):
        at = bands.isel(load=i)
        load = f"{float(at['load']):.3g}"
        if not np.isfinite(at["latency_median"]):
            rows.append([load, "past saturation", *[""] * 6])
            continue
        share = dict.fromkeys(STAGES, 0.0)
        for stage in bands["stage"].to_numpy():
            share[str(stage).split(",")[0]] += 100.0 * float(at["stage_share"].sel(stage=stage))
        low, high = float(at["predictive_lower"]), float(at["predictive_upper"])
        shares = [f"{value:.0f} %" for value in share.values()]
        rows.append(
            [
                load,
                f"{float(at['latency_median']):.3g}",
                f"{low:.3g} to {high:.3g}",
                f"{float(at['running']):.3g}",
                *shares,
            ]
        )
    return rows
