"""Alarms with a stated false-alarm rate: cumulative sums of standard normal scores and their thresholds.

A one-sided cumulative sum over scores z_1, z_2, ... (Page 1954),

    s_t = max(0, s_{t−1} + z_t − SLACK),  alarm when s_t > h,

finds a lasting shift soonest when SLACK is half its size. Under the predictive law the scores are independent standard
normals, so the probability of any alarm in N windows is a number that the threshold h is chosen for, by the Markov chain
of Brook and Evans (1972).

One window that is far beyond anything needs no second one: a tenth of the false-alarm rate is spent on single scores, so that
each chart also has a limit that a score by itself may exceed (a Shewhart chart beside Page's).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from bayes_sd.errors import ConditionError

SLACK = 0.5
"""Half the smallest shift that matters, in standard deviations of a window's score."""
STATES = 160
AT_ONCE = 0.1
"""Share of the false-alarm rate that alarms by a single window may use."""


def survival(threshold: float, windows: int, slack: float = SLACK) -> float:
    """Compute the probability that a one-sided cumulative sum stays below a threshold.

    Parameters
    ----------
    threshold : float
        h, in standard deviations.
    windows : int
    slack : float

    Returns
    -------
    float
    """
    from scipy.stats import norm

    width = 2.0 * threshold / (2 * STATES - 1)
    steps = width * (np.arange(STATES)[None, :] - np.arange(STATES)[:, None])
    chain = norm.cdf(steps + width / 2 + slack) - norm.cdf(steps - width / 2 + slack)
    chain[:, 0] = norm.cdf(steps[:, 0] + width / 2 + slack)
    return float(np.linalg.matrix_power(chain, windows)[0].sum())


@lru_cache
def threshold_for(rate: float, windows: int, slack: float = SLACK) -> float:
    """Find the threshold that a one-sided cumulative sum exceeds in N good windows with a given probability.

    Parameters
    ----------
    rate : float
        Probability of any alarm, in (0, 1).
    windows : int
        N, at least 1.
    slack : float

    Returns
    -------
    float
        h, in standard deviations.

    Raises
    ------
    ConditionError
        If the rate is not between 0 and 1 or there is no window.
    """
    from scipy.optimize import brentq

    if not 0.0 < rate < 1.0 or windows < 1:
        raise ConditionError(
            f"false-alarm rate {rate:g} over {windows} windows: give a rate between 0 and 1 and at least 1 window"
        )
    return float(brentq(lambda h: survival(h, windows, slack) - (1.0 - rate), 1e-3, 60.0, xtol=1e-4))


def single_limit(rate: float, windows: int) -> float:
    """Find the score that one of N good windows exceeds on one side with a given probability.

    Parameters
    ----------
    rate : float
    windows : int

    Returns
    -------
    float
        In standard deviations.
    """
    from scipy.special import ndtri

    # log1p and expm1, since the rate of a window is tiny: 1 − (1 − rate)^(1/N).
    return float(-ndtri(-np.expm1(np.log1p(-rate) / windows)))


@dataclass
class Chart:
    """One-sided cumulative sums of one signal, and a limit for single scores.

    Attributes
    ----------
    sides : tuple of int
        Directions watched: +1 for scores that rise, −1 for those that fall.
    threshold : float
        Of the sums.
    single : float
        Of a score by itself.
    sums : dict of int to float
        Current sum per side.
    reached : float
        How far the last score brought it: sum or score over its limit, the largest; an alarm above 1.
    """

    sides: tuple[int, ...]
    threshold: float
    single: float = np.inf
    sums: dict[int, float] = field(default_factory=dict)
    reached: float = 0.0

    def add(self, score: float) -> int:
        """Take in a window's score.

        Parameters
        ----------
        score : float
            Standard normal while nothing is wrong.

        Returns
        -------
        int
            The side on which a limit is exceeded, 0 for none.
        """
        self.reached, over = 0.0, 0
        for side in self.sides:
            total = max(0.0, self.sums.get(side, 0.0) + side * score - SLACK)
            self.sums[side] = total
            reached = max(total / self.threshold, side * score / self.single)
            if reached > self.reached:
                self.reached, over = reached, side
        return over if self.reached > 1.0 else 0


def charts_for(sides: dict[str, tuple[int, ...]], rate: float, windows: int) -> dict[str, Chart]:
    """Share a false-alarm rate among the signals' charts, each side alike.

    Parameters
    ----------
    sides : dict of str to tuple of int
        Directions watched per signal.
    rate : float
        Probability of any alarm in `windows` good windows, over all signals.
    windows : int

    Returns
    -------
    dict of str to Chart

    Raises
    ------
    ConditionError
        As :func:`threshold_for`.
    """
    n = sum(len(s) for s in sides.values())
    each = 1.0 - (1.0 - rate) ** (1.0 / n) if 0.0 < rate < 1.0 else rate
    threshold = threshold_for((1.0 - AT_ONCE) * each, windows)
    single = single_limit(AT_ONCE * each, windows)
    return {name: Chart(s, threshold, single) for name, s in sides.items()}
