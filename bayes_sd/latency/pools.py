"""Disaggregated serving: a pool of workers that read prompts, and one of workers that decode.

A request waits for a prefill worker, is read, moves its cache, and decodes among those of its decode worker. With N clients that
each send when their last request returned it is a closed network of two stations::

    L = L_free ⊕ N·t/P,    L_free = c1p + t + D(b),    b = N·D(b)/L

with t the seconds for which a prompt takes one of the P prefill ranks, D(b) the seconds of decoding with b requests in the decode
pool, and ⊕ a rounded maximum: below the prefill pool's capacity P/t a request finds it free, and past it the pool decides, N·t/P.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

SHARES = np.array([0.03, 0.1, 0.3, 0.6, 1.0])
"""Where decoding is known: requests in the decode pool, as shares of all clients."""
ROUNDING = 6.0
"""Power of the rounded maximum: where both sides are alike it is 12 % above either, about what queueing adds there."""
ROUNDS = 4
"""Steps towards the number that decodes; each brings it nearer by the ratio of D's growth to L, a half or less."""


class TwoPools(NamedTuple):
    """Mean latency, and seconds of decoding without waiting for it, shape (..., row)."""

    latency_s: Any
    decode_s: Any


def two_pools(
    decode_s: Any,
    waiting: Any,
    number: Any,
    clients: Any,
    alone_s: Any,
    saturated_s: Any,
    xp: ModuleType = np,
) -> TwoPools:
    """Compute the mean latency of closed loops at two pools.

    Parameters
    ----------
    decode_s : array, shape (..., row, share)
        D(b), seconds of decoding with :data:`SHARES` of the clients in the decode pool.
    waiting : array, shape (..., row, share)
        Requests in the decode pool there over those that run, 1 where all do: the others wait, before their first token.
    number : array, shape (row, share)
        These numbers of requests, between which decoding is taken as straight.
    clients : array, shape (row,)
        N.
    alone_s : array, shape (..., row)
        Seconds of reading a prompt with nobody before it, c1p + t.
    saturated_s : array, shape (..., row)
        N·t/P, latency where the prefill pool decides.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    TwoPools
    """
    steps = number[:, 1:] - number[:, :-1]
    stay_s = decode_s * waiting

    def between(curve_s: Any, flight: Any) -> Any:
        within = xp.clip(flight[..., None] - number[:, :-1], 0.0, steps)
        return curve_s[..., 0] + xp.sum(within * (curve_s[..., 1:] - curve_s[..., :-1]) / steps, axis=-1)

    def latency(stay: Any) -> Any:
        return ((alone_s + stay) ** ROUNDING + saturated_s**ROUNDING) ** (1.0 / ROUNDING)

    stay = stay_s[..., -1]
    for _ in range(ROUNDS - 1):
        stay = between(stay_s, clients * stay / latency(stay))
    flight = clients * stay / latency(stay)
    return TwoPools(latency(between(stay_s, flight)), between(decode_s, flight))


class OpenPools(NamedTuple):
    """Steady state of two pools at an arrival rate; arrays of shape (draw,).

    Attributes
    ----------
    wait_s, wait_probability : array
        Mean wait for a prefill rank [s], infinite past the prefill pool's capacity, and how probable one is.
    limit_rps : array
        The prefill pool's capacity [requests/s].
    """

    wait_s: Any
    wait_probability: Any
    limit_rps: Any


def prefill_wait(read_s: Any, ranks: int, rate_rps: Any, prompt_cv: Any = 0.0) -> OpenPools:
    """Compute the wait for one of the ranks that read prompts, under Poisson arrivals.

    It is that of as many servers with exponential service (Erlang's formula), by half the sum of the squared coefficients of variation
    of gaps and service (Allen and Cunneen; Bolch et al. 2006, Queueing Networks and Markov Chains, ch. 6).

    Parameters
    ----------
    read_s : array, shape (draw,)
        t, for which a prompt takes its rank [s].
    ranks : int
        P.
    rate_rps : array, broadcastable
    prompt_cv : array
        Coefficient of variation of t.

    Returns
    -------
    OpenPools
    """
    read = np.asarray(read_s, dtype=float)
    limit = ranks / read
    load = np.minimum(rate_rps / limit, 1.0 - 1e-9)
    blocked = np.ones_like(load)
    # Erlang's loss formula, rank by rank; from it the probability that all are taken.
    for n in range(1, ranks + 1):
        blocked = load * ranks * blocked / (n + load * ranks * blocked)
    taken = blocked / (1.0 - load * (1.0 - blocked))
    wait = taken * read / (ranks * (1.0 - load)) * 0.5 * (1.0 + np.square(prompt_cv))
    return OpenPools(np.where(rate_rps < limit, wait, np.inf), taken, limit)
