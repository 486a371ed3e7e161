"""Takes a GuideLLM report apart: a few numbers of each request, and everything that is not a request.

Requests carry their prompts and answers and are nearly all of a large report. Each is decoded by itself and
reduced to one line of numbers; in its place the report keeps the number of that line. Memory then holds one
request's text at a time.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.errors import DataError
from bayes_sd.loading import MOST_DEPTH
from bayes_sd.measurements.readers.jsonscan import CHUNK_BYTES, MOST_VALUE_BYTES, decode, object_end
from bayes_sd.measurements.readers.members import section
from bayes_sd.measurements.readers.packed import open_binary

if TYPE_CHECKING:
    import numpy as np

# GuideLLM writes the kind of an object as its first member. Inside a JSON string the quotes would be escaped,
# and a string that ends in "{" is not followed by a letter, so this cannot match text.
REQUEST = re.compile(rb'\{\s*"type_"\s*:\s*"generative_request_stats"')
MARK_BYTES = 256
WHOLE_BYTES = 64 << 20
"""Above this, a report whose requests are not found by their first member is streamed: slower."""
SEPARATORS = b" \t\r\n,"
STREAM_BYTES = 1 << 18
"""Bytes of a streamed report that are taken apart at once."""

NAN = float("nan")
FIELDS = ("start_s", "end_s", "ttft_ms", "prompt", "output", "iterations", "drafts", "drafted", "accepted")
KEYS = ("request_start_time", "request_end_time", "time_to_first_token_ms", "prompt_tokens", "output_tokens")
KEYS_OF_0_3 = ("start_time", "end_time")
SPEC_KEYS = ("num_spec_steps", "num_draft_tokens", "num_accepted_draft_tokens")
NO_SPEC = [None, None, None]
STATUSES = ("successful", "incomplete", "errored")
ITEMS = {("benchmarks", "item", "requests", status, "item") for status in STATUSES}
"""Where requests stand in a report."""


class Requests:
    """Numbers of the requests of a report, one line each, NaN where not known."""

    def __init__(self) -> None:
        self._columns = [array("d") for _ in FIELDS]
        self.histograms: dict[int, list[int]] = {}

    def add(self, request: Mapping[str, object]) -> int:
        """Take in one request.

        Parameters
        ----------
        request : mapping
            As decoded from the report.

        Returns
        -------
        int
            Its line.

        Raises
        ------
        TypeError
            If a field holds something else than a number or null.
        """
        line = len(self)
        values = [request.get(key) for key in KEYS]
        if values[0] is None and values[1] is None:
            values[:2] = [request.get(key) for key in KEYS_OF_0_3]
        values.append(section(request, "info", "timings").get("token_iterations"))
        spec = section(request, "response_metrics", "speculative_decoding")
        values += [spec.get(key) for key in SPEC_KEYS] if spec else NO_SPEC
        # One loop and no call for each number: this runs for every field of every request of a large report.
        for column, value in zip(self._columns, values, strict=True):
            column.append(NAN if value is None else value)  # type: ignore[arg-type]
        histogram = spec.get("acceptance_histogram")
        if isinstance(histogram, list):
            self.histograms[line] = [int(n) for n in histogram]
        return line

    def __len__(self) -> int:
        return len(self._columns[0])

    def column(self, name: str, lines: list[int]) -> np.ndarray:
        """Give one field of some requests.

        Parameters
        ----------
        name : str
            One of `FIELDS`; times in s, or ms where the name says so; the rest are counts.
        lines : list of int
            Which requests.

        Returns
        -------
        ndarray, (request,)
        """
        import numpy as np

        return np.frombuffer(self._columns[FIELDS.index(name)], dtype=float)[np.asarray(lines, dtype=int)]


def read_report(path: Path) -> tuple[dict[str, object], Requests]:
    """Read a report in bounded memory.

    Parameters
    ----------
    path : Path
        A ``benchmarks.json``.

    Returns
    -------
    report : dict
        The report, with each request replaced by its line.
    requests : Requests
        Those lines.

    Raises
    ------
    DataError
        If the file is cut short or is not JSON.
    """
    requests = Requests()
    try:
        report = _report(path, requests)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: a request has something else than numbers in it; write the file again"
        ) from error
    if not isinstance(report, dict):
        raise DataError(f"{path}: is a JSON {type(report).__name__}, not a GuideLLM report")
    return report, requests


def _report(path: Path, requests: Requests) -> object:
    frame = _without_requests(path, requests)
    report = decode(bytes(frame), str(path)) if frame is not None else _streamed(path, requests)
    _number_whole_requests(report, requests)
    return report


def _without_requests(path: Path, requests: Requests) -> bytearray | None:
    """Copy the report with a line for each request; None if it is large and no mark was found."""
    frame = bytearray()
    window, inside, more = b"", False, True  # inside: the window begins with a request
    with open_binary(path) as handle:
        while more:
            chunk = handle.read(CHUNK_BYTES)
            more = bool(chunk)
            search = max(len(window) - MARK_BYTES, 1 if inside else 0)
            window += chunk
            if len(window) > MOST_VALUE_BYTES:
                raise DataError(
                    f"{path}: a request of more than {MOST_VALUE_BYTES >> 20} MiB; is it the right file?"
                )
            done = 0
            while found := REQUEST.search(window, search):
                part = window[done : found.start()]
                frame += _replace(path, part, requests) if inside else part
                inside, done, search = True, found.start(), found.start() + 1
            if not inside:  # the end of the window may hold the first part of a mark
                done = max(len(window) - MARK_BYTES, 0) if more else len(window)
                frame += window[:done]
                if len(frame) > WHOLE_BYTES:
                    return None
            window = window[done:]
    if inside:
        frame += _replace(path, window, requests)
    return frame


def _replace(path: Path, part: bytes, requests: Requests) -> bytes:
    """Take in the request that `part` begins with; give its line and what follows it."""
    import orjson

    body = part.rstrip(SEPARATORS)
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:  # the last of its list: the list's end and more follow it
        end = object_end(part)
        if end is None:
            raise DataError(
                f"{path}: the JSON is cut short in the middle of a request; fetch or write it again"
            ) from None
        body = part[:end]
        request = decode(body, f"{path}, a request")
    return str(requests.add(request)).encode() + part[len(body) :]


def _streamed(path: Path, requests: Requests) -> object:
    """Read a large report whose requests begin with another member (written again by another program)."""
    import ijson
    from ijson.common import JSONError, ObjectBuilder

    report, request = ObjectBuilder(), ObjectBuilder()
    open_: list[str] = []  # the containers that are open: the name under which each goes on, "item" in a list
    outer = 0  # how many of them a request stands in; 0 outside of one
    try:
        # Without the library's own paths, whose lengths add up to the square of how deep a file is nested.
        with open_binary(path) as handle:
            for event, value in ijson.basic_parse(handle, use_float=True, buf_size=STREAM_BYTES):
                if event in ("end_map", "end_array"):
                    open_.pop()
                elif event == "map_key":
                    open_[-1] = value
                if not outer and event == "start_map" and tuple(open_) in ITEMS:
                    outer, request = len(open_), ObjectBuilder()
                if event in ("start_map", "start_array"):
                    open_.append("item")
                    if len(open_) > MOST_DEPTH:
                        raise DataError(
                            f"{path}: JSON nested more than {MOST_DEPTH} deep; is it the right file?"
                        )
                if not outer:
                    report.event(event, value)
                    continue
                # Texts are prompts and answers.
                request.event(event, "" if event == "string" else value)
                if event == "end_map" and len(open_) == outer:
                    report.event("number", requests.add(request.value))
                    outer = 0
    except (JSONError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the JSON is cut short or not valid; fetch or write it again") from error
    return report.value


def _number_whole_requests(report: object, requests: Requests) -> None:
    """Take in requests that the report still holds whole (a small file written again by another program)."""
    lines: list[object] = []
    benchmarks = report.get("benchmarks") if isinstance(report, dict) else None
    for benchmark in benchmarks if isinstance(benchmarks, list) else []:
        by_status = benchmark.get("requests") if isinstance(benchmark, dict) else None
        if not isinstance(by_status, dict):
            continue
        for status, items in by_status.items():
            if isinstance(items, list):
                by_status[status] = [requests.add(r) if isinstance(r, dict) else r for r in items]
                lines += by_status[status]
    if any(type(line) is not int for line in lines) or sorted(lines) != list(range(len(requests))):  # type: ignore[type-var]
        raise TypeError("something else than requests")
