"""Mean latency under each load protocol, for a service curve on a grid; for NumPy and PyTensor alike."""

from types import ModuleType
from typing import Any, Literal

import numpy as np

from bayes_sd.latency.queue.curve import capped_curve, grid_length, stability_limit
from bayes_sd.latency.queue.protocol import checked_cap, checked_load

Beyond = Literal["inf", "hold"]
"""What a mean is at or past the stability limit.

``"inf"``: infinite, as it is. ``"hold"``: the finite value just below the limit, with finite gradients, for
a model that masks such rows or penalises them itself; tell them by
:func:`bayes_sd.latency.queue.is_stable`.
"""

MARGIN = 1e-6
"""How far below the limit, relatively, the rate is held."""


def mean_latency_closed(service_at_running_s: Any, clients: Any, n_max: Any = None) -> Any:
    """Compute the mean latency of a closed loop of N clients.

    L = S(N) while all run; with a cap, min(N, n_max) run and each request also waits for its turn:
    L = N·S(n_max)/n_max.

    Parameters
    ----------
    service_at_running_s : array or tensor
        S(min(N, n_max)) in seconds.
    clients : array
        N.
    n_max : int array, broadcastable, optional
        Cap on running requests.

    Returns
    -------
    array or tensor
        Mean latency [s], waiting included.

    Raises
    ------
    ConditionError
        If a cap is below 1.
    """
    if n_max is None:
        return service_at_running_s
    return service_at_running_s * np.maximum(clients / checked_cap(n_max), 1.0)


def mean_latency_open_even(
    service_s: Any, rate_rps: Any, n_max: Any = None, xp: ModuleType = np, beyond: Beyond = "inf"
) -> Any:
    """Compute the mean latency of an open loop with evenly spaced arrivals of equal requests.

    With X(n) = n/S(n) and X(0) = 0, the number in flight alternates between the two neighbours n, n + 1 with
    X(n) ≤ λ < X(n + 1), so B = n + (λ − X(n))/(X(n + 1) − X(n)) exactly, and L = B/λ. If X is not
    increasing, n is the first such neighbour: where a server that starts empty comes to rest.

    Parameters
    ----------
    service_s : array or tensor, shape (..., n)
        S(1..n) in seconds.
    rate_rps : array or tensor, shape (...)
        λ in requests/s.
    n_max : int array, broadcastable, optional
        Cap on running requests; it matters only to the stability limit.
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    beyond : {"inf", "hold"}
        Value at or past the limit.

    Returns
    -------
    array or tensor, shape (...)
        Mean latency [s].
    """
    limit = stability_limit(service_s, n_max, "even", xp)
    rate = held_rate(rate_rps, limit, xp)
    return mark_beyond(in_flight_even(service_s, rate, n_max, xp) / rate, rate_rps, limit, xp, beyond)


def in_flight_even(service_s: Any, rate_rps: Any, n_max: Any = None, xp: ModuleType = np) -> Any:
    """Compute the mean number in flight under even arrivals at a rate below the limit.

    Parameters
    ----------
    service_s : array or tensor, shape (..., n)
        S(1..n) in seconds.
    rate_rps : array or tensor, shape (...)
        λ in requests/s, below :func:`stability_limit`.
    n_max : int array, broadcastable, optional
        Cap on running requests.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor, shape (...)
        B in requests.
    """
    n = np.arange(1, grid_length(service_s) + 1)
    upper = n / capped_curve(service_s, n_max, xp)
    held = rate_rps[..., None]
    # 1 at every n before the first that keeps up, 0 from it on: its sum is that n minus 1.
    behind = xp.cumprod(xp.where(upper <= held, 1.0, 0.0), axis=-1)
    below = xp.sum(behind, axis=-1)
    # Distances rather than ==, which PyTensor does not overload.
    ahead = n - below[..., None]
    x_above = xp.sum(xp.where(abs(ahead - 1.0) < 0.5, upper, 0.0), axis=-1)
    x_below = xp.sum(xp.where(abs(ahead) < 0.5, upper, 0.0), axis=-1)
    return below + (rate_rps - x_below) / (x_above - x_below)


