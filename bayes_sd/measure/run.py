"""Runs a sweep against a server and writes its table point by point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

from bayes_sd.errors import TargetError
from bayes_sd.files import locked
from bayes_sd.measure.client import Client, Outcome, checked_target, open_session
from bayes_sd.measure.guidellm import guidellm_cell
from bayes_sd.measure.loops import Budget, Observed, OutOfBudget, Runner
from bayes_sd.measure.plan import Load, Point, Shape, next_point, points_expected
from bayes_sd.measure.prompts import TOKENS_PER_WORD
from bayes_sd.measure.record import Served, UnfinishedError, load_average, put_server_counts, reading
from bayes_sd.measure.sweep import Progress, Sweep, SweepResult
from bayes_sd.measure.table import Table, check_complete, check_given
from bayes_sd.measurements.readers import unsaid
from bayes_sd.measurements.readers.prometheus import DRAFTS
from bayes_sd.measurements.readers.reading import Reading

GUIDELLM_WORKLOAD = "synthetic-text"
"""What GuideLLM makes its prompts of, as in the column `workload` where the user names none."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def client_name() -> str:
    """Name of this client, as in the column `measured_by`."""
    try:
        return f"bayes_sd measure {version('bayes_sd')}"
    except PackageNotFoundError:
        return "bayes_sd measure"


def measure(
    sweep: Sweep, output: str | Path, report: Callable[[Progress], None] = lambda _: None
) -> SweepResult:
    """Measure a server and write a table that ``fit --data`` takes.

    Each finished point is written at once. Where the table has points of the same configuration already, they are not
    measured again: a sweep that was stopped goes on where it was when it is called again.

    Parameters
    ----------
    sweep : Sweep
    output : path-like
        CSV table; rows that are there are kept.
    report : callable
        Called when a point begins and when it is written.

    Returns
    -------
    SweepResult

    Raises
    ------
    TargetError
        If the server refuses, does not answer, answers nonsense or stops; finished points are in the table.
    DataError
        If something is not said, or contradicts what the server counts.
    OutputError
        If the table cannot be written, or another run is writing it.
    """
    check_given(sweep.about)
    about = unsaid.from_options(sweep.about).common
    about.setdefault("workload", sweep.prompts.kind if sweep.guidellm is None else GUIDELLM_WORKLOAD)
    about.setdefault("source", f"measured_{about.get('hardware', '')}".replace(" ", "_"))
    about["measured_by"] = client_name()
    if sweep.guidellm is not None:
        sweep = replace(sweep, guidellm=sweep.guidellm.checked())
    check_complete(about, Load("rate", 1.0, ""))
    with locked(
        output
    ):  # the table is read here, extended for as long as the sweep lasts, and written each time
        return asyncio.run(_measure(sweep, Table(Path(output), about), report))


async def _measure(sweep: Sweep, table: Table, report: Callable[[Progress], None]) -> SweepResult:
    done = table.done(sweep.plan)
    there = len(done.throughput_rps)
    measured, stopped, notes = 0, "", []
    target = checked_target(sweep.target)
    budget = Budget(sweep.max_requests, sweep.max_seconds)
    async with open_session(sweep.api_key) as session:
        client = Client(session, target, sweep.model, sweep.extra, sweep.timeout_s)
        while (point := next_point(sweep.plan, done)) is not None:
            report(Progress(there + measured, points_expected(sweep.plan), point, None))
            try:
                cell = await _point(client, sweep, point, budget, table.about)
            except OutOfBudget as out:
                stopped = str(out)
                break
            except UnfinishedError as error:
                done.add(point, 0.0)
                notes.append(f"{point.name}, repeat {point.repeat}: {error}")
                continue
            except TargetError as error:
                kept = _kept(table, there + measured)
                raise TargetError(f"{target}, {point.name}: {error}; {kept}") from error
            table.add(cell)
            done.add(point, cell.number("achieved_rps") or 0.0)
            measured += 1
            notes += [f"{point.name}, repeat {point.repeat}: {note}" for note in cell.notes]
            report(Progress(there + measured, points_expected(sweep.plan), point, cell))
    return SweepResult(table.path, measured, there, not stopped, stopped, notes)


