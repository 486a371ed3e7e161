"""The whole law of the number present under Poisson arrivals, state by state."""

from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.queue.curve import capped_curve, stability_limit
from bayes_sd.latency.queue.protocol import checked_load, checked_service


def poisson_pmf(service_s: Any, rate_rps: Any, n_max: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Compute the probabilities of 0..n requests present under Poisson arrivals, and of more.

    Parameters
    ----------
    service_s : array, shape (..., n)
        S(1..n) in seconds.
    rate_rps : array, broadcastable against the leading dims
        λ in requests/s, below the stability limit.
    n_max : int array, broadcastable, optional
        Cap on running requests.

    Returns
    -------
    probability : array, shape (..., n + 1)
        P(b = 0..n).
    beyond : array, shape (...)
        P(b > n); the excess over n is geometric with ratio λ over the stability limit.

    Raises
    ------
    ConditionError
        If a rate is at or above the stability limit, where there is no law.
    """
    service = checked_service(service_s)
    rate = checked_load(rate_rps)
    limit = stability_limit(service, n_max)
    if np.any(rate >= limit):
        raise ConditionError(
            f"no steady state at {np.max(rate):g} requests/s: the server completes at most {np.min(limit):g}"
        )
    n = np.arange(1, service.shape[-1] + 1)
    log_weight = np.cumsum(np.log(rate[..., None] * capped_curve(service, n_max) / n), axis=-1)
    log_weight = np.concatenate([np.zeros((*log_weight.shape[:-1], 1)), log_weight], axis=-1)
    weight = np.exp(log_weight - log_weight.max(axis=-1, keepdims=True))
    load = rate / limit
    beyond = weight[..., -1] * load / (1.0 - load)
    total = weight.sum(axis=-1) + beyond
    return weight / total[..., None], beyond / total
