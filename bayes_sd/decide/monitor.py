"""Live windows against the posterior predictive: scores, effective batch size, alarms, and what would explain a drift.

A window is split into signals that point at different stages:

* ``acceptance``: log odds of the per-token acceptance that the window's accepted length implies;
* ``steps``: log latency (waiting left out) against the service curve at the window's own batch size, accepted length and
  token lengths: neither load nor acceptance moves it, slower or faster steps do;
* ``queue``: log of latency over latency without waiting, against what the load should make requests wait.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.condition.frame import as_conditions
from bayes_sd.decide.alarm import Chart, charts_for
from bayes_sd.decide.learned import LearnedServer, Placed
from bayes_sd.decide.signals import SignalModel, Signals
from bayes_sd.decide.verdict import SIDES, Verdict, drift_words, idle, to_dataset
from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.mixture import thinned

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.decide.windows import Window
    from bayes_sd.posterior.posterior import Posterior

IDLE = 0.05
"""Requests running on average below which a window is not judged: nearly all of it was spent with none, and whether those that ran
did so alone or all at once cannot be told from a mean."""
UNLIKELY = 0.01
DRAWS = 500
TAIL = 0.05
"""Below and above the interval that is shown."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What one signal of a window came to, and the alarms that stood after it: signal to side."""

    score: float
    observed: float
    expected: float
    reached: float
    alarm: dict[str, int]


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
        charts_for(SIDES, false_alarm_rate, windows)  # so that an impossible rate is refused at once
        predicted = costs_for(small, self._conditions, cards, seed)
        tails = small.spec.priors["noise"]["tails"]
        self.model = SignalModel(predicted, self._conditions, tails, request_cv, seed)
        self.k = self.model.k
        self._luck = np.random.default_rng([seed, 17]).normal(size=small.n_draws)
        self.restart(false_alarm_rate, windows)

    def restart(self, false_alarm_rate: float, windows: int) -> None:
        """Forget all windows.

        Parameters
        ----------
        false_alarm_rate, windows
            As on creation.
        """
        self._rate, self._windows = false_alarm_rate, windows
        self._server = LearnedServer(len(self._luck))
        self._charts: dict[str, Chart] | None = None
        self._number = 0
        self._alarm: dict[str, int] = {}

    @property
    def extrapolates(self) -> str:
        """What was never measured about the condition, the load left out; empty if nothing."""
        words = [w for w in self._conditions.extrapolates[0].split("; ") if w and w != "load"]
        return "; ".join(words)

    def see(self, window: Window) -> Verdict:
        """Score the next window.

        Parameters
        ----------
        window : Window

        Returns
        -------
        Verdict
        """
        return self.see_all([window])[0]

    def see_all(self, windows: Sequence[Window]) -> list[Verdict]:
        """Score the next windows, as :meth:`see` would one after the other, but faster.

        Parameters
        ----------
        windows : sequence of Window

        Returns
        -------
        list of Verdict
        """
        numbered = list(enumerate(windows, self._number + 1))
        self._number += len(numbered)
        busy = [(number, window) for number, window in numbered if window.batch >= IDLE]
        standing, judged = bool(self._alarm), {v.number: v for v in (self._judge(busy) if busy else ())}
        verdicts = []
        for number, window in numbered:
            verdict = judged.get(number) or idle(number, window, standing)
            standing = verdict.alarm
            verdicts.append(verdict)
        return verdicts

    def _judge(self, numbered: Sequence[tuple[int, Window]]) -> list[Verdict]:
        """Score windows with requests."""
        windows = [window for _, window in numbered]
        signals = self.model.signals(windows)
        if self._charts is None:
            own = {str(name): SIDES[str(name)] for name in signals.name[signals.window == 0]}
            self._charts = charts_for(own, self._rate, self._windows)
        placed = self._server.place(signals.draws)
        marks = self._scored(signals, placed, 0)
        first = np.searchsorted(signals.window, np.arange(len(windows) + 1)).tolist()
        bounds = self._bounds(signals, windows)
        p_values = _two_sided(np.array([mark.score for mark in marks])).tolist()
        names = signals.name.tolist()
        return [
            self._verdict(
                number, window, bounds[i],
                {names[r]: marks[r] for r in range(first[i], first[i + 1])},
                {names[r]: p_values[r] for r in range(first[i], first[i + 1])},
            )
            for i, (number, window) in enumerate(numbered)
        ]  # fmt: skip

    def _scored(self, signals: Signals, placed: Placed, start: int) -> list[_Mark]:
        """Score the rows from `start` on; where an alarm begins, what comes after it is not learned from."""
        learn, before = not self._alarm, self._server.state()
        expected, scores = self._follow(signals, placed, slice(start, None), learn)
        marks: list[_Mark] = []
        for i, score in enumerate(scores.tolist(), start):
            marks.append(self._mark(signals, i, score, float(expected[i - start])))
            ends = i + 1 == len(signals.window) or signals.window[i + 1] != signals.window[i]
            if learn and self._alarm and ends:
                self._server.back_to(before)
                self._follow(signals, placed, slice(start, i + 1), True)
                return marks + (self._scored(signals, placed, i + 1) if i + 1 < len(signals.window) else [])
        return marks

    def _follow(
        self, signals: Signals, placed: Placed, rows: slice, learn: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Give what was expected of rows, and their scores."""
        part = Placed(placed.centre[rows], placed.loads[rows], placed.rest[rows])
        expected, standardised = self._server.follow(
            part, signals.observed[rows], signals.noise_sd[rows], learn
        )
        scores = np.empty(len(expected))
        for name in SIDES:
            own = signals.name[rows] == name
            if own.any():
                scores[own] = self._server.noise(name).scores(standardised[own], learn)
        return expected, scores

    def _mark(self, signals: Signals, i: int, score: float, expected: float) -> _Mark:
        """Take a row's score into its chart."""
        name = str(signals.name[i])
        chart = (self._charts or {}).get(name)
        side = chart.add(score) if chart else 0
        if side and name not in self._alarm:
            self._alarm = {**self._alarm, name: side}  # anew: marks before keep theirs
        reached = chart.reached if chart else float("nan")
        return _Mark(score, float(signals.observed[i]), expected, reached, self._alarm)

    def _bounds(self, signals: Signals, windows: Sequence[Window]) -> list[list[float]]:
        """Lower, median and upper latency that the posterior predicts of each window [s]."""
        steps = signals.name == "steps"
        spread = signals.draws[steps] + signals.noise_sd[steps][:, None] * self._luck
        ranks = [round(q * (len(self._luck) - 1)) for q in (TAIL, 0.5, 1.0 - TAIL)]
        found = np.exp(np.partition(spread, ranks, axis=1)[:, ranks])
        return (found + np.array([w.queue_s or 0.0 for w in windows])[:, None]).tolist()

    def _verdict(
        self,
        number: int,
        window: Window,
        bounds: Sequence[float],
        marks: dict[str, _Mark],
        p_values: dict[str, float],
    ) -> Verdict:
        alarm = next(reversed(marks.values())).alarm
        low, median, high = bounds
        return Verdict(
            number=number,
            window=window,
            batch=window.batch,
            expected_s=median,
            lower_s=low,
            upper_s=high,
            scores={name: mark.score for name, mark in marks.items()},
            p_values=p_values,
            p_value=-math.expm1(len(p_values) * math.log1p(-min(*p_values.values(), 1.0 - 1e-16))),
            alarm=bool(alarm),
            drift=self._explain(window, marks, p_values, alarm),
            reached={name: mark.reached for name, mark in marks.items()},
        )

    def _explain(
        self, window: Window, marks: dict[str, _Mark], p_values: dict[str, float], alarm: dict[str, int]
    ) -> str:
        """Put into words what would explain an unlikely window or the alarm that stands."""
        words = []
        for name, mark in marks.items():
            if name not in alarm and p_values[name] >= UNLIKELY:
                continue
            side = alarm.get(name, 1 if mark.score > 0 else -1)
            words.append(drift_words(name, side, mark.observed, mark.expected, self.k, window))
        return "; ".join(w for w in words if w)


def _two_sided(scores: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return 2.0 * ndtr(-np.abs(scores))


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
    return to_dataset(watch.see_all(list(windows)))
