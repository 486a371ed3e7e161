"""What ``ask`` prints: one load's answer, the draft lengths there, capacity, and what all rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.cli.forms import digits, interval, latency, ordered, percent, unit_of
from bayes_sd.cli.page import Page
from bayes_sd.cli.setting import show_setting

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MOST_NOTES = 2
NEAR = 3
"""Draft lengths that are printed without --explain beside none and the one that was asked for: those that lose least."""
UNITS = {"rate": "req/s", "in-flight": "clients"}


def print_answer(
    result: xr.Dataset,
    row: pd.Series,
    lengths: pd.DataFrame,
    base: pd.DataFrame,
    words: Sequence[str],
    explain: bool = False,
) -> None:
    """Print the answer to one condition.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup` at one load.
    row : Series
        That load's row of its table.
    lengths : DataFrame
        Draft lengths at that load, from :func:`bayes_sd.decide.tables.tune_table`.
    base : DataFrame
        The condition.
    words : sequence of str
        What was understood, and what was chosen.
    explain : bool
        Whether to print all draft lengths and points to mind.
    """
    about, unit = result.attrs, UNITS[result.attrs["load_axis"]]
    page = Page(explain)
    page.answer(*_verdict(row, about, unit), _best_words(lengths))
    page.say(*_capacity(result, about), about["answer"][-1])
    page.gap()
    page.lines(words[0])
    committed = interval(
        *ordered(list(np.quantile(result["committed"].to_numpy(), [0.05, 0.5, 0.95]))), ".2f"
    )
    show_setting(page, base, list(words[1:]), committed, about["arrivals"])
    scale = unit_of(lengths["latency_median_s"])
    lines = [
        (
            "none" if one["k"] == 0 else f"{one['k']:g}",
            latency(one, "latency", scale[1]),
            percent(one["p_best"]),
            "-" if np.isnan(one["relative_regret"]) else f"{one['relative_regret']:.1%}",
        )
        for one in (lengths if explain else _near(lengths, about["k"])).to_dict("records")
    ]
    heads = ("draft length", f"mean latency, {scale[0]} [{about['ci']:.0%}]", "P(best)", "speed lost")
    page.table(f"Draft lengths at {row['load']:g} {unit}", heads, lines)
    if len(lines) < len(lengths):
        page.say(f"{len(lengths) - len(lines)} that lose more with --explain, --json or --output.")
    page.notes("Mind:", about["caveats"], MOST_NOTES)
    page.print()


def _near(lengths: pd.DataFrame, asked: int) -> pd.DataFrame:
    """Give no speculation, the draft length asked for and those that lose least, in their order."""
    least = lengths[lengths["k"] > 0].sort_values("relative_regret", kind="stable").head(NEAR).index
    return lengths[lengths["k"].isin([0, asked]) | lengths.index.isin(least)]


def _verdict(row: pd.Series, about: dict[str, Any], unit: str) -> list[str]:
    name, scale = unit_of([row["plain_latency_median_s"], row["speculative_latency_median_s"]])
    plain, drafted = (latency(row, f"{server}_latency", scale) for server in ("plain", "speculative"))
    where = f"At {row['load']:g} {unit}"
    if np.isnan(row["p_faster"]):
        return [f"{where} neither server has a steady state, with speculation or without."]
    speedup = interval(row["speedup_median"], row["speedup_lower"], row["speedup_upper"], ".2f")
    said = [f"{value} {name}" if value != "saturated" else value for value in (plain, drafted)]
    return [
        f"{where} mean latency is {said[1]} with speculation (k = {about['k']}) and {said[0]} without: speedup {speedup}, "
        f"faster with probability {percent(row['p_faster'])}."
    ]


def _best_words(lengths: pd.DataFrame) -> str:
    if not lengths["safe"].any():
        return "Draft length: none has a steady state at this load."
    safe, likely = (lengths[lengths[name]].iloc[0] for name in ("safe", "probable"))
    best = "no speculation" if safe["k"] == 0 else f"k = {safe['k']:g}"
    most = "no speculation" if likely["k"] == 0 else f"k = {likely['k']:g}"
    return (
        f"Draft length: {best} loses least on average ({safe['relative_regret']:.1%}); {most} is best with probability "
        f"{percent(likely['p_best'])}."
    )


def _capacity(result: xr.Dataset, about: dict[str, Any]) -> list[str]:
    tail = (1.0 - about["ci"]) / 2.0
    limits = np.quantile(result["limit"].to_numpy(), [0.5, tail, 1.0 - tail], axis=0)
    plain, drafted = (f"{digits(middle)} [{digits(low)}, {digits(high)}]" for middle, low, high in limits.T)
    return [f"Capacity of one such server: {drafted} req/s with speculation, {plain} without."]
