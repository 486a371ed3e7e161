"""What ``acceptance`` prints: how many tokens a cycle commits, by pair, and whether the fit is to be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.cli.page import Page

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.acceptance.posterior import AcceptancePosterior

SHOWN = (1, 2, 3, 5, 8)
"""Draft lengths that have a column, where they were asked for."""
ROWS = 12
AT = 3
"""Draft length that the answer speaks of, where it was asked for."""


def print_acceptance(
    posterior: AcceptancePosterior, table: pd.DataFrame, written: list[Path], ci: float, explain: bool
) -> None:
    """Print a fit of acceptance.

    Parameters
    ----------
    posterior : AcceptancePosterior
    table : DataFrame
        As :func:`bayes_sd.acceptance.summary.acceptance_table` gives it.
    written : list of Path
    ci : float
        Probability of the intervals in `table`.
    explain : bool
        Whether to print every workload and what the numbers mean.
    """
    lengths = [int(c[2:]) for c in table.columns if c.startswith("E_") and c.count("_") == 1]
    page, data = Page(explain), posterior.data
    page.answer(*_answer(posterior, table, min(AT, max(lengths))))
    shown = table if explain else _spread(table)
    columns = [k for k in SHOWN if k in lengths] or lengths[:5]
    last = columns[-1]
    rows = [
        (
            f"{row['pair']} | {row['workload']}",
            f"{row['alpha_1']:.2f}",
            *(f"{row[f'E_{k}']:.2f}" for k in columns),
            f"{row[f'E_{last}_low']:.2f}-{row[f'E_{last}_high']:.2f}",
        )
        for row in shown.to_dict("records")
    ]
    heads = ("pair | workload", "α1", *(f"E({k})" for k in columns), f"E({last}), {ci:.0%}")
    page.table("Tokens committed per cycle, E, by draft length", heads, rows, left=1)
    if len(shown) < len(table):
        page.say(f"{len(table) - len(shown)} more workloads with --explain or --json.")
    page.more(
        "How to read it:",
        [
            f"E(k): tokens that a cycle commits at draft length k, the verifier's own included; at most k + 1. α1: acceptance of "
            f"the first of {max(lengths)} drafted tokens; --json has all positions.",
            f"From {len(data.counts)} counts by position and {len(data.lengths)} accepted lengths.",
        ],
    )
    page.print()
    for path in written:
        page = Page()
        page.paste("wrote", [str(path)])
        page.print()


def _answer(posterior: AcceptancePosterior, table: pd.DataFrame, k: int) -> list[str]:
    gate, committed = posterior.about["gate"], table[f"E_{k}"].to_numpy()
    low, high = int(committed.argmin()), int(committed.argmax())
    least, most = table.iloc[low], table.iloc[high]
    verdict = (
        f"The fit converged (R-hat {gate['max_rhat']:.3f}, {gate['divergences']} divergences)."
        if posterior.passed
        else f"The fit did NOT converge: {'; '.join(gate['failures'])}."
    )
    if low == high:
        return [f"A draft of {k} commits {least[f'E_{k}']:.2f} tokens a cycle on {_called(least)}.", verdict]
    return [
        f"A draft of {k} commits from {least[f'E_{k}']:.2f} tokens a cycle ({_called(least)}) to {most[f'E_{k}']:.2f} "
        f"({_called(most)}), over {len(table)} workloads of {table['pair'].nunique()} pairs.",
        verdict,
    ]


def _called(row: pd.Series) -> str:
    return f"{row['pair']}, {row['workload']}"


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    """Give as many workloads as fit a page: of every pair alike, in the order of the table."""
    each = max(1, ROWS // table["pair"].nunique())
    first = (table.groupby("pair", sort=False).cumcount() < each).to_numpy()
    return table.loc[first].head(ROWS)
