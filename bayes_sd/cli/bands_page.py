"""What ``bands`` prints: where the latencies lie, whether measured points do too, and where the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from bayes_sd.cli.forms import digits, load
from bayes_sd.cli.output import tell_written
from bayes_sd.cli.page import Page

if TYPE_CHECKING:
    import xarray as xr

STAGES = ("prefill", "draft", "verify", "waiting")
CONFIGURATIONS, LOADS = 2, 4
"""Configurations, and loads of each, that are printed without --explain."""
MORE_LOADS = 8


def print_bands(results: Sequence[xr.Dataset], written: Sequence[Path], as_json: bool, explain: bool) -> None:
    """Print a few loads of each configuration, and what was written.

    Parameters
    ----------
    results : sequence of Dataset
        From :func:`bayes_sd.decide.bands.latency_bands`.
    written : sequence of Path
    as_json : bool
    explain : bool
    """
    import pandas as pd

    from bayes_sd.decide.bands import bands_table

    if as_json:
        table = pd.concat([bands_table(r) for r in results], ignore_index=True)
        click.echo(table.to_json(orient="records", indent=1))
        return
    page = Page(explain)
    page.answer(*_answer(results))
    shown = results if explain else results[:CONFIGURATIONS]
    for result in shown:
        name = "req/s" if result.attrs["open_loop"] else "in flight"
        heads = (name, f"latency, s [{result.attrs['ci']:.0%}]", "batch", *STAGES)
        page.table(result.attrs["label"], heads, _rows(result, MORE_LOADS if explain else LOADS))
    page.notes("Mind:", _caveats(results, len(shown), bool(written)))
    page.more(
        "How to read it:",
        [
            "In brackets: where new measurements fall. batch: requests running on average. Stages: their share of the latency, "
            "load-independent and load-dependent parts together.",
        ],
    )
    page.print()
    tell_written(*written)


def _answer(results: Sequence[xr.Dataset]) -> list[str]:
    deployments = list(dict.fromkeys(str(r.attrs["deployment"]) for r in results))
    inside, measured = (sum(counts) for counts in zip(*[_inside(r) for r in results], strict=True))
    named = deployments[0] if len(deployments) == 1 else f"{len(deployments)} deployments"
    one = results[0]
    drawn = one["latency_median"].dropna("load")
    words = f"{named}: no load has a steady state."
    if drawn.size:
        kind = "req/s" if one.attrs["open_loop"] else "in flight"
        first, last = (
            f"{digits(float(drawn[i]))} s at {load(float(drawn['load'][i]))} {kind}" for i in (0, -1)
        )
        words = f"{named}: mean latency of {one.attrs['label']} goes from {first} to {last}."
    if not measured:
        return [words]
    return [words, f"{inside} of {measured} measured points lie in their {one.attrs['ci']:.0%} band."]


def _inside(result: xr.Dataset) -> tuple[int, int]:
    """Count the measured points within the band, and all of them."""
    at, measured = result["measured_load"].to_numpy(), result["measured_s"].to_numpy()
    if not len(at):
        return 0, 0
    low, high = (
        np.interp(
            at, result["load"].to_numpy(), np.nan_to_num(result[f"predictive_{end}"].to_numpy(), nan=np.inf)
        )
        for end in ("lower", "upper")
    )
    return int(((low <= measured) & (measured <= high)).sum()), len(at)


def _caveats(results: Sequence[xr.Dataset], shown: int, written: bool) -> list[str]:
    words = []
    new = sorted(
        {part for r in results for v in r["extrapolates"].to_numpy() for part in str(v).split("; ") if part}
    )
    if new:
        words.append(f"Extrapolates, at some loads: {'; '.join(new)}.")
    if shown < len(results):
        words.append(f"{len(results) - shown} more configurations with --explain or --json.")
    if not written:
        words.append("The whole table and the figures: --output FOLDER.")
    return words


def _rows(bands: xr.Dataset, most: int) -> list[tuple[str, ...]]:
    """Cells of a few loads: load, latency with its interval, effective batch size, share of each stage."""
    rows: list[tuple[str, ...]] = []
    for i in np.unique(np.linspace(0, bands.sizes["load"] - 1, most).round().astype(int)):
        at = bands.isel(load=i)
        if not np.isfinite(at["latency_median"]):
            rows.append((load(float(at["load"])), "saturated", *[""] * 5))
            continue
        share = dict.fromkeys(STAGES, 0.0)
        for stage in bands["stage"].to_numpy():
            share[str(stage).split(",")[0]] += 100.0 * float(at["stage_share"].sel(stage=stage))
        middle, low, high = (
            digits(float(at[name])) for name in ("latency_median", "predictive_lower", "predictive_upper")
        )
        shares = [f"{value:.0f} %" for value in share.values()]
        rows.append(
            (load(float(at["load"])), f"{middle} [{low}, {high}]", digits(float(at["running"])), *shares)
        )
    return rows
