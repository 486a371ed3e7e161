"""``monitor``: live numbers against the posterior predictive."""

import sys
from collections import deque
from pathlib import Path

import click

from bayes_sd.cli.condition import condition_options, trace_options
from bayes_sd.cli.monitor_lines import closing, heading, json_line, line
from bayes_sd.cli.numbers import PROBABILITY, SECONDS
from bayes_sd.cli.opened import open_trace
from bayes_sd.decide.windows import read_windows, window_of
from bayes_sd.measurements.readers.server_metrics import windows_between
from bayes_sd.plots.style import check_figure_path, save_figure

ALARM = 4
MOST_DRAWN = 10_000
"""Windows that a figure shows at most: the last ones."""


@click.command()
@trace_options
@condition_options
@click.option(
    "--metrics",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Text of a vLLM server's /metrics; repeat for later scrapes: a window between each two.  [default: rows on "
    "standard input]",
)
@click.option(
    "--interval",
    type=SECONDS,
    metavar="SECONDS",
    help="From scrape to scrape.  [default: the files' times]",
)
@click.option(
    "--false-alarm-rate",
    default=0.01,
    show_default=True,
    type=PROBABILITY,
    help="Probability of any alarm in --windows good windows.",
)
@click.option("--windows", default=100, show_default=True, type=click.IntRange(1, 100_000), help="See there.")
@click.option(
    "--request-cv",
    type=SECONDS,
    help="Spread of single requests' latencies over their mean.  [default: 0.5; 0.15 where windows state output lengths]",
)
@click.option("--figure", type=click.Path(path_type=Path), help="Windows and p-values: FILE.png or FILE.svg.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a window.")
def monitor(
    trace, models, seed, accept_unconverged, asked, metrics, interval, false_alarm_rate, windows, request_cv, figure,
    as_json,
):  # fmt: skip
    """Say of live windows whether they are what the posterior predicts, and what would explain a drift.

    Windows come from --metrics, or as CSV with a header or JSON lines on standard input: latency_s, and rate_rps or
    in_flight; better also accepted_len, requests, queue_s, prompt_tokens, output_tokens. Exit code 4 after an alarm.

    \b
    Examples: uv run bayes_sd monitor traces/llama.nc --metrics before.prom --metrics after.prom --interval 60
              tail -f windows.csv | uv run bayes_sd monitor traces/llama.nc --workload humaneval
    """
    from bayes_sd.condition import base_condition
    from bayes_sd.decide.monitor import Monitor
    from bayes_sd.decide.verdict import Verdict, to_dataset

    if figure is not None:
        check_figure_path(figure)
    # Before the posterior is read, so that a wrong file is told at once.
    scraped, note = windows_between(metrics, interval) if metrics else ([], "")
    posterior, cards = open_trace(trace, models, accept_unconverged)
    condition, words = base_condition(posterior, cards, asked, load_kind="concurrency")
    watch = Monitor(posterior, condition, cards, false_alarm_rate, windows, request_cv, seed)
    stream = (window_of(w, str(f)) for w, f in zip(scraped, metrics[-len(scraped) :], strict=True))
    found = stream if metrics else read_windows(sys.stdin)
    if not as_json:
        click.echo(heading(condition, [*words, *([note] if note else [])], watch))
    # A stream may last for ever: only what a figure can show is kept.
    verdicts: deque[Verdict] = deque(maxlen=MOST_DRAWN if figure is not None else 1)
    first_alarm = None
    for window in found:
        verdict = watch.see(window)
        verdicts.append(verdict)
        first_alarm = first_alarm or (verdict if verdict.alarm else None)
        click.echo(json_line(verdict) if as_json else line(verdict))
    if not as_json:
        click.echo(closing(verdicts[-1].number, first_alarm, false_alarm_rate, windows))
    if figure is not None:
        from bayes_sd.plots.monitor import plot_monitor

        save_figure(plot_monitor(to_dataset(list(verdicts))), figure)
    return ALARM if verdicts[-1].alarm else 0
