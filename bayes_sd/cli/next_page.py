"""What ``next`` prints: what to measure, what each run is worth, and how the numbers came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayes_sd.cli.page import Page
from bayes_sd.cli.setting import show_setting
from bayes_sd.learn.next_runs import minutes

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MEANING = (
    "Regret is the share of the attainable speed that the safest choice gives away on average, over what may be true.",
    "A run's worth is how much the regret is expected to fall once it is known; ± is its Monte Carlo error.",
    "A minute: of measuring and of starting its server.",
    "It is a lower bound: a choice made by a regression on what was measured, which is not quite the best one.",
)


def print_next(
    result: xr.Dataset, table: pd.DataFrame, base: pd.DataFrame, words: list[str], explain: bool
) -> None:
    """Print which runs to measure.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.learn.next_runs.next_runs`.
    table : DataFrame
        From :func:`bayes_sd.learn.written.runs_table`.
    base : DataFrame
        The condition.
    words : list of str
        How it came about.
    explain : bool
        Whether to say what the numbers mean.
    """
    page, about = Page(explain), result.attrs
    page.answer(about["verdict"])
    if result.sizes["step"]:
        left = "regret then" if about["aim"] == "regret" else "interval then"
        page.table(
            f"Measure, within {minutes(about['budget_s'])}", ("run", left, "after"), _steps(result), left=1
        )
    shown = base.assign(k=0) if about["decide"] == "k" else base
    show_setting(page, shown, words, arrivals="" if about["decide"] == "replicas" else about["arrivals"])
    page.notes("Safest if nothing is measured:", _choices(about))
    page.table(
        "Worth of single runs",
        ("run", "regret falls by", "narrower", "takes", "a minute"),
        _worth(table),
        left=1,
        rest="{} more candidates are worth less (--output FILE.csv has them all).",
    )
    page.more("What the numbers mean:", MEANING)
    page.print()


def _steps(result: xr.Dataset) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for i in range(result.sizes["step"]):
        step = result.isel(step=i)
        left = f"{max(float(step['regret']), 0.0):.2%}"
        if result.attrs["aim"] == "width":
            left = f"{float(step['width']):.0%} as wide"
        name = str(result["run"].to_numpy()[int(step["chosen"])])
        rows.append((f"{i + 1}. {name}", left, minutes(float(step["elapsed_s"]))))
    return rows


def _worth(table: pd.DataFrame) -> list[tuple[str, ...]]:
    return [
        (
            str(row["run"]),
            f"{row['regret_fall']:.2%} ± {row['regret_fall_error']:.2%}",
            f"{row['width_fall']:.0%}",
            minutes(row["seconds"]),
            f"{row['per_minute']:.2%}",
        )
        for row in table.to_dict("records")
    ]


def _choices(about: dict[str, Any]) -> list[str]:
    """Say the safe choice of each load, alike ones together."""
    unit = {
        "in-flight": " in flight",
        "rate": " requests/s",
        "utilisation": " of the plain server's limit",
        "": "",
    }[about["axis"]]
    said: dict[str, list[str]] = {}
    for text in about["choice"]:
        part, _, choice = text.partition(": ")
        said.setdefault(choice, []).append(part)
    what = " replicas" if about["decide"] == "replicas" else ""
    return [f"at {', '.join(parts)}{unit}: {choice}{what}" for choice, parts in said.items()]
