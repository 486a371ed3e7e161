"""Which points a sweep takes, and in what order: a pure function of what has been measured so far.

So a sweep that was stopped goes on where it was: given the finished points, it asks for the same next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bayes_sd.errors import DataError

LoadKind = Literal["concurrency", "rate"]
WORTH_DOUBLING = 1.10
"""Throughput gain from twice the clients below which more of them only wait."""


@dataclass(frozen=True)
class Shape:
    """Lengths of the requests.

    Attributes
    ----------
    prompt_tokens, output_tokens : int
        Tokens.
    """

    prompt_tokens: int
    output_tokens: int

    def __str__(self) -> str:
        return f"{self.prompt_tokens}+{self.output_tokens} tokens"


@dataclass(frozen=True)
class Load:
    """Offered load.

    Attributes
    ----------
    kind : {"concurrency", "rate"}
        Closed or open loop.
    value : float
        Clients, or requests/s.
    label : str
        What the plan calls it: the same in every run of the same plan, even if a measured capacity moves `value`.
    """

    kind: LoadKind
    value: float
    label: str


@dataclass(frozen=True)
class Point:
    """One cell to measure.

    Attributes
    ----------
    shape : Shape
    load : Load
    repeat : int
        From 1.
    """

    shape: Shape
    load: Load
    repeat: int

    @property
    def name(self) -> str:
        """Name of the cell, as in the column `config_id`."""
        return f"{self.shape}, {self.load.label}"


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes
    ----------
    shapes : tuple of Shape
        Lengths.
    clients : tuple of int or None
        Closed loops. None: 1, 2, 4, ... while throughput grows.
    max_clients : int
        Where doubling ends.
    rates : tuple of float
        Open loops (requests/s).
    shares : tuple of float
        Open loops as shares of the best throughput that a closed loop reached, each below 1.
    arrivals : {"poisson", "even"}
        Spacing of the open loops.
    repeats : int
        Times that every cell is measured: all cells once, then all again, so that a machine's drift does not look like a
        load's effect.
    listed : tuple of (Shape, Load)
        Exactly these cells, in this order, instead of shapes, clients, rates and shares.
    """

    shapes: tuple[Shape, ...] = (Shape(128, 64),)
    clients: tuple[int, ...] | None = None
    max_clients: int = 32
    rates: tuple[float, ...] = ()
    shares: tuple[float, ...] = (0.3, 0.5, 0.7, 0.85)
    arrivals: Literal["poisson", "even"] = "poisson"
    repeats: int = 2
    listed: tuple[tuple[Shape, Load], ...] = ()

    def __post_init__(self) -> None:
        if self.shares and self.clients == ():
            raise DataError(
                "rates as shares of the capacity need closed loops to find it: give --clients, or rates in requests/s"
            )
        if not self.shapes or not (self.clients is None or self.clients or self.rates):
            raise DataError("nothing to measure: give at least one shape, and clients or rates")
        if any(not 0 < share < 1 for share in self.shares):
            raise DataError(
                "shares of the capacity lie between 0 and 100 %: past it there is no steady state"
            )
        if any(not rate > 0 for rate in self.rates) or any(n < 1 for n in self.clients or ()):
            raise DataError("rates must be above zero, and numbers of clients at least 1")


@dataclass
class Done:
    """Points that are finished.

    Attributes
    ----------
    throughput_rps : dict
        (shape, load label, repeat) to completed requests a second.
    """

    throughput_rps: dict[tuple[Shape, str, int], float] = field(default_factory=dict)

    def add(self, point: Point, throughput_rps: float) -> None:
        """Note a finished point."""
        self.throughput_rps[point.shape, point.load.label, point.repeat] = throughput_rps

    def __contains__(self, point: Point) -> bool:
        return (point.shape, point.load.label, point.repeat) in self.throughput_rps


def next_point(plan: Plan, done: Done) -> Point | None:
    """Give the next point to measure, None when the plan is through.

    Parameters
    ----------
    plan : Plan
    done : Done
        Finished points.

    Returns
    -------
    Point or None
    """
    for repeat in range(1, plan.repeats + 1):
        for shape, load in cells(plan, done.throughput_rps):
            point = Point(shape, load, repeat)
            if point not in done:
                return point
    return None


def cells(plan: Plan, throughput: Mapping[tuple[Shape, str, int], float]) -> Iterator[tuple[Shape, Load]]:
    """Give the cells of a plan as far as they are known: those listed, or each shape with its ladder of loads.

    Parameters
    ----------
    plan : Plan
    throughput : mapping
        As in :class:`Done`.

    Yields
    ------
    (Shape, Load)
    """
    if plan.listed:
        yield from plan.listed
        return
    for shape in plan.shapes:
        for load in ladder(plan, shape, throughput):
            yield shape, load


def ladder(plan: Plan, shape: Shape, throughput: Mapping[tuple[Shape, str, int], float]) -> Iterator[Load]:
    """Give the loads of a shape, from the lightest up, as far as they are known.

    Parameters
    ----------
    plan : Plan
    shape : Shape
    throughput : mapping
        As in :class:`Done`; the first repeat decides.

    Yields
    ------
    Load
        The last one may be one whose throughput is not known yet: what follows depends on it.
    """
    capacity = 0.0
    before = None
    for clients in plan.clients if plan.clients is not None else _doubling(plan.max_clients):
        load = closed_load(clients)
        yield load
        reached = throughput.get((shape, load.label, 1))
        if reached is None:
            if plan.clients is None or plan.shares:
                return
            continue
        if plan.clients is None and before is not None and reached < WORTH_DOUBLING * before:
            capacity = max(capacity, reached)
            break
        capacity, before = max(capacity, reached), reached
    for rate in plan.rates:
        yield open_load(rate, plan.arrivals)
    for share in plan.shares:
        yield Load("rate", float(f"{share * capacity:.4g}"), f"{share:.0%} of capacity {plan.arrivals}")


def closed_load(clients: int) -> Load:
    """Give the closed loop of some clients."""
    return Load("concurrency", clients, f"{clients} client{'' if clients == 1 else 's'}")


def open_load(rate_rps: float, arrivals: str) -> Load:
    """Give the open loop of a rate."""
    return Load("rate", rate_rps, f"{rate_rps:g} requests/s {arrivals}")


def _doubling(limit: int) -> Iterator[int]:
    clients = 1
    while clients <= limit:
        yield clients
        clients *= 2


def points_expected(plan: Plan) -> int:
    """Give how many points the plan takes, at most where the ladder is not known in advance."""
    if plan.listed:
        return plan.repeats * len(plan.listed)
    closed = len(plan.clients) if plan.clients is not None else len(list(_doubling(plan.max_clients)))
    return plan.repeats * len(plan.shapes) * (closed + len(plan.rates) + len(plan.shares))
