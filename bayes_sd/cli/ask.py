"""``ask``: one condition in one line, and the decision about it."""

from typing import Literal

import click

from bayes_sd.cards.sentence import read_sentence, restate
from bayes_sd.cli.condition import trace_options
from bayes_sd.cli.numbers import PROBABILITY
from bayes_sd.cli.opened import open_trace
from bayes_sd.errors import ConditionError


@click.command()
@trace_options
@click.argument("question", nargs=-1, required=True)
@click.option(
    "--ci",
    default=0.9,
    show_default=True,
    type=PROBABILITY,
    help="Probability of the intervals.",
)
@click.option(
    "--longest", default=8, show_default=True, type=click.IntRange(1, 32), help="Draft lengths to compare."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ask(trace, question, ci, longest, models, seed, accept_unconverged, as_json):
    """Answer QUESTION, a condition in one line: latency with and without speculation, and the best draft length.

    Every word of it is understood or refused, and what was understood is printed; what it leaves open is taken from the trace
    and said.

    \b
    Example:  uv run bayes_sd ask traces/llama.nc "Llama-3.1-8B fp8 on 2xH100 vllm eagle3 k=3 at 8 req/s, 1k in 256 out"
    """
    import json

    from bayes_sd.cli.decisions import print_speedup
    from bayes_sd.condition import Question, base_condition
    from bayes_sd.decide.speedup import speedup
    from bayes_sd.decide.tables import records, speedup_summary, speedup_table

    posterior, cards = open_trace(trace, models, accept_unconverged)
    columns = read_sentence(" ".join(question), cards)
    understood = restate(columns)
    kind, load = _load(columns)
    drafter = columns.pop("drafter", None)
    asked = Question(columns, drafters=() if drafter is None else (drafter,))
    base, words = base_condition(
        posterior, cards, asked, kind, load, speculate=True, draft_length=DRAFT_LENGTH
    )
    axis: Literal["in-flight", "rate"] = "in-flight" if kind == "concurrency" else "rate"
    result = speedup(posterior, base, (load,), axis, ci=ci, cards=cards, seed=seed)
    table, summary = speedup_table(result), speedup_summary(result)
    lengths = _best_length(posterior, base, cards, (load, axis, ci, longest, seed))
    if as_json:
        shown = {
            "understood": columns,
            "assumed": words,
            **summary,
            "loads": records(table),
            "draft_lengths": records(lengths),
        }
        click.echo(json.dumps(shown, indent=1))
        return
    print_speedup(result, table, summary, [f"Understood: {understood}.", *words])
    click.echo(_words(lengths))


DRAFT_LENGTH = 3
"""Draft length of a question that names none, where nothing measured does either."""


def _load(columns):
    kind, load = columns.pop("load_kind", None), columns.pop("load_value", None)
    if kind is None:
        raise ConditionError("the question names no load: add one, as '8 req/s' or '16 clients'")
    if load <= 0:
        raise ConditionError(f"the question's load is {load:g}: it must be above 0")
    return kind, load


def _best_length(posterior, base, cards, how):
    from bayes_sd.decide.tables import tune_table
    from bayes_sd.decide.tune import prepare_choices, tune_prepared

    load, axis, ci, longest, seed = how
    drafters = [(str(base["method"].iloc[0]), str(base["drafter"].iloc[0]))]
    prepared = prepare_choices(posterior, base, range(longest + 1), drafters, cards, seed)
    return tune_table(tune_prepared(posterior, prepared, (load,), axis, ci=ci))


def _words(lengths) -> str:
    if not lengths["safe"].any():
        return "Draft length: none has a steady state at this load."
    safe, likely = (lengths[lengths[name]].iloc[0] for name in ("safe", "probable"))
    middle, low, high = (safe[f"latency_{end}_s"] for end in ("median", "lower", "upper"))
    return (
        f"Draft length: {safe['alternative']} loses least on average ({safe['relative_regret']:.1%}), "
        f"latency {middle:.3g} s [{low:.3g}, {high:.3g}]; {likely['alternative']} is best with probability {likely['p_best']:.0%}."
    )
