"""Least squares of log latency with positive coefficients."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

MOST_EVALUATIONS = 5000


def fit_log_latency(
    predict_s: Callable[[np.ndarray], np.ndarray],
    latency_s: np.ndarray,
    start: np.ndarray,
    upper: np.ndarray | float = np.inf,
) -> np.ndarray:
    """Fit coefficients by ``scipy.optimize.curve_fit`` to log latency, each scaled by its start.

    Parameters
    ----------
    predict_s : callable
        From coefficients, shape (coefficient,), to latency [s], shape (row,), positive and finite.
    latency_s : array, shape (row,)
        Measured [s].
    start : array, shape (coefficient,)
        Positive.
    upper : array or float
        Upper bounds; the lower ones are 0.

    Returns
    -------
    array, shape (coefficient,)
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    def log_latency(_: np.ndarray, *scaled: float) -> np.ndarray:
        return np.log(predict_s(np.array(scaled) * start))

    with warnings.catch_warnings():
        # As many rows as coefficients, or a coefficient at its bound, leave no covariance; it is not used.
        warnings.simplefilter("ignore", OptimizeWarning)
        best, _ = curve_fit(
            log_latency,
            np.zeros_like(latency_s),
            np.log(latency_s),
            p0=np.ones(len(start)),
            bounds=(0.0, np.broadcast_to(upper / start, np.shape(start))),
            max_nfev=MOST_EVALUATIONS,
        )
    return best * start
