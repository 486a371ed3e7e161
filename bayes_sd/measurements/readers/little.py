"""Little's law as a check: requests in flight, integrated over time, against arrival rate times latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayes_sd.measurements.readers.reading import Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

MIDDLE = (0.1, 0.9)
"""Share of the arrivals whose span is looked at. Over a whole run from empty to empty the law is an identity
(the integral of requests in flight is the sum of latencies): only a window inside can show that it fails."""
MIN_REQUESTS = 10
STEADY = 0.10
"""Discrepancy above which a run is said not to have been steady."""
EDGE_ERRORS = 3.0
"""Standard errors, of what the requests under way at the window's ends add or take, that pass as chance."""


def in_flight(starts_s: np.ndarray, ends_s: np.ndarray, low_s: float, high_s: float) -> float:
    """Mean number of requests in flight in a window.

    Parameters
    ----------
    starts_s, ends_s : ndarray, (request,)
        When each request was sent and when it ended (s), cut-off and failed ones included.
    low_s, high_s : float
        The window (s), not empty.

    Returns
    -------
    float
        Requests.
    """
    inside = ends_s.clip(low_s, high_s) - starts_s.clip(low_s, high_s)
    return float(inside.sum() / (high_s - low_s))


def check(cell: Reading, starts_s: ArrayLike, ends_s: ArrayLike, completed: ArrayLike) -> None:
    """Compare requests in flight with rate times latency over the middle of the arrivals, and report it.

    Parameters
    ----------
    cell : Reading
        Receives the notes.
    starts_s, ends_s : array_like of float, (request,)
        When each request was sent and when it ended (s).
    completed : array_like of bool, (request,)
        False for one that failed or was cut off: it was in flight, but its latency is not known.
    """
    import numpy as np

    starts, ends = np.asarray(starts_s, dtype=float), np.asarray(ends_s, dtype=float)
    done = np.asarray(completed, dtype=bool)
    low, high = np.quantile(starts, MIDDLE) if len(starts) else (0.0, 0.0)
    arrived = (starts >= low) & (starts < high)
    if arrived.sum() < MIN_REQUESTS or not (arrived & done).any() or high <= low:
        cell.notes.append("Little's law not checked: too few requests")
        return
    measured = in_flight(starts, ends, low, high)
    rate = float(arrived.sum() / (high - low))
    predicted = rate * float((ends - starts)[arrived & done].mean())
    apart = measured / predicted - 1
    # In flight at an end are about Poisson(predicted) requests, each with a latency's worth of time in the
    # window or out of it.
    edge = np.sqrt(2 / predicted) * (predicted / rate) / (high - low)
    unsteady = abs(apart) > max(STEADY, EDGE_ERRORS * edge)
    cell.notes.append(
        f"Little's law: {measured:.4g} in flight, rate x latency {predicted:.4g} ({apart:+.1%}, middle 80 % "
        "of the arrivals)" + ("; the run was not steady" if unsteady else "")
    )
    cell.remarks.append(f"Little {apart:+.1%}")
    cell.in_flight = measured


def stated(cell: Reading, concurrency: float | None) -> None:
    """Take a concurrency that the tool computed from the same requests as rate and latency, and say what it proves.

    Parameters
    ----------
    cell : Reading
        Must have its latency and rate; receives the note.
    concurrency : float or None
        Mean requests in flight as the file has it.
    """
    rate, latency = cell.number("achieved_rps"), cell.number("mean_e2e_s")
    if cell.in_flight is None and concurrency is not None and concurrency > 0:
        cell.in_flight = concurrency
    if concurrency is None or rate is None or latency is None or rate * latency <= 0:
        return
    apart = concurrency / (rate * latency) - 1
    cell.notes.append(
        f"Little's law: {concurrency:.4g} in flight, rate x latency {rate * latency:.4g} ({apart:+.1%}); it "
        "holds by "
        "construction, since the tool computes all three from the same requests, and so proves nothing"
    )
