"""``plan --split``: how many workers read prompts and how many decode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.cli.forms import percent, seconds, thinned
from bayes_sd.cli.output import gave, tell_written
from bayes_sd.cli.page import Page
from bayes_sd.cli.setting import show_setting
from bayes_sd.decide.splits import plan_splits
from bayes_sd.plots.splits import best_rows, plot_splits
from bayes_sd.plots.style import save_figure

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

MEANING = (
    "Prefill workers read prompts, first come, first served; decode workers run the draft-verify steps, requests spread at random.",
    "Each line is the best split of so many GPUs: the one that holds the objective most probably.",
    "One pool: as many GPUs as replicas that read and decode.",
    "Moving a prompt's cache to the other pool is in what a fit learned of such servers, where it has any, else left out.",
)
COLUMNS = (
    "prefill_workers", "decode_workers", "gpus", "p_held", "p_stable", "latency_median_s", "p95_median_s", "ttft_median_s",
)  # fmt: skip
SHOWN = 12


def run_splits(
    posterior: Posterior,
    cards: Cards,
    base: pd.DataFrame,
    words: list[str],
    slos: Any,
    rate: float,
    *,
    gpus: tuple[int | None, int | None],
    most: int,
    probability: float,
    seed: int,
    figure: Path | None,
    output: Path | None,
    as_json: bool,
    explain: bool,
) -> None:
    """Plan splits, and print, write and draw what comes out; arguments are the options of ``plan``."""
    result = plan_splits(
        posterior, base, slos, rate, prefill_gpus=gpus[0], decode_gpus=gpus[1], most_gpus=most, probability=probability, cards=cards,
        seed=seed,
    )  # fmt: skip
    table = result[list(COLUMNS)].to_dataframe().reset_index(drop=True)
    result.attrs["answer"] = result.attrs["words"]
    if figure is not None:
        save_figure(plot_splits(result), figure)
    if gave({"chosen_for_you": words, **result.attrs}, table, "splits", output, as_json, result):
        return
    print_splits(result, table, words, base, explain)
    tell_written(output, figure)


def print_splits(
    result: xr.Dataset, table: pd.DataFrame, words: list[str], base: pd.DataFrame, explain: bool
) -> None:
    """Print a plan of splits.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.splits.plan_splits`.
    table : DataFrame
        One row a split.
    words : list of str
        How the condition came about.
    base : DataFrame
        The condition, as one pool.
    explain : bool
    """
    page, about = Page(explain), result.attrs
    page.answer(*about["words"])
    show_setting(page, base, words)
    one_pool = dict(
        zip(result["gpus_used"].to_numpy().tolist(), result["one_pool"].to_numpy().tolist(), strict=True)
    )
    best = table.loc[best_rows(result)]
    heads = ("GPUs", "prefill", "decode", "P(held)", "one pool", "latency, s", "p95, s", "TTFT, s")
    rows = [
        (
            f"{row['gpus']:.0f}", f"{row['prefill_workers']:.0f}", f"{row['decode_workers']:.0f}", percent(row["p_held"]),
            percent(one_pool[int(row["gpus"])]), *(seconds(row[n]) for n in ("latency_median_s", "p95_median_s", "ttft_median_s")),
        )
        for row in thinned(best, SHOWN).to_dict("records")
    ]  # fmt: skip
    sizes = f"{about['prefill_gpus']} and {about['decode_gpus']} GPUs a worker"
    page.table(f"Best split over GPUs, medians; {sizes}", heads, rows, thin=True)
    notes = [f"Never measured: {about['extrapolates']}."] if about["extrapolates"] else []
    page.notes("Mind:", notes)
    page.more("How to read it:", MEANING)
    page.print()
