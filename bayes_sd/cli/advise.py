"""``advise``: the draft length for the coming minutes, from a running server's metrics."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
from threadpoolctl import threadpool_limits

from bayes_sd.cli.condition import condition_options, trace_options
from bayes_sd.cli.next import TIME
from bayes_sd.cli.numbers import PROBABILITY, Number
from bayes_sd.cli.opened import open_trace
from bayes_sd.cli.output import ToWrite, folded
from bayes_sd.condition import base_condition
from bayes_sd.decide.advice_export import adaptive_steps, advice_line, advice_record, prometheus_text
from bayes_sd.decide.advise import MARGIN, SURE, Advice, Advisor
from bayes_sd.decide.schedule import check_names, speculative_config, write_schedule
from bayes_sd.decide.streams import LEAST_S, Seen, from_rows, from_scrapes
from bayes_sd.decide.windows import read_blocks
from bayes_sd.errors import ConditionError, DataError, shown
from bayes_sd.files import write_atomically
from bayes_sd.measure.poll import is_address, metrics_address, poll
from bayes_sd.measurements.readers.server_metrics import file_scrapes

POLLED_EVERY_S = 10.0
PATIENCE_S = 600.0
"""Longest that a command to run may take."""


@click.command()
@trace_options
@condition_options
@click.option(
    "--metrics",
    multiple=True,
    metavar="URL|FILE",
    help="The server's address, asked every --interval; or text of its /metrics, repeated for later scrapes.  [default: rows on "
    "standard input, as monitor takes them]",
)
@click.option(
    "--interval",
    type=TIME,
    metavar="TIME",
    help="From scrape to scrape, as 10s.  [default: 10s; the files' times]",
)
@click.option(
    "--longest", default=8, show_default=True, type=click.IntRange(1, 16), help="Longest draft to consider."
)
@click.option(
    "--current",
    type=click.IntRange(0, 16),
    metavar="K",
    help="Draft length that runs.  [default: from the metrics]",
)
@click.option(
    "--forget",
    type=PROBABILITY,
    help="Share of what is known that is kept from window to window.  [default: learned]",
)
@click.option(
    "--margin",
    type=Number(0, 1),
    default=MARGIN,
    show_default=True,
    help="Share of the speed that a switch must save.",
)
@click.option(
    "--sure",
    type=Number(0, 1),
    default=SURE,
    show_default=True,
    help="Probability that it must be better with.",
)
@click.option("--stop-after", type=click.IntRange(1), metavar="N", help="Windows to see.  [default: all]")
@click.option("--prometheus", type=ToWrite(), help="FILE.prom, written anew with each window.")
@click.option(
    "--vllm", type=ToWrite(beside=".csv"), help="FILE.json for vLLM's --speculative-config, likewise."
)
@click.option(
    "--sglang",
    type=ToWrite(),
    help="FILE.json for SGLang's --speculative-adaptive-config, likewise.",
)
@click.option(
    "--run",
    "command",
    metavar="COMMAND",
    help="Command to run at each switch, with {k} in it.  [default: none]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a window.")
def advise(
    trace, models, seed, accept_unconverged, asked, metrics, interval, longest, current, forget, margin, sure, stop_after,
    prometheus, vllm, sglang, command, as_json,
):  # fmt: skip
    """Advise the draft length for the coming minutes: learn from a server's metrics, and say what gives away least.

    Learns acceptance, arrival rate and step time, and how fast they drift. Changes no server by itself: it prints, and writes the
    files that are named; --run names a command for those who want one run.

    \b
    Example:  uv run bayes_sd advise traces/llama.nc --metrics http://127.0.0.1:8000 --interval 10s --prometheus advice.prom
    """
    check_names(vllm)
    parts = _parts(command)
    stream = _stream(metrics, interval)
    posterior, cards = open_trace(trace, models, accept_unconverged)
    condition, words = base_condition(
        posterior, cards, asked, load_kind="rate", speculate=True, draft_length=min(4, longest)
    )
    advisor = Advisor(
        posterior,
        condition,
        cards,
        longest=longest,
        current=current,
        forget=forget,
        margin=margin,
        sure=sure,
        seed=seed,
    )
    if not as_json:
        click.echo("\n".join(line for word in words for line in folded(word)))
    with threadpool_limits(limits=1):
        number, ordered = 0, None
        for number, advice in enumerate(islice(_advised(advisor, stream), stop_after), 1):
            click.echo(
                json.dumps({"window": number} | advice_record(advice))
                if as_json
                else f"{number}: {advice_line(advice)}"
            )
            _export(advisor, advice, cards, prometheus, vllm, sglang)
            # Once for each length: a server may take several windows to follow.
            if advice.switch and parts and advice.k != ordered:
                _run(parts, advice)
            ordered = advice.k if advice.switch else None
    if not number:
        raise DataError("no window to advise from: two scrapes make one")


def _parts(command: str | None) -> list[str]:
    if command is None:
        return []
    try:
        parts = shlex.split(command)
    except ValueError as error:
        raise ConditionError(f"--run {shown(command)}: {error}; write it as a shell would take it") from None
    if not parts:
        raise ConditionError("--run is empty: name a command, or leave it out")
    return parts


def _stream(metrics: tuple[str, ...], interval: float | None) -> Iterator[Seen]:
    if interval is not None and interval <= 0:
        raise ConditionError("--interval 0s: it must be above 0")
    if not metrics:
        return from_rows(read_blocks(sys.stdin), interval or POLLED_EVERY_S)
    if not any(is_address(m) for m in metrics):
        files = [Path(m) for m in metrics]
        return from_scrapes(
            file_scrapes(files, interval), "the scrapes", LEAST_S if interval is None else 0.0
        )
    if len(metrics) > 1:
        raise ConditionError("--metrics names an address and something more: keep the address by itself")
    address = metrics_address(metrics[0])
    return from_scrapes(poll(address, interval or POLLED_EVERY_S), address)


def _advised(advisor: Advisor, stream: Iterator[Seen]) -> Iterator[Advice]:
    """Give the advice after each window; what went wrong in between goes to standard error."""
    for seen in stream:
        if seen.note:
            click.echo(f"note: {seen.note}", err=True)
        if seen.window is None:
            continue
        advisor.see(seen.window, seen.k, seen.seconds)
        yield advisor.advise()


def _export(
    advisor: Advisor, advice: Advice, cards, prometheus: Path | None, vllm: Path | None, sglang: Path | None
) -> None:
    if prometheus is not None:
        _write(prometheus, prometheus_text(advice))
    if vllm is None and sglang is None:
        return
    table = advisor.table()
    if vllm is not None:
        method, drafter = advisor.prepared.written(table["drafter"].iloc[0])
        write_schedule(vllm, speculative_config(table, method, drafter, cards), table)
    if sglang is not None:
        _write(sglang, json.dumps(adaptive_steps(advice, table)) + "\n")


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def _run(parts: list[str], advice: Advice) -> None:
    """Run the command that was asked for; a failure is told, and advice goes on."""
    own = [part.replace("{k}", str(advice.k)) for part in parts]
    try:
        done = subprocess.run(
            own, env=os.environ | {"BAYES_SD_K": str(advice.k)}, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        click.echo(f"note: --run: {shown(str(error))}", err=True)
        return
    if done.returncode:
        click.echo(f"note: --run ended with code {done.returncode}", err=True)
