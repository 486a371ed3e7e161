"""Keeps a load on a server and collects what became of the requests sent while it was steady.

A measurement has three phases under one unbroken load: warm-up; a window, whose requests count; and a tail, in which the
load goes on until every request of the window has ended. So no request is favoured for being short, and none is dropped
because the clock ran out: what is still running when even the tail's patience ends is counted as cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from bayes_sd.errors import TargetError
from bayes_sd.measure.client import Outcome, now_s

Send = Callable[[Outcome], Awaitable[Outcome]]
BATCHES = 10
LEAST_PER_BATCH = 2
LEAST_BATCHES = 4
FAILED_IN_A_ROW = 5
"""Failures one after another that end a measurement: the server is gone, or refuses this load altogether."""
TAIL_LATENCIES = 5.0
TAIL_LEAST_S = 2.0


@dataclass(frozen=True)
class Length:
    """How long a point runs.

    Attributes
    ----------
    standard_error : float
        Wanted standard error of the mean latency, relative to it.
    warm_up : int
        Requests before the window; a closed loop warms up for at least one a client.
    least, most : int
        Requests in the window.
    seconds : float
        Longest window (s).
    """

    standard_error: float = 0.02
    warm_up: int = 3
    least: int = 20
    most: int = 2000
    seconds: float = 60.0


@dataclass
class Observed:
    """Requests of one point, in the order that they were sent.

    Attributes
    ----------
    outcomes : list of Outcome
        All of them: warm-up, window (`counted`) and tail.
    opened_s, closed_s : float
        The window, by :func:`bayes_sd.measure.client.now_s` (s).
    stop : str
        What ended the window: "standard error", "requests" or "seconds".
    """

    outcomes: list[Outcome] = field(default_factory=list)
    opened_s: float = float("nan")
    closed_s: float = float("nan")
    stop: str = ""

    @property
    def counted(self) -> list[Outcome]:
        """Requests sent within the window."""
        return [o for o in self.outcomes if o.counted]

    @property
    def done(self) -> list[Outcome]:
        """Those of them that got a whole answer."""
        return [o for o in self.outcomes if o.counted and o.status == "done"]


def relative_standard_error(latencies_s: list[float]) -> float:
    """Estimate the standard error of a mean latency by batch means, relative to it.

    Requests that ran together share their luck, so they are not independent; means of consecutive batches nearly are.

    Parameters
    ----------
    latencies_s : list of float
        In the order that the requests were sent (s).

    Returns
    -------
    float
        NaN with fewer than 8 requests: nothing can be said.
    """
    batches = min(BATCHES, len(latencies_s) // LEAST_PER_BATCH)
    if batches < LEAST_BATCHES:
        return float("nan")
    means = np.array([part.mean() for part in np.array_split(np.array(latencies_s), batches)])
    return float(means.std(ddof=1) / np.sqrt(batches) / means.mean())


class OutOfBudget(Exception):
    """The sweep's requests or seconds are used up; the argument says which."""


class Budget:
    """What a whole sweep may use.

    Parameters
    ----------
    requests : int
        Requests that may be sent.
    seconds : float
        Time from now (s).
    """

    def __init__(self, requests: int, seconds: float) -> None:
        self._requests, self._until = requests, now_s() + seconds

    def take(self) -> None:
        """Use a request.

        Raises
        ------
        OutOfBudget
            If there is none left, or no time.
        """
        if self._requests < 1:
            raise OutOfBudget("requests")
        if self.seconds_left() <= 0:
            raise OutOfBudget("seconds")
        self._requests -= 1

    def requests_left(self) -> int:
        """Requests left."""
        return self._requests

    def spend(self, requests: int) -> None:
        """Note requests that another program sent."""
        self._requests -= requests

    def seconds_left(self) -> float:
        """Time left (s)."""
        return self._until - now_s()


