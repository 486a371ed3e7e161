"""``monitor``: live numbers against the posterior predictive."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from threadpoolctl import threadpool_limits

from bayes_sd.cli.condition import condition_options, trace_options
from bayes_sd.cli.monitor_learned import Following
from bayes_sd.cli.monitor_lines import CELLS, HEADS, Seen, cells, json_line, line, watched, worth
from bayes_sd.cli.numbers import PROBABILITY, SECONDS
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite
from bayes_sd.cli.page import Page
from bayes_sd.decide.contradictions import contradictions, impossible
from bayes_sd.decide.streams import LEAST_S, from_scrapes
from bayes_sd.decide.tables import check_format, write_result
from bayes_sd.decide.verdict import to_dataset
from bayes_sd.decide.windows import Window, read_blocks
from bayes_sd.errors import ConditionError, DataError
from bayes_sd.measure.poll import is_address, metrics_address, poll
from bayes_sd.measurements.readers.server_metrics import Scrape, file_scrapes
from bayes_sd.plots.monitor import plot_monitor
from bayes_sd.plots.style import check_figure_path, save_figure

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.decide import streams
    from bayes_sd.decide.verdict import Verdict

ALARM = 4
MOST_KEPT = 10_000
"""Windows that a figure and a file show at most: the last ones."""
MOST_SHOWN = 15
"""Windows in the table of a page: the last ones; --json and --output have more."""
POLLED_EVERY_S = 15.0

Blocks = Iterator[tuple[list[Window], Scrape | None]]
"""Windows that came together, and what the server says of itself, where it does."""


@click.command()
@trace_options
@condition_options
@click.option(
    "--metrics",
    multiple=True,
    metavar="FILE|URL",
    help="Text of a vLLM server's /metrics; repeat for later scrapes: a window between each two. Or the server's address, which "
    "is asked every --interval.  [default: rows on standard input]",
)
@click.option(
    "--interval",
    type=SECONDS,
    metavar="SECONDS",
    help="From scrape to scrape.  [default: the files' times; 15 s for an address]",
)
@click.option("--stop-after", type=click.IntRange(1), metavar="N", help="Windows to see.  [default: all]")
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
@click.option(
    "--learn",
    is_flag=True,
    help="Learn acceptance, arrivals and step time, forgetting as fast as they drift, and say them.",
)
@click.option("--figure", type=ToWrite(), help="Windows and p-values: FILE.png or FILE.svg.")
@click.option("--output", type=ToWrite(), help="The last windows: FILE.csv, .json or .nc.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a window.")
def monitor(
    trace, models, seed, accept_unconverged, asked, metrics, interval, stop_after, false_alarm_rate, windows, request_cv,
    learn, figure, output, as_json,
):  # fmt: skip
    """Say of live windows whether they are what the posterior predicts, and what would explain a drift.

    Windows come from --metrics, or as CSV with a header or JSON lines on standard input: latency_s, and rate_rps or
    in_flight; better also accepted_len, requests, queue_s, prompt_tokens, output_tokens. Exit code 4 after an alarm.

    \b
    Examples: uv run bayes_sd monitor traces/llama.nc --metrics before.prom --metrics after.prom --interval 60
              uv run bayes_sd monitor traces/llama.nc --metrics http://127.0.0.1:8000/metrics --interval 30
              tail -f windows.csv | uv run bayes_sd monitor traces/llama.nc --workload humaneval
    """
    from bayes_sd.condition import base_condition
    from bayes_sd.decide.monitor import Monitor

    if figure is not None:
        check_figure_path(figure)
    check_format(output)
    # Before the posterior is read, so that a wrong file is told at once.
    blocks, note, whole = _source(metrics, interval)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    condition, words = base_condition(posterior, cards, asked, load_kind="concurrency")
    watch = Monitor(posterior, condition, cards, false_alarm_rate, windows, request_cv, seed)
    following = Following(posterior, condition, cards, interval, seed) if learn else None
    about = watched(condition, [*words, *([note] if note else [])], watch)
    seen = Seen()
    kept: deque[Verdict] = deque(maxlen=MOST_KEPT if figure is not None or output is not None else 1)
    streamed = not as_json and not whole
    if streamed:
        click.echo("\n".join([*about, HEADS]))
    with threadpool_limits(limits=1):
        for verdicts, told in _judged(watch, _first(blocks, stop_after), condition, cards, seen):
            kept.extend(verdicts)
            learned = [following.see(v.window) if following else None for v in verdicts]
            if as_json:
                click.echo(
                    "\n".join(json_line(v, told, own) for v, own in zip(verdicts, learned, strict=True))
                )
            elif streamed:
                click.echo(
                    "\n".join([line(v) for v in verdicts] + [f"       other server: {w}" for w in told])
                )
    if not as_json:
        _say(seen, worth(false_alarm_rate, windows), about if whole else None, verdicts, following)
    _write(list(kept), seen, figure, output)
    return ALARM if seen.alarm is not None else 0


def _source(metrics: Sequence[str], interval: float | None) -> tuple[Blocks, str, bool]:
    """Give windows, how their lengths were found, and whether all of them are there already."""
    addresses = [m for m in metrics if is_address(m)]
    if not metrics:
        return ((block, None) for block in read_blocks(sys.stdin)), "", False
    if not addresses:
        return _scraped([Path(m) for m in metrics], interval)
    if len(metrics) > 1:
        raise ConditionError("--metrics names an address and something more: keep the address by itself")
    every = interval or POLLED_EVERY_S
    address = metrics_address(addresses[0])
    return _windows(from_scrapes(poll(address, every), address)), f"One window every {every:g} s.", False


def _scraped(files: list[Path], interval: float | None) -> tuple[Blocks, str, bool]:
    """Give the windows between files, all at once."""
    scrapes = file_scrapes(files, interval, since_start=True)
    told = list(from_scrapes(scrapes, "the scrapes", LEAST_S if interval is None else 0.0))
    found = [one for one in told if one.window is not None]
    notes = [one.note for one in told if one.note]
    if not found:
        raise DataError(f"{notes[0]}, and there is no other")
    for note in notes:
        click.echo(f"note: {note}", err=True)
    said = "window lengths are taken from the files' times (--interval replaces them)"
    block = [one.window for one in found if one.window is not None]
    return iter([(block, found[-1].scrape)]), said if interval is None else "", True


def _windows(told: Iterator[streams.Seen]) -> Blocks:
    """Give a window from scrape to scrape; what went wrong in between is told and left behind."""
    for one in told:
        if one.note:
            click.echo(f"note: {one.note}", err=True)
        if one.window is not None:
            yield [one.window], one.scrape


def _first(blocks: Blocks, most: int | None) -> Blocks:
    """Give blocks until so many windows were given."""
    for block, scrape in blocks:
        part = block if most is None else block[:most]
        yield part, scrape
        if most is not None:
            most -= len(part)
            if most <= 0:
                return


def _judged(
    watch: Any, blocks: Blocks, condition: Any, cards: Any, seen: Seen
) -> Iterator[tuple[list[Verdict], list[str]]]:
    """Give the verdicts of each block, and what is new in it about the server being another one."""
    for block, scrape in blocks:
        verdicts = watch.see_all(block)
        for verdict in verdicts:
            seen.add(verdict)
        said = contradictions(condition, scrape, cards) if scrape is not None else []
        if not seen.contradicts:
            said += list(islice(filter(None, (impossible(w, watch.k) for w in block)), 1))
        fresh = [words for words in said if words not in seen.contradicts]
        seen.contradicts += fresh
        yield verdicts, fresh


def _say(
    seen: Seen, caveat: str, about: list[str] | None, verdicts: list[Verdict], following: Following | None
) -> None:
    """Print the verdict: before everything where all windows were there already, else at the end."""
    page = Page()
    page.answer(*seen.sentences())
    if about is not None:
        page.gap()
        page.lines(*about)
        last = verdicts[-MOST_SHOWN:]
        title = f"The last {len(last)} of {len(verdicts)} windows" if len(last) < len(verdicts) else "Windows"
        page.table(title, CELLS, [cells(v) for v in last])
    if following is not None:
        page.notes("Learned, for the next window [5 to 95 %]:", following.lines())
    page.notes("Mind:", [caveat])
    page.print()


def _write(kept: list[Verdict], seen: Seen, figure: Path | None, output: Path | None) -> None:
    if figure is None and output is None:
        return
    result = to_dataset(kept)
    if figure is not None:
        save_figure(plot_monitor(result), figure)
    if output is not None:
        summary = {"answer": seen.sentences(), "alarm": seen.alarm is not None}
        write_result(output, result, _table(result), summary, "windows")


def _table(result: xr.Dataset) -> Any:
    """Give windows as a table, one row each, a column for each number of each signal."""
    plain = result.drop_dims("signal").to_dataframe().reset_index()
    for name in ("score", "signal_p_value", "reached"):
        for signal in result["signal"].to_numpy():
            plain[f"{signal}_{name.removeprefix('signal_')}"] = result[name].sel(signal=signal).to_numpy()
    return plain
