"""``plan``: how many replicas for a rate within a latency objective, with and without speculation."""

from pathlib import Path

import click

from bayes_sd.cli.condition import condition_options, one_drafter, trace_options
from bayes_sd.cli.opened import open_trace
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
@click.option("--price", type=float, help="Price of a GPU-hour, in any currency.")
@click.option("--figure", type=click.Path(path_type=Path), help="FILE.png or FILE.svg.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(trace, asked, slos, rate, probability, price, figure, as_json, models, seed, accept_unconverged):
    """Plan capacity: the rate that one replica holds, the replicas that a rate needs.

    \b
    Example:  python -m bayes_sd plan traces/llama.nc --slo "p95<4s" --rate 40 --price 2.5
    """
    import json

    from bayes_sd.condition import base_condition
    from bayes_sd.decide.objective import read_objective
    from bayes_sd.decide.plan import check_plan
    from bayes_sd.decide.plan import plan as run

    if figure is not None:
        check_figure_path(figure)
    # What can be told wrong without the trace is told before it is read.
    check_plan([read_objective(text) for text in slos], rate, probability, price)
    one_drafter(asked)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    if asked.columns.get("k") == 0:
        asked.columns.setdefault("method", "none")
    plain = asked.columns.get("method") == "none"
    base, words = base_condition(posterior, cards, asked, speculate=not plain)
    result = run(
        posterior, base, slos, rate, probability=probability, price_per_gpu_hour=price, cards=cards, seed=seed
    )
    if figure is not None:
        from bayes_sd.plots.plan import plot_plan

        save_figure(plot_plan(result), figure)
    if as_json:
        click.echo(json.dumps(_told(result, words), indent=1))
        return
    for line in words:
        click.echo(line)
    about = result.attrs
    row = base.iloc[0]
    click.echo(
        f"{about['deployment']}; {row['prompt_tokens']:.0f} + {row['output_tokens']:.0f} tokens, {about['arrivals']} arrivals\n"
    )
    click.echo(_printed(result) + "\n")
    click.echo("\n".join(about["words"]))


def _told(result, words) -> dict:
    """Everything but the draws, for JSON; infinite and unknown numbers as null."""
    kept = result.drop_vars([name for name in result.data_vars if "sample" in result[name].dims])
    told: dict = {name: _plain(kept[name].to_numpy().tolist()) for name in kept.variables}
    return {**told, **result.attrs, "condition": words}


def _plain(value):
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def _printed(result) -> str:
    import pandas as pd

    about = result.attrs
    interval, sure = f"[{about['ci']:.0%} interval]", f"{about['probability']:.0%}"
    rows = {}
    for name in result["alternative"].to_numpy():
        one = result.sel(alternative=name)
        row = {
            f"requests/s a replica {interval}": _band(one["highest_rate_band"], ".3g"),
            f"promised ({sure})": f"{float(one['promised_rate']):.3g}",
            "saturates at": f"{float(one['limit_band'][1]):.3g}",
            "P(infeasible)": f"{float(one['p_infeasible']):.2f}",
        }
        if "replicas_band" in one:
            row[f"replicas {interval}"] = _band(one["replicas_band"], ".0f")
            row[f"enough ({sure})"] = f"{float(one['promised_replicas']):.0f}"
        if "cost_per_hour" in one and float(one["promised_rate"]) > 0:
            row["cost/h"] = f"{float(one['cost_per_hour']):.2f}"
            row["per 1M tokens"] = f"{float(one['cost_per_million_tokens']):.3g}"
        rows["without speculation" if name == "none" else str(name)] = row
    # Alternatives in columns: two numbers to compare stand side by side.
    return pd.DataFrame(rows).fillna("-").replace({"inf": "-", "inf [inf, inf]": "-"}).to_string()


def _band(values, form: str) -> str:
    low, middle, high = (format(float(v), form) for v in values)
    return f"{middle} [{low}, {high}]"