def _kept(table: Table, points: int) -> str:
    if not points:
        return "is it the right address, and is the server up?"
    return f"{points} finished point{'' if points == 1 else 's'} in {table.path}; run the same command again to go on"


async def _point(
    client: Client, sweep: Sweep, point: Point, budget: Budget, about: Mapping[str, object]
) -> Reading:
    seed = [
        sweep.seed,
        point.shape.prompt_tokens,
        point.shape.output_tokens,
        point.repeat,
        int(1e3 * point.load.value),
    ]
    prompts = await _prompts(client, sweep, point.shape, budget, seed)
    before = await _metrics(client)
    if sweep.guidellm is not None:
        return await _guidellm_point(client, sweep, point, budget, about, before)

    async def send(outcome: Outcome) -> Outcome:
        return await client.send(next(prompts), point.shape.output_tokens, outcome)

    runner = Runner(send, sweep.length, budget)
    try:
        if point.load.kind == "concurrency":
            observed = await runner.closed_loop(int(point.load.value))
        else:
            seed = [*seed, 1]
            observed = await runner.open_loop(point.load.value, sweep.plan.arrivals, seed)
    finally:
        await runner.stop()
    return _reading(point, observed, await _served(client, about, before), sweep)


async def _served(client: Client, about: Mapping[str, object], before: str | None) -> Served:
    """Say what is known of the server after a point, `before` being its counters before it."""
    after = await _metrics(client) if before is not None else None
    return Served(
        metrics=(before, after) if before is not None and after is not None else (),
        method=str(about.get("method", "none")),
        draft_length=int(k) if isinstance(k := about.get("k"), int | float) else 0,
        load_average=load_average() if urlsplit(client.target).hostname in LOOPBACK else float("nan"),
    )


async def _guidellm_point(
    client: Client,
    sweep: Sweep,
    point: Point,
    budget: Budget,
    about: Mapping[str, object],
    before: str | None,
) -> Reading:
    """Have GuideLLM measure a point; what only the server counts is read here."""
    assert sweep.guidellm is not None
    seconds = min(sweep.length.seconds, budget.seconds_left())
    if seconds <= 0:
        raise OutOfBudget("seconds")
    if budget.requests_left() < sweep.length.least:
        raise OutOfBudget("requests")
    cell = await guidellm_cell(sweep, point, budget.requests_left(), seconds, sweep.guidellm)
    budget.spend(int(cell.number("n_requests") or 0))
    put_server_counts(cell, await _served(client, about, before))
    return cell


def _reading(point: Point, observed: Observed, served: Served, sweep: Sweep) -> Reading:
    cell = reading(point, observed, served, client_name(), sweep.plan.arrivals)
    if "prompt_tokens" not in cell.columns:
        cell.put("prompt_tokens", float(point.shape.prompt_tokens))
        cell.derived.append("prompt_tokens=asked for")
    if sweep.prompts.vocabulary is None and not sweep.prompts.texts:
        off = (cell.number("prompt_tokens") or 0.0) / point.shape.prompt_tokens - 1
        if abs(off) > 0.1:
            cell.notes.append(f"prompts are {off:+.0%} off the length asked for")
    return cell


async def _metrics(client: Client) -> str | None:
    """Fetch the server's counters, where it has any of speculation."""
    text = await client.text("/metrics")
    return text if text is not None and DRAFTS in text else None


async def _prompts(
    client: Client, sweep: Sweep, shape: Shape, budget: Budget, seed: list[int]
) -> Iterator[str | list[int]]:
    """Give prompts of a shape's length, and find out by one request whether the server answers at all.

    Made-up words are first measured in the server's tokens.
    """
    words_per = TOKENS_PER_WORD
    prompts = sweep.prompts.stream(shape.prompt_tokens, [*seed, 0])
    budget.take()
    probe = await client.send(next(prompts), 2, Outcome())
    if probe.status != "done":
        raise TargetError(probe.reason)
    if sweep.prompts.vocabulary is None and not sweep.prompts.texts and probe.prompt_tokens:
        words = max(1, round(shape.prompt_tokens / TOKENS_PER_WORD))
        words_per = probe.prompt_tokens / words
    return sweep.prompts.stream(shape.prompt_tokens, [*seed, 1], words_per)
