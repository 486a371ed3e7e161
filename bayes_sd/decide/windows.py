"""Windows of live numbers: what one holds, and rows of text turned into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from bayes_sd.errors import DataError
from bayes_sd.loading import bounded_lines, csv_line, parse_json
from bayes_sd.measurements.schema import MOST

ALIASES = {
    "mean_e2e_s": "latency_s",
    "mean_accepted_len": "accepted_len",
    "achieved_rps": "rate_rps",
    "n_requests": "requests",
    "mean_running": "in_flight",
    "running": "in_flight",
    "rate": "rate_rps",
    "latency": "latency_s",
    "accepted_length": "accepted_len",
}
"""Other names that a column may have: those of the measurement table, and short ones."""


@dataclass(frozen=True)
class Window:
    """Means over the requests that completed in one window of time.

    Attributes
    ----------
    latency_s : float
        Mean end-to-end latency [s].
    rate_rps : float or None
        Requests completed a second; needed unless `in_flight` is given.
    in_flight : float or None
        Mean requests running; rate times latency if not given.
    accepted_len : float or None
        Tokens committed per cycle, the verifier's own included.
    requests : float or None
        Requests completed: how sure the means are.
    queue_s : float or None
        Mean time that requests waited before they ran [s], part of the latency.
    ttft_s : float or None
        Mean time to first token [s].
    prompt_tokens, output_tokens : float or None
        Mean lengths in the window; those of the condition if not given.
    """

    latency_s: float
    rate_rps: float | None = None
    in_flight: float | None = None
    accepted_len: float | None = None
    requests: float | None = None
    queue_s: float | None = None
    ttft_s: float | None = None
    prompt_tokens: float | None = None
    output_tokens: float | None = None

    @property
    def batch(self) -> float:
        """Effective batch size: requests running on average (Little's law, without those that wait)."""
        if self.in_flight is not None:
            return self.in_flight
        return (self.rate_rps or 0.0) * (self.latency_s - (self.queue_s or 0.0))


NAMES = tuple(f.name for f in fields(Window))
MAY_BE_ZERO = ("queue_s",)
UNITS = {
    "latency_s": "s", "rate_rps": "requests/s", "in_flight": "requests", "accepted_len": "mean_accepted_len", "requests": "",
    "queue_s": "s", "ttft_s": "s", "prompt_tokens": "tokens", "output_tokens": "tokens",
}  # fmt: skip
"""Unit of each number, which says how high it may be."""


def window_of(values: dict[str, Any], where: str) -> Window:
    """Check one window's numbers.

    Parameters
    ----------
    values : dict
        Column to number or text; blank is not given. Columns of other names are left alone.
    where : str
        Place, for messages.

    Returns
    -------
    Window

    Raises
    ------
    DataError
        If a number is none or out of range, or latency or load is missing.
    """
    found: dict[str, float] = {}
    for column, value in values.items():
        name = ALIASES.get(column, column)
        if name not in NAMES or value is None or (isinstance(value, str) and not value.strip()):
            continue
        found[name] = _number(value, name, where)
    if "latency_s" not in found:
        raise DataError(f"{where}: latency_s is missing: give the mean latency of each window in seconds")
    if "rate_rps" not in found and "in_flight" not in found:
        raise DataError(f"{where}: neither rate_rps nor in_flight: give requests/s or mean requests running")
    if found.get("accepted_len", 1.0) < 1.0:
        raise DataError(f"{where}, accepted_len: below 1: give tokens per cycle, the verifier's own included")
    if found.get("queue_s", 0.0) >= found["latency_s"]:
        raise DataError(f"{where}, queue_s: not below latency_s, of which it is a part")
    return Window(**found)


def _number(value: Any, name: str, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}, {name}: {value!r} is not a number") from None
    most = MOST[UNITS[name]]
    if not 0.0 <= number <= most or (number == 0.0 and name not in MAY_BE_ZERO):
        raise DataError(f"{where}, {name}: {value!r} must be a number above 0, and at most {most:g}")
    return number


def read_windows(lines: Iterable[str], source: str = "standard input") -> Iterator[Window]:
    """Read windows from CSV with a header, or from JSON objects, one a line, as they arrive.

    Parameters
    ----------
    lines : iterable of str
    source : str
        Name for messages.

    Yields
    ------
    Window

    Raises
    ------
    DataError
        Naming line and column, if a line is neither or holds no window; if there is none at all.
    """
    header: list[str] | None = None
    any_window = False
    for number, line in enumerate(bounded_lines(lines, source), start=1):
        text, where = line.strip(), f"{source}, line {number}"
        if not text:
            continue
        if text.startswith("{"):
            yield window_of(_json(text, where), where)
            any_window = True
            continue
        cells = csv_line(text, where)
        if header is None:
            header = _header(cells, where)
            continue
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} cells under {len(header)} columns")
        yield window_of(dict(zip(header, cells, strict=True)), where)
        any_window = True
    if not any_window:
        raise DataError(
            f"{source}: no windows: give CSV with columns such as rate_rps,latency_s,accepted_len,requests"
        )


def _header(cells: list[str], where: str) -> list[str]:
    if not {ALIASES.get(cell, cell) for cell in cells} & set(NAMES):
        raise DataError(
            f"{where}: neither a JSON object nor a CSV header with columns such as rate_rps,latency_s,accepted_len"
        )
    return cells


def _json(text: str, where: str) -> dict[str, Any]:
    values = parse_json(text, where)
    if not isinstance(values, dict):
        raise DataError(f"{where}: not a JSON object; write one object a line")
    return values
