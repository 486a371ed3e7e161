"""Means of open loops for many curves under many rates at once: what a sweep over the load needs.

:func:`bayes_sd.latency.queue.in_flight_law` gives the whole law for one rate a curve; this gives means only, for a ladder
of rates that all curves share. The two agree to rounding.

Under Poisson arrivals the weight of n in flight is λ^n·a_n with a_n = Π_{j≤n} S(j)/j, so sums over n for all curves and
all rates are one product of two matrices. It is taken block by block of states, because only within a block do the
weights stay within the range of a double; the blocks are put together through logarithms.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.queue.mean import wait_factor
from bayes_sd.latency.queue.protocol import Protocol, checked_cap, checked_load, checked_service
from bayes_sd.latency.queue.renewal import dispersion, met_mean

_WIDTHS = (1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
"""Block lengths to choose from, in states."""
_LARGEST_LOG = 600.0
"""A product within a block stays below e^this, far inside the range of a double. One that falls out of the range at its
lower end is rightly nothing beside the block's first."""
_CHUNK_BYTES = 4_000_000
"""Size of the largest work array, so that it stays in the processor's cache."""


@dataclass(frozen=True)
class LoadMeans:
    """Steady states of open loops.

    Attributes
    ----------
    in_flight : array, shape (..., load)
        Mean requests present, waiting ones included; infinite where there is no steady state.
    running : array, shape (..., load)
        Mean requests running, the effective batch size; the cap where there is no steady state.
    latency_s : array, shape (..., load)
        Mean end-to-end latency by Little's law [s]; infinite where there is no steady state.
    limit_rps : array, shape (...)
        Stability limit [requests/s].
    """

    in_flight: np.ndarray
    running: np.ndarray
    latency_s: np.ndarray
    limit_rps: np.ndarray


