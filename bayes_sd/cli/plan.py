"""``plan``: how many replicas for a rate within a latency objective, with and without speculation."""

import click

from bayes_sd.cli.condition import condition_options, one_drafter, trace_options
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, tell_written
from bayes_sd.cli.setting import asked_condition
from bayes_sd.errors import ConditionError
from bayes_sd.plots.style import check_figure_path, save_figure


@click.command()
@trace_options
@condition_options
@click.option(
    "--slo",
    "slos",
    required=True,
    multiple=True,
    metavar="OBJECTIVE",
    help="As 'p95<2s' or 'ttft<300ms': mean, p50, p95, p99 of request latency, or mean ttft. Repeat to hold several.",
)
@click.option("--rate", type=float, help="Requests/s that all replicas serve together.")
@click.option(
    "--probability", default=0.9, show_default=True, type=float, help="That what is promised is kept with."
)
@click.option(
    "--split",
    is_flag=True,
    help="Split the GPUs into workers that read prompts and workers that decode, for --rate.",
)
@click.option(
    "--prefill-worker",
    type=click.IntRange(1),
    metavar="GPUS",
    help="GPUs of a prefill worker.  [default: --tp]",
)
@click.option(
    "--decode-worker",
    type=click.IntRange(1),
    metavar="GPUS",
    help="GPUs of a decode worker.  [default: --tp]",
)
@click.option(
    "--most-gpus",
    type=click.IntRange(2),
    default=32,
    show_default=True,
    help="GPUs of both pools at most, with --split.",
)
@click.option("--price", type=float, help="Price of a GPU-hour, in any currency.")
@click.option("--figure", type=ToWrite(), help="FILE.png or FILE.svg.")
@click.option("--output", type=ToWrite(), help="FILE.csv, FILE.json, or FILE.nc with the draws.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--explain", is_flag=True, help="Say also what the numbers mean.")
def plan(
    trace, asked, slos, rate, probability, split, prefill_worker, decode_worker, most_gpus, price, figure,
    output, as_json, explain, models, seed,
    accept_unconverged,
):  # fmt: skip
    """Plan capacity: the rate that one replica holds, the replicas that a rate needs.

    \b
    Examples: uv run bayes_sd plan traces/llama.nc --slo "p95<4s" --rate 40 --price 2.5
              uv run bayes_sd plan traces/llama.nc --slo "p95<4s" --slo "ttft<300ms" --rate 20 --split
    """
    import json

    from bayes_sd.cli.plan_page import plan_table, print_plan, told
    from bayes_sd.decide.objective import read_objective
    from bayes_sd.decide.plan import check_plan
    from bayes_sd.decide.plan import plan as run
    from bayes_sd.decide.tables import check_format, write_result

    check_format(output)
    if figure is not None:
        check_figure_path(figure)
    # What can be told wrong without the trace is told before it is read.
    check_plan([read_objective(text) for text in slos], rate, probability, price)
    one_drafter(asked)
    if split and (rate is None or price is not None):
        raise ConditionError(
            "--split plans GPUs for a rate, and has no price: give --rate, and leave --price out"
        )
    if not split and (prefill_worker or decode_worker):
        raise ConditionError(
            "--prefill-worker and --decode-worker are sizes of two pools: give --split with them"
        )
    posterior, cards = open_trace(trace, models, accept_unconverged)
    if asked.columns.get("k") == 0:
        asked.columns.setdefault("method", "none")
    plain = asked.columns.get("method") == "none"
    base, words = asked_condition(posterior, cards, asked, speculate=not plain, best=not plain, seed=seed)
    if split:
        from bayes_sd.cli.split_page import run_splits

        run_splits(
            posterior, cards, base, words, slos, rate, gpus=(prefill_worker, decode_worker), most=most_gpus, probability=probability,
            seed=seed, figure=figure, output=output, as_json=as_json, explain=explain,
        )  # fmt: skip
        return
    result = run(
        posterior, base, slos, rate, probability=probability, price_per_gpu_hour=price, cards=cards, seed=seed
    )
    summary = told(result, words)
    if figure is not None:
        from bayes_sd.plots.plan import plot_plan

        save_figure(plot_plan(result), figure)
    if output is not None:
        write_result(output, result, plan_table(result), summary, rows="alternatives")
    if as_json:
        click.echo(json.dumps(summary, indent=1))
        return
    print_plan(result, base, words, explain)
    tell_written(output)
