"""Scores windows of one server, and learns from each what the posterior left open about that server.

All windows come from one server, whose costs are unknown but the same throughout: if the first window is 3 % slower than
predicted, the second will be too. So each window is scored against the prediction *given the windows before it*. On the log
scale that is a Kalman filter. Its state are the few directions in which the posterior's draws differ at the loads seen. The
noise between windows has an unknown scale as well, with a scaled inverse chi-square law: a standardised deviation is then
Student-t, and is turned into a standard normal score.
"""

from __future__ import annotations

import numpy as np

KEPT = 0.02
"""A direction that explains less than this share of a prediction's variance is not kept; its variance counts as noise."""
MOST_DIRECTIONS = 16
PRIOR_WINDOWS = 10.0
"""Weight of the stated noise: it counts as much as the noise that is seen in so many windows."""
CLIP = 2.5
"""Larger scores count as this one when the noise is learned. Otherwise a lasting shift would soon pass for noise."""


class Noise:
    """Scale of one signal's noise, relative to what was stated."""

    def __init__(self) -> None:
        from scipy.special import ndtr

        self.windows, self.scale2 = PRIOR_WINDOWS, 1.0
        tail, density = 2.0 * ndtr(-CLIP), np.exp(-0.5 * CLIP**2) / np.sqrt(2.0 * np.pi)
        # Mean square of a standard normal that is clipped.
        self._clipped = 1.0 - tail - 2.0 * CLIP * density + CLIP**2 * tail

    def score(self, standardised: float) -> float:
        """Turn a deviation over its stated standard deviation into a standard normal score."""
        from scipy.special import (  # what scipy.stats calls, without the hundreds of microseconds on the way
            ndtri,
            stdtr,
        )

        ratio = standardised / np.sqrt(self.scale2)
        # The smaller tail: far from zero the other one rounds to 1.
        return float(-np.sign(ratio) * ndtri(stdtr(self.windows, -abs(ratio)))) if ratio else 0.0

    def learn(self, standardised: float) -> None:
        """Update the scale by the standardised deviation of a window without an alarm."""
        square = min(standardised**2, CLIP**2 * self.scale2) / self._clipped
        self.scale2 = (self.windows * self.scale2 + square) / (self.windows + 1.0)
        self.windows += 1.0


class LearnedServer:
    """Directions in which the posterior's draws differ, and where along them the windows so far place this server.

    Parameters
    ----------
    n_draws : int
    """

    def __init__(self, n_draws: int) -> None:
        self._basis = np.zeros((0, n_draws))
        self._mean = np.zeros(0)
        self._cov = np.zeros((0, 0))
        self._noise: dict[str, Noise] = {}

    def score(
        self, signal: str, observed: float, draws: np.ndarray, noise_sd: float, learn: bool
    ) -> tuple[float, float]:
        """Score one deviation and, if asked, learn from it.

        Parameters
        ----------
        signal : str
            Signals have noise scales of their own.
        observed : float
            On the scale of `draws`.
        draws : array, shape (draw,)
            Prediction per draw, without the window's noise.
        noise_sd : float
            Stated standard deviation of a window's noise.
        learn : bool

        Returns
        -------
        score : float
            Standard normal if the server is one that the posterior describes, independent of scores before it.
        expected : float
            Prediction given the windows before.
        """
        loads, rest = self._loads(draws - draws.mean())
        expected = draws.mean() + loads @ self._mean
        variance = float(loads @ self._cov @ loads) + rest + noise_sd**2
        noise = self._noise.get(signal) or self._noise.setdefault(signal, Noise())
        standardised = (observed - expected) / np.sqrt(variance)
        score = noise.score(standardised)
        if learn:
            noise.learn(standardised)
            gain = self._cov @ loads / variance
            self._mean = self._mean + gain * (observed - expected)
            self._cov = self._cov - np.outer(gain, loads @ self._cov)
        return score, float(expected)

    def _loads(self, centred: np.ndarray) -> tuple[np.ndarray, float]:
        """Coordinates of a prediction in the known directions, and the variance left; may add a direction."""
        n = len(centred)
        loads = self._basis @ centred / n
        left = centred - loads @ self._basis
        rest = float(left @ left) / n
        if rest <= KEPT * float(centred @ centred) / n or len(loads) >= MOST_DIRECTIONS:
            return loads, rest
        self._basis = np.vstack([self._basis, left / np.sqrt(rest)])
        self._mean = np.append(self._mean, 0.0)
        grown = np.eye(len(self._mean))
        grown[:-1, :-1] = self._cov
        self._cov = grown
        return np.append(loads, np.sqrt(rest)), 0.0
