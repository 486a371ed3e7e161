"""Spread of single requests' latencies round their mean, and the percentiles that follow.

A request needs ``w`` times the mean work: outputs differ in length and drafts in luck. With B requests in flight on average it
takes, past its own prefill, w times the mean, while it shares the engine with others whose number wanders. Three laws
make up its latency::

    T = wait + own prefill + (L − own prefill)·w·y

*Work* w: log-normal. Its squared coefficient of variation adds those of output length, of the number of cycles that
drafts need for one length (a renewal count) and of how easy a request is to draft for.

*Company* y: in the tagged request's own work clock every other request's remaining work falls at the same pace, so
others form an infinite-server queue whose arrival rate λ·S(n + 1) grows with their number n. It has the same stationary law
as the number in flight; a disturbance fades over τ = (1 + cv²)/2/(1 − λS') mean works (exact in its integral for linear S and
equal or exponential work). So a long request averages over more of it than a short one.

*Wait* behind a cap on running requests: with the probability that all places are taken, exponential.

Under Poisson arrivals E[T | w] is proportional to w, as in every processor-sharing queue (Kelly, Reversibility and
Stochastic Networks, chapter 3). All of it is checked against the simulator in ``tests/forecast/test_tails.py``.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np

LEVELS = (0.5, 0.95, 0.99)
"""Percentiles that are predicted."""
_ALPHAS = np.linspace(0.0, 1.0, 401)
_NODES, _WEIGHTS = np.polynomial.laguerre.laggauss(12)
_ERF = np.frompyfunc(math.erf, 1, 1)
"""Of arrays as long as a posterior has draws: SciPy takes a third of a second to load, and most decisions need nothing else of it."""
_LEAST_LOG_SD = 1e-3
_HALVINGS = 14


def draft_luck(committed: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Give what acceptance by chance does to the number of cycles, i.i.d. over draft positions.

    Parameters
    ----------
    committed : array
        E, tokens committed per cycle [tokens/cycle].
    k : int
        Draft length [tokens].

    Returns
    -------
    variance : array
        Variance of the tokens committed in one cycle [tokens²].
    elasticity : array
        Change of log E per change of acceptance on the log-odds scale.
    """
    committed = np.asarray(committed, dtype=float)
    if k < 1:
        return np.zeros_like(committed), np.zeros_like(committed)
    position = np.arange(1, k + 1)
    survival = _ALPHAS[:, None] ** position
    mean = 1.0 + survival.sum(axis=1)
    # E[X²] of X = 1 + accepted drafts: P(X > j) is the survival of position j.
    square = 1.0 + ((2 * position + 1) * survival).sum(axis=1)
    slope = (position * survival).sum(axis=1) * (1.0 - _ALPHAS) / mean
    variance = np.interp(committed, mean, square - mean**2)
    return variance, np.interp(committed, mean, slope)


def work_log_sd(
    length_cv: Any, committed: Any, k: int, output_tokens: Any, draft_log_odds_sd: Any
) -> np.ndarray:
    """Compute the spread of requests' work, the number of cycles that each needs.

    Parameters
    ----------
    length_cv : array
        Coefficient of variation of output lengths.
    committed : array
        E [tokens/cycle].
    k : int
        Draft length [tokens].
    output_tokens : array
        Mean output length [tokens].
    draft_log_odds_sd : array
        Standard deviation, from request to request, of acceptance on the log-odds scale.

    Returns
    -------
    array
        Standard deviation of log work.
    """
    variance, elasticity = draft_luck(committed, k)
    # A renewal count over g tokens has variance g·Var/E³ round its mean g/E.
    count = variance / (np.asarray(committed) * output_tokens)
    return np.sqrt(np.log1p(np.square(length_cv)) + count + np.square(elasticity * draft_log_odds_sd))


def cv_of(log_sd: Any) -> np.ndarray:
    """Give the coefficient of variation of a log-normal law from the standard deviation of its logarithm."""
    return np.sqrt(np.expm1(np.square(log_sd)))


def averaging(work: Any, memory: Any) -> np.ndarray:
    """Compute how much of a disturbance is left in its average over a request's stay.

    Parameters
    ----------
    work : array
        Length of the stay in mean works.
    memory : array
        Integral time τ of the disturbance, in mean works.

    Returns
    -------
    array
        Variance of the average over that of the disturbance, 2/w²·∫(w − u)·exp(−u/τ)du, in (0, 1].
    """
    ratio = np.maximum(np.asarray(work) / memory, 1e-6)
    return 2.0 * (ratio + np.expm1(-ratio)) / ratio**2


def memory_of_company(work_cv: Any, feedback: Any) -> np.ndarray:
    """Compute the integral time of the number in flight as a request meets it, τ [mean works].

    Parameters
    ----------
    work_cv : array
        Coefficient of variation of the work.
    feedback : array
        λ·S', arrivals that one more request in flight brings about while it stays; below 1.
    """
    return 0.5 * (1.0 + np.square(work_cv)) / np.maximum(1.0 - np.asarray(feedback), 0.02)


