"""What a measurement is worth to a decision before it is made: expected value of sample information.

Simulate the measurement in each draw taken as the truth, weight all other draws by how well they explain it, choose by the
weighted losses, and pay that choice's loss in the draw that was the truth. The fall of the mean loss against deciding now is the
value (Raiffa and Schlaifer 1961, Applied Statistical Decision Theory, ch. 4 and 5; Heath et al. 2020, doi:10.1177/0272989X20912402,
for estimators). A draw never weighs on a measurement of its own, and where a precise run leaves few draws that explain it the
weights are flattened until :data:`LEAST_EFFECTIVE` count: so few draws make the value too low and not too high, since a
choice made from less than the measurement says is a worse one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.learn.runs import LOG_ODDS

if TYPE_CHECKING:
    from bayes_sd.learn.decision import Decision
    from bayes_sd.learn.runs import Runs

LEAST_EFFECTIVE = 25.0
"""Effective draws behind a choice, median over truths: with fewer its own error would outweigh what the measurement says."""
FLATTER = tuple(0.5**i for i in range(8))
"""Powers of the likelihood that are tried for it, the first that is enough is taken."""


@dataclass(frozen=True)
class Value:
    """What knowing measurements is worth.

    Attributes
    ----------
    fall : float
        Of the expected loss, in its units (relative regret); not below 0 but for Monte Carlo error.
    error : float
        Its standard error.
    width : float
        Share by which an interval of the decision's quantity is expected to get narrower, mean over parts.
    effective : float
        Effective draws that explain a measurement, median over truths, before any flattening.
    gain : array, shape (draw,)
        Loss saved in each draw, of which `fall` is the mean.
    """

    fall: float
    error: float
    width: float
    effective: float
    gain: np.ndarray


def simulated(runs: Runs, i: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Simulate a measurement of a run in every draw.

    Parameters
    ----------
    runs : Runs
    i : int
        Which run.
    rng : Generator

    Returns
    -------
    log_latency : array, shape (truth,)
        inf where the run has no steady state.
    log_odds : array, shape (truth,)
        Of acceptance as measured; NaN where the run shows none.
    """
    n = len(runs.run_sd)
    log_odds = runs.level[:, i] + runs.run_sd * rng.standard_t(runs.tails, n)
    mean = runs.log_latency[:, i]
    if not np.isnan(log_odds).all():
        moved = _log_committed(runs, i, log_odds) - runs.log_committed[:, i]
        mean = mean - runs.elasticity[:, i] * moved
    return mean + runs.noise[:, i] * rng.standard_t(runs.tails, n), log_odds


def log_likelihood(runs: Runs, i: int, log_latency: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """Compute how likely measurements are under every draw.

    Parameters
    ----------
    runs : Runs
    i : int
        Which run.
    log_latency, log_odds : array, shape (truth,)
        From :func:`simulated`.

    Returns
    -------
    array, shape (truth, draw), 32 bits
        Up to a constant. A run without a steady state, where a draw has one, counts against the draw, and the other way round.
    """
    shown = not np.isnan(log_odds).all()
    mean, sd = runs.log_latency[:, i], runs.noise[:, i]
    stable = np.isfinite(mean)
    mean = np.where(stable, mean, 0.0)[None, :]
    if shown:
        at = _log_committed(runs, i, log_odds)[:, None]
        mean = mean - runs.elasticity[None, :, i] * (at - runs.log_committed[None, :, i])
    seen = np.isfinite(log_latency)
    y = np.where(seen, log_latency, 0.0)[:, None]
    found = _student(y - mean, sd[None, :], runs.tails)
    if not (stable.all() and seen.all()):
        found = np.where(
            seen[:, None] & stable[None, :], found, np.where(seen[:, None] == stable[None, :], 0.0, -np.inf)
        )
    if shown:
        found = found + _student(log_odds[:, None] - runs.level[None, :, i], runs.run_sd[None, :], runs.tails)
    return found.astype(np.float32)


def _log_committed(runs: Runs, i: int, log_odds: np.ndarray) -> np.ndarray:
    return np.interp(log_odds, LOG_ODDS, runs.committed_table[:, i])


def _student(deviation: np.ndarray, scale: np.ndarray, tails: float) -> np.ndarray:
    """Student-t log density, up to a constant."""
    z = (deviation / scale).astype(np.float32)
    log_scale = np.log(scale).astype(np.float32)
    return -log_scale - np.float32(0.5 * (tails + 1.0)) * np.log1p(z * z / np.float32(tails))


def weights(log_likelihood: np.ndarray) -> tuple[np.ndarray, float]:
    """Turn log likelihoods of simulated measurements into weights of draws, without the draw that each was simulated in.

    Parameters
    ----------
    log_likelihood : array, shape (truth, draw)
        Square: truths are the draws.

    Returns
    -------
    weight : array, shape (truth, draw)
        Rows sum to 1.
    effective : float
        Median number of effective draws before flattening.
    """
    log_weight = log_likelihood.copy()
    np.fill_diagonal(log_weight, -np.inf)
    top = log_weight.max(axis=1, keepdims=True)
    # A measurement that no other draw explains leaves the decision as it is.
    log_weight = np.where(np.isfinite(top), log_weight - np.where(np.isfinite(top), top, 0.0), 0.0)
    enough, found, first = min(LEAST_EFFECTIVE, 0.25 * len(top)), log_weight, np.nan
    for power in FLATTER:
        found = np.exp(log_weight * np.float32(power))
        found /= found.sum(axis=1, keepdims=True)
        effective = float(np.median(1.0 / np.square(found).sum(axis=1)))
        first = effective if power == 1.0 else first
        if effective >= enough:
            break
    return found, first


def value_of(decision: Decision, log_likelihood: np.ndarray) -> Value:
    """Estimate what measurements are worth to a decision.

    Parameters
    ----------
    decision : Decision
    log_likelihood : array, shape (truth, draw)
        Sum over the measurements that are made together.

    Returns
    -------
    Value
    """
    weight, effective = weights(log_likelihood)
    n, choices, parts = decision.loss.shape
    flat = decision.loss.reshape(n, choices * parts).astype(np.float32)
    expected = (weight @ flat).reshape(n, choices, parts)
    chosen, part = expected.argmin(axis=1), np.arange(parts)
    now = decision.loss[:, decision.safe, part]
    then = decision.loss[np.arange(n)[:, None], chosen, part[None, :]]
    gain = (now - then) @ decision.weight
    quantity = decision.log_quantity
    rest = np.square(quantity - weight @ quantity).mean(axis=0)
    spread = np.maximum(quantity.var(axis=0), 1e-30)
    width = 1.0 - np.sqrt(np.minimum(rest / spread, 1.0)) @ decision.weight
    return Value(
        fall=float(gain.mean()),
        error=float(gain.std() / np.sqrt(n)),
        width=float(width),
        effective=effective,
        gain=gain,
    )
