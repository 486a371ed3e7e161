"""``measure``: a server in, a measurement table out."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from bayes_sd.cli.ingest import OPTIONS, _pairs
from bayes_sd.cli.numbers import SECONDS, SEED, Number, numbers
from bayes_sd.cli.output import ToWrite
from bayes_sd.cli.progress import Shown
from bayes_sd.errors import DataError
from bayes_sd.interrupts import saying
from bayes_sd.loading import parse_json
from bayes_sd.measurements.schema import MOST_REQUESTS

SAID = (
    "hardware", "tp", "n_gpu", "engine", "verifier", "precision", "method", "drafter", "k", "max_num_seqs", "workload",
    "source",
)  # fmt: skip
MOST_CLIENTS, MOST_RATE = 65_536, 1e6
"""Bounds of what one program can send: clients, and requests/s."""
API_KEY = "OPENAI_API_KEY"


def _column_options(command):
    helps = dict(OPTIONS)
    for name in reversed(SAID):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, f"column_{name}", metavar="VALUE", help=helps[name])(command)
    return command


@click.command(name="measure")
@click.option(
    "--target", required=True, metavar="URL", help="Server, as http://127.0.0.1:8000; no other is contacted."
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=ToWrite(),
    help="CSV table; rows there are kept, new ones added.",
)
@click.option(
    "--plan",
    "planned",
    type=click.Path(path_type=Path),
    help="Runs that `next --plan` wrote, instead of --shape, --clients, --rates, --repeats.",
)
@click.option(
    "--server", default=1, show_default=True, type=click.IntRange(1), help="Which server of --plan this is."
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    default=("128x64",),
    show_default=True,
    metavar="PxG",
    help="Prompt x output tokens; may be repeated.",
)
@click.option(
    "--clients",
    default="auto",
    show_default=True,
    help="Closed loops: 1,2,4; auto (doubling while throughput grows); none.",
)
@click.option(
    "--max-clients",
    default=32,
    show_default=True,
    type=click.IntRange(1, MOST_CLIENTS),
    help="Where auto ends.",
)
@click.option(
    "--rates",
    default="30%,50%,70%,85%",
    show_default=True,
    help="Open loops: requests/s, or % of the best closed loop's throughput; none.",
)
@click.option(
    "--arrivals",
    default="poisson",
    show_default=True,
    type=click.Choice(["poisson", "even"]),
    help="Spacing of open loops.",
)
@click.option(
    "--repeats",
    default=2,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Times that each cell is measured.",
)
@click.option(
    "--standard-error",
    default=0.02,
    show_default=True,
    type=Number(0, 1, min_open=True),
    help="Wanted for each mean latency, relative.",
)
@click.option(
    "--warm-up",
    default=5,
    show_default=True,
    type=click.IntRange(1, MOST_REQUESTS),
    help="Requests before a point counts; at least one a client.",
)
@click.option(
    "--point-requests",
    default="20,2000",
    show_default=True,
    metavar="LEAST,MOST",
    help="Requests of a point.",
)
@click.option(
    "--point-seconds",
    default=60.0,
    show_default=True,
    type=SECONDS,
    help="Longest window of a point.",
)
@click.option(
    "--max-requests",
    default=20_000,
    show_default=True,
    type=click.IntRange(1, MOST_REQUESTS),
    help="Of the whole sweep.",
)
@click.option(
    "--max-seconds",
    default=3600.0,
    show_default=True,
    type=SECONDS,
    help="Of the whole sweep.",
)
@click.option(
    "--timeout",
    default=120.0,
    show_default=True,
    type=SECONDS,
    help="Of one request, seconds.",
)
@click.option(
    "--prompts",
    type=click.Path(path_type=Path),
    help="Your own: a text a line, or JSON lines with 'prompt'. Acceptance depends on them.",
)
@click.option(
    "--vocabulary",
    metavar="FIRST-LAST",
    help="Prompts of random token numbers instead of made-up words: exact lengths.",
)
@click.option(
    "--via",
    default="client",
    show_default=True,
    type=click.Choice(["client", "guidellm"]),
    help="Who sends the requests: this program, or GuideLLM, which must be installed.",
)
@click.option(
    "--tokenizer",
    default="",
    metavar="DIR",
    help="For --via guidellm: folder with the verifier's tokenizer.json.",
)
@click.option(
    "--guidellm-command",
    default="guidellm",
    show_default=True,
    help="For --via guidellm: the program, where it is not on the path.",
)
@click.option("--model", default="", help="Name to send to the server.  [default: the verifier]")
@click.option("--extra-body", default="{}", metavar="JSON", help="Further members of each request.")
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Any other column; may be repeated."
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=SEED,
    help="Same seed, same prompts and arrivals.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@_column_options
def measure(target, output, pairs, as_json, **options):
    """Measure a server: one request at a time, then rising loads to just below saturation.

    Any server with OpenAI's /v1/completions that streams (vLLM, SGLang, llama.cpp). Finished points are written at once;
    the same command goes on with what is missing. Measure with and without the drafter into one table, then fit it.

    \b
    Example:
      uv run bayes_sd measure --target http://127.0.0.1:8000 --output mine.csv
          --hardware H100 --engine vllm-0.24.0 --precision bf16 --method none
          --verifier Llama-3.1-8B-Instruct
    """
    from bayes_sd.measure import measure as run

    columns = {
        n.removeprefix("column_"): v for n, v in options.items() if n.startswith("column_") and v is not None
    }
    columns = {"tp": "1", **_pairs(pairs), **columns}
    sweep = (_sweep if options["planned"] is None else _planned_sweep)(target, columns, options)
    shown = Shown(quiet=as_json)
    with shown, saying(lambda: f"{shown.finished} finished points in {output}; the same command goes on"):
        result = run(sweep, output, shown)
    if as_json:
        fields = {
            n: getattr(result, n) for n in ("measured", "already_there", "complete", "stopped_by", "notes")
        }
        click.echo(json.dumps({"output": str(output), **fields}, indent=1))
        return 0
    before = f" ({result.already_there} were there)" if result.already_there else ""
    click.echo(f"{output}: {result.measured} points measured{before}")
    if not result.complete:
        click.echo(f"stopped: --max-{result.stopped_by} is used up; the same command goes on")
    for note in result.notes:
        click.echo(f"note: {note}")
    return 0


def _sweep(target, columns, options):
    """Put the options together."""
    from bayes_sd.measure import GuideLLM, Length, Plan, Prompts, Sweep
    from bayes_sd.measure.prompts import parse_vocabulary, read_prompts

    rates, shares = _rates(options["rates"])
    clients = (
        None
        if options["clients"] == "auto"
        else tuple(_list(options["clients"], "--clients", 1, MOST_CLIENTS, whole=True))
    )
    least, most = _pair(options["point_requests"], ",", "--point-requests")
    prompts = Prompts(
        texts=read_prompts(options["prompts"]) if options["prompts"] else (),
        vocabulary=parse_vocabulary(options["vocabulary"]) if options["vocabulary"] else None,
    )
    return Sweep(
        target=target,
        about=columns,
        plan=Plan(
            shapes=_shapes(options["shapes"]),
            clients=clients,
            max_clients=options["max_clients"],
            rates=rates,
            shares=shares if clients != () else (),
            arrivals=options["arrivals"],
            repeats=options["repeats"],
        ),
        length=Length(options["standard_error"], options["warm_up"], least, most, options["point_seconds"]),
        prompts=prompts,
        max_requests=options["max_requests"],
        max_seconds=options["max_seconds"],
        timeout_s=options["timeout"],
        model=options["model"] or columns.get("verifier", ""),
        extra=_body(options["extra_body"]),
        api_key=os.environ.get(API_KEY, ""),
        seed=options["seed"],
        guidellm=GuideLLM(options["tokenizer"], options["guidellm_command"])
        if options["via"] == "guidellm"
        else None,
    )


BY_PLAN = ("shapes", "clients", "max_clients", "rates", "arrivals", "repeats")
"""Options whose say a plan has."""


def _planned_sweep(target, columns, options):
    """Put the options together with one server of a plan: what they do not say of it, the plan says."""
    from dataclasses import replace

    from bayes_sd.measure.planned import read_plan

    context = click.get_current_context()
    for name in BY_PLAN:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            flag = f"--{name.removesuffix('s') if name == 'shapes' else name.replace('_', '-')}"
            raise DataError(f"--plan says which points are measured: leave {flag} out")
    servers = read_plan(options["planned"])
    if options["server"] > len(servers):
        raise DataError(f"--server {options['server']}: {options['planned']} has {len(servers)}")
    server = servers[options["server"] - 1]
    about = server.columns | {name: value for name, value in columns.items() if (name, value) != ("tp", "1")}
    if options["prompts"] and server.workload:
        about.setdefault("workload", server.workload)
    elif server.workload and about.get("method", "none") != "none" and not options["prompts"]:
        click.echo(
            f"note: the plan is about the workload {server.workload}; made-up words are hard to draft for: give your own "
            "with --prompts",
            err=True,
        )
    others = [f"--server {i}: {other}" for i, other in enumerate(servers, 1) if other is not server]
    if others:
        click.echo(f"this server: {server}; then start {'; '.join(others)}", err=True)
    return replace(_sweep(target, {"tp": "1", **about}, options), plan=server.plan)


def _shapes(texts):
    from bayes_sd.measure import Shape

    return tuple(Shape(*_pair(text, "x", "--shape")) for text in texts)


def _pair(text, separator, option):
    low, _, high = text.partition(separator)
    try:
        pair = int(low), int(high)
    except ValueError:
        pair = 0, 0
    if min(pair) < 1 or max(pair) > MOST_REQUESTS or (separator == "," and pair[0] > pair[1]):
        raise DataError(
            f"{option} {text!r}: write two whole numbers from 1 to {MOST_REQUESTS:,} as in 20{separator}200"
        )
    return pair


def _list(text, option, low, high, whole=False):
    return [] if text == "none" else numbers(text, option, low, high, whole)


def _rates(text):
    parts = [] if text == "none" else text.split(",")
    shares = [
        _list(part.removesuffix("%"), "--rates", 0, 1000)[0] / 100 for part in parts if part.endswith("%")
    ]
    rates = [_list(part, "--rates", 0, MOST_RATE)[0] for part in parts if not part.endswith("%")]
    return tuple(rates), tuple(shares)


def _body(text):
    body = parse_json(text, "--extra-body")
    if not isinstance(body, dict):
        raise DataError('--extra-body: must be an object, as {"top_p": 0.9}')
    return body
