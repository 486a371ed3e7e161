"""``tune --policy``: policies of drafting against fixed draft lengths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.cli.decisions import HEADS, MORE, MOST_NOTES
from bayes_sd.cli.forms import SHOWN, gain, latency, load, percent, thinned, unit_of
from bayes_sd.cli.output import gave, tell_written
from bayes_sd.cli.page import Page
from bayes_sd.cli.setting import show_setting
from bayes_sd.decide.policies import compare_policies
from bayes_sd.decide.policy_words import policy_table, policy_words
from bayes_sd.plots.policies import plot_policies
from bayes_sd.plots.style import save_figure

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.decide.request_classes import PromptClass
    from bayes_sd.posterior.posterior import Posterior

MEANING = (
    "by batch: the draft length follows the number of running requests, as the table under it says (vLLM's dynamic speculation).",
    "by class: each class of prompts has a draft length, or a table by batch, of its own (no engine reads such tables yet).",
    "confidence c: drafts go on, up to the longest, while the drafter's confidence is at least c.",
    "Each policy is judged under the number in flight that it brings about itself at that rate.",
    "Gain: latency of the best fixed draft length at that load over that of the policy, minus 1.",
)


def run_policies(
    posterior: Posterior,
    cards: Cards,
    base: pd.DataFrame,
    words: list[str],
    *,
    loads: Any,
    axis: Any,
    longest: int,
    classes: Sequence[PromptClass],
    ci: float,
    seed: int,
    output: Path | None,
    figure: Path | None,
    as_json: bool,
    explain: bool,
) -> None:
    """Compare policies, and print, write and draw what comes out; arguments are the options of ``tune``."""
    result = compare_policies(
        posterior, base, loads, axis, longest=longest, classes=classes, ci=ci, cards=cards, seed=seed
    )
    words = [*words, *mixture_words(classes)]
    result.attrs["answer"] = policy_words(result)
    table = policy_table(result)
    summary = {"chosen": words, **result.attrs}
    if figure is not None:
        save_figure(plot_policies(result), figure)
    if gave(summary, table, "loads", output, as_json, result):
        return
    print_policies(result, table, words, base, explain)
    tell_written(output, figure)


def mixture_words(classes: Sequence[PromptClass]) -> list[str]:
    """Say which classes of requests a mixture has, in one sentence; none where there are no classes."""
    if not classes:
        return []
    said = [f"{one.share:.0%} {one.name}" for one in classes]
    return [f"Requests are a mixture: {', '.join(said)}; what else is said of requests holds for all of them"]


def print_policies(
    result: xr.Dataset, table: pd.DataFrame, words: list[str], base: pd.DataFrame, explain: bool = False
) -> None:
    """Print a comparison of policies.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.policies.compare_policies`.
    table : DataFrame
        From :func:`bayes_sd.decide.policy_words.policy_table`.
    words : list of str
        How the condition came about.
    base : DataFrame
        The condition.
    explain : bool
        Whether to say what the numbers mean.
    """
    page, about = Page(explain), result.attrs
    page.answer(*about["answer"])
    show_setting(page, base.assign(k=0), words, arrivals=about["arrivals"])
    shown = thinned(table[table["chosen"]], MORE if explain else SHOWN)
    unit, scale = unit_of(shown["latency_median_s"])
    heads = (
        HEADS[about["load_axis"]],
        "policy",
        f"latency, {unit}",
        "P(best)",
        "gain, %",
        "P(gain)",
    )
    page.table(
        f"Best policy over load, median [{about['ci']:.0%} interval]",
        heads,
        [_line(row, scale) for row in shown.to_dict("records")],
        thin=True,
    )
    for name, rows in about["tables"].items():
        page.say(f"{name}: {_ranges(rows)}.")
    page.notes("Mind:", about["caveats"], MOST_NOTES)
    page.more("How to read it:", MEANING)
    page.print()


def _ranges(rows: Sequence[Sequence[int]]) -> str:
    if len(rows) == 1:
        return f"k = {rows[0][2]}"
    return ", ".join(f"k = {k} up to {last}" for _, last, k in rows)


def _line(row: dict[Any, Any], scale: float) -> tuple[str, ...]:
    fixed = bool(row["best_fixed"])
    return (
        load(row["load"]),
        row["policy"],
        latency(row, "latency", scale),
        percent(row["p_best"]),
        "-" if fixed else gain(row),
        "-" if fixed else percent(row["p_faster"]),
    )
