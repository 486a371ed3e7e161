"""Options that say what to ask a posterior about, shared by the commands that ask about one condition.

A condition starts from a row of a file, from a deployment of the trace, or, by default, from the trace's deployment with
most speculative rows; options given replace what that says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bayes_sd.cli.numbers import SEED, of_column
from bayes_sd.errors import ConditionError

if TYPE_CHECKING:
    from bayes_sd.condition import Question

COLUMNS = (
    ("verifier", str, "The model served."),
    ("hardware", str, "GPU, a name or alias of a hardware card."),
    ("tp", of_column("tp"), "Tensor-parallel size."),
    ("precision", str, "Number formats, as fp8 or 'w:w4a16 kv:fp16'."),
    ("engine", str, "Serving engine, as the trace names it."),
    ("method", str, "How tokens are drafted: eagle3, draft_model, ngram, ..."),
    ("k", of_column("k"), "Draft length."),
    ("prompt_tokens", of_column("prompt_tokens"), "Mean prompt length."),
    ("output_tokens", of_column("output_tokens"), "Mean output length."),
    ("output_tokens_std", of_column("output_tokens_std"), "Spread of output lengths; 0: all alike."),
    ("workload", str, "Name of the prompts, as the trace has it: its acceptance is then known."),
    ("arrivals", click.Choice(["even", "poisson"]), "Spacing of an open loop's arrivals."),
    ("max_num_seqs", of_column("max_num_seqs"), "The engine's cap on running requests."),
)
"""Columns that have an option of their own; any other is given with --set."""


def condition_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options; it gets them as one argument ``asked``, a :class:`~bayes_sd.condition.Question`.

    Parameters
    ----------
    command : callable
        A function still to be decorated with ``click.command``.

    Returns
    -------
    callable
    """

    @wraps(command)
    def collected(**values: Any) -> Any:
        from bayes_sd.condition import Question

        columns = {name: values.pop(f"column_{name}") for name, _, _ in COLUMNS}
        columns = {name: value for name, value in columns.items() if value is not None}
        asked = Question(
            columns=_set_pairs(values.pop("pairs")) | columns,
            drafters=values.pop("drafters"),
            conditions=values.pop("conditions"),
            row=values.pop("row"),
            deployment=values.pop("deployment"),
            by_options=True,
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
                type=SEED,
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


def one_drafter(asked: Question) -> None:
    """Refuse several drafters where a command judges one.

    Raises
    ------
    ConditionError
        If several are given.
    """
    if len(asked.drafters) > 1:
        raise ConditionError("--drafter is given several times: keep one, or compare them with `tune`")


def _set_pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConditionError(f"--set {pair!r}: write it as NAME=VALUE")
        values[name.strip().replace("-", "_")] = value.strip()
    return values
