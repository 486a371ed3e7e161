"""``bands``: latency bands over load with the measured points, the collapse, and latency by stage."""

from pathlib import Path

import click

from bayes_sd.cli.bands_files import named_figures, write_bands
from bayes_sd.cli.bands_page import print_bands
from bayes_sd.cli.condition import row_options, trace_options
from bayes_sd.cli.loads import load_options
from bayes_sd.cli.numbers import PROBABILITY
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite
from bayes_sd.cli.setting import asked_condition
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
@row_options("drafter")
@load_options("rate")
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
    trace, deployment, listing, conditions, stated, loads, load_axis, output, figure, collapse_figure, stages_figure, ci, models, seed,
    accept_unconverged, as_json, explain,
):  # fmt: skip
    """Draw latency over load: bands, measured points, collapse, and where the time goes.

    A configuration of your own comes from a table, or from options named as its columns are, with --loads.

    \b
    Example:  uv run bayes_sd bands traces/llama.nc --deployment "eagle3 humaneval" --output bands/
    """
    from bayes_sd.decide.bands import DRAWS, latency_bands
    from bayes_sd.decide.collapse import collapse
    from bayes_sd.decide.configurations import configurations_of, measured_configurations, select
    from bayes_sd.forecast.mixture import thinned

    own = [f"--{name.replace('_', '-')}" for name in stated] + ["--conditions"] * (conditions is not None)
    if deployment is not None and own:
        raise ConditionError(
            f"--deployment selects measured configurations and {own[0]} gives others: keep one"
        )
    if conditions is not None and stated:
        raise ConditionError(
            f"--conditions and {own[0]} are both given: a table has its own columns, keep one"
        )
    if stated and loads is None:
        raise ConditionError(
            f"{own[0]} gives a configuration of your own: say at which loads, as --loads 1,2,4,8"
        )
    if loads is not None and not stated:
        raise ConditionError(
            "--loads is for a configuration by options; measured ones and tables have their own loads"
        )
    files = named_figures(figure, collapse_figure, stages_figure)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    posterior = thinned(posterior, DRAWS)
    if conditions is not None:
        configurations = configurations_of(read_conditions(conditions), cards)
    elif stated:
        rows, words = _asked(posterior, cards, stated, loads, load_axis)
        configurations = configurations_of(rows, cards)
        for sentence in words:
            click.echo(sentence, err=True)
    else:
        configurations = measured_configurations(posterior, cards)
        if listing:
            click.echo("\n".join(f"{c.name} ({len(c.rows)} rows)" for c in configurations))
            return
        configurations = select(configurations, deployment)
    results = [latency_bands(posterior, c, cards, ci=ci, seed=seed) for c in configurations]
    measured = None if own else collapse(posterior, configurations, cards, ci, seed)
    written = write_bands(results, measured, output, files)
    print_bands(results, written, as_json, explain)


def _asked(posterior, cards, stated, loads, load_axis):
    """Give a configuration that options state, a row for each load, and what was chosen for want of an option."""
    from bayes_sd.condition import Question

    kinds = {"rate": "rate", "in-flight": "concurrency"}
    if load_axis not in kinds:
        raise ConditionError(f"--load-axis {load_axis}: bands are drawn over {' or '.join(kinds)}")
    columns = dict(stated)
    drafter = columns.pop("drafter", None)
    asked = Question(columns, drafters=() if drafter is None else (drafter,), by_options=True)
    plain = columns.get("method") == "none"
    base, words = asked_condition(posterior, cards, asked, kinds[load_axis], loads[0], speculate=not plain)
    rows = base.loc[base.index.repeat(len(loads))].reset_index(drop=True)
    return rows.assign(load_value=[float(load) for load in loads]), words
