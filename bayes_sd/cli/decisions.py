"""What ``speedup`` and ``tune`` print: the decision, what it is about, a table, and what to mind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.cli.forms import SHOWN, interval, latency, load, ordered, percent, thinned, unit_of
from bayes_sd.cli.page import Page
from bayes_sd.cli.setting import show_setting

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MOST_NOTES = 3
"""Points to mind that are said without ``--explain``: the gravest come first."""
FEWER = 5
"""Loads of a table that another one follows."""
MORE = 12
"""Rows of a table under ``--explain``."""
HEADS = {"rate": "req/s", "in-flight": "in flight", "utilisation": "load"}
UNITS = {"rate": "req/s", "in-flight": "in flight", "utilisation": "of the plain server's limit"}
VERDICT_WORDS = {
    "never": "helps at no load",
    "below": "helps below a break-even load only",
    "above": "helps above a break-even load only",
    "always": "helps at every load with a steady state",
}
COMMON = 0.5
"""A break-even is told first where at least this share of the draws have one."""


def print_speedup(
    result: xr.Dataset,
    table: pd.DataFrame,
    summary: dict[str, Any],
    words: list[str],
    base: pd.DataFrame | None = None,
    explain: bool = False,
) -> None:
    """Print a speedup.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.
    table, summary
        Of :mod:`bayes_sd.decide.tables`.
    words : list of str
        How the condition came about.
    base : DataFrame, optional
        The condition.
    explain : bool
        Whether to say what the numbers mean and how they come about.
    """
    page, about = Page(explain), result.attrs
    page.answer(*about["answer"])
    committed = interval(*ordered(summary["committed"]), ".2f")
    if base is not None:
        show_setting(page, base.assign(k=about["k"]), words, committed, about["arrivals"])
    else:
        page.gap()
        page.lines(*words)
    unit, scale = unit_of(table["speculative_latency_median_s"])
    rows = [
        (
            load(row["load"]),
            *(latency(row, f"{server}_latency", scale) for server in ("plain", "speculative")),
            interval(row["speedup_median"], row["speedup_lower"], row["speedup_upper"], ".2f"),
            percent(row["p_faster"]),
        )
        for row in thinned(table, MORE if explain else SHOWN).to_dict("records")
    ]
    heads = (HEADS[about["load_axis"]], f"without, {unit}", f"with, {unit}", "speedup", "P(faster)")
    page.table(f"Mean latency and speedup, median [{about['ci']:.0%} interval]", heads, rows, thin=True)
    page.notes("Mind:", [*about["caveats"], *_reading_of(table)], MOST_NOTES)
    page.more("Where it comes from:", _explained(result, summary))
    page.print()


def _reading_of(table: pd.DataFrame) -> list[str]:
    """Say what cells mean that are no plain numbers."""
    words = []
    if np.isnan(table["p_faster"]).any():
        words.append("Where it says '-' neither server keeps up.")
    if (table["speedup_lower"] == 0).any() or np.isinf(table["speedup_upper"]).any():
        words.append(
            "A speedup of 0: only the server with speculation cannot hold that load; ∞: only the one without."
        )
    return words


def _explained(result: xr.Dataset, summary: dict[str, Any]) -> list[str]:
    from bayes_sd.decide.speedup import REGIMES

    about = result.attrs
    level, unit = f"{about['ci']:.0%}", UNITS[about["load_axis"]]
    regimes = sorted(summary["p_regime"].items(), key=lambda item: -item[1])
    return [
        "P(faster): the probability that speculation lowers the mean latency at that load, given what was measured. "
        "Intervals are of the mean latency, not of single requests.",
        break_even_words(summary, unit, level),
        f"C1_R {interval(*ordered(summary['c1_ratio']), '.2f')}, C2_R {interval(*ordered(summary['c2_ratio']), '.2f')}: "
        "cost of a request alone, and of each further one in flight, relative to no speculation. Below 1 is cheaper.",
        *[f"Regime, probability {percent(p)}: {REGIMES[name]}." for name, p in regimes if p >= 0.05],
    ]


def break_even_words(summary: dict[str, Any], unit: str, level: str) -> str:
    """Say whether there is a break-even and where; one that a minority of the draws has comes last."""
    verdicts = sorted(summary["p_verdict"].items(), key=lambda item: -item[1])
    rest = "; ".join(f"{VERDICT_WORDS[name]}: {percent(p)}" for name, p in verdicts if p >= 0.005)
    low, middle, high = summary["break_even"]
    if middle is None:
        return f"Break-even: none. Speculation {rest}."
    where = f"at {middle:.3g} {unit} [{low:.3g}, {high:.3g}] ({level} interval where there is one)"
    if summary["p_verdict"].get("below", 0.0) >= COMMON:
        return f"Break-even {where}. Speculation {rest}."
    return f"Speculation {rest}. Where there is a break-even it is {where}."


def print_tune(
    result: xr.Dataset,
    table: pd.DataFrame,
    rows: pd.DataFrame,
    words: list[str],
    base: pd.DataFrame,
    vllm: Sequence[str],
    explain: bool = False,
) -> None:
    """Print a comparison of draft lengths.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.tune.tune`.
    table : DataFrame
        From :func:`bayes_sd.decide.tables.tune_table`.
    rows : DataFrame
        From :func:`bayes_sd.decide.schedule.schedule`.
    words : list of str
        How the condition came about.
    base : DataFrame
        The condition.
    vllm : sequence of str
        What to give to vLLM, in parts that stay whole.
    explain : bool
        Whether to say what the numbers mean and to show the runners-up.
    """
    page, about = Page(explain), result.attrs
    page.answer(*about["answer"])
    show_setting(page, base.assign(k=0), words, arrivals=about["arrivals"])
    drafters = [str(c) for c in result["choice"].to_numpy()]
    short = _short_names(drafters)
    if short:
        page.say("Drafters: " + ", ".join(f"{letter} = {name}" for name, letter in short.items()) + ".")
    most = MORE if explain else FEWER
    shown = thinned(result["load"].to_series().reset_index(drop=True).to_frame("load"), most).index
    unit, scale = unit_of(table.loc[table["safe"], "latency_median_s"])
    heads = (HEADS[about["load_axis"]], "safe choice", f"latency, {unit}", "loses", "P(best)")
    page.table(
        f"Best draft length over load, median [{about['ci']:.0%} interval]",
        (*heads, "runner-up loses" if explain else "likeliest"),
        [_tune_line(result, table, i, short, scale, explain) for i in shown],
        thin=True,
    )
    if short and explain:
        chosen = result.isel(load=shown)
        lines = [
            (load(at), *(percent(p) for p in row))
            for at, row in zip(chosen["load"].to_numpy(), chosen["p_best_drafter"].to_numpy().T, strict=True)
        ]
        called = [short.get(name, name) for name in drafters]
        page.table("Probability that the best one drafts with", (HEADS[about["load_axis"]], *called), lines)
    page.table(f"Draft length by batch size, for {rows['drafter'].iloc[0]}", *_schedule(rows))
    page.notes("Mind:", about["caveats"], 2)
    page.more(
        "How to read it:",
        [
            "Safe choice: lowest expected share of the attainable speed lost ('loses').",
            "P(best): probability that this one has the lowest mean latency, given what was measured; where it is low and "
            "the loss is small too, the choice hardly matters.",
        ],
    )
    page.gap()
    page.paste("vLLM:", vllm)
    page.print()


def _short_names(choices: list[str]) -> dict[str, str]:
    """Give letters to drafters where there are several."""
    drafters = [c for c in choices if c != "none"]
    return dict(zip(drafters, "ABCDEFGHIJ", strict=False)) if len(drafters) > 1 else {}


def _tune_line(
    result: xr.Dataset, table: pd.DataFrame, i: int, short: dict[str, str], scale: float, explain: bool
) -> tuple[str, ...]:
    n = result.sizes["alternative"]
    own = table.iloc[i * n : (i + 1) * n]
    at = load(float(result["load"].to_numpy()[i]))
    if not own["safe"].any():
        return (at, "-", "saturated", *[""] * 3)
    safe, probable = own[own["safe"]].iloc[0], own[own["probable"]].iloc[0]
    other = own[~own["safe"]].sort_values("relative_regret").iloc[0]
    last = f"{_called(probable, short)}: {percent(probable['p_best'])}"
    if explain:
        last = f"{_called(other, short)}: {other['relative_regret']:.1%}"
    elif probable["alternative"] == safe["alternative"]:
        last = "the same"
    return (
        at,
        _called(safe, short),
        latency(safe, "latency", scale),
        f"{safe['relative_regret']:.1%}",
        percent(safe["p_best"]),
        last,
    )


def _called(row: pd.Series, short: dict[str, str]) -> str:
    """Name an alternative: its draft length, with the drafter's letter where there are several."""
    if not row["k"]:
        return "none"
    return f"{short[row['drafter']]} k={row['k']}" if short else f"k={row['k']}"


def _schedule(rows: pd.DataFrame) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    lines: list[tuple[str, ...]] = [
        (
            f"{row['start']}-{row['end']}",
            f"{row['k']}" if row["k"] else "off",
            percent(row["p_best"]),
            f"{row['relative_regret']:.1%} (most {row['relative_regret_most']:.1%})",
            f"{row['regret_ms']:.0f} ms",
            f"k={row['runner_up']}: {row['runner_up_regret']:.1%}",
        )
        for row in rows.to_dict("records")
    ]
    return ("batch size", "k", "P(best)", "loses", "or", "runner-up loses"), lines
