"""Where the service curve must be known for each observation, so that one vectorised evaluation serves all protocols.

A closed loop needs it at the number of clients. An open loop with even arrivals needs it at some numbers in flight between which
throughput is interpolated; one with Poisson arrivals at some numbers up to where the stationary law has no weight left, between
which it is nearly straight. Where such
points stand goes by what was measured, so that they are dense where they are needed; what the model says does not depend on it.
A closed loop at two pools needs what its decode workers do with some shares of the clients. Observations are ordered closed, even,
Poisson, pools, and so are their points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_sd.latency.pools import SHARES

EVEN_STEPS = np.array([0.6, 1.0, 1.6])
"""Where throughput is known for an open loop with even arrivals, in numbers in flight beside the measured one."""
POISSON_REACH = 8.0
MOST_POISSON_POINTS = 1024
EACH_UP_TO, PER_DOUBLING = 8, 4
"""Numbers in flight that have a point each, and points per doubling of those beyond."""


@dataclass(frozen=True)
class Points:
    """Evaluation points of the service curve.

    Attributes
    ----------
    row : int array, shape (point,)
        Observation that the point belongs to.
    in_flight : array, shape (point,)
        Requests in flight at which the curve is needed.
    closed, even, poisson : int
        How many observations of each protocol, in that order.
    reach : int
        Requests in flight that Poisson observations may have at most.
    pools : int
        How many observations of two pools, which are last.
    """

    row: np.ndarray
    in_flight: np.ndarray
    closed: int
    even: int
    poisson: int
    reach: int
    pools: int = 0

    @property
    def poisson_numbers(self) -> np.ndarray:
        """Numbers in flight at which the curve of each Poisson observation is evaluated, shape (number,)."""
        return poisson_numbers(self.reach)

    @property
    def poisson_points(self) -> np.ndarray:
        """Points of the Poisson observations, shape (poisson, number)."""
        start, n = self.closed + self.even * len(EVEN_STEPS), len(self.poisson_numbers)
        return start + np.arange(self.poisson * n).reshape(self.poisson, n)

    @property
    def pool_points(self) -> np.ndarray:
        """Points of the closed loops at two pools, shape (pools, share)."""
        start = len(self.row) - self.pools * len(SHARES)
        return start + np.arange(self.pools * len(SHARES)).reshape(self.pools, len(SHARES))

    @property
    def even_points(self) -> np.ndarray:
        """Points of the open loops with even arrivals, shape (even, step)."""
        return self.closed + np.arange(self.even * len(EVEN_STEPS)).reshape(self.even, len(EVEN_STEPS))

    @property
    def running(self) -> np.ndarray:
        """For each observation, the point nearest to the number in flight that was measured."""
        nearest = self.poisson_points[:, 0] if self.poisson else np.empty(0, dtype=int)
        all_decode = self.pool_points[:, -1]
        return np.concatenate(
            [np.arange(self.closed), self.even_points[:, len(EVEN_STEPS) // 2], nearest, all_decode]
        )


def protocol_order(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Order observations closed loop, open loop even, open loop Poisson, two pools (stable).

    Returns
    -------
    int array, shape (observation,)
    """
    order = rows["open_loop"].astype(int) + (rows["open_loop"] & rows["poisson"])
    return np.argsort(np.where(rows["pools"], 3, order), kind="stable")


def place_points(rows: dict[str, np.ndarray]) -> Points:
    """Place the points for observations that are already in protocol order.

    Parameters
    ----------
    rows : dict of str to array, shape (observation,)
        With ``open_loop, poisson, load, latency_s``, and ``pools``, ``decode_workers`` where rows have two pools.

    Returns
    -------
    Points
    """
    poisson = rows["open_loop"] & rows["poisson"]
    even = rows["open_loop"] & ~poisson
    pools = rows.get("pools", np.zeros(len(even), dtype=bool))
    closed = np.flatnonzero(~rows["open_loop"] & ~pools)
    pooled = np.flatnonzero(pools)
    each = (
        pool_numbers(rows["load"][pooled]) / rows["decode_workers"][pooled][:, None]
        if len(pooled)
        else np.empty(0)
    )
    measured = rows["load"] * rows["latency_s"]
    nodes = np.maximum(measured[even], 1.0)[:, None] * EVEN_STEPS
    # Below one request in flight there is nothing to share, and the curve starts at one.
    nodes = np.maximum(nodes, 1.0 + 0.1 * np.arange(len(EVEN_STEPS)))
    reach = 0
    if poisson.any():
        most = measured[poisson].max()
        reach = int(min(MOST_POISSON_POINTS, np.ceil(most + POISSON_REACH * np.sqrt(most * (1 + most) + 1))))
    index_even, index_poisson = np.flatnonzero(even), np.flatnonzero(poisson)
    return Points(
        row=np.concatenate(
            [
                closed,
                np.repeat(index_even, len(EVEN_STEPS)),
                np.repeat(index_poisson, len(poisson_numbers(reach))),
                np.repeat(pooled, len(SHARES)),
            ]
        ).astype(int),
        in_flight=np.concatenate(
            [
                rows["load"][closed],
                nodes.ravel(),
                np.tile(poisson_numbers(reach), len(index_poisson)),
                # A worker that has less than one request on average has one when it has any.
                np.maximum(each.ravel(), 1.0),
            ]
        ),
        closed=len(closed),
        even=len(index_even),
        poisson=len(index_poisson),
        reach=reach,
        pools=len(pooled),
    )


def poisson_numbers(reach: int) -> np.ndarray:
    """Choose the numbers in flight, up to `reach`, at which a service curve is evaluated under Poisson arrivals."""
    if reach < 1:
        return np.empty(0)
    doublings = np.arange(int(np.ceil(PER_DOUBLING * np.log2(max(reach, 2)))) + 1) / PER_DOUBLING
    numbers = np.concatenate([np.arange(1.0, EACH_UP_TO + 1), np.floor(2.0**doublings), [float(reach)]])
    return np.unique(numbers[numbers <= reach])


def pool_numbers(clients: np.ndarray) -> np.ndarray:
    """Give the numbers of requests in a decode pool at which decoding is evaluated, shape (row, share)."""
    return np.asarray(clients, dtype=float)[:, None] * SHARES
