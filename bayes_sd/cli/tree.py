"""``tree``: which tree of drafts at which load, against chains and no speculation."""

from __future__ import annotations

import math

import click

from bayes_sd.cli.condition import condition_options, trace_options
from bayes_sd.cli.loads import load_options
from bayes_sd.cli.numbers import PROBABILITY, numbers
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, gave, tell_written
from bayes_sd.cli.setting import asked_condition
from bayes_sd.errors import ConditionError
from bayes_sd.plots.style import check_figure_path, save_figure


@click.command()
@trace_options
@condition_options
@load_options("in-flight")
@click.option(
    "--deepest", default=8, show_default=True, type=click.IntRange(1, 16), help="Most passes of the drafter."
)
@click.option(
    "--most-tokens",
    default=64,
    show_default=True,
    type=click.IntRange(2, 256),
    help="Most tokens that a cycle verifies per request.",
)
@click.option(
    "--ranks",
    metavar="A,B,C",
    help="Share of positions in which the drafter's first, second, ... candidate was accepted.  [default: an assumed law]",
)
@click.option(
    "--rank-positions",
    type=click.IntRange(1),
    metavar="N",
    help="Positions that --ranks was counted over.  [default: exact]",
)
@click.option("--ci", default=0.9, show_default=True, type=PROBABILITY, help="Probability of the intervals.")
@click.option("--figure", type=ToWrite(), help="FILE.png or FILE.svg.")
@click.option("--output", type=ToWrite(), help="Trees by load: FILE.csv, .json or .nc.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option("--explain", is_flag=True, help="Say also what the numbers mean.")
def tree(
    trace, asked, loads, load_axis, deepest, most_tokens, ranks, rank_positions, ci, figure, output, as_json, explain,
    models, seed, accept_unconverged,
):  # fmt: skip
    """Choose a tree of drafts by load: how many tokens to verify, how deep, how wide.

    \b
    Example:  uv run bayes_sd tree traces/llama.nc --workload humaneval --ranks 0.65,0.12,0.06 --figure trees.png
    """
    from bayes_sd.cli.tree_page import print_trees
    from bayes_sd.decide.ranks import RankLaw
    from bayes_sd.decide.tables import check_format
    from bayes_sd.decide.tree_words import tree_table, tree_words
    from bayes_sd.decide.trees import best_trees

    check_format(output)
    if figure is not None:
        check_figure_path(figure)
    if rank_positions is not None and ranks is None:
        raise ConditionError("--rank-positions says how often --ranks was counted: give --ranks too")
    law = RankLaw(
        tuple(numbers(ranks, "--ranks", 0.0, math.nextafter(1.0, 0.0))) if ranks else (), rank_positions
    )
    posterior, cards = open_trace(trace, models, accept_unconverged)
    kind = "concurrency" if load_axis == "in-flight" else "rate"
    base, words = asked_condition(posterior, cards, asked, kind, best=False)
    result = best_trees(
        posterior, base, loads, load_axis, deepest=deepest, most_tokens=most_tokens, ranks=law, ci=ci, cards=cards, seed=seed
    )  # fmt: skip
    result.attrs["answer"] = tree_words(result)
    table = tree_table(result)
    summary = {"chosen": words, **result.attrs}
    if figure is not None:
        from bayes_sd.plots.trees import plot_trees

        save_figure(plot_trees(result), figure)
    if gave(summary, table, "loads", output, as_json, result):
        return
    print_trees(result, table, words, base, explain)
    tell_written(output, figure)
