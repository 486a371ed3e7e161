"""Plans in a file: the runs that were found worth measuring, by server, which a sweep then takes one server at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayes_sd.errors import DataError
from bayes_sd.files import write_atomically
from bayes_sd.loading import parse_json, read_bytes
from bayes_sd.measure.plan import Load, Plan, Shape, closed_load, open_load

FORMAT = 1
MOST_RUNS = 10_000


@dataclass(frozen=True)
class Server:
    """A server of a plan, and what to measure of it.

    Attributes
    ----------
    columns : dict of str to value
        Of the measurement table: hardware, verifier, method, k, ...
    workload : str
        What the runs' prompts are; "" where any will do.
    plan : Plan
    """

    columns: dict[str, Any]
    workload: str
    plan: Plan

    def __str__(self) -> str:
        drafting = str(self.columns.get("method") or "none")
        words = "no speculation" if drafting == "none" else f"{drafting} k={self.columns.get('k'):g}"
        n = len(self.plan.listed)
        return f"{words}: {n} run{'' if n == 1 else 's'}"


def write_plan(path: str | Path, servers: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> Path:
    """Write a plan.

    Parameters
    ----------
    path : path-like
    servers : sequence of mapping
        Each with ``columns`` (of the measurement table), ``workload`` and ``runs``: mappings with ``prompt_tokens``,
        ``output_tokens``, ``load_kind``, ``load_value``, and ``arrivals`` of an open loop; other members are kept for readers.
    about : mapping
        What the plan is for.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If it cannot be written; what stood there stays.
    """
    text = json.dumps({"format": FORMAT, **about, "servers": list(servers)}, indent=1) + "\n"
    return write_atomically(Path(path), lambda beside: beside.write_text(text, encoding="utf-8"))


def read_plan(path: str | Path) -> list[Server]:
    """Read a plan.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    list of Server
        In the order to measure them.

    Raises
    ------
    DataError
        If the file is missing or is no plan.
    """
    found = parse_json(read_bytes(Path(path)), str(path))
    if not isinstance(found, dict) or not isinstance(found.get("servers"), list) or not found["servers"]:
        raise DataError(f"{path}: no plan of runs (no member servers): give a file that `next --plan` wrote")
    if found.get("format") != FORMAT:
        raise DataError(
            f"{path}: a plan of format {found.get('format')!r}, not {FORMAT}: write it again with `next`"
        )
    return [_server(server, f"{path}, server {i}") for i, server in enumerate(found["servers"], 1)]


def _server(server: Any, where: str) -> Server:
    if not isinstance(server, dict) or not isinstance(server.get("columns"), dict):
        raise DataError(f"{where}: no columns: give a file that `next --plan` wrote")
    runs = server.get("runs")
    if not isinstance(runs, list) or not 0 < len(runs) <= MOST_RUNS:
        raise DataError(f"{where}: no runs to measure: give a file that `next --plan` wrote")
    arrivals = {
        run.get("arrivals") for run in runs if isinstance(run, dict) and run.get("load_kind") == "rate"
    }
    if len(arrivals) > 1:
        raise DataError(f"{where}: open loops of different arrivals: measure them as two servers")
    spacing = str(next(iter(arrivals), None) or "poisson")
    if spacing not in ("poisson", "even"):
        raise DataError(f"{where}: arrivals {spacing!r}: write poisson or even")
    listed = tuple(_run(run, spacing, f"{where}, run {i}") for i, run in enumerate(runs, 1))
    # What differs in repeats only is one cell here, however often it is named.
    listed = tuple(dict.fromkeys(listed))
    plan = Plan(listed=listed, arrivals="poisson" if spacing == "poisson" else "even", repeats=1, shares=())
    return Server(dict(server["columns"]), str(server.get("workload") or ""), plan)


def _run(run: Any, arrivals: str, where: str) -> tuple[Shape, Load]:
    try:
        shape = Shape(round(float(run["prompt_tokens"])), round(float(run["output_tokens"])))
        kind, value = run["load_kind"], float(run["load_value"])
        if min(shape.prompt_tokens, shape.output_tokens) < 1 or not 0 < value < 1e9:
            raise ValueError
        if kind == "concurrency" and value >= 1 and value == int(value):
            return shape, closed_load(int(value))
        if kind == "rate":
            return shape, open_load(value, arrivals)
        raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{where}: needs prompt_tokens, output_tokens, load_kind (concurrency or rate) and load_value above 0"
        ) from error
