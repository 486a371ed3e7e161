"""How long requests wait before they run, over the arrival rate: the queue law at a few rates, straight lines between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.latency import running_curve
from bayes_sd.latency.queue import in_flight_law

if TYPE_CHECKING:
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts

SPACING = 0.02
"""From rate to rate [log]: with it the signal is within 0.003 of the law's own, a tenth of its least noise."""
LOWEST = 0.02
"""Rates below this share of the lowest limit have no wait to speak of."""


class Waits:
    """Predicts log(latency / latency without waiting) under Poisson arrivals.

    What is kept is the share of its time that a request runs: near saturation it falls in a straight line, while the wait itself
    has a pole. Rates are solved when they are first needed, and there are some hundred of them at most, so that memory and time
    do not grow with the stream.

    Parameters
    ----------
    predicted : PredictedCosts
    conditions : Conditions
        One.
    """

    def __init__(self, predicted: PredictedCosts, conditions: Conditions) -> None:
        self._asked = predicted, conditions
        self._curve: tuple[np.ndarray, np.ndarray] | None = None
        self._solved: dict[int, np.ndarray] = {}
        self._ends = (0.0, 0.0)

    def at(self, rates: np.ndarray) -> np.ndarray:
        """Predict the queue signal at arrival rates.

        Parameters
        ----------
        rates : array, shape (window,)
            [requests/s].

        Returns
        -------
        array, shape (window, draw)
        """
        if self._curve is None:
            n_max, service = self._curve = running_curve(*self._asked, 0)
            limits = n_max / service[np.arange(len(n_max)), n_max - 1]
            self._ends = float(np.log(LOWEST * limits.min())), float(np.log(limits.max()))
        place = (np.clip(np.log(rates), *self._ends) - self._ends[0]) / SPACING
        left = np.floor(place).astype(int)
        weight = (place - left)[:, None]
        below = np.stack([self._share(int(node)) for node in left])
        above = np.stack([self._share(int(node) + 1) for node in left])
        factor = -np.log((1.0 - weight) * below + weight * above)
        return _without_gaps(factor)

    def _share(self, node: int) -> np.ndarray:
        """Share of a request's time in which it runs, at a rate of the grid; NaN in draws without a steady state."""
        if node not in self._solved:
            assert self._curve is not None
            n_max, service = self._curve
            rate = float(np.exp(self._ends[0] + SPACING * node))
            law = in_flight_law(service, "poisson", np.full(len(n_max), rate), n_max, levels=(0.5,))
            with np.errstate(invalid="ignore"):
                share = law.mean_running / (rate * law.mean_latency_s)
            self._solved[node] = np.where(law.stable, np.clip(share, 1e-9, 1.0), np.nan)
        return self._solved[node]


def _without_gaps(factor: np.ndarray) -> np.ndarray:
    """Let draws without a steady state, which have no wait to predict, take the longest of the others."""
    gaps = np.isnan(factor)
    if not gaps.any():
        return factor
    longest = np.where(gaps, -np.inf, factor).max(axis=1)
    return np.where(gaps, np.where(np.isfinite(longest), longest, 0.0)[:, None], factor)
