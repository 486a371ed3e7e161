"""Windows of live numbers: what one holds, and rows of text turned into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from bayes_sd.errors import DataError
from bayes_sd.loading import csv_line, line_blocks, parse_json
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
        Mean end-to-end latency [s]; NaN where no request was completed.
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
        if not self.rate_rps or self.requests == 0:
            return 0.0
        return self.rate_rps * (self.latency_s - (self.queue_s or 0.0))


NAMES = tuple(f.name for f in fields(Window))
MAY_BE_ZERO = ("queue_s", "rate_rps", "in_flight", "requests")
LOADS = ("rate_rps", "in_flight", "requests")
"""Numbers of which any says, by being 0, that no request was completed."""
MOST_TOGETHER = 256
"""Windows that are judged together at most: more cost memory and gain no speed."""
UNITS = {
    "latency_s": "s", "rate_rps": "requests/s", "in_flight": "requests", "accepted_len": "mean_accepted_len", "requests": "",
    "queue_s": "s", "ttft_s": "s", "prompt_tokens": "tokens", "output_tokens": "tokens",
}  # fmt: skip
"""Unit of each number, which says how high it may be."""
HIGHEST = {name: MOST[unit] for name, unit in UNITS.items()}
COLUMNS = {name: name for name in NAMES} | ALIASES


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
    found = {
        name: _number(value, name, where)
        for column, value in values.items()
        if (name := COLUMNS.get(column)) is not None
        and value is not None
        and not (isinstance(value, str) and not value.strip())
    }
    if any(found.get(name) == 0.0 for name in LOADS):
        found["latency_s"] = found.get("latency_s", float("nan"))
    if "latency_s" not in found:
        raise DataError(f"{where}: latency_s is missing: give the mean latency of each window in seconds")
    if "rate_rps" not in found and "in_flight" not in found and found.get("requests") != 0.0:
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
    most = HIGHEST[name]
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
    for block in read_blocks(lines, source):
        yield from block


def read_blocks(lines: Iterable[str], source: str = "standard input") -> Iterator[list[Window]]:
    """Read windows as :func:`read_windows` does, those together that have arrived together.

    Parameters
    ----------
    lines, source
        As there.

    Yields
    ------
    list of Window
        One to :data:`MOST_TOGETHER`. Those before a line that cannot be used are given before the error is raised.
    """
    reader, any_window = _Rows(source), False
    for block in line_blocks(lines, source):
        for start in range(0, len(block), MOST_TOGETHER):
            found, problem = [], None
            for line in block[start : start + MOST_TOGETHER]:
                try:
                    window = reader.window(line)
                except DataError as error:
                    problem = error
                    break
                if window is not None:
                    found.append(window)
            if found:
                any_window = True
                yield found
            if problem is not None:
                raise problem
    if not any_window:
        raise DataError(
            f"{source}: no windows: give CSV with columns such as rate_rps,latency_s,accepted_len,requests"
        )


class _Rows:
    """Turns lines into windows; the first line of CSV says what the columns are."""

    def __init__(self, source: str) -> None:
        self._source, self._number = source, 0
        self._header: list[str] | None = None

    def window(self, line: str) -> Window | None:
        """Read the next line; None for a blank one and for the header."""
        self._number += 1
        text, where = line.strip(), f"{self._source}, line {self._number}"
        if not text:
            return None
        if text.startswith("{"):
            return window_of(_json(text, where), where)
        # Quotes are rare in numbers, and taking a line apart without them is ten times faster.
        cells = csv_line(text, where) if '"' in text else [cell.strip() for cell in text.split(",")]
        if self._header is None:
            self._header = _header(cells, where)
            return None
        if len(cells) != len(self._header):
            raise DataError(f"{where}: {len(cells)} cells under {len(self._header)} columns")
        return window_of(dict(zip(self._header, cells, strict=True)), where)


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
