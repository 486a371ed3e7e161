"""``predict``: conditions in, latencies with intervals out."""

from pathlib import Path

import click

from bayes_sd.cli.numbers import PROBABILITY, SEED
from bayes_sd.cli.opened import open_trace
from bayes_sd.measurements import read_conditions
from bayes_sd.measurements.csvfile import write_csv


@click.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option(
    "--conditions",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV with the measurement table's column names.",
)
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV to write: the conditions, then predictions.",
)
@click.option(
    "--ci",
    default=0.9,
    show_default=True,
    type=PROBABILITY,
    help="Probability of the intervals.",
)
@click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards (TOML).")
@click.option("--seed", default=0, show_default=True, type=SEED, help="For what was never measured.")
@click.option("--accept-unconverged", is_flag=True, help="Use a fit that did not pass its convergence gate.")
def predict(trace, conditions, output, ci, models, seed, accept_unconverged):
    """Predict latency for a table of conditions: its mean, and the 50th, 95th and 99th percentile of requests.

    Percentiles hang on how much output lengths vary: state it in the column output_tokens_std.

    \b
    Example:  uv run bayes_sd predict traces/llama.nc --conditions mine.csv --output predicted.csv
    """
    from bayes_sd.forecast.latency import predict as run
    from bayes_sd.forecast.summary import summarise

    posterior, cards = open_trace(trace, models, accept_unconverged)
    frame = read_conditions(conditions)
    for words in frame.attrs["understood"]:
        click.echo(words, err=True)
    table = summarise(run(posterior, frame, cards, seed), ci)
    write_csv(table, output)
    new = int((table["extrapolates"] != "").sum())
    unstable = int((~table["stable"]).sum())
    click.echo(
        f"{output}: {len(table)} conditions, {ci:.0%} intervals; {new} extrapolate, {unstable} past saturation"
    )
