"""Latency of closed loops at separate pools for prefill and decode, per draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.curves import condition_work, service_curve, take
from bayes_sd.latency.pools import two_pools
from bayes_sd.latency.service import prefill_tokens
from bayes_sd.latency.tails import LEVELS
from bayes_sd.model.observed import pool_noise
from bayes_sd.model.points import pool_numbers
from bayes_sd.model.terms.cache import smooth_minimum

if TYPE_CHECKING:
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts
    from bayes_sd.forecast.spread import RequestSpread


def pool_latency(
    predicted: PredictedCosts, conditions: Conditions, i: int, spread: RequestSpread
) -> tuple[np.ndarray, ...]:
    """Predict the latency of N clients of two pools, the shape's misfit left out.

    Parameters
    ----------
    predicted, conditions, i
        As in :func:`bayes_sd.forecast.latency.curve`; the condition's deployment is a decode worker.
    spread : RequestSpread

    Returns
    -------
    latency_s, ttft_s, in_flight, noise : array, shape (draw,)
        Means [s], clients, and noise beside that of a sound row.
    tails_s : array, shape (draw, level)
        By the spread of requests' work in decoding; waiting for the prefill pool is taken at its mean.
    """
    rows = conditions.design.rows
    clients, workers = conditions.load[[i]], rows["decode_workers"][i]
    number = pool_numbers(clients)
    each = np.maximum(number / workers, 1.0)
    running = smooth_minimum(predicted.cache_requests[:, [i]], np.minimum(each, conditions.cap[i]))
    work, costs = condition_work(predicted, conditions, i), take(predicted.costs, i)
    _, step = service_curve(predicted, conditions, i, running)
    decode = work.cycles * step
    read = (prefill_tokens(costs, work) * costs.prefill_token_s)[:, 0]
    ratio, ranks = rows["prefill_ratio"][i], rows["prefill_ranks"][i]
    found = two_pools(
        decode[:, None, :],
        (each / running)[:, None, :],
        number,
        clients,
        (costs.prefill_fixed_s[:, 0] + ratio * read)[:, None],
        (clients * ratio / ranks * read[:, None]),
    )
    latency, decoding = found.latency_s[:, 0], found.decode_s[:, 0]
    noise = np.full_like(latency, pool_noise(rows)[i])
    ttft = latency - decoding + step[:, 0]
    tails = ttft[:, None] + decoding[:, None] * _spread_factors(spread.work_log_sd(predicted, conditions, i))
    return latency, ttft, np.full_like(latency, clients[0]), noise, tails


def _spread_factors(work_log_sd: np.ndarray) -> np.ndarray:
    """Quantiles of log-normal work of mean 1, shape (draw, level)."""
    from scipy.special import ndtri

    sd = work_log_sd[:, None]
    return np.exp(sd * ndtri(np.array(LEVELS)) - 0.5 * sd**2)
