"""``report``: a posterior as one HTML page."""

import json
from pathlib import Path

import click

from bayes_sd.cli.output import ToWrite
from bayes_sd.report.build import make_report


@click.command(name="report")
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--output", required=True, type=ToWrite(), help="HTML file to write.")
@click.option(
    "--kind",
    default="family",
    show_default=True,
    type=click.Choice(["family", "decision", "model"]),
    help="The fit, what to decide by it, or how the model works.",
)
@click.option("--quarto", is_flag=True, help="Let an installed Quarto render it.")
@click.option("--accept-unconverged", is_flag=True, help="Use a fit that did not pass its convergence gate.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def report(trace, output, kind, quarto, accept_unconverged, as_json):
    """Write a report of a posterior as one HTML page that needs nothing else.

    \b
    Example:  uv run bayes_sd report traces/llama.nc --output report.html --kind decision
    """
    make_report(kind, trace, output, quarto, accept_unconverged)
    if as_json:
        click.echo(json.dumps({"path": str(output), "kind": kind, "trace": str(trace)}, indent=1))
        return
    click.echo(f"{output}: {kind} report of {trace}; open it in a browser, it needs nothing else")
