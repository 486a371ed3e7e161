"""Where the service curve must be known for each observation, so that one vectorised evaluation serves all protocols.

A closed loop needs it at the number of clients. An open loop with even arrivals needs it at the two integers round the
number in flight; one with Poisson arrivals at 1, 2, ... up to where the stationary law has no weight left.
Observations are ordered closed, even, Poisson, and so are their points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POISSON_REACH = 8.0
MOST_POISSON_POINTS = 1024


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
        Points per Poisson observation.
    """

    row: np.ndarray
    in_flight: np.ndarray
    closed: int
    even: int
    poisson: int
    reach: int

    @property
    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """For each observation that is not Poisson, the points below and above its number in flight; one if closed."""
        closed, even = np.arange(self.closed), self.closed + np.arange(self.even)
        return np.concatenate([closed, even]), np.concatenate([closed, even + self.even])

    @property
    def running(self) -> np.ndarray:
        """For each observation, the point nearest to the number in flight that was measured."""
        poisson_start = self.closed + 2 * self.even
        nearest = poisson_start + np.arange(self.poisson) * self.reach
        return np.concatenate(
            [np.arange(self.closed), self.closed + self.even + np.arange(self.even), nearest]
        )


def protocol_order(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Order observations closed loop, open loop even, open loop Poisson (stable).

    Returns
    -------
    int array, shape (observation,)
    """
    return np.argsort(rows["open_loop"].astype(int) + (rows["open_loop"] & rows["poisson"]), kind="stable")


def place_points(rows: dict[str, np.ndarray]) -> Points:
    """Place the points for observations that are already in protocol order.

    Parameters
    ----------
    rows : dict of str to array, shape (observation,)
        With ``open_loop, poisson, load, latency_s``.

    Returns
    -------
    Points
    """
    poisson = rows["open_loop"] & rows["poisson"]
    even = rows["open_loop"] & ~poisson
    closed = np.flatnonzero(~rows["open_loop"])
    measured = rows["load"] * rows["latency_s"]
    below = np.floor(measured[even])
    reach = 0
    if poisson.any():
        most = measured[poisson].max()
        reach = int(min(MOST_POISSON_POINTS, np.ceil(most + POISSON_REACH * np.sqrt(most * (1 + most) + 1))))
    index_even, index_poisson = np.flatnonzero(even), np.flatnonzero(poisson)
    return Points(
        row=np.concatenate([closed, index_even, index_even, np.repeat(index_poisson, reach)]).astype(int),
        in_flight=np.concatenate(
            [
                rows["load"][closed],
                np.maximum(below, 1e-6),
                below + 1.0,
                np.tile(np.arange(1.0, reach + 1), len(index_poisson)),
            ]
        ),
        closed=len(closed),
        even=len(index_even),
        poisson=len(index_poisson),
        reach=reach,
    )
