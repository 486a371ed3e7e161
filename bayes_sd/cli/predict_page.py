"""What ``predict`` prints: how many conditions were answered, their latencies, and what the answers rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.cli.forms import digits, latency, load, unit_of
from bayes_sd.cli.page import Page

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 12
"""Conditions in the table without --explain; a file and --json have them all."""
MOST_REASONS = 3
KINDS = {"rate": "req/s", "concurrency": "clients"}


def print_predict(table: pd.DataFrame, ci: float, left: int, explain: bool) -> None:
    """Print predictions.

    Parameters
    ----------
    table : DataFrame
        From :func:`bayes_sd.forecast.summary.summarise`, in the order of the conditions.
    ci : float
        Probability of the intervals.
    left : int
        Conditions that were left out.
    explain : bool
    """
    page = Page(explain)
    page.answer(*_answer(table, left))
    shown = table if explain else table.head(SHOWN)
    unit, scale = unit_of(table["latency_median_s"])
    rows = [
        (
            str(i),
            f"{load(row['load_value'])} {KINDS[row['load_kind']]}",
            "open" if row["k"] != row["k"] else f"{row['k']:g}",
            latency(row, "latency", scale),
            _tail(row, scale),
            digits(scale * row["ttft_median_s"]) if np.isfinite(row["ttft_median_s"]) else "-",
        )
        for i, row in enumerate(shown.to_dict("records"), start=1)
    ]
    page.table(
        f"Mean latency, 95th percentile and time to first token, median [{ci:.0%} interval]",
        ("", "load", "k", f"mean, {unit}", f"p95, {unit}", f"ttft, {unit}"),
        rows,
    )
    if len(shown) < len(table):
        page.say(f"{len(table) - len(shown)} more with --explain, --json, or in --output FILE.csv.")
    page.notes("Mind:", _caveats(table, explain))
    page.more(
        "How to read it:",
        [
            "mean: of the latency that all requests of a condition have on average; a new measurement scatters a little more "
            "(predictive_lower_s and predictive_upper_s in a file).",
            "p95: of single requests; it hangs on how much output lengths vary (column output_tokens_std).",
        ],
    )
    page.print()


def _answer(table: pd.DataFrame, left: int) -> list[str]:
    stable = table[table["stable"].astype(bool)]
    n = len(table)
    words = f"{n} condition{'' if n == 1 else 's'} answered"
    if left:
        words += f", {left} left out"
    if not len(stable):
        return [f"{words}: none has a steady state."]
    unit, scale = unit_of(stable["latency_median_s"])
    low, high = (digits(scale * float(v)) for v in stable["latency_median_s"].agg(["min", "max"]))
    between = f"{low} {unit}" if low == high else f"from {low} to {high} {unit}"
    past = f"; {n - len(stable)} past saturation" if len(stable) < n else ""
    return [f"{words}: mean latency {between}{past}."]


def _tail(row: dict[Any, Any], scale: float) -> str:
    values = [row[f"latency_p95{end}_s"] for end in ("", "_lower", "_upper")]
    if not np.isfinite(values[0]):
        return "-"
    middle, low, high = (digits(scale * v) if np.isfinite(v) else "∞" for v in values)
    return f"{middle} [{low}, {high}]"


def _caveats(table: pd.DataFrame, explain: bool) -> list[str]:
    words = []
    for column in ("extrapolates", "assumed"):
        reasons = table.loc[table[column] != "", column]
        if not len(reasons):
            continue
        counts = reasons.value_counts()
        some: Sequence[str] = [str(r) for r in (counts.index if explain else counts.index[:MOST_REASONS])]
        more = f"; and {len(counts) - len(some)} other" if len(counts) > len(some) else ""
        many = (
            f"{len(reasons)} with something assumed"
            if column == "assumed"
            else f"{len(reasons)} beyond what was measured"
        )
        words.append(f"{many}: {'; '.join(some)}{more}.")
    unstable = int((~table["stable"].astype(bool)).sum())
    if unstable:
        words.append(f"{unstable} past saturation: requests pile up, and no latency holds (saturated).")
    return words
