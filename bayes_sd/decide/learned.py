"""What a stream of windows teaches about the server that produced it, while it is scored against the posterior.

Windows of one server share its unknown costs, so their deviations from the posterior predictive are alike: each is scored
against the predictive law *given the windows before it*. On the log scale that is a Kalman filter whose state is the few
directions in which the posterior's draws differ at the loads seen. The scale of the noise between windows is unknown too:
it has a scaled inverse chi-square law, so that a score is Student-t, and is turned into a standard normal.
"""

from __future__ import annotations

import numpy as np

KEPT = 0.02
"""Share of a prediction's variance below which a new direction is counted as noise instead."""
MOST_DIRECTIONS = 16
PRIOR_WINDOWS = 10.0
"""Windows that the stated noise counts for, against the noise that is seen."""
CLIP = 2.5
"""Scores beyond this count as this in the noise's scale, so that a shift does not hide itself behind it."""


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
        # By the tail that is small: far out the other one rounds to 1.
        return float(-np.sign(ratio) * ndtri(stdtr(self.windows, -abs(ratio)))) if ratio else 0.0

    def learn(self, standardised: float) -> None:
        """Take in a deviation of a good window."""
        square = min(standardised**2, CLIP**2 * self.scale2) / self._clipped
        self.scale2 = (self.windows * self.scale2 + square) / (self.windows + 1.0)
        self.windows += 1.0


class LearnedServer:
    """Directions in which draws differ, and what the windows so far say of them.

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
        """Score one deviation and, if it is of a good window, learn from it.

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
        """Coordinates of a prediction in the directions known, and the variance left; a new direction is added."""
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
