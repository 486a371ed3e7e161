"""Options that say what to ask a posterior about, shared by the commands that ask about one condition.

A condition starts from a row of a file, from a deployment of the trace, or, by default, from the trace's deployment with
most speculative rows; options given replace what that says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayes_sd.errors import ConditionError

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.inference.posterior import Posterior

COLUMNS = (
    ("verifier", str, "The model served."),
    ("hardware", str, "GPU, a name or alias of a hardware card."),
    ("tp", click.IntRange(1), "Tensor-parallel size."),
    ("precision", str, "Number formats, as fp8 or 'w:w4a16 kv:fp16'."),
    ("engine", str, "Serving engine, as the trace names it."),
    ("method", str, "How tokens are drafted: eagle3, draft_model, ngram, ..."),
    ("k", click.IntRange(0), "Draft length."),
    ("prompt_tokens", click.FloatRange(0, min_open=True), "Mean prompt length."),
    ("output_tokens", click.FloatRange(0, min_open=True), "Mean output length."),
    ("workload", str, "Name of the prompts, as the trace has it: its acceptance is then known."),
    ("arrivals", click.Choice(["even", "poisson"]), "Spacing of an open loop's arrivals."),
    ("max_num_seqs", click.IntRange(1), "The engine's cap on running requests."),
)
"""Columns that have an option of their own; any other is given with --set."""
OPTIONS_WORDS = "the options"


@dataclass(frozen=True)
class Options:
    """What the shared options said.

    Attributes
    ----------
    columns : dict
        Column name to value, those given only.
    drafters : tuple of str
        Drafters to compare; the first is the condition's.
    conditions : Path or None
        File to start from, and `row`, the row of it, from 1.
    row : int
    deployment : str or None
        Deployment of the trace to start from.
    """

    columns: dict[str, Any]
    drafters: tuple[str, ...] = ()
    conditions: Path | None = None
    row: int = 1
    deployment: str | None = None


def condition_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options; it gets them as one argument ``asked``, an :class:`Options`.

    Parameters
    ----------
    command : callable
        A function still to be decorated with ``click.command``.

    Returns
    -------
    callable
    """
    from functools import wraps

    @wraps(command)
    def collected(**values: Any) -> Any:
        columns = {name: values.pop(f"column_{name}") for name, _, _ in COLUMNS}
        columns = {name: value for name, value in columns.items() if value is not None}
        asked = Options(
            columns=_set_pairs(values.pop("pairs")) | columns,
            drafters=values.pop("drafters"),
            conditions=values.pop("conditions"),
            row=values.pop("row"),
            deployment=values.pop("deployment"),
        )
        return command(asked=asked, **values)

    decorated: Callable[..., Any] = collected
    options = [
        click.option(
            "--conditions", type=click.Path(path_type=Path), help="CSV of conditions to take one row from."
        ),
        click.option("--row", type=click.IntRange(1), default=1, help="Which row of it.  [default: first]"),
        click.option("--deployment", help="A deployment of the trace, by its name or part of it."),
        *(
            click.option(f"--{name.replace('_', '-')}", f"column_{name}", type=kind, help=words)
            for name, kind, words in COLUMNS
        ),
        click.option("--drafter", "drafters", multiple=True, help="The drafting model; repeat to compare."),
        click.option(
            "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Any other column; repeatable."
        ),
    ]
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def trace_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument TRACE and the options by which every command reads a trace."""
    for option in reversed(
        [
            click.argument("trace", type=click.Path(path_type=Path)),
            click.option("--models", type=click.Path(path_type=Path), help="Folder with further cards."),
            click.option(
                "--seed",
                default=0,
                show_default=True,
                type=click.IntRange(0),
                help="For what was never measured.",
            ),
            click.option(
                "--accept-unconverged",
                is_flag=True,
                help="Use a fit that did not pass its convergence gate.",
            ),
        ]
    ):
        command = option(command)
    return command


def base_condition(
    posterior: Posterior,
    cards: Cards,
    asked: Options,
    load_kind: str = "rate",
    load_value: float = 1.0,
    speculate: bool = False,
    draft_length: int | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Turn options into one checked condition.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards
    asked : Options
    load_kind : {"rate", "concurrency"}
        Open or closed loop; replaces what a row of a file says.
    load_value : float
        Requests/s or clients; commands that sweep the load replace it.
    speculate : bool
        Whether the condition must have a way of drafting: where neither options nor rows name one it is that which the
        trace measured most for the verifier.
    draft_length : int, optional
        Draft length to fill in where none is given or known, for a command that varies it.

    Returns
    -------
    frame : DataFrame
        One row, as from :func:`bayes_sd.measurements.read_conditions`, with a drafting method wherever one is known.
    words : list of str
        What was chosen for want of an option, one sentence each.

    Raises
    ------
    ConditionError, DataError
        If the deployment is not known, a column that is needed stays blank, or values contradict each other.
    """
    from bayes_sd.cards.record import canonical
    from bayes_sd.measurements.table import check_condition
    from bayes_sd.predict.base import start_from_file, start_from_trace

    if asked.conditions is not None and asked.deployment is not None:
        raise ConditionError("--conditions and --deployment are both given: keep one")
    given, understood = canonical(asked.columns)
    if asked.drafters:
        given["drafter"] = asked.drafters[0]
        if "method" not in given:
            given["method"] = method_of(asked.drafters[0], cards)
    if asked.conditions is not None:
        values, words = start_from_file(asked.conditions, asked.row)
    else:
        values, words = start_from_trace(posterior, cards, given, asked.deployment)
    # A drafter, method or draft length of one's own has not the acceptance of the row it replaces.
    if {"drafter", "method", "k"} & given.keys() and not {"acceptance", "mean_accepted_len"} & given.keys():
        values = {n: v for n, v in values.items() if n not in ("acceptance", "mean_accepted_len")}
    if "method" in given and "drafter" not in given and given["method"] != values.get("method"):
        values.pop("drafter", None)
    if speculate:
        words += _add_drafting(values, given, posterior, cards, draft_length)
    words = [*(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in understood), *words]
    values |= given | {"load_kind": load_kind, "load_value": load_value}
    if load_kind == "concurrency":
        values["arrivals"] = "even"
    elif values.get("arrivals") is None:
        values["arrivals"] = "poisson"
        words.append("Arrivals are taken as Poisson (--arrivals even for evenly spaced ones).")
    if str(values.get("method") or "none") == "none":
        values |= {"method": "none", "drafter": "", "k": 0}
    for name in ("verifier", "hardware", "prompt_tokens", "output_tokens"):
        if values.get(name) in (None, ""):
            raise ConditionError(
                f"--{name.replace('_', '-')} is not given, and no deployment of the trace fits to take it from: add it"
            )
    return check_condition(values, OPTIONS_WORDS), words


