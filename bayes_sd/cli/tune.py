"""``tune``: which draft length and drafter at which load, and vLLM's table of it."""

import click

from bayes_sd.cli.classes import Classes
from bayes_sd.cli.condition import condition_options, trace_options
from bayes_sd.cli.loads import load_options
from bayes_sd.cli.numbers import PROBABILITY
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, gave, tell_written
from bayes_sd.cli.page import paste_parts
from bayes_sd.cli.setting import asked_condition
from bayes_sd.errors import ConditionError
from bayes_sd.plots.style import check_figure_path, save_figure


@click.command()
@trace_options
@condition_options
@load_options("in-flight")
@click.option(
    "--longest", default=8, show_default=True, type=click.IntRange(1, 64), help="Longest draft to consider."
)
@click.option(
    "--ci",
    default=0.9,
    show_default=True,
    type=PROBABILITY,
    help="Probability of the intervals.",
)
@click.option(
    "--vllm",
    type=ToWrite(beside=".csv"),
    help="FILE.json for vLLM's --speculative-config, with FILE.csv beside it saying how sure each row is.",
)
@click.option("--output", type=ToWrite(), help="Comparison by load: FILE.csv, FILE.json or FILE.nc.")
@click.option(
    "--policy",
    is_flag=True,
    help="Compare draft lengths by batch size and by the drafter's confidence with fixed ones, at rates.",
)
@click.option(
    "--classes",
    type=Classes(),
    metavar="P:SHARE,...|FILE.csv",
    help="With --policy: classes of prompts with their shares, as 300:0.7,4000:0.3, each to get a draft length of its own.",
)
@click.option("--figure", type=ToWrite(), help="FILE.png or FILE.svg.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option("--explain", is_flag=True, help="Say also what the numbers mean, and the runners-up.")
def tune(
    trace,
    asked,
    loads,
    load_axis,
    longest,
    ci,
    vllm,
    output,
    policy,
    classes,
    figure,
    as_json,
    explain,
    models,
    seed,
    accept_unconverged,
):
    """Choose the draft length, and the drafter, by load.

    Says for each load which draft length is probably best, which loses least on average, and how much. Repeat
    --drafter to compare drafters.

    \b
    Examples: uv run bayes_sd tune traces/llama.nc --workload humaneval --vllm speculation.json
              uv run bayes_sd tune traces/llama.nc --workload humaneval --policy --loads 2:14:7
              uv run bayes_sd tune traces/llama.nc --workload humaneval --policy --classes 200:0.7,4000:0.3
    """
    import json

    from bayes_sd.cli.decisions import print_tune
    from bayes_sd.condition import compared_drafters
    from bayes_sd.decide.ground import ground_words, rows_behind
    from bayes_sd.decide.schedule import (
        check_names,
        schedule,
        speculative_config,
        sweep_batch_sizes,
        write_schedule,
    )
    from bayes_sd.decide.tables import check_format, records, tune_table
    from bayes_sd.decide.tune import prepare_choices, tune_prepared
    from bayes_sd.decide.tune_words import schedule_words

    check_format(output)
    if figure is not None:
        check_figure_path(figure)
    check_names(vllm, output)
    if policy and (vllm is not None or len(asked.drafters) > 1):
        raise ConditionError(
            "--policy compares policies of one drafter and writes no table for vLLM: leave the other out"
        )
    if classes and not policy:
        raise ConditionError("--classes are compared under policies: give --policy with it")
    posterior, cards = open_trace(trace, models, accept_unconverged)
    kind = "concurrency" if load_axis == "in-flight" and not policy else "rate"
    base, words = asked_condition(posterior, cards, asked, kind, best=False)
    if policy:
        from bayes_sd.cli.policy_page import run_policies

        axis = "rate" if load_axis == "in-flight" else load_axis
        run_policies(
            posterior, cards, base, words, loads=loads, axis=axis, longest=longest, classes=classes or (), ci=ci, seed=seed,
            output=output, figure=figure, as_json=as_json, explain=explain,
        )  # fmt: skip
        return
    drafters = compared_drafters(asked, base, cards)
    prepared, changing = (
        prepare_choices(posterior, base, range(longest + 1), drafters, cards, seed, configured=c)
        for c in (False, True)
    )
    result = tune_prepared(posterior, prepared, loads, load_axis, ci=ci)
    table, rows = tune_table(result), schedule(sweep_batch_sizes(changing))
    config = speculative_config(rows, *prepared.written(rows["drafter"].iloc[0]), cards)
    result.attrs["answer"] = [
        *schedule_words(rows, several=len(drafters) > 1),
        ground_words(rows_behind(posterior, prepared, cards)),
    ]
    summary = {"vllm": config, "schedule": records(rows), "chosen": words, **result.attrs}
    if figure is not None:
        from bayes_sd.plots.tune import plot_tune

        save_figure(plot_tune(result), figure)
    if vllm is not None:
        write_schedule(vllm, config, rows)
    if gave(summary, table, "loads", output, as_json, result):
        return
    pasted = paste_parts(f"--speculative-config '{json.dumps(config)}'")
    if not rows["k"].any():
        pasted = ["leave --speculative-config out: no draft length is worth its cost at any batch size."]
    print_tune(result, table, rows, words, base, pasted, explain)
    tell_written(output, vllm, vllm and vllm.with_suffix(".csv"), figure)
