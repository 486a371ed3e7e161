"""``simulate``: a serving engine with speculative decoding, simulated into a measurement table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bayes_sd.cards import load_cards
from bayes_sd.cli.numbers import SEED, numbers
from bayes_sd.cli.output import ToWrite, tell_written
from bayes_sd.cli.page import Page
from bayes_sd.errors import BayesSdError, ConditionError, OutputError
from bayes_sd.measurements.readers import write_table
from bayes_sd.measurements.schema import MOST_REQUESTS

NUMBER, WHOLE = float, int
EXAMPLE = ("Llama-3.1-8B-Instruct", "H100-SXM")
"""Verifier and GPU whose costs an example has."""
DEFAULT_CLIENTS = (1.0, 8.0, 64.0)


class Numbers(click.ParamType):
    """Numbers separated by commas."""

    name = "NUMBERS"

    def convert(self, value, param, ctx):  # noqa: D102 - click's
        if isinstance(value, tuple):
            return value
        try:
            return tuple(numbers(value, "numbers", -1e300, 1e300))
        except BayesSdError:
            self.fail(f"{value!r}: write numbers separated by commas, as 1,2.5,4", param, ctx)


# Flag, section and key in a server's file, type, help.
SERVER_OPTIONS: tuple[tuple[str, str, Any, str], ...] = (
    ("--prompt-tokens", "requests.prompt_tokens", NUMBER, "Mean prompt length."),
    ("--prompt-tokens-std", "requests.prompt_tokens_std", NUMBER, "Spread of prompt lengths."),
    ("--output-tokens", "requests.output_tokens", NUMBER, "Mean output length."),
    ("--output-tokens-std", "requests.output_tokens_std", NUMBER, "Spread of output lengths."),
    ("--length-law", "requests.length_law", str, "Shape of both: normal or lognormal."),
    ("--k", "speculation.k", WHOLE, "Draft length; 0: no speculation."),
    (
        "--acceptance",
        "speculation.acceptance",
        Numbers(),
        "Acceptance of a draft token given those before it: one number, or one a position.",
    ),
    ("--max-num-seqs", "engine.max_num_seqs", WHOLE, "Most requests running."),
    ("--prefill-budget", "engine.prefill_budget", WHOLE, "Most tokens in a step, prompts included."),
    ("--experts", "experts.total", WHOLE, "Experts in a layer."),
    ("--active-experts", "experts.active", WHOLE, "Experts that a token is routed to."),
    ("--independence", "experts.independence", NUMBER, "Chance that a draft token is routed anew."),
    ("--skew", "experts.skew", NUMBER, "Spread of the experts' popularity."),
    ("--prefill-fixed-s", "costs.prefill_fixed_s", NUMBER, "Set-up of a request, its own time [s]."),
    ("--prefill-token-s", "costs.prefill_token_s", NUMBER, "Reading a prompt token [s]."),
    ("--verify-fixed-s", "costs.verify_fixed_s", NUMBER, "A verify step, whatever it holds [s]."),
    ("--verify-expert-s", "costs.verify_expert_s", NUMBER, "Reading all experts in a step [s]."),
    ("--sequence-s", "costs.sequence_s", NUMBER, "A request in a verify step [s]."),
    ("--token-s", "costs.token_s", NUMBER, "A token in a verify step [s]."),
    ("--kv-token-s", "costs.kv_token_s", NUMBER, "A cached token in a verify step [s]."),
    ("--draft-fixed-s", "costs.draft_fixed_s", NUMBER, "A draft step, whatever it holds [s]."),
    ("--draft-token-s", "costs.draft_token_s", NUMBER, "A request in a draft step [s]."),
    ("--draft-extra-steps", "costs.draft_extra_steps", NUMBER, "Fixed cost of a cycle [draft steps]."),
)


def _server_options(command):
    for flag, place, kind, meaning in reversed(SERVER_OPTIONS):
        name = place.replace(".", "__")
        command = click.option(flag, name, type=kind, metavar="X", help=meaning)(command)
    return command


@click.command(name="simulate")
@click.argument("server_file", required=False, type=click.Path(path_type=Path), metavar="[SERVER.toml]")
@click.option("--output", "-o", type=ToWrite(), help="CSV table to write.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option("--requests", type=ToWrite(), help="CSV of the single requests, too.")
@click.option(
    "--concurrency", type=Numbers(), help="Closed loops: numbers of clients.  [default: 1,8,64 unless --rate]"
)
@click.option("--rate", type=Numbers(), help="Open loops: requests/s, as 0.5,1,2.")
@click.option("--arrivals", type=click.Choice(["poisson", "even"]), default="poisson", show_default=True)
@click.option(
    "--n-requests",
    type=click.IntRange(1, MOST_REQUESTS),
    default=2000,
    show_default=True,
    help="Requests measured at each load.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Same seed, same file.")
@click.option("--draw-experts", "experts__draws", is_flag=True, default=None, help="Draw tokens' experts.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Text column; repeatable.")
@_server_options
def simulate(
    server_file: Path | None,
    output: Path | None,
    as_json: bool,
    requests: Path | None,
    concurrency: tuple[float, ...] | None,
    rate: tuple[float, ...] | None,
    arrivals: str,
    n_requests: int,
    seed: int,
    labels: tuple[str, ...],
    **options: Any,
) -> None:
    """Simulate a serving engine under a ladder of loads and write a measurement table.

    The engine's costs and requests come from SERVER.toml, from options, or both (options go first); without any, from an example.
    Requests before the measured ones warm the engine up: a tenth as many more, and two rounds of a closed
    loop's clients. A load above what the engine can hold is run and named: its row shows an achieved rate
    below the load.
    """
    from bayes_sd.simulator import LoadSpec, simulate_ladder
    from bayes_sd.simulator.server_file import read_server
    from bayes_sd.simulator.table import measurement_table, write_requests

    for path in (output, requests):
        if path is not None and server_file is not None and path.resolve() == server_file.resolve():
            raise OutputError(f"cannot write {path}: it is the server's file; name another")
    if requests is not None and output is not None and requests.resolve() == output.resolve():
        raise OutputError(f"cannot write {requests}: the table goes there; name another")
    tables = _tables(options)
    assumed = _example(tables) if server_file is None else []
    server = read_server(server_file, tables | {"labels": _pairs(labels)})
    if concurrency is None and rate is None:
        concurrency = DEFAULT_CLIENTS
    loads = [LoadSpec("closed", clients, n_requests) for clients in concurrency or ()]
    protocol: Any = arrivals
    loads += [LoadSpec(protocol, value, n_requests) for value in rate or ()]
    results = simulate_ladder(server, loads, seed)
    table = measurement_table(results)
    if output is not None:
        write_table(table, output)
    if requests is not None:
        write_requests(results, requests)
    if as_json:
        click.echo(table.to_json(orient="records", indent=1))
        return
    _print(results, n_requests, assumed)
    tell_written(output, requests)


def _example(tables: dict[str, dict[str, Any]]) -> list[str]:
    """Fill in what was not said: a conversation's lengths, and an example's costs at the peak rates of its GPU's card."""
    from bayes_sd.condition.defaults import OUTPUT_TOKENS, OUTPUT_TOKENS_CV, PROMPT_TOKENS

    words = []
    requests = tables.setdefault("requests", {})
    lengths = {"prompt_tokens": PROMPT_TOKENS, "output_tokens": OUTPUT_TOKENS}
    open_ = {name: length for name, length in lengths.items() if requests.get(name) is None}
    if open_:
        requests |= open_
        said = " and ".join(f"{length:.0f} {name.replace('_', ' ')}" for name, length in open_.items())
        if "output_tokens" in open_ and requests.get("output_tokens_std") is None:
            requests["output_tokens_std"] = OUTPUT_TOKENS_CV * OUTPUT_TOKENS
            said += f" (± {requests['output_tokens_std']:.0f})"
        words.append(f"Requests: {said}, as a conversation has.")
    if any(value is not None for value in tables.get("costs", {}).values()):
        return words
    cards = load_cards()
    verifier, hardware = cards.verifier(EXAMPLE[0]), cards.hardware(EXAMPLE[1])
    read, token = (
        verifier.active_params_b * 2e9,
        2e9 * verifier.active_params_b / (hardware.fp16_tflops * 1e12),
    )
    bandwidth = hardware.bandwidth_gb_per_s * 1e9
    tables["costs"] = {
        "verify_fixed_s": read / bandwidth,
        "token_s": token,
        "prefill_token_s": token,
        "kv_token_s": 2.0 * verifier.kv_elements_per_token / bandwidth,
    }
    return [
        *words,
        f"Costs: {EXAMPLE[0]} at 16 bits on one {EXAMPLE[1]} at its card's peak rates, better than any engine is "
        "(a SERVER.toml, or --verify-fixed-s and its like, for yours).",
    ]


