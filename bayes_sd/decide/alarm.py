"""Alarms with a stated false-alarm rate: cumulative sums of standard normal scores and their thresholds.

A one-sided cumulative sum over scores z_1, z_2, ... (Page 1954),

    s_t = max(0, s_{t−1} + z_t − SLACK),  alarm when s_t > h,

finds a lasting shift soonest when SLACK is half its size. Under the predictive law the scores are independent standard
normals, so the probability of any alarm in N windows is a number that the threshold h is chosen for, by the Markov chain
of Brook and Evans (1972).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from bayes_sd.errors import ConditionError

SLACK = 0.5
"""Half the smallest shift that matters, in standard deviations of a window's score."""
STATES = 160


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


@dataclass
class Chart:
    """One-sided cumulative sums of one signal.

    Attributes
    ----------
    sides : tuple of int
        Directions watched: +1 for scores that rise, −1 for those that fall.
    threshold : float
    sums : dict of int to float
        Current sum per side.
    """

    sides: tuple[int, ...]
    threshold: float
    sums: dict[int, float] = field(default_factory=dict)

    def add(self, score: float) -> int:
        """Take in a window's score.

        Parameters
        ----------
        score : float
            Standard normal while nothing is wrong.

        Returns
        -------
        int
            The side on which the threshold is exceeded, 0 for none.
        """
        for side in self.sides:
            self.sums[side] = max(0.0, self.sums.get(side, 0.0) + side * score - SLACK)
        over = [side for side in self.sides if self.sums[side] > self.threshold]
        return max(over, key=lambda side: self.sums[side]) if over else 0


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
    return {name: Chart(s, threshold_for(each, windows)) for name, s in sides.items()}
