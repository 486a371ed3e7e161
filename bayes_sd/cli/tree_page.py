"""What ``tree`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayes_sd.cli.decisions import HEADS, MORE, MOST_NOTES
from bayes_sd.cli.forms import SHOWN, gain, latency, load, percent, thinned, unit_of
from bayes_sd.cli.page import Page
from bayes_sd.cli.setting import show_setting

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MEANING = (
    "64 x 6 is a tree of which a cycle verifies 64 tokens per request, the root included, and which takes 6 passes of the drafter.",
    "P(best): probability that this tree has the lowest mean latency of all that were compared; trees of like size are alike, so it "
    "may be low where nothing is lost.",
    "Gain: latency of the best chain over that of the tree, minus 1.",
    "The tree is fixed: a drafter that builds another one for each context (EAGLE-2) commits more with as many tokens.",
)


def print_trees(
    result: xr.Dataset, table: pd.DataFrame, words: list[str], base: pd.DataFrame, explain: bool = False
) -> None:
    """Print a comparison of trees.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.trees.best_trees`.
    table : DataFrame
        From :func:`bayes_sd.decide.tree_words.tree_table`.
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
    shown = thinned(table, MORE if explain else SHOWN)
    if "latency_median_s" in table:
        unit, scale = unit_of(table["latency_median_s"])
        heads = (HEADS[about["load_axis"]], "tree", f"latency, {unit}", "P(best)", "gain, %", "P(gain)")
        title = f"Best tree over load, median [{about['ci']:.0%} interval]"
        page.table(title, heads, [_line(row, scale) for row in shown.to_dict("records")], thin=True)
    page.notes("Mind:", about["caveats"], MOST_NOTES)
    page.more("How to read it:", MEANING)
    wide = table[table["top_k"] > 1] if "top_k" in table else table.iloc[:0]
    if len(wide):
        row = wide.iloc[0]
        page.gap()
        options = (
            f"--speculative-num-steps {row['depth']:.0f}",
            f"--speculative-eagle-topk {row['top_k']:.0f}",
            f"--speculative-num-draft-tokens {row['verify_tokens']:.0f}",
        )
        page.paste(f"SGLang at {load(row['load'])}:", options, " \\")
    page.print()


def _line(row: dict[Any, Any], scale: float) -> tuple[str, ...]:
    at = load(row["load"])
    if not row["choice"]:
        return (at, "-", "saturated", "", "", "")
    chain = row["choice"] == row["chain"]
    return (
        at,
        row["choice"] if row["top_k"] <= 1 else f"{row['verify_tokens']:.0f} x {row['depth']:.0f}",
        latency(row, "latency", scale),
        percent(row["p_best"]),
        "-" if chain else gain(row, "+z.0f"),
        "-" if chain else percent(row["p_faster"]),
    )