def _print(results: Sequence[Any], n_requests: int, assumed: Sequence[str] = ()) -> None:
    """Print what was simulated: how far the server holds, a row a load, and how sure the means are."""
    from bayes_sd.cli.forms import digits, load

    page = Page()
    saturated = [r for r in results if r.saturated]
    rows = [(r, r.row()) for r in results]
    low, high = (digits(f(row["mean_e2e_s"] for _, row in rows)) for f in (min, max))
    words = f"Mean latency from {low} to {high} s over {len(results)} load{'' if len(results) == 1 else 's'}."
    if saturated:
        names = ", ".join(load(r.load.value) for r in saturated)
        words += f" SATURATED at {names} requests/s: latency has no steady state there."
    page.answer(words)
    page.notes("Chosen for you:", assumed)
    cells = [
        (
            f"{load(r.load.value)} {'clients' if r.load.clients else 'req/s'}",
            digits(row["mean_e2e_s"]),
            f"{r.mean_latency_error_s:.1g}",
            digits(row["p95_e2e_s"]),
            digits(row["mean_running"]),
            digits(row["achieved_rps"]),
            "saturated" if r.saturated else "",
        )
        for r, row in rows
    ]
    heads = ("load", "mean, s", "± error", "p95, s", "running", "req/s done", "")
    page.table(f"Simulated, {n_requests} requests at each load", heads, cells)
    page.notes(
        "Mind:", ["± error: Monte Carlo error of the mean; more requests (--n-requests) make it smaller."]
    )
    page.print()


def _tables(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for name, value in options.items():
        section, key = name.split("__")
        tables.setdefault(section, {})[key] = value
    return tables


def _pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConditionError(f"--label {pair!r}: write it as NAME=VALUE")
        labels[name] = value
    return labels
