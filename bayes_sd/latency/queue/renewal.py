"""Open loops whose gaps are of a gamma distribution: burstier than Poisson arrivals, or between those and even ones.

A gap has squared coefficient of variation c² = 1/shape; ``--burstiness`` of ``vllm bench serve`` and the smoothness of AIPerf are
the shape. Under Poisson arrivals a request meets n others with probability q(n) ∝ Π_{j≤n} λ·S(j)/j, and its mean latency is
Σ q(n)·S(n + 1): an identity of the birth-death law and Little's. Under gamma gaps of equal requests q is taken to the power
1/c² and the sum is the same::

    q(n) ∝ [Π_{j≤n} λ·S(j)/j]^(1/w),    L = Σ_n q(n)·S(n + 1),    w = (c² + cv²)/(1 + cv²)

with cv the coefficient of variation of the work. Three things speak for it. At w = 1 it is exact. At light load the chance to meet
one other is of the order (λS)^shape, as that of a gamma gap shorter than S is. Near saturation the number in flight is w times as
large as under Poisson arrivals, which is the heavy-traffic limit of processor sharing (a workload of (c² + cv²)/2, and (1 + cv²)/2
of work left in each request). For shapes from 0.25 to 10 ``tests/latency/test_gamma_gaps.py`` compares it with
the simulator.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def dispersion(gap_scv: Any, work_cv: Any = 0.0) -> Any:
    """Compute w, the spread in flight that gaps and work bring about, relative to Poisson arrivals.

    Parameters
    ----------
    gap_scv : array
        Squared coefficient of variation of the gaps between arrivals.
    work_cv : array
        Coefficient of variation of a request's work.

    Returns
    -------
    array

    Examples
    --------
    >>> float(dispersion(2.0)), float(dispersion(1.0, 0.7))
    (2.0, 1.0)
    """
    square = np.square(work_cv)
    return (gap_scv + square) / (1.0 + square)


def met_weights(
    service_s: np.ndarray, rate_rps: np.ndarray, cap: np.ndarray, spread: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Compute how probable it is that a request runs as one of 1, 2, ... and how many it waits for behind the cap.

    Parameters
    ----------
    service_s : array, shape (law, state)
        S(1..n) [s].
    rate_rps : array, shape (law,)
        Below cap/S(cap).
    cap : int array, shape (law,)
        Most requests that run, at most n.
    spread : array, shape (law,)
        w, from :func:`dispersion`.

    Returns
    -------
    weight : array, shape (law, state)
        Sums to 1. Those who wait run as one of a full batch.
    waited : array, shape (law,)
        Mean number of departures that a request waits for, of exponential work.
    """
    n, row = np.arange(1, service_s.shape[1] + 1), np.arange(len(cap))
    within = n <= cap[:, None]
    log_ratio = np.log(service_s / n * rate_rps[:, None]) / np.broadcast_to(spread, cap.shape)[:, None]
    log_weight = np.where(within, np.cumsum(log_ratio, axis=1) - log_ratio, -np.inf)
    shift = log_weight.max(axis=1)
    weight = np.exp(log_weight - shift[:, None])
    # Who meets cap + i others waits for i + 1 departures; weights are geometric from the cap on.
    ratio = np.exp(log_ratio[row, cap - 1])
    tail = weight[row, cap - 1] * ratio / (1.0 - ratio)
    weight[row, cap - 1] += tail
    total = weight.sum(axis=1)
    return weight / total[:, None], tail / (1.0 - ratio) / total


def met_mean(
    service_s: np.ndarray, rate_rps: np.ndarray, cap: np.ndarray, spread: np.ndarray, factor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean latency, and mean time for which a request runs.

    Parameters
    ----------
    service_s, rate_rps, cap, spread
        As in :func:`met_weights`.
    factor : array, shape (law,)
        Waiting behind the cap relative to that of exponential work.

    Returns
    -------
    latency_s, running_s : array, shape (law,)
    """
    weight, waited = met_weights(service_s, rate_rps, cap, spread)
    running = (weight * service_s).sum(axis=1)
    return running + factor * waited * service_s[np.arange(len(cap)), cap - 1] / cap, running
