"""What live windows should look like, per draw: log odds of acceptance, log latency of the steps, and log of the wait.

Many windows at once: a stream brings thousands a second, and an array operation costs little more for hundreds of windows than for
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.decide.waits import Waits
from bayes_sd.forecast.curves import condition_work, service_curve
from bayes_sd.latency.acceptance import alpha_iid_from_committed, expected_committed_iid
from bayes_sd.model.term import logit, sigmoid

if TYPE_CHECKING:
    from bayes_sd.decide.windows import Window
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts

REQUEST_CV = 0.5
"""Coefficient of variation of single requests' latencies where a window does not say their lengths."""
KNOWN_LENGTH_CV = 0.15
"""The same where a window states its lengths: what is left is where in a batch a request ran, and its acceptance by chance."""
ACCEPTANCE_CV = 0.2
"""Coefficient of variation of the accepted length from request to request: prompts differ."""
ASSUMED_REQUESTS = 100.0
"""Requests in a window that does not say how many."""
QUEUE_SD = 0.03
"""Least noise of the queue signal [log]."""
EDGE = 1e-3


@dataclass(frozen=True)
class Signals:
    """Signals of windows, one row each, window after window.

    Attributes
    ----------
    window : int array, shape (row,)
        Which window.
    name : array of str, shape (row,)
        "acceptance", "steps" or "queue", in this order within a window; a window lacks what it does not state.
    observed : array, shape (row,)
        On the signal's own scale.
    draws : array, shape (row, draw)
        What each draw predicts.
    noise_sd : array, shape (row,)
        Of the observed value.
    """

    window: np.ndarray
    name: np.ndarray
    observed: np.ndarray
    draws: np.ndarray
    noise_sd: np.ndarray


class SignalModel:
    """Predicts the signals of windows of one server.

    Parameters
    ----------
    predicted : PredictedCosts
        Of the condition.
    conditions : Conditions
        One.
    tails : float
        Degrees of freedom of a run's deviation.
    request_cv : float, optional
        Spread of single requests' latencies over their mean; 0.5, or 0.15 for windows that state output lengths.
    seed : int
        For run-to-run deviations.
    """

    def __init__(
        self,
        predicted: PredictedCosts,
        conditions: Conditions,
        tails: float,
        request_cv: float | None,
        seed: int,
    ) -> None:
        self._predicted, self._conditions, self._cv = predicted, conditions, request_cv
        self.k = int(conditions.k[0])
        rng, n = np.random.default_rng([seed, 13]), predicted.n_draws
        # A run deviates from the model as a whole, for as long as it lasts: so each draw gets one deviation.
        self.run = rng.standard_t(tails, size=n) * predicted.noise[:, 0] + predicted.misfit[:, 0]
        self.logit = self._acceptance_logit(rng.normal(size=n)) if self.k else np.zeros(n)
        self.jitter = float(np.median(predicted.noise[:, 0]))
        self._committed = expected_committed_iid(sigmoid(self.logit), np.full(n, self.k)) if self.k else None
        self._waits = Waits(predicted, conditions)

    def _acceptance_logit(self, luck: np.ndarray) -> np.ndarray:
        committed = self._predicted.committed[:, 0]
        alpha = np.clip(alpha_iid_from_committed(committed, np.full(len(committed), self.k)), EDGE, 1 - EDGE)
        return logit(alpha) + self._predicted.committed_run_sd * luck

    def signals(self, windows: Sequence[Window]) -> Signals:
        """Give the signals that windows have, with their predictions.

        Parameters
        ----------
        windows : sequence of Window
            Each with requests.

        Returns
        -------
        Signals
        """
        requests = np.array([w.requests or ASSUMED_REQUESTS for w in windows])
        latency = np.array([w.latency_s for w in windows])
        queue = np.array([np.nan if w.queue_s is None else w.queue_s for w in windows])
        running = latency - np.nan_to_num(queue)
        cv = np.array([self._request_cv(w) for w in windows])
        everyone = np.arange(len(windows))
        steps_sd = np.hypot(self.jitter, cv / np.sqrt(requests))
        steps = np.log(self.service_s(windows)).T + self.run
        parts = [("steps", everyone, np.log(running), steps, steps_sd)]
        stated = np.flatnonzero([self.k > 0 and w.accepted_len is not None for w in windows])
        if stated.size:
            lengths = np.array([w.accepted_len for w in windows], dtype=float)[stated]
            observed, sd = self._observed_logit(lengths, requests[stated])
            parts.insert(0, ("acceptance", stated, observed, np.tile(self.logit, (stated.size, 1)), sd))
        waited = np.flatnonzero([w.queue_s is not None and w.rate_rps is not None for w in windows])
        if waited.size:
            waits = self._waits.at(np.array([w.rate_rps for w in windows], dtype=float)[waited])
            by_chance = np.median(waits, axis=1) / np.sqrt(np.maximum(requests[waited] / 10.0, 1.0))
            own = np.log(latency[waited] / running[waited])
            parts.append(("queue", waited, own, waits, np.hypot(QUEUE_SD, by_chance)))
        return _in_order(parts)

    def _request_cv(self, window: Window) -> float:
        if self._cv is not None:
            return self._cv
        return REQUEST_CV if window.output_tokens is None else KNOWN_LENGTH_CV

    def _observed_logit(
        self, accepted_len: np.ndarray, requests: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log odds of acceptance that accepted lengths imply, and their sampling errors."""
        step = 0.01 * accepted_len
        around = np.clip(accepted_len + np.stack([-step, 0.0 * step, step]), 1.0 + EDGE, self.k + 1.0 - EDGE)
        alpha = np.clip(alpha_iid_from_committed(around, np.full(around.shape, self.k)), EDGE, 1 - EDGE)
        odds = logit(alpha)
        slope = (odds[2] - odds[0]) / np.maximum(around[2] - around[0], 1e-9)
        return odds[1], slope * accepted_len * ACCEPTANCE_CV / np.sqrt(requests)

    def service_s(self, windows: Sequence[Window]) -> np.ndarray:
        """Compute the service latency at windows' batch sizes, accepted lengths and token lengths.

        Parameters
        ----------
        windows : sequence of Window

        Returns
        -------
        array, shape (draw, window)
            Seconds, waiting and the run's own deviation left out.
        """
        own = condition_work(self._predicted, self._conditions, 0)
        committed = own.committed
        if self._committed is not None:
            stated = np.array([np.nan if w.accepted_len is None else w.accepted_len for w in windows])[None]
            committed = np.minimum(stated, self.k + 1.0)
            if np.isnan(stated).any():
                committed = np.where(np.isnan(stated), self._committed[:, None], committed)
        prompt, output = (
            np.array([default if value is None else value for value in values])[None]
            for default, values in (
                (own.prompt_tokens, [w.prompt_tokens for w in windows]),
                (own.output_tokens, [w.output_tokens for w in windows]),
            )
        )
        batch = np.maximum([w.batch for w in windows], 1.0)[None]
        work = replace(own, prompt_tokens=prompt, output_tokens=output, committed=committed)
        return service_curve(self._predicted, self._conditions, 0, batch, work)[0]


def _in_order(parts: list[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> Signals:
    """Put signals of all windows into rows, window after window, the signals of each in the order of `parts`."""
    names, windows, observed, draws, noise_sd = zip(*parts, strict=True)
    window = np.concatenate(windows)
    order = np.argsort(window, kind="stable")
    name = np.repeat(np.array(names), [len(w) for w in windows])
    return Signals(
        window[order],
        name[order],
        np.concatenate(observed)[order],
        np.concatenate(draws)[order],
        np.concatenate(noise_sd)[order],
    )
