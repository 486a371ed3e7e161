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
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.schema import BY_NAME, COLUMNS, Column

if TYPE_CHECKING:
    from bayes_sd.condition import Question

FIRST = (
    *(
        "verifier",
        "hardware",
        "tp",
        "precision",
        "engine",
        "method",
        "k",
        "workload",
        "prompt_tokens",
        "output_tokens",
    ),
    *("output_tokens_std", "arrivals", "max_num_seqs"),
)
"""Columns whose options stand first in the help."""
ELSEWHERE = ("drafter", "load_kind", "load_value", "source", "config_id", "notes")
"""Columns of a condition that have options of another form, or that no answer depends on."""
OPTION = "column_"
"""How the parameter of a column's option begins."""
SET = click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Any column by its name; repeatable."
)


class Cell(click.ParamType):
    """Text of a column, read and refused as in a table."""

    name = "text"

    def __init__(self, column: Column) -> None:
        self._column = column

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a value."""
        if isinstance(value, str) and value.strip():
            try:
                return parse_cell(value.strip(), self._column)
            except CellError as error:
                self.fail(f"{error}.", param, ctx)
        return value


def option_columns() -> tuple[Column, ...]:
    """Give the columns that have an option of the same name: those of the schema that describe a condition."""
    own = {c.name: c for c in COLUMNS if c.condition != "result" and c.name not in ELSEWHERE}
    return tuple(own[name] for name in dict.fromkeys((*FIRST, *own)))


def _option(column: Column) -> Callable[..., Any]:
    numeric = column.kind in ("number", "count")
    unit = f" [{column.unit}]" if column.unit and numeric else ""
    words = f"{column.meaning[:1].upper()}{column.meaning[1:]}{unit}."
    kind = of_column(column.name) if numeric else Cell(column)
    return click.option(f"--{column.name.replace('_', '-')}", f"{OPTION}{column.name}", type=kind, help=words)


def _stated(values: dict[str, Any]) -> dict[str, Any]:
    """Take the columns that options state out of a command's parameters."""
    names = [name for name in values if name.startswith(OPTION)]
    columns = {name.removeprefix(OPTION): value for name in names if (value := values.pop(name)) is not None}
    by_name = _set_pairs(values.pop("pairs"))
    for name in by_name.keys() & columns.keys():
        raise ConditionError(f"--set {name}=... and --{name.replace('_', '-')} are both given: keep one")
    return by_name | columns


def _decorated(command: Callable[..., Any], options: list[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def row_options(*more: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option for each column of a condition; it gets them as one argument ``stated``, a dict.

    Parameters
    ----------
    *more : str
        Further columns, of those that other commands say in another form (:data:`ELSEWHERE`).

    Returns
    -------
    callable
        Decorates a function still to be decorated with ``click.command``.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def collected(**values: Any) -> Any:
            return command(stated=_stated(values), **values)

        columns = [*option_columns(), *(BY_NAME[name] for name in more)]
        return _decorated(collected, [*(_option(column) for column in columns), SET])

    return decorate


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

        columns = _stated(values)
        conditions, row = values.pop("conditions"), values.pop("row")
        if row is not None and conditions is None:
            raise ConditionError("--row is given without --conditions: it says which row of that file")
        asked = Question(
            columns=columns,
            drafters=values.pop("drafters"),
            conditions=conditions,
            row=row or 1,
            deployment=values.pop("deployment"),
            by_options=True,
        )
        return command(asked=asked, **values)

    options = [
        click.option(
            "--conditions", type=click.Path(path_type=Path), help="CSV of conditions to take one row from."
        ),
        click.option("--row", type=click.IntRange(1), help="Which row of it.  [default: first]"),
        click.option("--deployment", help="A deployment of the trace, by its name or part of it."),
        *(_option(column) for column in option_columns()),
        click.option("--drafter", "drafters", multiple=True, help="The drafting model; repeat to compare."),
        SET,
    ]
    return _decorated(collected, options)


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