def mean_over_loads(
    service_s: Any,
    protocol: Protocol,
    rates_rps: Any,
    n_max: Any = None,
    work_cv: Any = 1.0,
    gap_scv: float = 1.0,
) -> LoadMeans:
    """Compute mean latency and requests in flight for every curve under every rate.

    Poisson arrivals: P(b = n) ∝ Π_{j≤n} λ·S(j)/j up to the cap and a geometric tail after it, exact for any law of the
    work while nothing waits behind the cap, and for exponential work when something does. Even arrivals: B = X⁻¹(λ)
    with X(n) = n/S(n) interpolated between whole numbers.

    Parameters
    ----------
    service_s : array, shape (..., n)
        S(1..n) in seconds.
    protocol : {"poisson", "even"}
        Arrival process.
    rates_rps : array, shape (load,)
        λ in requests/s, the same for all curves.
    n_max : int array, broadcastable against the leading dims, optional
        Cap on running requests; the curve's end by default.
    work_cv : array, broadcastable against the leading dims, optional
        Coefficient of variation of a request's work under Poisson arrivals; waiting behind the cap takes
        (1 + work_cv²)/2 times as long (see :func:`bayes_sd.latency.queue.mean_latency_open_poisson`).
    gap_scv : float
        Squared coefficient of variation of the gaps between random arrivals, as for :func:`bayes_sd.latency.queue.in_flight_law`.

    Returns
    -------
    LoadMeans

    Raises
    ------
    ConditionError
        If the protocol is not that of an open loop, a rate or cap is out of range, or a curve not finite latencies
        above 0.
    """
    if protocol not in ("poisson", "even"):
        raise ConditionError(f"arrivals {protocol!r} of an open loop: say even or poisson")
    service = checked_service(service_s)
    rates = np.atleast_1d(checked_load(rates_rps))
    shape, n_states = service.shape[:-1], service.shape[-1]
    cap = np.minimum(checked_cap(n_states if n_max is None else n_max), n_states)
    caps = np.broadcast_to(cap, shape).ravel()
    curves = service.reshape(-1, n_states)
    present, running = np.empty((2, len(curves), len(rates)))
    limit = np.empty(len(curves))
    factors = np.broadcast_to(wait_factor(work_cv), shape).ravel()
    solve: Any = _poisson if protocol == "poisson" else _even
    if protocol == "poisson" and gap_scv != 1.0:
        spreads = np.broadcast_to(dispersion(checked_load(gap_scv, "gap_scv"), work_cv), shape).ravel()
        factors, solve = np.stack([factors, spreads], axis=1), _gamma
    size = max(_CHUNK_BYTES // (8 * max(n_states, 4 * len(rates))), 16)

    def one(start: int) -> None:
        own = slice(start, start + size)
        present[own], running[own], limit[own] = solve(curves[own], rates, caps[own], factors[own])

    # NumPy's long calls do not hold the interpreter, so threads share the chunks.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(one, range(0, len(curves), size)))
    past = rates >= limit[:, None]
    present[past] = np.inf
    running = np.where(past, caps[:, None], running).reshape(*shape, -1)
    in_flight = present.reshape(*shape, -1)
    return LoadMeans(in_flight, running, in_flight / rates, limit.reshape(shape))


def _poisson(
    service: np.ndarray, rates: np.ndarray, cap: np.ndarray, factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give mean present, mean running and the limit; whatever where there is no steady state."""
    row = np.arange(len(cap))
    limit = cap / service[row, cap - 1]
    load = np.where(rates < limit[:, None], rates / limit[:, None], 0.5)
    # Relative to the largest rate the weights of a rate are a_n·relative^n.
    relative = rates / rates.max()
    ratio = service * (rates.max() / np.arange(1, service.shape[1] + 1))
    width = _width(ratio)
    within, log_before, log_last = _products(ratio, cap, width)
    begin = width * np.arange(within.shape[1])
    position = np.arange(1.0, width + 1)[:, None]
    powers = relative**position
    blocks = within.reshape(-1, width)
    sums = (blocks @ powers).reshape(*within.shape[:2], -1)
    moments = (blocks @ (position * powers)).reshape(sums.shape)
    exponent = log_before[:, :, None] + begin[:, None] * np.log(relative)
    peak = np.maximum(exponent.max(axis=1), 0.0)
    exponent -= peak[:, None, :]
    scale = np.exp(exponent, out=exponent)
    sums *= scale
    moments *= scale
    total = np.exp(-peak) + sums.sum(axis=1)
    moment = moments.sum(axis=1) + np.matmul(begin[None, None, :].astype(float), sums)[:, 0]
    # From the cap on the ratio stays: a geometric tail.
    tail = np.exp(log_last[:, None] + cap[:, None] * np.log(relative) - peak) * load / (1.0 - load)
    held = moment + cap[:, None] * tail
    whole = total + tail
    waiting = factor[:, None] * tail / (1.0 - load)
    return (held + waiting) / whole, held / whole, limit


def _gamma(
    service: np.ndarray, rates: np.ndarray, cap: np.ndarray, spreads: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give mean present, mean running and the limit; whatever where there is no steady state."""
    limit = cap / service[np.arange(len(cap)), cap - 1]
    factor, spread = spreads.T
    present, running = np.empty((2, len(cap), len(rates)))
    for i, rate in enumerate(rates):
        held = np.where(rate < limit, rate, 0.5 * limit)
        latency, runs = met_mean(service, held, cap, spread, factor)
        present[:, i], running[:, i] = held * latency, held * runs
    return present, running, limit


def _width(ratio: np.ndarray) -> int:
    """Choose the longest block whose products cannot overflow on any curve."""
    log_largest = np.log(ratio.max(axis=0))
    for width in _WIDTHS:
        padded = np.zeros(-(-len(log_largest) // width) * width)
        padded[: len(log_largest)] = log_largest
        if np.cumsum(padded.reshape(-1, width), axis=1).max() < _LARGEST_LOG:
            return min(width, len(log_largest))
    return 1


def _products(ratio: np.ndarray, cap: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Multiply ratios out from the start of each block, 0 past the cap; overwrites the ratios.

    Returns
    -------
    within : array, shape (curve, block, width)
    log_before : array, shape (curve, block)
        Logarithm of the weight of the state before each block.
    log_last : array, shape (curve,)
        That of the state at the cap.
    """
    n_curves, n_states = ratio.shape
    n_blocks = -(-n_states // width)
    if n_blocks * width > n_states:
        ratio = np.pad(ratio, ((0, 0), (0, n_blocks * width - n_states)))
    if np.any(cap < n_blocks * width):
        ratio *= np.arange(1, n_blocks * width + 1) <= cap[:, None]
    within = ratio.reshape(n_curves, n_blocks, width)
    np.cumprod(within, axis=2, out=within)
    row, (block, place) = np.arange(n_curves), np.divmod(cap - 1, width)
    with np.errstate(divide="ignore"):
        # A product that fell to 0 stays there: beside the block's first it is nothing.
        whole, last = np.log(within[:, :, -1]), np.log(within[row, block, place])
    log_before = np.zeros((n_curves, n_blocks))
    np.cumsum(whole[:, :-1], axis=1, out=log_before[:, 1:])
    return within, log_before, log_before[row, block] + last


def _even(
    service: np.ndarray, rates: np.ndarray, cap: np.ndarray, _: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give mean present, mean running and the limit; whatever where there is no steady state."""
    n_states = service.shape[1]
    n = np.arange(1, n_states + 1)
    throughput = np.zeros((len(service), n_states + 1))
    np.divide(n, service, out=throughput[:, 1:])
    throughput[:, 1:] *= n <= cap[:, None]
    # The first number in flight that keeps up is the first whose running maximum does, and that one is sorted.
    highest = np.maximum.accumulate(throughput, axis=1)
    limit = highest[:, -1]
    held = np.where(rates < limit[:, None], rates, 0.5 * limit[:, None])
    below = np.zeros(held.shape, dtype=np.intp)
    step = 1 << (n_states.bit_length() - 1)
    while step:
        further = np.minimum(below + step, n_states)
        below = np.where(np.take_along_axis(highest, further, axis=1) <= held, further, below)
        step //= 2
    x_below = np.take_along_axis(throughput, below, axis=1)
    x_above = np.take_along_axis(throughput, np.minimum(below + 1, n_states), axis=1)
    present = below + (held - x_below) / (x_above - x_below)
    return present, present, limit
