"""``next``: which runs to measure next for a decision, and the plan that ``measure --plan`` takes."""

from __future__ import annotations

import re
from pathlib import Path

import click

from bayes_sd.cli.condition import condition_options, trace_options
from bayes_sd.cli.loads import load_options
from bayes_sd.cli.numbers import PROBABILITY, Number
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, tell_written
from bayes_sd.cli.setting import asked_condition
from bayes_sd.errors import ConditionError
from bayes_sd.plots.style import check_figure_path, save_figure

UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
MOST_S = 7 * 86_400.0


class Time(click.ParamType):
    """A time such as 90s, 10m or 2h."""

    name = "time"

    def convert(self, value, param, ctx):
        """Give seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(s|m|min|h)\s*", str(value))
        if match is None or float(match[1]) * UNITS_S[match[2]] > MOST_S:
            flag = param.opts[0] if param is not None else "a time"
            raise ConditionError(f"{flag} {value!r}: write a time as 90s, 10m or 2h, at most a week")
        return float(match[1]) * UNITS_S[match[2]]


TIME = Time()


@click.command(name="next")
@trace_options
@click.option(
    "--decide",
    default="k",
    show_default=True,
    type=click.Choice(["k", "speculate", "drafter", "replicas"]),
    help="What the runs are to settle.",
)
@click.option(
    "--budget", default="10m", show_default=True, type=TIME, help="Time for measuring, as 90s, 10m, 2h."
)
@click.option(
    "--restart", default="2m", show_default=True, type=TIME, help="Time that starting another server takes."
)
@click.option(
    "--candidates",
    type=click.Path(path_type=Path),
    help="CSV of conditions that could be measured.  [default: own loads]",
)
@click.option(
    "--aim",
    default="regret",
    show_default=True,
    type=click.Choice(["regret", "width"]),
    help="Lower the expected regret, or the width of the interval.",
)
@condition_options
@load_options("in-flight")
@click.option(
    "--longest", default=8, show_default=True, type=click.IntRange(1, 64), help="Longest draft to consider."
)
@click.option("--slo", multiple=True, help="For --decide replicas: an objective, as p95<2s; may be repeated.")
@click.option(
    "--rate", type=Number(0, 1e9, min_open=True), help="For --decide replicas: requests/s of all together."
)
@click.option(
    "--probability",
    default=0.9,
    show_default=True,
    type=PROBABILITY,
    help="That the replicas are enough with.",
)
@click.option("--plan", "planned", type=ToWrite(), help="FILE.json for `measure --plan`.")
@click.option("--output", type=ToWrite(), help="All candidates: FILE.csv or FILE.json.")
@click.option("--figure", type=ToWrite(), help="FILE.png or FILE.svg.")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.option("--explain", is_flag=True, help="Say also what the numbers mean.")
def next_command(
    trace, decide, budget, restart, candidates, aim, asked, loads, load_axis, longest, slo, rate, probability, planned,
    output, figure, as_json, explain, models, seed, accept_unconverged,
):  # fmt: skip
    """Say which runs to measure next: those that lower the expected regret of a decision most, a minute of measuring.

    \b
    Example:  uv run bayes_sd next traces/llama.nc --decide k --workload humaneval --budget 20m --plan plan.json
    """
    import json

    from bayes_sd.cli.next_page import print_next
    from bayes_sd.condition import compared_drafters
    from bayes_sd.decide.tables import check_format, records, write_result
    from bayes_sd.forecast import read_conditions_for
    from bayes_sd.learn.next_runs import next_runs
    from bayes_sd.learn.search import Sought
    from bayes_sd.learn.written import plan_of, runs_table
    from bayes_sd.measure.planned import write_plan

    check_format(output)
    if figure is not None:
        check_figure_path(figure)
    if decide != "replicas" and (slo or rate):
        raise ConditionError("--slo and --rate are for --decide replicas: leave them out, or decide for that")
    posterior, cards = open_trace(trace, models, accept_unconverged)
    by_rate = decide == "replicas" or load_axis != "in-flight"
    kind = "rate" if by_rate else "concurrency"
    base, words = asked_condition(posterior, cards, asked, kind, best=decide != "k", seed=seed)
    drafters = compared_drafters(asked, base, cards)
    result = next_runs(
        posterior,
        base,
        decide,
        candidates=None if candidates is None else read_conditions_for(candidates),
        loads=loads,
        axis=load_axis,
        drafters=drafters,
        draft_lengths=tuple(range(longest + 1)),
        slo=slo,
        rate_rps=rate,
        probability=probability,
        sought=Sought(budget, restart, aim, seed=seed),
        cards=cards,
    )
    table = runs_table(result)
    if output is not None:
        write_result(output, result, table, dict(result.attrs), "runs")
    if planned is not None and result.sizes["step"]:
        write_plan(planned, *plan_of(result))
    if figure is not None:
        from bayes_sd.plots.next_runs import plot_next

        save_figure(plot_next(result), figure)
    if as_json:
        click.echo(json.dumps({**result.attrs, "condition": words, "runs": records(table)}, indent=1))
        return
    print_next(result, table, base, words, explain)
    if planned is not None and not result.sizes["step"]:
        click.echo(f"{planned} is not written: there is no run to plan.")
    tell_written(output, planned if result.sizes["step"] else None, figure)