def one_drafter(asked: Options) -> None:
    """Refuse several drafters where a command judges one.

    Raises
    ------
    ConditionError
        If several are given.
    """
    if len(asked.drafters) > 1:
        raise ConditionError("--drafter is given several times: keep one, or compare them with `tune`")


def compared_drafters(asked: Options, base: pd.DataFrame, cards: Cards) -> list[tuple[str, str]]:
    """Give the (method, drafter) pairs to compare: those asked for, or the condition's own.

    Parameters
    ----------
    asked : Options
    base : DataFrame
        From :func:`base_condition`.
    cards : Cards

    Returns
    -------
    list of (str, str)

    Raises
    ------
    CardError
        If a drafter has no card that states its method.
    """
    own = (str(base["method"].iloc[0]), str(base["drafter"].iloc[0]))
    if len(asked.drafters) < 2:
        return [own]
    return [own, *((method_of(name, cards), name) for name in asked.drafters[1:])]


def _add_drafting(
    values: dict[str, Any],
    given: dict[str, Any],
    posterior: Posterior,
    cards: Cards,
    draft_length: int | None,
) -> list[str]:
    """Fill in a way of drafting where there is none, and say which."""
    from bayes_sd.predict.base import usual_drafting

    method = given.get("method", values.get("method"))
    verifier = given.get("verifier", values.get("verifier"))
    if method in (None, "", "none"):
        if (method == "none" and "method" in given) or not verifier:
            return []
        usual = usual_drafting(posterior, cards, str(verifier))
        values.update(usual)
        k = given.get("k", usual["k"])
        return [
            f"Drafting: {usual['method']} with {usual['drafter']}, k={k}, as measured elsewhere in the trace."
        ]
    if "k" in given or values.get("k"):
        return []
    if draft_length is None:
        raise ConditionError(
            "--k is not given, and nothing measured says which draft length is meant: add it"
        )
    values["k"] = draft_length
    return []


def method_of(drafter: str, cards: Cards) -> str:
    """Give the method that a drafter's card states.

    Parameters
    ----------
    drafter : str
        Name or alias.
    cards : Cards

    Returns
    -------
    str

    Raises
    ------
    CardError
        If there is no such card; the message offers the nearest ones.
    """
    return cards.drafter(drafter).method


def _set_pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConditionError(f"--set {pair!r}: write it as NAME=VALUE")
        values[name.strip().replace("-", "_")] = value.strip()
    return values
