"""``explore``: one interactive page of a posterior."""

import json
from pathlib import Path

import click

from bayes_sd.cli.condition import condition_options, one_drafter, trace_options
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite


@click.command()
@trace_options
@condition_options
@click.option(
    "--output",
    default=Path("explore.html"),
    show_default=True,
    type=ToWrite(),
    help="HTML file to write.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print what was written, and what it is about, as JSON."
)
def explore(trace, asked, output, as_json, models, seed, accept_unconverged):
    """Write a page with sliders for load, lengths, draft length, acceptance and objective, that answers as they move.

    One HTML file that needs nothing else: it carries draws of the posterior and computes in the browser. Without options it is
    about the trace's deployment with most speculative rows.

    \b
    Example:  uv run bayes_sd explore traces/llama.nc --workload humaneval --output explore.html
    """
    from bayes_sd.condition import base_condition
    from bayes_sd.report.explore import make_explorer

    one_drafter(asked)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    base, words = base_condition(posterior, cards, asked, "rate", speculate=True)
    make_explorer(posterior, base, output, cards, seed, words)
    if as_json:
        click.echo(json.dumps({"path": str(output), "trace": str(trace), "chosen": words}, indent=1))
        return
    click.echo(f"{output}: open it in a browser; it needs no server")
