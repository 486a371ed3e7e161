"""What a measurement is worth to a decision before it is made: expected value of sample information.

Simulate the measurement in each draw taken as the truth, choose by what was measured, and pay that choice's loss in the draw that
was the truth. The fall of the mean loss against deciding now is the value (Raiffa and Schlaifer 1961, Applied Statistical Decision
Theory, ch. 4 and 5). The choice is made by the expected losses given what was measured: a regression of the losses on the simulated
measurements (Strong et al. 2015, doi:10.1177/0272989X15575286; Heath et al. 2020, doi:10.1177/0272989X20912402, for estimators),
each truth left out of its own. So a poor regression makes the value too low and not too high: it makes worse choices, and those are
paid for.

Weights of draws by how well they explain a measurement, the other way to these losses, fail where runs are precise: a run of a
server that was never measured leaves a handful of a thousand draws, two runs leave one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.learn.runs import LOG_ODDS

if TYPE_CHECKING:
    from bayes_sd.learn.decision import Decision
    from bayes_sd.learn.runs import Runs

Measured = tuple[np.ndarray, np.ndarray]
"""Log latency and log odds of acceptance of a run, as measured in every draw, each of shape (draw,)."""

BENT = 4
"""Principal directions of what was measured in which losses may bend."""
KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of such a direction at which the slope of a loss may change."""
FARTHEST = 4.0
"""Standard deviations beyond which a measurement counts as so far out: noise has heavy tails."""
FIRM = 1e-3
"""Ridge of the regression, in units of the columns' variance."""
DRAWS_A_COLUMN = 8
"""Draws for each column of the regression, at least."""


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
    gain : array, shape (draw,)
        Loss saved in each draw, of which `fall` is the mean.
    """

    fall: float
    error: float
    width: float
    gain: np.ndarray


def simulated(runs: Runs, i: int, rng: np.random.Generator) -> Measured:
    """Simulate a measurement of a run in every draw.

    Parameters
    ----------
    runs : Runs
    i : int
        Which run.
    rng : Generator

    Returns
    -------
    log_latency : array, shape (draw,)
        inf where the run has no steady state.
    log_odds : array, shape (draw,)
        Of acceptance as measured; NaN where the run shows none.
    """
    n = len(runs.log_latency)
    log_odds = runs.level[:, i] + runs.run_sd[:, i] * rng.standard_t(runs.tails, n)
    mean = runs.log_latency[:, i]
    if not np.isnan(log_odds).all():
        moved = np.interp(log_odds, LOG_ODDS, runs.committed_table[:, i]) - runs.log_committed[:, i]
        mean = mean - runs.elasticity[:, i] * moved
    return mean + runs.noise[:, i] * rng.standard_t(runs.tails, n), log_odds


def value_of(decision: Decision, measured: Sequence[Measured]) -> Value:
    """Estimate what measurements are worth to a decision.

    Parameters
    ----------
    decision : Decision
    measured : sequence of (log latency, log odds)
        Of the runs that are made together, from :func:`simulated`.

    Returns
    -------
    Value
    """
    n, choices, parts = decision.loss.shape
    wanted = np.concatenate([decision.loss.reshape(n, -1), decision.log_quantity], axis=1)
    told = _left_out(_design(measured, n), wanted)
    expected = told[:, : choices * parts].reshape(n, choices, parts)
    chosen, part = expected.argmin(axis=1), np.arange(parts)
    now = decision.loss[:, decision.safe, part]
    then = decision.loss[np.arange(n)[:, None], chosen, part[None, :]]
    gain = (now - then) @ decision.weight
    quantity = decision.log_quantity
    rest = np.square(quantity - told[:, choices * parts :]).mean(axis=0)
    spread = np.maximum(quantity.var(axis=0), 1e-30)
    width = 1.0 - np.sqrt(np.minimum(rest / spread, 1.0)) @ decision.weight
    return Value(fall=float(gain.mean()), error=float(gain.std() / np.sqrt(n)), width=float(width), gain=gain)


def _design(measured: Sequence[Measured], n: int) -> np.ndarray:
    """Give the columns of the regression: 1, what was measured, and in its principal directions bends and products, (draw, column)."""
    columns = [column for one in measured for values in one for column in _columns(values)]
    if not columns:
        return np.ones((n, 1))
    straight = np.stack(columns, axis=1)
    left, size, _ = np.linalg.svd(straight - straight.mean(axis=0), full_matrices=False)
    told = np.flatnonzero(size > 1e-6 * size[0])[:BENT]
    along = np.clip(left[:, told] * np.sqrt(n), -FARTHEST, FARTHEST)
    further = [hinge for direction in along.T for hinge in _hinges(direction)]
    further += [one * other for one, other in combinations(along.T, 2)]
    most = max(n // DRAWS_A_COLUMN - 1 - straight.shape[1], 0)
    return np.column_stack([np.ones(n), straight, *further[:most]])


def _columns(values: np.ndarray) -> list[np.ndarray]:
    """Give one measured number as columns: itself, standardised, and whether there was no steady state to measure."""
    if np.isnan(values).all():
        return []
    seen = np.isfinite(values)
    found = []
    if seen.any():
        middle, sd = np.median(values[seen]), values[seen].std()
        worst = values[seen].max()
        found.append(np.clip((np.where(seen, values, worst) - middle) / max(sd, 1e-12), -FARTHEST, FARTHEST))
    return found if seen.all() else [*found, seen.astype(float)]


def _hinges(along: np.ndarray) -> list[np.ndarray]:
    """Give what lies beyond each knot of a direction."""
    return [np.maximum(along - knot, 0.0) for knot in np.quantile(along, KNOTS)]


def _left_out(design: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Regress numbers on a design, and give each draw's as the regression of all others has them, shape (draw, number)."""
    n = len(design)
    scale = np.maximum(design.std(axis=0), 1e-6)
    ridge = n * FIRM * np.square(scale)
    ridge[0] = 0.0
    solved = np.linalg.solve(design.T @ design + np.diag(ridge), design.T)
    own = np.minimum(np.einsum("dc,cd->d", design, solved), 1.0 - 1e-6)[:, None]
    return (design @ (solved @ wanted) - own * wanted) / (1.0 - own)
