"""Live windows against the posterior predictive: scores, effective batch size, alarms, and what would explain a drift.

A window is split into signals that point at different stages:

* ``acceptance``: log odds of the per-token acceptance that the window's accepted length implies;
* ``steps``: log latency (waiting left out) against the service curve at the window's own batch size, accepted length and
  token lengths: neither load nor acceptance moves it, slower or faster steps do;
* ``queue``: log of latency over latency without waiting, against what the load should make requests wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.condition.frame import as_conditions
from bayes_sd.decide.alarm import Chart, charts_for
from bayes_sd.decide.bands import thinned
from bayes_sd.decide.learned import LearnedServer
from bayes_sd.decide.verdict import SIDES, Verdict, drift_words, to_dataset
from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.curves import curve
from bayes_sd.forecast.stages import stage_latency_s
from bayes_sd.latency.acceptance import alpha_iid_from_committed, expected_committed_iid
from bayes_sd.model.term import sigmoid

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.decide.windows import Window
    from bayes_sd.posterior.posterior import Posterior

Signal = tuple[float, np.ndarray, float]
"""A signal of a window: its observed value, what each draw predicts, shape (draw,), and the noise of the observed one."""
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
UNLIKELY = 0.01
DRAWS = 500


class Monitor:
    """Scores windows of one server as they come.

    Parameters
    ----------
    posterior : Posterior
    condition : DataFrame
        One row: what is served, how, and with which typical lengths. Its load is not used.
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.
    false_alarm_rate : float
        Probability of any alarm in `windows` windows of a server that behaves as the posterior says.
    windows : int
    request_cv : float, optional
        Spread of single requests' latencies over their mean; 0.5, or 0.15 for windows that state output lengths.
    seed : int
        For what the posterior has not seen, and for run-to-run deviations.

    Raises
    ------
    CardError, ConditionError
        If the condition names something that nothing is known about, or the rate is not between 0 and 1.
    """

    def __init__(
        self,
        posterior: Posterior,
        condition: pd.DataFrame,
        cards: Cards | None = None,
        false_alarm_rate: float = 0.01,
        windows: int = 100,
        request_cv: float | None = None,
        seed: int = 0,
    ) -> None:
        small = thinned(posterior, DRAWS)
        cards = posterior.cards() if cards is None else cards
        self._conditions = resolve(
            as_conditions(condition, load_needed=False, posterior=posterior), small, cards
        )
        self._predicted = costs_for(small, self._conditions, cards, seed)
        self._rate, self._windows, self._cv = false_alarm_rate, windows, request_cv
        charts_for(SIDES, false_alarm_rate, windows)  # so that an impossible rate is refused at once
        self.k = int(self._conditions.k[0])
        rng = np.random.default_rng([seed, 13])
        n, tails = small.n_draws, small.spec.priors["noise"]["tails"]
        # A run deviates from the model as a whole, for as long as it lasts: so each draw gets one deviation.
        self._run = rng.standard_t(tails, size=n) * self._predicted.noise[:, 0] + self._predicted.misfit[:, 0]
        self._logit = self._acceptance_logit(rng.normal(size=n)) if self.k else np.zeros(n)
        self._jitter = float(np.median(self._predicted.noise[:, 0]))
        self._server = LearnedServer(n)
        self._charts: dict[str, Chart] | None = None
        self._number = 0
        self._alarm: dict[str, int] = {}

    @property
    def extrapolates(self) -> str:
        """What was never measured about the condition, the load left out; empty if nothing."""
        words = [w for w in self._conditions.extrapolates[0].split("; ") if w and w != "load"]
        return "; ".join(words)

    def _acceptance_logit(self, luck: np.ndarray) -> np.ndarray:
        committed = self._predicted.committed[:, 0]
        alpha = alpha_iid_from_committed(committed, np.full(len(committed), self.k))
        alpha = np.clip(alpha, EDGE, 1 - EDGE)
        return np.log(alpha) - np.log1p(-alpha) + self._predicted.committed_run_sd * luck

    def see(self, window: Window) -> Verdict:
        """Score the next window.

        Parameters
        ----------
        window : Window

        Returns
        -------
        Verdict
        """
        self._number += 1
        signals = self._signals(window)
        if self._charts is None:
            self._charts = charts_for({name: SIDES[name] for name in signals}, self._rate, self._windows)
        learn = not self._alarm
        scores, expected = {}, {}
        for name, (observed, draws, noise_sd) in signals.items():
            scores[name], expected[name] = self._server.score(name, observed, draws, noise_sd, learn)
            chart = self._charts.get(name)
            side = chart.add(scores[name]) if chart else 0
            if side:
                self._alarm.setdefault(name, side)
        _, draws, noise_sd = signals["steps"]
        waiting = window.queue_s or 0.0
        spread = draws + noise_sd * np.random.default_rng([self._number, 17]).normal(size=len(draws))
        low, median, high = np.exp(np.quantile(spread, [0.05, 0.5, 0.95])) + waiting
        p_values = {name: _two_sided(score) for name, score in scores.items()}
        p_value = 1.0 - (1.0 - min(p_values.values())) ** len(p_values)
        return Verdict(
            number=self._number,
            window=window,
            batch=window.batch,
            expected_s=float(median),
            lower_s=float(low),
            upper_s=float(high),
            scores=scores,
            p_values=p_values,
            p_value=p_value,
            alarm=bool(self._alarm),
            drift=self._explain(window, signals, expected, scores, p_values),
        )

    def _signals(self, window: Window) -> dict[str, Signal]:
        """Observed value, prediction per draw and noise of each signal that the window has."""
        requests = window.requests or ASSUMED_REQUESTS
        signals = {}
        logit, logit_sd = self._logit, 0.0
        if self.k and window.accepted_len is not None:
            observed, logit_sd = self._observed_logit(window.accepted_len, requests)
            signals["acceptance"] = (observed, logit, logit_sd)
        cv = self._cv
        if cv is None:
            cv = REQUEST_CV if window.output_tokens is None else KNOWN_LENGTH_CV
        service = self.service_s(window)
        running = window.latency_s - (window.queue_s or 0.0)
        steps_sd = float(np.hypot(self._jitter, cv / np.sqrt(requests)))
        signals["steps"] = (float(np.log(running)), np.log(service) + self._run, steps_sd)
        if window.queue_s is not None and window.rate_rps is not None:
            waits = self._waits(window.rate_rps)
            sd = float(np.hypot(QUEUE_SD, np.median(waits) / np.sqrt(max(requests / 10.0, 1.0))))
            signals["queue"] = (float(np.log(window.latency_s / running)), waits, sd)
        return signals

    def _observed_logit(self, accepted_len: float, requests: float) -> tuple[float, float]:
        """Log odds of acceptance that an accepted length implies, and its sampling error."""
        step = 0.01 * accepted_len
        around = np.clip(accepted_len + np.array([-step, 0.0, step]), 1.0 + EDGE, self.k + 1.0 - EDGE)
        alpha = np.clip(alpha_iid_from_committed(around, np.full(3, self.k)), EDGE, 1 - EDGE)
        logit = np.log(alpha) - np.log1p(-alpha)
        slope = (logit[2] - logit[0]) / max(around[2] - around[0], 1e-9)
        return float(logit[1]), float(slope * accepted_len * ACCEPTANCE_CV / np.sqrt(requests))

    def service_s(self, window: Window) -> np.ndarray:
        """Compute the service latency at a window's batch size, accepted length and token lengths.

        Parameters
        ----------
        window : Window

        Returns
        -------
        array, shape (draw,)
            Seconds, waiting and the run's own deviation left out.
        """
        conditions, predicted = self._conditions, self._predicted
        if window.prompt_tokens is not None:
            conditions = replace(conditions, prompt=np.array([window.prompt_tokens]))
        if window.output_tokens is not None:
            conditions = replace(conditions, output=np.array([window.output_tokens]))
        if self.k:
            committed = expected_committed_iid(sigmoid(self._logit), np.full(len(self._logit), self.k))
            if window.accepted_len is not None:
                committed = np.full_like(committed, min(window.accepted_len, self.k + 1.0))
            predicted = replace(predicted, committed=committed[:, None])
        batch = np.array([[max(window.batch, 1.0)]])
        return curve(predicted, conditions, 0, batch)[0][:, 0]

    def _waits(self, rate: float) -> np.ndarray:
        """Predict the queue signal at an arrival rate: log(latency / latency without waiting), shape (draw,)."""
        at = replace(
            self._conditions,
            load=np.array([rate]),
            open_loop=np.array([True]),
            poisson=np.array([True]),
        )
        split, _ = stage_latency_s(self._predicted, at, 0)
        total, waiting = split.sum(axis=1), split[:, -1]
        factor = np.log(total / np.maximum(total - waiting, 1e-9))
        # Draws without a steady state have no wait to predict: they take the longest of the others.
        steady = factor[np.isfinite(factor)]
        return np.nan_to_num(factor, nan=float(steady.max()) if len(steady) else 0.0)

    def _explain(
        self,
        window: Window,
        signals: dict[str, Signal],
        expected: dict[str, float],
        scores: dict[str, float],
        p_values: dict[str, float],
    ) -> str:
        """Put into words what would explain an unlikely window or the alarm that stands."""
        words = []
        for name in signals:
            if name not in self._alarm and p_values[name] >= UNLIKELY:
                continue
            side = self._alarm.get(name, 1 if scores[name] > 0 else -1)
            observed = signals[name][0]
            words.append(drift_words(name, side, observed, expected[name], self.k, window))
        return "; ".join(w for w in words if w)


def _two_sided(score: float) -> float:
    from scipy.special import ndtr

    return float(2.0 * ndtr(-abs(score)))


def monitor(watch: Monitor, windows: Iterable[Window]) -> xr.Dataset:
    """Score a stream of windows.

    Parameters
    ----------
    watch : Monitor
    windows : iterable of Window

    Returns
    -------
    Dataset
        As :func:`bayes_sd.decide.verdict.to_dataset`.
    """
    return to_dataset([watch.see(window) for window in windows])
