"""Options that say at which loads a command answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from bayes_sd.cli.numbers import MOST_NUMBERS, numbers
from bayes_sd.errors import ConditionError, DataError
from bayes_sd.measurements.schema import BY_NAME

MOST = BY_NAME["load_value"].high
MOST_LOADS = MOST_NUMBERS


class Loads(click.ParamType):
    """Loads as ``FROM:TO:HOW-MANY`` or as numbers with commas between them."""

    name = "loads"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Turn the text into a tuple of numbers, checked for their range later."""
        if not isinstance(value, str):
            return value
        try:
            if ":" not in value:
                return tuple(numbers(value, "--loads", -MOST, MOST))
            low, high, count = (float(part) for part in value.split(":"))
            if not (-MOST <= low <= MOST and 0 < high <= MOST and 1 <= count <= MOST_LOADS):
                raise ValueError
            if count != int(count) or (count > 1 and high <= low):
                raise ValueError
        except (ValueError, DataError):
            raise ConditionError(
                f"--loads {value!r}: write FROM:TO:HOW-MANY with FROM below TO, as 0.5:20:40, or 1,2,4; "
                f"at most {MOST:g}, and {MOST_LOADS} of them"
            ) from None
        steps = max(int(count) - 1, 1)
        return tuple(low + (high - low) * i / steps for i in range(int(count)))


class Axis(click.Choice):
    """A choice that refuses in one line, as bad input does elsewhere."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check the value."""
        if value not in self.choices:
            raise ConditionError(f"--load-axis {value!r}: say one of {', '.join(self.choices)}")
        return value


def load_options(default_axis: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command ``--loads`` and ``--load-axis``.

    Parameters
    ----------
    default_axis : {"rate", "in-flight", "utilisation"}

    Returns
    -------
    callable
        A decorator; the command gets ``loads`` (tuple of float or None) and ``load_axis``.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        axis = click.option(
            "--load-axis",
            type=Axis(["rate", "in-flight", "utilisation"]),
            default=default_axis,
            show_default=True,
            help="Requests/s, requests in flight (closed loop), or share of the limit without speculation.",
        )
        loads = click.option(
            "--loads",
            type=Loads(),
            metavar="A:B:N",
            help="Loads from A to B, N of them, or a list A,B,C.  [default: idle to saturated]",
        )
        return loads(axis(command))

    return decorate
