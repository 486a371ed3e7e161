"""``acceptance``: counts in, acceptance by position and tokens per cycle at any draft length out."""

import os
from pathlib import Path

import click

from bayes_sd.cli.acceptance_page import print_acceptance
from bayes_sd.cli.numbers import CHAINS, DRAWS, PROBABILITY, SEED, TUNE
from bayes_sd.cli.output import ToWrite, gave
from bayes_sd.errors import ConditionError
from bayes_sd.files import check_writable, locked
from bayes_sd.plots.acceptance import plot_acceptance
from bayes_sd.plots.style import check_figure_path, save_figure
from bayes_sd.sample.settings import SamplerSettings

NOT_CONVERGED = 3


@click.command()
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Table(s) of counts, of accepted lengths, or of measurements.  [default: the shipped ones]",
)
@click.option("--iid", is_flag=True, help="One acceptance for all positions of a workload.")
@click.option("--output", required=True, type=ToWrite(), help="File of the fit (.nc).")
@click.option(
    "--k", "longest", default=8, show_default=True, type=click.IntRange(1, 64), help="Longest draft shown."
)
@click.option(
    "--ci",
    default=0.9,
    show_default=True,
    type=PROBABILITY,
    help="Probability of the intervals.",
)
@click.option("--draws", default=1000, show_default=True, type=DRAWS, help="Kept draws per chain.")
@click.option("--tune", default=700, show_default=True, type=TUNE, help="Warm-up draws per chain.")
@click.option("--chains", default=4, show_default=True, type=CHAINS, help="Chains.")
@click.option("--seed", default=20260515, show_default=True, type=SEED, help="Same seed, same file.")
@click.option(
    "--profiles",
    type=ToWrite(),
    help="Also write the profiles by method as a card (models/acceptance.toml is one).",
)
@click.option("--figure", type=ToWrite(), help="E over draft length: FILE.png or FILE.svg.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("--explain", is_flag=True, help="Print every workload, and say what the numbers mean.")
def acceptance(data, iid, output, longest, ci, draws, tune, chains, seed, profiles, figure, as_json, explain):
    """Fit acceptance by draft position: how many tokens a cycle commits at any draft length.

    \b
    Example:  uv run bayes_sd acceptance --output traces/acceptance.nc
    """
    from bayes_sd.acceptance import fit_acceptance, read_acceptance_data, save_acceptance
    from bayes_sd.acceptance.fit import SETTINGS
    from bayes_sd.acceptance.profiles import write_profiles
    from bayes_sd.acceptance.summary import acceptance_table

    if figure is not None:
        check_figure_path(figure)
    if iid and profiles:
        raise ConditionError("--profiles needs acceptance by position: leave --iid out")
    rows = read_acceptance_data(list(data) or None)
    check_writable(output)
    cores = min(chains, os.cpu_count() or 1)
    settings = SamplerSettings(
        draws=draws, tune=tune, chains=chains, cores=cores, seed=seed, target_accept=SETTINGS.target_accept
    )
    with locked(output):
        posterior = fit_acceptance(rows, iid=iid, settings=settings, progress=not as_json)
        save_acceptance(posterior, output)
    if profiles and posterior.passed:
        write_profiles(posterior, profiles)
    table = acceptance_table(posterior, range(1, longest + 1), ci)
    if figure is not None:
        save_figure(plot_acceptance(table, ci), figure)
    summary = {"file": str(output), "gate": posterior.about["gate"]}
    if not gave(summary, table, "cells", None, as_json):
        written = [output, *filter(None, (profiles if posterior.passed else None, figure))]
        print_acceptance(posterior, table, written, ci, explain)
    return 0 if posterior.passed else NOT_CONVERGED
