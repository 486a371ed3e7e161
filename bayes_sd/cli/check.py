"""``check``: whether a posterior can be trusted."""

import click

from bayes_sd.cli.condition import condition_options, trace_options
from bayes_sd.cli.numbers import MOST_DRAWS, numbers
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.page import Page
from bayes_sd.cli.setting import asked_condition

SHOWN = 12
"""Deployments listed, those with most high k first."""


@click.command()
@trace_options
@condition_options
@click.option("--loads", default="1,8,64", show_default=True, help="Clients that decisions are judged at.")
@click.option(
    "--longest", default=8, show_default=True, type=click.IntRange(1, 64), help="Longest draft to consider."
)
@click.option(
    "--draws",
    default=1000,
    show_default=True,
    type=click.IntRange(100, MOST_DRAWS),
    help="Draws to use at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(trace, asked, loads, longest, draws, as_json, models, seed, accept_unconverged):
    """Check a trace: its rows when left out, by deployment, and which priors its decisions rest on.

    \b
    Example:  uv run bayes_sd check traces/llama.nc --loads 1,8,64
    """
    import json

    from bayes_sd.check.trusted import HIGH_K, SENSITIVE, prior_sensitivity, rows_left_out
    from bayes_sd.forecast.mixture import thinned

    clients = numbers(loads, "--loads", 0, 1e6)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    base, words = asked_condition(posterior, cards, asked, "concurrency", seed=seed)
    posterior = thinned(posterior, draws)
    left = rows_left_out(posterior, cards).to_dataframe()
    priors = prior_sensitivity(posterior, base, clients, range(1, longest + 1), cards)
    left["high"] = left["pareto_k"] > HIGH_K
    left["low_tail"], left["high_tail"] = left["pit"] < 0.05, left["pit"] > 0.95
    by = left.groupby("deployment", sort=False).agg(
        rows=("pit", "size"), high_k=("high", "sum"), low=("low_tail", "mean"), top=("high_tail", "mean")
    )
    by = by.sort_values("high_k", ascending=False, kind="stable")
    outside = float((left["low_tail"] | left["high_tail"]).mean())
    high = int(left["high"].sum())
    moved = [
        str(g) for g in priors["group"].to_numpy() if float(priors["speedup"].sel(group=g).max()) >= SENSITIVE
    ]
    verdict = (
        f"Left out, {outside:.0%} of {len(left)} rows lie in the outer tenth of what the others expect; {high} rows have a Pareto k "
        f"above {HIGH_K}, and are not judged well by this. Speedups rest "
        + (f"on the priors of {', '.join(moved)}." if moved else "on no group of priors alone.")
    )
    groups = [
        {
            "group": str(g),
            "p_faster_moves": float(priors["p_faster_moves"].sel(group=g).max()),
            "latency": float(priors["latency"].sel(group=g).max()),
            "speedup": float(priors["speedup"].sel(group=g).max()),
            "best_changes": bool(priors["best_changes"].sel(group=g).any()),
        }
        for g in priors["group"].to_numpy()
    ]
    if as_json:
        found = {
            "verdict": verdict,
            "condition": words,
            "deployments": by.reset_index().to_dict("records"),
            "priors": groups,
        }
        found["decisions"] = [
            {"load": load, "p_faster": float(p), "best_k": int(k)}
            for load, p, k in zip(
                clients, priors["p_faster"].to_numpy(), priors["best"].to_numpy(), strict=True
            )
        ]
        click.echo(json.dumps(found, indent=1))
        return
    _print(verdict, by, groups)


def _print(verdict, by, groups):
    page = Page()
    page.answer(verdict)
    rows = [
        (str(name), f"{r['rows']:.0f}", f"{r['high_k']:.0f}", f"{r['low']:.0%}", f"{r['top']:.0%}")
        for name, r in by.head(SHOWN).iterrows()
    ]
    page.table("Rows left out", ("deployment", "rows", "high k", "PIT < .05", "PIT > .95"), rows, left=1)
    rows = [
        (
            g["group"],
            f"{g['p_faster_moves']:.3f}",
            f"{g['latency']:.3f}",
            f"{g['speedup']:.3f}",
            "yes" if g["best_changes"] else "no",
        )
        for g in groups
    ]
    page.table(
        "Priors raised to 0.8 and 1.25, the most at any load",
        ("group", "P(faster) moves", "latency", "speedup", "best k changes"),
        rows,
        left=1,
    )
    page.print()
