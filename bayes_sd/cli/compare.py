"""``compare``: which of several fits predicts rows better that it has not seen."""

from pathlib import Path

import click

from bayes_sd.cards import load_cards
from bayes_sd.cli.numbers import MOST_DRAWS
from bayes_sd.cli.output import ToWrite, tell_written
from bayes_sd.cli.page import Page
from bayes_sd.errors import TraceError

MEANING = (
    "elpd: expected log density of a row that was left out with all that was measured of it; higher is better.",
    "weight: share of the fit in the mixture of all of them that predicts best.",
    "p_loo: how many unknowns the rows inform, effectively.",
)


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
@click.option("--output", type=ToWrite(), help="FILE.csv, FILE.json, or FILE.nc with every row's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--explain", is_flag=True, help="Say also what the numbers mean.")
def compare(traces, draws, models, accept_unconverged, output, as_json, explain):
    """Compare fits of the same rows by leave-one-out cross-validation.

    The unit that is left out is a row with all that was measured of it. A higher elpd (expected log predictive density)
    is better; `high k` counts rows for which it is not reliable.

    \b
    Example:  uv run bayes_sd compare traces/pooled.nc traces/unpooled.nc
    """
    import json

    from bayes_sd.check.compare import compare as run
    from bayes_sd.decide.tables import check_format, write_result
    from bayes_sd.posterior.posterior import load_posterior

    check_format(output)
    names = _names(traces)
    if len(names) < 2:
        raise TraceError(f"{traces[0]}: comparing takes two or more posterior files; name another one")
    cards = load_cards(models)
    posteriors = {name: load_posterior(path, accept_unconverged) for name, path in names.items()}
    result = run(posteriors, cards, draws)
    table = result.drop_dims("observation").to_dataframe()
    if output is not None:
        write_result(output, result, table.reset_index(), dict(result.attrs), "models")
    if as_json:
        rows = json.loads(table.reset_index().to_json(orient="records"))
        click.echo(json.dumps({**result.attrs, "models": rows}, indent=1))
        return
    print_compare(result, table, explain)
    tell_written(output)


def print_compare(result, table, explain: bool) -> None:
    """Print a comparison: the verdict, a table of the fits, and which rows it cannot judge."""
    page = Page(explain)
    page.answer(result.attrs["verdict"])
    rows = [
        (
            str(name),
            f"{row['elpd_loo']:.1f} ± {row['elpd_se']:.1f}",
            f"{row['difference']:.1f} ± {row['difference_se']:.1f}",
            f"{row['weight']:.2f}",
            f"{row['p_loo']:.1f}",
            f"{row['high_k']:.0f}",
        )
        for name, row in table.iterrows()
    ]
    heads = ("fit", "elpd", "to the best", "weight", "p_loo", "high k")
    page.table(f"Left-out density of {result.attrs['n_rows']} rows, ± standard error", heads, rows, left=1)
    caveats = []
    if (table["high_k"] > 0).any():
        caveats.append(
            f"high k: rows with a Pareto k above {float(table['good_k'].min()):.2f}, whose left-out density is not reliable "
            "(one row makes up its level)."
        )
    page.notes("Mind:", caveats)
    page.more("How to read it:", MEANING)
    page.print()


def _names(traces: tuple[Path, ...]) -> dict[str, Path]:
    """Shortest names that tell the files apart; a file given twice counts once."""
    paths = list(dict.fromkeys(traces))
    stems = [path.stem for path in paths]
    return {path.stem if stems.count(path.stem) == 1 else str(path): path for path in paths}
