"""``bands``: latency bands over load with the measured points, the collapse, and latency by stage."""

from pathlib import Path

import click

from bayes_sd.cli.bands_files import named_figures, write_bands
from bayes_sd.cli.bands_page import print_bands
from bayes_sd.cli.condition import trace_options
from bayes_sd.cli.numbers import PROBABILITY
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite
from bayes_sd.errors import ConditionError
from bayes_sd.measurements import read_conditions


@click.command()
@trace_options
@click.option(
    "--deployment",
    metavar="WORDS",
    help="Measured configurations whose name has all of these words.  [default: the speculating deployment with the most rows]",
)
@click.option(
    "--list", "listing", is_flag=True, help="Print the names of the measured configurations and stop."
)
@click.option(
    "--conditions",
    type=click.Path(path_type=Path),
    help="CSV of conditions of your own instead of measured ones; their loads make the curve.",
)
@click.option(
    "--output",
    type=ToWrite(folder=True),
    help="Folder for the table (bands.csv) and all figures.",
)
@click.option("--figure", type=ToWrite(), help="Bands over load: FILE.png or FILE.svg.")
@click.option("--collapse-figure", type=ToWrite(), help="Universal collapse.")
@click.option("--stages-figure", type=ToWrite(), help="Latency by stage.")
@click.option(
    "--ci",
    default=0.9,
    show_default=True,
    type=PROBABILITY,
    help="Probability of the bands.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("--explain", is_flag=True, help="Print all configurations, with more loads of each.")
def bands(
    trace, deployment, listing, conditions, output, figure, collapse_figure, stages_figure, ci, models, seed,
    accept_unconverged, as_json, explain,
):  # fmt: skip
    """Draw latency over load: bands, measured points, collapse, and where the time goes.

    \b
    Example:  uv run bayes_sd bands traces/llama.nc --deployment "eagle3 humaneval" --output bands/
    """
    from bayes_sd.decide.bands import DRAWS, latency_bands
    from bayes_sd.decide.collapse import collapse
    from bayes_sd.decide.configurations import configurations_of, measured_configurations, select
    from bayes_sd.forecast.mixture import thinned

    if deployment is not None and conditions is not None:
        raise ConditionError(
            "--deployment selects measured configurations and --conditions gives others: keep one"
        )
    files = named_figures(figure, collapse_figure, stages_figure)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    posterior = thinned(posterior, DRAWS)
    if conditions is not None:
        configurations = configurations_of(read_conditions(conditions), cards)
    else:
        configurations = measured_configurations(posterior, cards)
        if listing:
            click.echo("\n".join(f"{c.name} ({len(c.rows)} rows)" for c in configurations))
            return
        configurations = select(configurations, deployment)
    results = [latency_bands(posterior, c, cards, ci=ci, seed=seed) for c in configurations]
    measured = collapse(posterior, configurations, cards, ci, seed) if conditions is None else None
    written = write_bands(results, measured, output, files)
    print_bands(results, written, as_json, explain)