class Runner:
    """One point under way.

    Parameters
    ----------
    send : callable
        Sends a request and fills in its outcome.
    length : Length
    budget : Budget
        What the whole sweep allows.
    """

    def __init__(self, send: Send, length: Length, budget: Budget) -> None:
        self._send, self._length, self._budget = send, length, budget
        self.observed = Observed()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._change = asyncio.Event()
        self._needed = self._sent = self._failed_in_a_row = 0
        self._latencies_s: list[float] = []
        self._last_failure = Outcome()

    async def closed_loop(self, clients: int) -> Observed:
        """Keep `clients` requests in flight: each client sends when its last request has returned.

        Raises
        ------
        TargetError
            If the server stops answering.
        OutOfBudget
            If the sweep's requests or seconds are used up.
        """
        warm_up = max(self._length.warm_up, clients)
        for _ in range(clients):
            self._start()
        while True:
            await self._wait(None)
            while len(self._tasks) < clients:
                if len(self.observed.outcomes) >= warm_up + clients:
                    self._open()
                if self._over():
                    return await self._finish()
                self._start()

    async def open_loop(
        self, rate_rps: float, arrivals: Literal["poisson", "even"], seed: list[int]
    ) -> Observed:
        """Send at a rate, whatever is still in flight.

        Poisson arrivals are drawn in blocks whose gaps are scaled to the block's mean: the window's rate is then the one
        asked for, and not what chance made of it, which would move latency by more than anything that is measured.

        Raises
        ------
        TargetError, OutOfBudget
            As in :meth:`closed_loop`.
        """
        rng = np.random.default_rng(seed)
        first = max(2, min(self._length.least, int(rate_rps * self._length.seconds)))
        at = now_s()
        for phase, size in (("warm-up", max(1, self._length.warm_up)), ("window", first)):
            if phase == "window":
                self._open(at)
            for gap in gaps_s(rate_rps, arrivals, size, rng):
                at += gap
                await self._arrive(at)
        while not self._over():
            block = max(1, self._wanted() - self._sent)
            left_s = self._length.seconds - (at - self.observed.opened_s)
            block = min(block, int(rate_rps * left_s))
            if block < 1:
                self.observed.stop = "seconds"
                break
            for gap in gaps_s(rate_rps, arrivals, block, rng):
                at += gap
                await self._arrive(at)
        self.observed.closed_s = at
        return await self._finish(tail=gaps_without_end(rate_rps, arrivals, rng), at=at)

    def _wanted(self) -> int:
        """Requests that the window needs, by the spread seen so far."""
        length, done = self._length, self._latencies_s
        if not self._needed or len(done) >= 2 * self._needed:
            error = relative_standard_error(done)
            if error != error:
                return length.least
            needed = len(done) * (error / length.standard_error) ** 2
            self._needed = int(np.clip(np.ceil(needed), length.least, length.most))
        return self._needed

    def _over(self) -> bool:
        """Whether the window has what it needs (or may have)."""
        observed, length = self.observed, self._length
        if observed.opened_s != observed.opened_s:
            return False
        if self._sent >= length.most:
            observed.stop = "requests"
        elif now_s() - observed.opened_s >= length.seconds:
            observed.stop = "seconds"
        elif len(self._latencies_s) >= length.least and self._sent >= self._wanted():
            observed.stop = "standard error"
        return bool(observed.stop)

    def _open(self, at: float | None = None) -> None:
        if self.observed.opened_s != self.observed.opened_s:
            self.observed.opened_s = now_s() if at is None else at

    def _start(self) -> None:
        self._budget.take()
        observed = self.observed
        outcome = Outcome(counted=observed.opened_s == observed.opened_s and not observed.stop)
        self._sent += outcome.counted
        observed.outcomes.append(outcome)
        task = asyncio.ensure_future(self._send(outcome))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._change.set()
        if task.cancelled() or task.exception() is not None:
            return
        outcome = task.result()
        if outcome.status == "failed":
            self._failed_in_a_row += 1
            self._last_failure = outcome
            return
        self._failed_in_a_row = 0
        if outcome.counted:
            self._latencies_s.append(outcome.latency_s)

    async def _arrive(self, at: float) -> None:
        while (left := at - now_s()) > 0:
            await self._wait(left)
        self._start()

    async def _wait(self, seconds: float | None) -> None:
        """Wait until a request ends, at most some seconds, and never past the sweep's time."""
        self._change.clear()
        left = self._budget.seconds_left()
        limit = left if seconds is None else min(seconds, left)
        try:
            async with asyncio.timeout(max(limit, 0.0)):
                await self._change.wait()
        except TimeoutError:
            if self._budget.seconds_left() <= 0:
                raise OutOfBudget("seconds") from None
        self._check_alive()

    def _check_alive(self) -> None:
        last = self._last_failure
        if last.refused or self._failed_in_a_row >= FAILED_IN_A_ROW:
            raise TargetError(last.reason)

    async def _finish(self, tail: Iterator[float] | None = None, at: float = 0.0) -> Observed:
        """Keep the load up until the window's requests have ended, then cut off the rest."""
        observed = self.observed
        if observed.closed_s != observed.closed_s:
            observed.closed_s = now_s()
        longest = max(self._latencies_s, default=self._length.seconds)
        patience = max(TAIL_LEAST_S, TAIL_LATENCIES * longest)
        until = observed.closed_s + patience
        clients = len(self._tasks) + 1  # a closed loop comes here when one of its clients is free
        if tail is not None:
            at += next(tail)
        while any(o.counted and o.status == "running" for o in observed.outcomes):
            now = now_s()
            if now >= until:
                break
            if tail is None:
                while len(self._tasks) < clients:
                    self._start()
                await self._wait(until - now)
            elif now >= at:
                self._start()
                at += next(tail)
            else:
                await self._wait(min(at, until) - now)
        await self.stop()
        return observed

    async def stop(self) -> None:
        """Cut off whatever is still running."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def gaps_s(rate_rps: float, arrivals: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Give the gaps between `size` arrivals, shape (size,) [s]; together exactly size/rate."""
    if arrivals == "even":
        return np.full(size, 1.0 / rate_rps)
    gaps = rng.exponential(size=size)
    return gaps * size / (rate_rps * gaps.sum())


def gaps_without_end(rate_rps: float, arrivals: str, rng: np.random.Generator) -> Iterator[float]:
    """Give gaps between arrivals for ever (s)."""
    while True:
        yield 1.0 / rate_rps if arrivals == "even" else float(rng.exponential()) / rate_rps
