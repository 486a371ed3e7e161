"""``fit``: measurements in, posterior file out."""

import json
import os
from pathlib import Path

import click

from bayes_sd.cli.numbers import CHAINS, CORES, DRAWS, SEED, TUNE, Number
from bayes_sd.cli.output import ToWrite
from bayes_sd.files import check_writable, locked
from bayes_sd.measurements.load import checked_family
from bayes_sd.model.spec import ModelSpec, family_priors
from bayes_sd.sample.settings import SamplerSettings

NOT_CONVERGED = 3


@click.command()
@click.option("--family", default="llama", show_default=True, help="Family of verifiers to fit, or 'all'.")
@click.option(
    "--data",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Measurement table(s) instead of the shipped ones.",
)
@click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards (TOML).")
@click.option("--output", type=ToWrite(), help="Posterior file.  [default: traces/FAMILY.nc]")
@click.option("--draws", default=1000, show_default=True, type=DRAWS, help="Kept draws per chain.")
@click.option("--tune", default=250, show_default=True, type=TUNE, help="Warm-up draws per chain.")
@click.option("--chains", default=4, show_default=True, type=CHAINS, help="Chains.")
@click.option("--cores", default=None, type=CORES, help="Chains run at once.  [default: processors]")
@click.option("--seed", default=20260515, show_default=True, type=SEED, help="Same seed, same file.")
@click.option(
    "--target-accept",
    type=Number(0.5, 0.999),
    default=None,
    help="Tuning target.  [default: 0.8; 0.9 with mixtures or many unknowns]",
)
@click.option(
    "--moe",
    default="coverage",
    type=click.Choice(["coverage", "dense"]),
    show_default=True,
    help="Expert-weight term.",
)
@click.option("--table", is_flag=True, help="Print also every source by hardware, and all stage costs.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def fit(family, data, models, output, draws, tune, chains, cores, seed, target_accept, moe, table, as_json):
    """Fit a family's measurements and save the posterior.

    \b
    Example:  uv run bayes_sd fit --family llama
    """
    from bayes_sd.cli.fit_report import fit_report
    from bayes_sd.posterior.posterior import save_posterior
    from bayes_sd.sample.fit import fit as run

    target = output or Path("traces") / f"{checked_family(family)}.nc"
    check_writable(target)
    settings = SamplerSettings(
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores or min(chains, os.cpu_count() or 1),
        seed=seed,
        target_accept=target_accept,
    )
    with locked(target):
        result = run(
            family,
            data or None,
            settings=settings,
            spec=ModelSpec(family=family, moe=moe, priors=family_priors(family, models)),
            models=models,
            progress=not as_json,
        )
        save_posterior(result.posterior, target)
    summary = fit_report(result, target)
    if as_json:
        click.echo(json.dumps(summary.to_dict(), indent=1))
    else:
        summary.print(table)
    return 0 if result.gate.passed else NOT_CONVERGED
