"""Throughput of a service curve, its cap, and where it stops being stable."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.queue.protocol import (
    Protocol,
    checked_cap,
    checked_load,
    checked_protocol,
    checked_service,
)

LARGEST_GRID = 4096


def capped_curve(service_s: Any, n_max: Any = None, xp: ModuleType = np) -> Any:
    """Extend a service curve past the cap on running requests, waiting included.

    With n > n_max requests present, n_max run and the rest wait, so together they progress as fast as n_max
    do: S(n) = S(n_max)·n/n_max. In a closed loop of n clients that is each request's latency; under Poisson
    arrivals it is exact for exponential work, and close for any other (the number present is then not quite
    insensitive).

    Parameters
    ----------
    service_s : array or tensor, shape (..., n)
        S(1..n) in seconds.
    n_max : int array, broadcastable against the leading dims, optional
        Cap on running requests, plain numbers; None or ≥ n leaves the curve as it is.
    xp : module
        ``numpy`` or ``pytensor.tensor``; a tensor's last dimension must have a static length.

    Returns
    -------
    array or tensor, shape (..., n)
        Seconds.

    Raises
    ------
    ConditionError
        If a cap is below 1.
    """
    if n_max is None:
        return service_s
    n = np.arange(1, grid_length(service_s) + 1)
    cap = np.minimum(checked_cap(n_max), len(n))
    if np.all(cap == len(n)):
        return service_s
    at_cap = xp.sum(xp.where(n == cap[..., None], service_s, 0.0), axis=-1)
    return xp.where(n <= cap[..., None], service_s, at_cap[..., None] * (n / cap[..., None]))


def throughput_curve(service_s: Any, n_max: Any = None, xp: ModuleType = np) -> Any:
    """Compute the throughput with n requests present, X(n) = n/S(n), flat past the cap.

    Parameters
    ----------
    service_s : array or tensor, shape (..., n)
        S(1..n) in seconds.
    n_max : int array, broadcastable, optional
        Cap on running requests.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor, shape (..., n)
        Requests/s.
    """
    return np.arange(1, grid_length(service_s) + 1) / capped_curve(service_s, n_max, xp)


def stability_limit(
    service_s: Any, n_max: Any = None, protocol: Protocol = "poisson", xp: ModuleType = np
) -> Any:
    """Find the arrival rate below which an open loop has a steady state.

    Poisson arrivals wander to every number in flight, so what counts is the throughput at the cap, X(n_max)
    = n_max/S(n_max). Even arrivals climb from an empty server only until departures keep up, so any rate
    below the largest X(n), n ≤ n_max, is held. The two agree where X is increasing, which every linear
    curve and every curve with expert coverage is; X falls only where S grows faster than in proportion to
    the number in flight (a cache that overflows, say), and there the even loop's steady state can be lost
    to a burst.

    Without a cap the end of the grid stands for it, so the limit of an uncapped server is a lower bound
    that rises to 1/C2 as the grid grows (C2 the curve's final slope).

    Parameters
    ----------
    service_s : array or tensor, shape (..., n)
        S(1..n) in seconds.
    n_max : int array, broadcastable, optional
        Cap on running requests.
    protocol : {"poisson", "even", "closed"}
        Arrival process; a closed loop is always stable (infinite limit).
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor, shape (...)
        Requests/s.

    Raises
    ------
    ConditionError
        If the protocol is unknown or a cap below 1.
    """
    protocol = checked_protocol(protocol)
    throughput = throughput_curve(service_s, n_max, xp)
    if protocol == "even":
        return xp.max(throughput, axis=-1)
    if protocol == "closed":
        return xp.full_like(throughput[..., -1], np.inf)
    return throughput[..., -1]


def is_stable(
    service_s: Any, rate_rps: Any, n_max: Any = None, protocol: Protocol = "poisson", xp: ModuleType = np
) -> Any:
    """Tell whether an open loop at this rate has a steady state.

    Parameters
    ----------
    service_s : array or tensor, shape (..., n)
        S(1..n) in seconds.
    rate_rps : array or tensor, shape (...)
        λ in requests/s.
    n_max, protocol, xp
        As for :func:`stability_limit`.

    Returns
    -------
    bool array or tensor, shape (...)
    """
    return rate_rps < stability_limit(service_s, n_max, protocol, xp)


def adaptive_grid(
    curve: Callable[[np.ndarray], np.ndarray],
    rate_rps: Any,
    tail: float = 1e-12,
    largest: int = LARGEST_GRID,
) -> np.ndarray:
    """Evaluate the service curve of an uncapped server as far as Poisson arrivals at this rate reach.

    The grid doubles until the probability of more in flight, bounded by a geometric tail, is below `tail`
    for every curve, or until `largest` is reached (an unstable rate, or one within a hair of the limit).

    Parameters
    ----------
    curve : callable
        From b, shape (n,), to S(b) in seconds, shape (..., n).
    rate_rps : array, broadcastable against the leading dims
        λ in requests/s.
    tail : float
        Probability that may be cut off.
    largest : int
        Longest grid.

    Returns
    -------
    array, shape (..., n)
        S(1..n) in seconds.

    Raises
    ------
    ConditionError
        If the rate is not positive or the curve not finite latencies above 0.
    """
    rate = checked_load(rate_rps)[..., None]
    length = min(64, largest)
    while True:
        service = checked_service(curve(np.arange(1.0, length + 1)))
        ratio = rate * service / np.arange(1, length + 1)
        last = ratio[..., -1]
        log_weight = np.cumsum(np.log(ratio), axis=-1)
        log_tail = log_weight[..., -1] - np.log1p(-np.minimum(last, 1 - 1e-9))
        settled = (last < 1) & (log_tail - np.maximum(log_weight.max(axis=-1), 0.0) < np.log(tail))
        if np.all(settled) or length >= largest:
            return service
        length = min(2 * length, largest)


def grid_length(service_s: Any) -> int:
    """Give the number of points of a service curve.

    Parameters
    ----------
    service_s : array or tensor, shape (..., n)

    Returns
    -------
    int

    Raises
    ------
    ConditionError
        If a tensor's last dimension has no static length.
    """
    shape = service_s.shape if isinstance(service_s, np.ndarray) else service_s.type.shape
    if not shape or not shape[-1]:
        raise ConditionError("the service curve needs a last axis of known length, S(1..n)")
    return int(shape[-1])