def even_share(log_sd: Any, feedback: Any) -> np.ndarray:
    """Compute how much of the spread in flight evenly spaced arrivals leave, relative to Poisson arrivals.

    Equal requests arriving evenly leave none. Otherwise it is Gini's index of the work while requests hardly slow one
    another, and cv²/(1 + cv²), the share of the work's variance in what drives a queue, near saturation; between, linear
    in the feedback. Simulated values lie within 0.06 of it.

    Parameters
    ----------
    log_sd : array
        Standard deviation of log work.
    feedback : array
        λ·S', in [0, 1).

    Returns
    -------
    array
        In [0, 1].
    """
    light = np.asarray(_ERF(np.asarray(log_sd) / 2.0), dtype=float)
    heavy = -np.expm1(-np.square(log_sd))
    return light + (heavy - light) * np.clip(feedback, 0.0, 1.0)


def shared_log_sd(level: float, work: Any, company: Any, memory: Any) -> np.ndarray:
    """Combine the spreads of work and company, the latter as averaged by requests at this percentile.

    Parameters
    ----------
    level : float
        Probability of the percentile.
    work : array
        Standard deviation of log work.
    company : array
        Standard deviation of the pace that a request meets, relative to its mean.
    memory : array
        Integral time of the company, in mean works.

    Returns
    -------
    array
        Standard deviation of log latency past the own prefill.
    """
    z = NormalDist().inv_cdf(level)
    variance = np.square(work)
    total = np.sqrt(variance + np.square(company) * averaging(1.0, memory))
    for _ in range(2):
        # The work that requests at this percentile have on average, given the share that work has in the spread.
        typical = np.exp(-0.5 * variance + z * variance / np.maximum(total, 1e-9))
        total = np.sqrt(variance + np.square(company) * averaging(typical, memory))
    return total


def wait_nodes(probability: Any, mean_s: Any) -> tuple[np.ndarray, np.ndarray]:
    """Give a law that is 0, or with some probability exponential, as points and weights.

    Parameters
    ----------
    probability : array, shape (draw,)
        That there is a wait.
    mean_s : array, shape (draw,)
        Its mean, if there is one [s].

    Returns
    -------
    weights, waits_s : array, shape (draw, 13)
        The first point is no wait.
    """
    probability, mean_s = np.asarray(probability), np.asarray(mean_s)
    nothing = np.zeros_like(mean_s)[:, None]
    weights = np.concatenate([1.0 - probability[:, None], probability[:, None] * _WEIGHTS], axis=1)
    return weights, np.concatenate([nothing, mean_s[:, None] * _NODES], axis=1)


def mixture_quantile(level: float, weights: Any, start_s: Any, scale_s: Any, log_sd: Any) -> np.ndarray:
    """Find a percentile of a mixture of shifted log-normal laws.

    Component j is start + scale·exp(−σ²/2 + σZ) with Z standard normal, of mean start + scale.

    Parameters
    ----------
    level : float
        Probability in (0, 1).
    weights, start_s, scale_s : array, shape (draw, component)
        Weights that sum to 1; shifts and means of the log-normal part [s].
    log_sd : array, shape (draw,) or (draw, component)
        σ, the same in all components or each its own.

    Returns
    -------
    array, shape (draw,)
        Seconds.
    """
    sigma = np.maximum(np.asarray(log_sd), _LEAST_LOG_SD)
    sigma = sigma[:, None] if sigma.ndim == 1 else sigma
    size = np.exp(-0.5 * sigma**2 + NormalDist().inv_cdf(level) * sigma)
    own = start_s + scale_s * size
    if own.shape[1] == 1:
        return own[:, 0]
    from scipy.special import ndtr

    # A mixture's percentile lies between the least and the largest of its parts'.
    low, high = own.min(axis=1), own.max(axis=1)
    middle = np.log(np.maximum(scale_s, 1e-300)) - 0.5 * sigma**2
    # Where the first part has all the weight its percentile is that of the whole, and needs no law.
    mixed = np.asarray(weights)[:, 0] < 1.0
    weights, start_s, middle, sigma = weights[mixed], start_s[mixed], middle[mixed], sigma[mixed]
    below = np.empty(len(low), dtype=bool)
    for _ in range(_HALVINGS):
        guess = 0.5 * (low + high)
        past = np.maximum(guess[mixed, None] - start_s, 1e-300)
        below[~mixed] = guess[~mixed] < own[~mixed, 0]
        below[mixed] = (weights * ndtr((np.log(past) - middle) / sigma)).sum(axis=1) < level
        low, high = np.where(below, guess, low), np.where(below, high, guess)
    return 0.5 * (low + high)
