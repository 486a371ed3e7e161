"""``ask``: one condition in one line, and the decision about it."""

from dataclasses import replace
from typing import Literal

import click

from bayes_sd.cards.sentence import read_sentence, restate
from bayes_sd.cli.condition import trace_options
from bayes_sd.cli.numbers import PROBABILITY
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, gave, tell_written
from bayes_sd.cli.setting import asked_condition
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
@click.option(
    "--output",
    type=ToWrite(),
    help="FILE.json, FILE.csv (draft lengths), or FILE.nc with the draws.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--explain", is_flag=True, help="Print all draft lengths and all points to mind.")
def ask(trace, question, ci, longest, models, seed, accept_unconverged, output, as_json, explain):
    """Answer QUESTION, a condition in one line: latency, whether speculation is faster, the best draft length, capacity.

    Every word of it is understood or refused, and what was understood is printed; what it leaves open is taken from the trace
    and said.

    \b
    Example:  uv run bayes_sd ask traces/llama.nc "Llama-3.1-8B fp8 on 2xH100 vllm eagle3 k=3 at 8 req/s, 1k in 256 out"
    """
    from bayes_sd.cli.ask_page import print_answer
    from bayes_sd.condition import Question
    from bayes_sd.decide.speedup import speedup
    from bayes_sd.decide.tables import check_format, records, speedup_summary, speedup_table

    check_format(output)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    columns = read_sentence(" ".join(question), cards)
    understood = restate(columns)
    kind, load = _load(columns)
    plain = columns.get("method") == "none"
    if plain:  # what it is compared with is chosen like anything that is left open
        columns = {name: said for name, said in columns.items() if name not in ("method", "k")}
    drafter = columns.pop("drafter", None)
    asked = Question(columns, drafters=() if drafter is None else (drafter,))
    base, words = asked_condition(posterior, cards, asked, kind, load, best=False)
    axis: Literal["in-flight", "rate"] = "in-flight" if kind == "concurrency" else "rate"
    lengths = _lengths(posterior, base, cards, (load, axis, ci, longest, seed))
    if "k" not in columns:
        k = _best(lengths)
        again = replace(asked, columns=columns | {"k": k})
        base, _ = asked_condition(posterior, cards, again, kind, load, best=False)
        words.append(f"Draft length: k = {k}, which loses least at this load.")
    if plain:
        words.append("You ask without speculation: the drafting that it is compared with is chosen for you.")
    result = speedup(posterior, base, (load,), axis, ci=ci, cards=cards, seed=seed)
    table, summary = speedup_table(result), speedup_summary(result)
    said = {"understood": columns, "assumed": words, **summary, "loads": records(table)}
    if gave(said, lengths, "draft_lengths", output, as_json, result):
        return
    print_answer(result, table.iloc[0], lengths, base, (f"Understood: {understood}.", *words), explain)
    tell_written(output)


def _load(columns):
    kind, load = columns.pop("load_kind", None), columns.pop("load_value", None)
    if kind is None:
        raise ConditionError("the question names no load: add one, as '8 req/s' or '16 clients'")
    if load <= 0:
        raise ConditionError(f"the question's load is {load:g}: it must be above 0")
    return kind, load


def _lengths(posterior, base, cards, how):
    """Compare draft lengths at the load, none among them."""
    from bayes_sd.decide.tables import tune_table
    from bayes_sd.decide.tune import prepare_choices, tune_prepared

    load, axis, ci, longest, seed = how
    drafters = [(str(base["method"].iloc[0]), str(base["drafter"].iloc[0]))]
    prepared = prepare_choices(posterior, base, range(longest + 1), drafters, cards, seed)
    return tune_table(tune_prepared(posterior, prepared, (load,), axis, ci=ci))


def _best(lengths) -> int:
    """Give the draft length, of those that draft, that loses least on average."""
    drafting = lengths[lengths["k"] > 0]
    return int(drafting["k"].iloc[drafting["relative_regret"].fillna(float("inf")).to_numpy().argmin()])
