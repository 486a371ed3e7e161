"""Many jobs, one after the other, on the cores of a machine or on a cluster; what is done is kept in a JSON-lines file."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DECIDING = (
    "cards",
    "measurements",
    "latency",
    "model",
    "posterior",
    "condition",
    "sample",
    "forecast",
    "decide",
)
"""Rooms of the package whose code decides what a fit predicts."""


@dataclass(frozen=True)
class Job:
    """Something to compute.

    Attributes
    ----------
    key : dict
        Plain values that tell this job from all others, the code's revision among them.
    arguments : tuple
        For the function that does it.
    """

    key: dict[str, Any]
    arguments: tuple[Any, ...]

    @property
    def name(self) -> str:
        """The key in one line, by which a finished job is known."""
        return json.dumps(self.key, sort_keys=True)


def say(text: str) -> None:
    """Tell what goes on, on standard error."""
    print(text, file=sys.stderr, flush=True)


def revision() -> str:
    """Name the state of code, cards and tables that decide a result: ten digits of their hash, edits not committed included."""
    files = [ROOT / "models", ROOT / "data", *(ROOT / "bayes_sd" / room for room in DECIDING)]
    digest = hashlib.sha256()
    for folder in files:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".toml", ".csv"):
                digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:10]


class Store:
    """Finished jobs in a file of one JSON object a line: ``{"key": ..., "result": ..., "seconds": ...}``.

    A line that was cut off by a kill is passed over, and its job done again.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._done: dict[str, Any] = {}
        if path is None or not path.exists():
            return
        lines = path.read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line) if line.strip() else None
            except json.JSONDecodeError:
                say(f"{path}, line {number}: cut off; its job is done again")
                continue
            if record:
                self._done[json.dumps(record["key"], sort_keys=True)] = record["result"]
        if lines[-1]:
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def get(self, job: Job) -> Any:
        """Give a job's result, None if it is not done."""
        return self._done.get(job.name)

    def add(self, job: Job, result: Any, seconds: float) -> None:
        """Keep a result."""
        self._done[job.name] = result
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps({"key": job.key, "result": result, "seconds": round(seconds, 1)})
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def run_jobs(
    jobs: Sequence[Job], work: Callable[..., Any], store: Store, workers: int = 1, scheduler: str = ""
) -> list[tuple[Job, Any]]:
    """Do the jobs that are not done yet.

    Parameters
    ----------
    jobs : sequence of Job
    work : callable
        From a job's arguments to something that JSON can hold; a module's own function, so that other processes find it.
    store : Store
    workers : int
        Processes on this machine; 1 works in this one.
    scheduler : str
        Address of a Dask scheduler to use instead, whose workers can import this package and ``benchmarks``.

    Returns
    -------
    list of (Job, result)
        In the order of `jobs`; those that failed are left out, and said.
    """
    todo = [job for job in jobs if store.get(job) is None]
    if len(todo) < len(jobs):
        say(f"{len(jobs) - len(todo)} of {len(jobs)} are done already ({store.path})")
    spread = workers > 1 or scheduler
    outcomes = _spread(todo, work, workers, scheduler) if spread else _here(todo, work)
    with _progress(len(todo)) as advance:
        for job, result, seconds in outcomes:
            if isinstance(result, Exception):
                say(f"{job.name}: {result}")
            else:
                store.add(job, result, seconds)
            advance()
    return [(job, store.get(job)) for job in jobs if store.get(job) is not None]


def timed(work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, float]:
    """Do one job; an error of this package is a result too, so that one bad job does not end a long run."""
    from bayes_sd.errors import BayesSdError

    began = time.perf_counter()
    try:
        result = work(*arguments)
    except BayesSdError as error:
        result = error
    return result, time.perf_counter() - began


def _here(jobs: Sequence[Job], work: Callable[..., Any]) -> Iterator[tuple[Job, Any, float]]:
    for job in jobs:
        yield (job, *timed(work, job.arguments))


def _spread(
    jobs: Sequence[Job], work: Callable[..., Any], workers: int, scheduler: str
) -> Iterator[tuple[Job, Any, float]]:
    if not jobs:
        return
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise SystemExit(
            "several processes need Dask: uv sync --group calibration (or leave --workers at 1)"
        ) from None
    cluster = scheduler or LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    with Client(cluster) as client:
        try:
            futures = {client.submit(timed, work, job.arguments, pure=False): job for job in jobs}
            for future in as_completed(futures):
                yield (futures.pop(future), *future.result())
        finally:
            if not scheduler:
                cluster.close()


class _progress:
    """A bar on standard error while it is a terminal; nothing where it is not."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(
            *columns, console=Console(stderr=True), disable=not (total and sys.stderr.isatty())
        )
        self._task = self._bar.add_task("jobs", total=total)

    def __enter__(self) -> Callable[[], None]:
        self._bar.start()
        return lambda: self._bar.advance(self._task)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