def mean_latency_open_poisson(
    service_s: Any,
    rate_rps: Any,
    n_max: Any = None,
    xp: ModuleType = np,
    beyond: Beyond = "inf",
    work_cv: Any = 1.0,
) -> Any:
    """Compute the mean latency of an open loop with Poisson arrivals.

    P(b = n) ∝ Π_{j≤n} λ·S(j)/j in log space, past the grid's end a geometric tail with ratio λ·S(n)/n at the
    end (exact when the cap is at or before the end, negligible when the grid is long enough), L = E[b]/λ.

    Parameters
    ----------
    service_s : array or tensor, shape (..., n)
        S(1..n) in seconds.
    rate_rps : array or tensor, shape (...)
        λ in requests/s.
    n_max : int array, broadcastable, optional
        Cap on running requests.
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    beyond : {"inf", "hold"}
        Value at or past the limit: infinite, or the finite one just below it.
    work_cv : array or tensor, shape (...)
        Coefficient of variation of a request's work. While nothing waits behind the cap it does not matter;
        the waiting time is multiplied by (1 + work_cv²)/2 (Allen and Cunneen's rule for queues with many
        servers). 1 is exact for exponential work; for equal requests, 0, the rule came within 2 % of the
        simulated latency.

    Returns
    -------
    array or tensor, shape (...)
        Mean latency [s], waiting included.
    """
    limit = stability_limit(service_s, n_max, "poisson", xp)
    rate = held_rate(rate_rps, limit, xp)
    n = np.arange(1, grid_length(service_s) + 1)
    log_weight = xp.cumsum(xp.log(rate[..., None] * capped_curve(service_s, n_max, xp) / n), axis=-1)
    load = rate / limit
    # States from the last on make one term: weight 1/(1 − ρ) of the last state's, mean ρ/(1 − ρ) beyond it.
    log_tail = log_weight[..., -1] - xp.log1p(-load)
    shift = xp.maximum(xp.maximum(xp.max(log_weight, axis=-1), log_tail), 0.0)
    weight = xp.exp(log_weight[..., :-1] - shift[..., None])
    tail = xp.exp(log_tail - shift)
    total = xp.exp(-shift) + xp.sum(weight, axis=-1) + tail
    moment = xp.sum(weight * n[:-1], axis=-1) + tail * (len(n) + load / (1.0 - load))
    if not (isinstance(work_cv, float | int) and work_cv == 1.0):
        cap = len(n) if n_max is None else np.minimum(checked_cap(n_max), len(n))
        waiting = np.maximum(n[:-1] - np.asarray(cap)[..., None], 0)
        queued = xp.sum(weight * waiting, axis=-1) + tail * (len(n) - cap + load / (1.0 - load))
        moment = moment + (wait_factor(work_cv) - 1.0) * queued
    return mark_beyond(moment / total / rate, rate_rps, limit, xp, beyond)


def wait_factor(work_cv: Any) -> Any:
    """Compute the waiting time relative to that of exponential work, (1 + cv²)/2.

    Parameters
    ----------
    work_cv : array or tensor
        Coefficient of variation of a request's work, ≥ 0.

    Returns
    -------
    array or tensor

    Raises
    ------
    ConditionError
        If a plain number is negative or not finite.
    """
    if isinstance(work_cv, float | int | np.ndarray):
        work_cv = checked_load(work_cv, "work_cv", smallest=-1e-300)
    return 0.5 * (1.0 + work_cv * work_cv)


def held_rate(rate_rps: Any, limit_rps: Any, xp: ModuleType = np) -> Any:
    """Keep a rate just below a limit.

    Parameters
    ----------
    rate_rps, limit_rps : array or tensor
        Requests/s.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor
        Requests/s.
    """
    return xp.minimum(rate_rps, (1.0 - MARGIN) * limit_rps)


def mark_beyond(value: Any, rate_rps: Any, limit_rps: Any, xp: ModuleType, beyond: Beyond) -> Any:
    """Put infinity where the rate is at or past the limit, if so asked.

    Parameters
    ----------
    value : array or tensor
        A mean computed at the held rate.
    rate_rps, limit_rps : array or tensor
        Requests/s.
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    beyond : {"inf", "hold"}
        What to put.

    Returns
    -------
    array or tensor
    """
    if beyond == "hold":
        return value
    return xp.where(rate_rps < limit_rps, value, np.inf)
