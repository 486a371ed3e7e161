"""``about``: what a posterior was fitted to, and so what it can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, gave, tell_written
from bayes_sd.cli.page import Page

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.posterior import Posterior

SHOWN = 5
"""Deployments listed without ``--all``."""
NAMED = 4
"""Names of one kind that are written out."""
CI = 0.9
DRAWS = 200
"""Of those that calibration is computed from: ends of intervals to a percent or two of rows."""


@click.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards.")
@click.option("--all", "every", is_flag=True, help="List all deployments.")
@click.option("--output", type=ToWrite(), help="All deployments: FILE.csv or FILE.json.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def about(trace, models, every, output, as_json):
    """Say what TRACE was fitted to: models, GPUs, engines, drafters, loads and lengths, and whether the fit converged.

    What it was not fitted to it can still be asked, with a wider answer that says so.

    \b
    Example:  uv run bayes_sd about traces/llama.nc
    """
    from bayes_sd.decide.scope import deployment_table, scope
    from bayes_sd.decide.tables import PLAIN, check_format

    check_format(output, PLAIN)
    posterior, cards = open_trace(trace, models, accept_unconverged=True)
    found, table = scope(posterior, cards), deployment_table(posterior, cards)
    found["calibration"] = _calibration(posterior, cards)
    if gave(found, table, "measured", output, as_json):
        return
    page = Page()
    page.answer(*_answer(trace, found))
    page.gap()
    page.lines(*_measured(found))
    shown = table if every else table.head(SHOWN)
    heads = ("deployment", "rows", "drafted", "load")
    page.table(
        "Deployments measured, those with most rows first",
        heads,
        [_row({str(n): v for n, v in row.items()}) for row in shown.to_dict("records")],
        left=1,
    )
    if len(shown) < len(table):
        page.say(f"{len(table) - len(shown)} more with --all.")
    page.notes("Mind:", _limits(found))
    page.print()
    tell_written(output)


def _answer(trace: Path, found: dict[str, Any]) -> list[str]:
    verdict = (
        "converged" if found["converged"] else f"NOT converged ({'; '.join(found['gate']) or 'no gate'})"
    )
    named = f" of family {found['family']}" if found["family"] else ""
    return [
        f"{trace}: a fit{named} to {found['rows']:,} measured cells of {found['deployments']} deployments, "
        f"{found['draws']:,} draws, {verdict}."
    ]


def _measured(found: dict[str, Any]) -> list[str]:
    lengths = ", ".join(
        f"{name.removesuffix('_tokens')} {low:,.0f} to {high:,.0f}"
        for name, (low, high) in found["lengths"].items()
    )
    loads = ", ".join(f"{low:.3g} to {high:,.6g} {unit}" for unit, (low, high) in found["loads"].items())
    drafters = _names(found["drafters"]) or "none: no row speculates"
    return [
        f"Families: {', '.join(found['families']) or 'of no card'}",
        f"Verifiers: {_names(found['verifiers'])}",
        f"Mixtures of experts: {', '.join(found['mixtures']) or 'none'}",
        f"Hardware: {_names(found['hardware'])}",
        f"Engines: {_names(found['engines'])}",
        f"Drafters: {drafters}",
        f"Draft lengths: {', '.join(map(str, found['draft_lengths'])) or 'none'}",
        f"Workloads: {_names(found['workloads'])}",
        f"Lengths: {lengths} tokens",
        f"Loads: {loads}",
        *_gate(found["gate_numbers"]),
        f"Calibration: {found['calibration']['inside']:.0%} of its own rows lie within the {CI:.0%} intervals that it gives them; "
        f"the median error is {found['calibration']['median_error']:.1%}. Rows left out: `check`.",
    ]


def _gate(numbers: dict[str, float]) -> list[str]:
    """Write the numbers of the convergence gate, of files that have them."""
    from bayes_sd.decide.scope import GATE

    if len(numbers) < len(GATE):
        return []
    rhat, bulk, tail, divergences = (numbers[name] for name in GATE)
    return [
        f"Gate: R-hat at most {rhat:.3f}, effective draws at least {min(bulk, tail):,.0f}, divergences {divergences:.0f}"
    ]


def _calibration(posterior: Posterior, cards: Cards) -> dict[str, float]:
    """Compare the rows that were fitted with what the posterior says of them."""
    import numpy as np

    from bayes_sd.check.fitted import fitted_rows

    rows = fitted_rows(posterior, cards, CI, thin=max(1, posterior.n_draws // DRAWS))
    errors = np.abs(rows["median"].to_numpy() / rows["measured"].to_numpy() - 1)
    return {"ci": CI, "inside": float(rows["inside"].mean()), "median_error": float(np.median(errors))}


def _names(counts: dict[str, int]) -> str:
    first = [f"{name} ({n})" for name, n in list(counts.items())[:NAMED]]
    rest = len(counts) - len(first)
    return ", ".join(first) + (f" and {rest} more" if rest > 0 else "")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    drafted = f"{row['speculating']} (k {row['draft_lengths']})" if row["speculating"] else "-"
    return (row["deployment"], str(row["rows"]), drafted, row["load"])


def _limits(found: dict[str, Any]) -> list[str]:
    """Name kinds of question that no row of the trace speaks of."""
    kinds = {
        "No mixture of experts was measured: an answer about one rests on its card and priors.": not found[
            "mixtures"
        ],
        "No row speculates: what drafting costs and gains rests on cards and priors.": not found["drafters"],
        "No open loop was measured: latency at a rate follows from queueing theory.": "req/s"
        not in found["loads"],
        "No closed loop was measured: latency of clients follows from queueing theory.": "clients"
        not in found["loads"],
        "One GPU model was measured: others rest on their cards.": len(found["hardware"]) == 1,
        "The fit did not converge: its answers may be wrong; fit it again with more draws.": not found[
            "converged"
        ],
    }
    return [words for words, holds in kinds.items() if holds]
