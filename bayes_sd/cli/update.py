"""``update``: a posterior with new rows, without a fit."""

from pathlib import Path

import click

from bayes_sd.cli.condition import trace_options
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite
from bayes_sd.files import check_writable, locked


@click.command()
@trace_options
@click.option(
    "--data",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Measurement table(s) with the new rows.",
)
@click.option("--output", type=ToWrite(), help="Posterior file.  [default: TRACE-updated.nc beside it]")
@click.option(
    "--no-sampling", is_flag=True, help="Give up, with a line, where weighing and moving draws is not enough."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def update(trace, data, output, no_sampling, as_json, models, seed, accept_unconverged):
    """Bring a posterior up to date with new rows, in seconds instead of a fit's minutes.

    Draws are weighted by the new rows; if that leaves too few, they are moved first; if that does not help either, the sampler runs
    from there. Where that does not converge, one line says that a fit is needed and nothing is written.

    \b
    Example:  uv run bayes_sd update traces/llama.nc --data new.csv
    """
    import json

    from bayes_sd.learn.update import update as run
    from bayes_sd.posterior import save_posterior

    target = output or trace.with_name(f"{trace.stem}-updated.nc")
    check_writable(target)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    with locked(target):
        result = run(posterior, data, cards=cards, seed=seed, sampling=not no_sampling)
        save_posterior(result.posterior, target)
    if as_json:
        rules = result.report.counts()
        click.echo(json.dumps({**result.to_dict(), "rules": rules, "path": str(target)}, indent=1))
        return
    click.echo(f"{result.sentence()}.")
    if result.new_levels:
        click.echo(f"New, drawn from their hierarchies first: {', '.join(result.new_levels)}.")
    if result.known:
        click.echo(f"{result.known} rows were among the fitted ones already, and count once.")
    if result.unexpected:
        click.echo(
            f"note: {result.unexpected} of the {result.added + result.repeated} rows lie outside the 99 % interval that the "
            "posterior had for them: check that they are of the server that they say.",
            err=True,
        )
    click.echo(str(result.report))
    click.echo(f"wrote {target}")
