"""``predict``: conditions in, latencies with intervals out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bayes_sd.cli.condition import row_options
from bayes_sd.cli.numbers import PROBABILITY, SEED
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, tell_written
from bayes_sd.cli.progress import CountShown
from bayes_sd.errors import ConditionError
from bayes_sd.measurements import read_conditions
from bayes_sd.measurements.csvfile import write_csv
from bayes_sd.measurements.table import Left, check_condition

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 10
"""Rows left out that are listed; the file names them all."""


@click.command()
@click.argument("trace", type=click.Path(path_type=Path))
@click.option(
    "--conditions",
    type=click.Path(path_type=Path),
    help="CSV with the measurement table's column names.",
)
@row_options("drafter", "load_kind", "load_value")
@click.option(
    "--output",
    type=ToWrite(),
    help="CSV to write: the conditions, then predictions.",
)
@click.option(
    "--ci",
    default=0.9,
    show_default=True,
    type=PROBABILITY,
    help="Probability of the intervals.",
)
@click.option(
    "--on-error",
    default="stop",
    show_default=True,
    type=click.Choice(["stop", "skip"]),
    help="A row that cannot be answered: stop there, or answer the others and say in the column left_out why not.",
)
@click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards (TOML).")
@click.option("--seed", default=0, show_default=True, type=SEED, help="For what was never measured.")
@click.option("--accept-unconverged", is_flag=True, help="Use a fit that did not pass its convergence gate.")
@click.option("--json", "as_json", is_flag=True, help="Print conditions and predictions as JSON.")
@click.option("--explain", is_flag=True, help="Print all conditions, and say what the numbers mean.")
def predict(
    trace, conditions, stated, output, ci, on_error, models, seed, accept_unconverged, as_json, explain
):  # fmt: skip
    """Predict latency for a table of conditions: its mean, and the 50th, 95th and 99th percentile of requests.

    One condition may be said by options instead, named as the table's columns are and read in the same way. Lengths, draft
    length, drafter, precision and engine may be blank: they are drawn from what the trace or published recipes have, which
    widens the intervals, and named in the column assumed. Percentiles hang on how much output lengths vary: state it in the
    column output_tokens_std.

    \b
    Examples:
      uv run bayes_sd predict traces/llama.nc --conditions mine.csv --output predicted.csv
      uv run bayes_sd predict traces/llama.nc --verifier Qwen3-8B --hardware H100 --load-kind rate --load-value 8
    """
    import json

    from bayes_sd.cli.predict_page import print_predict
    from bayes_sd.condition.question import OPTIONS_WORDS
    from bayes_sd.decide.tables import records
    from bayes_sd.forecast.answerable import answerable
    from bayes_sd.forecast.blocks import predict_summary

    if conditions is not None and stated:
        raise ConditionError(
            f"--conditions and --{next(iter(stated)).replace('_', '-')} are both given: a table has its own columns, keep one"
        )
    if conditions is None and not stated:
        raise ConditionError("nothing is asked: give a table by --conditions, or one condition by options")
    posterior, cards = open_trace(trace, models, accept_unconverged)
    left: list[Left] | None = [] if on_error == "skip" else None
    if stated:
        conditions = OPTIONS_WORDS
        frame = check_condition(stated, OPTIONS_WORDS, leave_open=True)
    else:
        frame = read_conditions(conditions, leave_open=True, left=left)
    for words in frame.attrs["understood"]:
        click.echo(words, err=True)
    if left is not None:
        kept, more = answerable(posterior, frame, cards, seed)
        left.extend(more)
        if not len(kept):
            others = len({one.why for one in left}) - 1
            more_words = f" (and {others} other reasons)" if others else ""
            raise ConditionError(
                f"{conditions}: none of its {len(left)} rows can be answered: row {left[0].row}, {left[0].why}{more_words}"
            )
        _tell_left(left, len(frame) + len(left) - len(more))
        frame = kept
    lines = list(frame["row"])
    with CountShown(quiet=as_json) as shown:
        table = answered = predict_summary(posterior, frame, cards, seed, ci, progress=shown)
    if left is not None:
        table = _with_left(answered, lines, left)
    if output is not None:
        write_csv(table, output)
    if as_json:
        click.echo(json.dumps({"ci": ci, "conditions": records(table)}, indent=1))
        return
    print_predict(answered, ci, len(left or ()), explain)
    tell_written(output)


def _with_left(table: pd.DataFrame, lines: list[int], left: list[Left]) -> pd.DataFrame:
    """Add the rows that were left out, each in its place with nothing but the reason, and a column that has it."""
    import pandas as pd

    why = pd.DataFrame({"line": [one.row for one in left], "left_out": [one.why for one in left]})
    answered = table.assign(line=lines, left_out="")
    both = pd.concat([answered, why.reindex(columns=answered.columns)], ignore_index=True)
    return both.sort_values("line", kind="stable", ignore_index=True)


def _tell_left(left: list[Left], rows: int) -> None:
    if not left:
        return
    click.echo(f"{len(left)} of {rows} rows are left out:", err=True)
    counts = Counter(one.why for one in left)
    first = {one.why: one.row for one in reversed(left)}
    for why, n in counts.most_common(SHOWN):
        others = f" (and {n - 1} more)" if n > 1 else ""
        click.echo(f"  row {first[why]}{others}: {why}", err=True)
    if len(counts) > SHOWN:
        click.echo(f"  and {len(counts) - SHOWN} other reasons, in the column left_out", err=True)
