"""``compare``: which of several fits predicts rows better that it has not seen."""

from pathlib import Path

import click

from bayes_sd.cards import load_cards
from bayes_sd.cli.numbers import MOST_DRAWS
from bayes_sd.errors import TraceError


@click.command()
@click.argument("traces", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--draws",
    default=4000,
    show_default=True,
    type=click.IntRange(100, MOST_DRAWS),
    help="Draws of each fit to use at most.",
)
@click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards (TOML).")
@click.option("--accept-unconverged", is_flag=True, help="Use fits that did not pass their convergence gate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(traces, draws, models, accept_unconverged, as_json):
    """Compare fits of the same rows by leave-one-out cross-validation.

    The unit that is left out is a row with all that was measured of it. A higher elpd (expected log predictive density)
    is better; `high k` counts rows for which it is not reliable.

    \b
    Example:  uv run bayes_sd compare traces/pooled.nc traces/unpooled.nc
    """
    import json

    from bayes_sd.check.compare import compare as run
    from bayes_sd.posterior.posterior import load_posterior

    names = _names(traces)
    if len(names) < 2:
        raise TraceError(f"{traces[0]}: comparing takes two or more posterior files; name another one")
    cards = load_cards(models)
    posteriors = {name: load_posterior(path, accept_unconverged) for name, path in names.items()}
    result = run(posteriors, cards, draws)
    table = result.drop_dims("observation").to_dataframe()
    if as_json:
        rows = json.loads(table.reset_index().to_json(orient="records"))
        click.echo(json.dumps({**result.attrs, "models": rows}, indent=1))
        return
    click.echo(f"{result.attrs['n_rows']} rows, each left out once with all that was measured of it")
    click.echo(_printed(table))
    click.echo(result.attrs["verdict"])
    if (table["high_k"] > 0).any():
        limit = float(table["good_k"].min())
        click.echo(
            f"high k: rows with a Pareto k above {limit:.2f}, whose left-out density is not reliable (one row makes up its level)"
        )


def _names(traces: tuple[Path, ...]) -> dict[str, Path]:
    """Shortest names that tell the files apart; a file given twice counts once."""
    paths = list(dict.fromkeys(traces))
    stems = [path.stem for path in paths]
    return {path.stem if stems.count(path.stem) == 1 else str(path): path for path in paths}


def _printed(table) -> str:
    shown = table[["elpd_loo", "elpd_se", "difference", "difference_se", "p_loo", "weight", "high_k"]].copy()
    for column in ("elpd_loo", "elpd_se", "difference", "difference_se", "p_loo"):
        shown[column] = shown[column].map("{:.1f}".format)
    shown["weight"] = shown["weight"].map("{:.2f}".format)
    shown["high_k"] = shown["high_k"].map("{:.0f}".format)
    shown.columns = ["elpd", "± se", "difference", "± se", "p_loo", "weight", "high k"]
    shown.index.name = None
    return shown.to_string()
