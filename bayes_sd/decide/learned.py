"""Scores windows of one server, and learns from each what the posterior left open about that server.

All windows come from one server, whose costs are unknown but the same throughout: if the first window is 3 % slower than
predicted, the second will be too. So each window is scored against the prediction *given the windows before it*. On the log
scale that is a Kalman filter. Its state are the few directions in which the posterior's draws differ at the loads seen. The
noise between windows has an unknown scale as well, with a scaled inverse chi-square law: a standardised deviation is then
Student-t, and is turned into a standard normal score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KEPT = 0.02
"""A direction that explains less than this share of a prediction's variance is not kept; its variance counts as noise."""
MOST_DIRECTIONS = 16
PRIOR_WINDOWS = 10.0
"""Weight of the stated noise: it counts as much as the noise that is seen in so many windows."""
FARTHEST = 37.0
"""Largest score: beyond it the probability is 0 in floating point."""
CLIP = 2.5
"""Larger scores count as this one when the noise is learned. Otherwise a lasting shift would soon pass for noise."""


class Noise:
    """Scale of one signal's noise, relative to what was stated."""

    def __init__(self) -> None:
        from scipy.special import ndtr

        self.windows, self.scale2 = PRIOR_WINDOWS, 1.0
        tail, density = 2.0 * ndtr(-CLIP), np.exp(-0.5 * CLIP**2) / np.sqrt(2.0 * np.pi)
        # Mean square of a standard normal that is clipped.
        self._clipped = float(1.0 - tail - 2.0 * CLIP * density + CLIP**2 * tail)

    def scores(self, standardised: np.ndarray, learn: bool) -> np.ndarray:
        """Turn deviations over their stated standard deviations into standard normal scores, one after the other.

        Parameters
        ----------
        standardised : array, shape (window,)
        learn : bool
            Whether each window tells the next ones about the scale.

        Returns
        -------
        array, shape (window,)
        """
        # What scipy.stats calls, without the hundreds of microseconds on the way.
        from scipy.special import ndtri, stdtr

        windows, scale2 = np.full((2, len(standardised)), np.array([[self.windows], [self.scale2]]))
        if learn:
            for i, value in enumerate(standardised.tolist()):
                windows[i], scale2[i] = self.windows, self.scale2
                self.learn(value)
        ratio = standardised / np.sqrt(scale2)
        # The smaller tail: far from zero the other one rounds to 1.
        far = np.minimum(-ndtri(stdtr(windows, -np.abs(ratio))), FARTHEST)
        return np.copysign(far, ratio)

    def learn(self, standardised: float) -> None:
        """Update the scale by the standardised deviation of a window without an alarm."""
        square = min(standardised * standardised, CLIP**2 * self.scale2) / self._clipped
        self.scale2 = (self.windows * self.scale2 + square) / (self.windows + 1.0)
        self.windows += 1.0


@dataclass(frozen=True)
class Placed:
    """Predictions of several deviations in the directions in which the draws differ.

    Attributes
    ----------
    centre : array, shape (row,)
        Mean over the draws.
    loads : array, shape (row, direction)
        Coordinates; 0 in directions that were found later.
    rest : array, shape (row,)
        Variance in no direction.
    """

    centre: np.ndarray
    loads: np.ndarray
    rest: np.ndarray


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
        placed = self.place(draws[None])
        expected, standardised = self.follow(placed, np.array([observed]), np.array([noise_sd]), learn)
        return float(self.noise(signal).scores(standardised, learn)[0]), float(expected[0])

    def noise(self, signal: str) -> Noise:
        """Give a signal's noise scale."""
        return self._noise.get(signal) or self._noise.setdefault(signal, Noise())

    def place(self, draws: np.ndarray) -> Placed:
        """Place predictions among the known directions; adds directions where those do not suffice.

        Parameters
        ----------
        draws : array, shape (row, draw)

        Returns
        -------
        Placed
        """
        n = draws.shape[1]
        centre = draws.mean(axis=1)
        centred = draws - centre[:, None]
        variance = np.einsum("rd,rd->r", centred, centred) / n
        loads = np.zeros((len(draws), MOST_DIRECTIONS))
        known = len(self._basis)
        loads[:, :known] = centred @ self._basis.T / n
        rest = variance - np.einsum("rk,rk->r", loads, loads)
        while known < MOST_DIRECTIONS and (new := np.flatnonzero(rest > KEPT * variance)).size:
            first = int(new[0])
            left = centred[first] - loads[first, :known] @ self._basis
            self._add(left / np.sqrt(left @ left / n))
            loads[first:, known] = centred[first:] @ self._basis[known] / n
            rest[first:] -= loads[first:, known] ** 2
            rest[first] = 0.0
            known += 1
        return Placed(centre, loads[:, :known], np.maximum(rest, 0.0))

    def _add(self, direction: np.ndarray) -> None:
        self._basis = np.vstack([self._basis, direction])
        self._mean = np.append(self._mean, 0.0)
        grown = np.eye(len(self._mean))
        grown[:-1, :-1] = self._cov
        self._cov = grown

    def state(self) -> tuple[np.ndarray, np.ndarray, dict[str, tuple[float, float]]]:
        """Remember what was learned, for :meth:`back_to`; valid while no direction is added."""
        return self._mean, self._cov, {name: (n.windows, n.scale2) for name, n in self._noise.items()}

    def back_to(self, state: tuple[np.ndarray, np.ndarray, dict[str, tuple[float, float]]]) -> None:
        """Forget what was learned since :meth:`state`."""
        self._mean, self._cov, noises = state
        for name, noise in self._noise.items():
            noise.windows, noise.scale2 = noises.get(name, (PRIOR_WINDOWS, 1.0))

    def follow(
        self, placed: Placed, observed: np.ndarray, noise_sd: np.ndarray, learn: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict deviations one after the other, each given those before it.

        Parameters
        ----------
        placed : Placed
        observed, noise_sd : array, shape (row,)
        learn : bool

        Returns
        -------
        expected : array, shape (row,)
            Prediction given the rows before.
        standardised : array, shape (row,)
            What was observed beyond it, over its stated standard deviation.
        """
        spread = placed.rest + noise_sd**2
        loads = placed.loads
        if not learn:
            expected = placed.centre + loads @ self._mean
            variance = np.einsum("rk,kl,rl->r", loads, self._cov, loads, optimize=True) + spread
            return expected, (observed - expected) / np.sqrt(variance)
        expected, variance = np.empty(len(spread)), np.empty(len(spread))
        mean, cov = self._mean.copy(), self._cov.copy()
        for i, row in enumerate(loads):
            towards = cov @ row
            expected[i] = value = placed.centre[i] + row @ mean
            variance[i] = wide = row @ towards + spread[i]
            mean += towards * ((observed[i] - value) / wide)
            towards /= np.sqrt(wide)
            cov -= np.multiply.outer(towards, towards)
        self._mean, self._cov = mean, cov
        return expected, (observed - expected) / np.sqrt(variance)
