"""``speedup``: at which load speculation helps, and how sure that is."""

import click

from bayes_sd.cli.condition import condition_options, one_drafter, trace_options
from bayes_sd.cli.loads import load_options
from bayes_sd.cli.numbers import PROBABILITY
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, gave
from bayes_sd.cli.setting import asked_condition
from bayes_sd.plots.style import check_figure_path, save_figure


@click.command()
@trace_options
@condition_options
@load_options("rate")
@click.option(
    "--ci",
    default=0.9,
    show_default=True,
    type=PROBABILITY,
    help="Probability of the intervals.",
)
@click.option("--output", type=ToWrite(), help="FILE.csv, FILE.json, or FILE.nc with the draws.")
@click.option("--figure", type=ToWrite(), help="FILE.png or FILE.svg.")
@click.option("--json", "as_json", is_flag=True, help="Print summary and table as JSON.")
@click.option("--explain", is_flag=True, help="Say also where the numbers come from.")
def speedup(
    trace, asked, loads, load_axis, ci, output, figure, as_json, explain, models, seed, accept_unconverged
):
    """Compare speculation with none over load: speedup, break-even, and why.

    Without options it takes the trace's deployment with most speculative rows, and the best draft length for it.

    \b
    Example:  uv run bayes_sd speedup traces/llama.nc --workload humaneval --arrivals poisson
    """
    from bayes_sd.cli.decisions import print_speedup
    from bayes_sd.decide.speedup import speedup as run
    from bayes_sd.decide.tables import check_format, speedup_summary, speedup_table

    check_format(output)
    if figure is not None:
        check_figure_path(figure)
    one_drafter(asked)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    kind = "concurrency" if load_axis == "in-flight" else "rate"
    base, words = asked_condition(posterior, cards, asked, kind, seed=seed)
    result = run(posterior, base, loads, load_axis, ci=ci, cards=cards, seed=seed)
    table, summary = speedup_table(result), speedup_summary(result) | {"chosen": words}
    if figure is not None:
        from bayes_sd.plots.speedup import plot_speedup

        save_figure(plot_speedup(result), figure)
    if gave(summary, table, "loads", output, as_json, result):
        return
    print_speedup(result, table, summary, words, base, explain)
    if output is not None:
        click.echo(f"{output}: {len(table)} loads")
