"""Closed forms for a linear service curve S(b) = C1 + C2·b without a cap.

C1 is the load-independent cost of a request in seconds, C2 the extra latency per request in flight in
seconds per request. Both C1 > 0 and C2 ≥ 0 are assumed; the functions use only operators that NumPy and
PyTensor share.
"""

from types import ModuleType
from typing import Any, Literal

import numpy as np

from bayes_sd.latency.queue.mean import Beyond, held_rate, mark_beyond


def mean_latency_fluid_linear(
    c1_s: Any, c2_s: Any, rate_rps: Any, xp: ModuleType = np, beyond: Beyond = "inf"
) -> Any:
    """Compute the fluid limit L = C1/(1 − λC2) of Kong et al. 2026 (arXiv:2605.15051, their main formula).

    It is the limit of even arrivals as the number in flight grows; at low overlap use
    :func:`mean_latency_even_linear`, and for Poisson arrivals :func:`mean_latency_poisson_linear`.

    Parameters
    ----------
    c1_s, c2_s : array or tensor
        C1 [s] and C2 [s/request].
    rate_rps : array or tensor
        λ [requests/s].
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    beyond : {"inf", "hold"}
        Value at or above the limit λ = 1/C2, see :func:`bayes_sd.latency.queue.mean_latency_open_poisson`.

    Returns
    -------
    array or tensor
        Mean latency [s].
    """
    return _solve(lambda rate: c1_s / (1.0 - rate * c2_s), c2_s, rate_rps, xp, beyond)


def mean_latency_poisson_linear(
    c1_s: Any, c2_s: Any, rate_rps: Any, xp: ModuleType = np, beyond: Beyond = "inf"
) -> Any:
    """Compute the mean latency under Poisson arrivals, L = (C1 + C2)/(1 − λC2).

    The number in flight is negative binomial with r = 1 + C1/C2 and ρ = λC2.

    Parameters
    ----------
    c1_s, c2_s : array or tensor
        C1 [s] and C2 [s/request].
    rate_rps : array or tensor
        λ [requests/s].
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    beyond : {"inf", "hold"}
        Value at or above the limit λ = 1/C2.

    Returns
    -------
    array or tensor
        Mean latency [s].

    Examples
    --------
    >>> float(mean_latency_poisson_linear(1.0, 0.1, 2.0))  # 1 s, 0.1 s for each request in flight, 2 requests/s
    1.375
    """
    return _solve(lambda rate: (c1_s + c2_s) / (1.0 - rate * c2_s), c2_s, rate_rps, xp, beyond)


def in_flight_even_linear(
    c1_s: Any, c2_s: Any, rate_rps: Any, xp: ModuleType = np, beyond: Beyond = "inf"
) -> Any:
    """Compute the mean number in flight under even arrivals of equal requests.

    The number alternates between n = ⌊λC1/(1 − λC2)⌋ and n + 1, and throughput X(n) = n/(C1 + C2·n) is linear
    between them: B = n + (λ·S(n) − n)·S(n + 1)/C1. Continuous in every argument, smooth between the corners.

    Parameters
    ----------
    c1_s, c2_s : array or tensor
        C1 [s] and C2 [s/request].
    rate_rps : array or tensor
        λ [requests/s].
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    beyond : {"inf", "hold"}
        Value at or above the limit λ = 1/C2.

    Returns
    -------
    array or tensor
        B in requests.
    """

    def in_flight(rate: Any) -> Any:
        below = xp.floor(rate * c1_s / (1.0 - rate * c2_s))
        here = c1_s + c2_s * below
        return below + (rate * here - below) * (here + c2_s) / c1_s

    return _solve(in_flight, c2_s, rate_rps, xp, beyond)


def mean_latency_even_linear(
    c1_s: Any, c2_s: Any, rate_rps: Any, xp: ModuleType = np, beyond: Beyond = "inf"
) -> Any:
    """Compute the mean latency under even arrivals of equal requests, L = B/λ.

    Equal to S(1) while requests never meet, and to the fluid limit C1/(1 − λC2) when many are in flight.

    Parameters
    ----------
    c1_s, c2_s : array or tensor
        C1 [s] and C2 [s/request].
    rate_rps : array or tensor
        λ [requests/s].
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    beyond : {"inf", "hold"}
        Value at or above the limit λ = 1/C2.

    Returns
    -------
    array or tensor
        Mean latency [s].
    """
    return in_flight_even_linear(c1_s, c2_s, rate_rps, xp, beyond) / rate_rps


def _solve(formula: Any, c2_s: Any, rate_rps: Any, xp: ModuleType, beyond: Literal["inf", "hold"]) -> Any:
    # C2 = 0 has no limit, but 1/C2 and its slope must stay finite.
    limit = 1.0 / xp.maximum(c2_s, 1e-100)
    return mark_beyond(formula(held_rate(rate_rps, limit, xp)), rate_rps, limit, xp, beyond)
