"""What a running server's windows say: acceptance, arrivals and step time, each learned and forgotten by itself.

Acceptance is learned from the tokens per cycle, the arrival rate from the requests, and step time as how much slower or faster
steps are than each draw of the posterior says (:mod:`bayes_sd.decide.forgetting`). Costs of draft lengths that do not run are
the posterior's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.forgetting import AcceptanceLevel, ArrivalRate, StepOffset
from bayes_sd.decide.monitor import IDLE
from bayes_sd.decide.signals import KNOWN_LENGTH_CV, REQUEST_CV
from bayes_sd.decide.tune import prepare_choices
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.curves import condition_work, service_curve
from bayes_sd.forecast.grid import curve_points
from bayes_sd.forecast.latency import running_cap
from bayes_sd.forecast.mixture import thinned
from bayes_sd.latency.acceptance import expected_committed_profile, extended_profile
from bayes_sd.model.stated import acceptance_logit, method_profile

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.decide.windows import Window
    from bayes_sd.posterior.posterior import Posterior

DRAWS = 128
REFERENCE = 4
"""Draft length at which the level of acceptance is kept."""
JITTER_SD = 0.02
"""What a window's latency differs from the law by, beside the luck of its requests [log]."""
LENGTH_STEP = 0.05
"""Curves are computed anew when prompts or outputs have changed by this share."""


@dataclass(frozen=True)
class Learned:
    """What is known of a server for its next window: 5 %, 50 % and 95 % quantiles.

    Attributes
    ----------
    rate_rps : tuple of float
        Arrival rate [requests/s].
    committed : tuple of float or None
        Tokens per cycle at the draft length that runs; None where that is not known, or none are drafted.
    offset : tuple of float
        How much slower steps are than the trace says [log].
    memory : tuple of float
        Windows that acceptance and arrival rate are remembered for: few where they drift, many where windows differ by chance only.
    """

    rate_rps: tuple[float, float, float]
    committed: tuple[float, float, float] | None
    offset: tuple[float, float, float]
    memory: tuple[float, float]


class Learner:
    """Learns from a server's windows.

    Parameters
    ----------
    posterior : Posterior
    condition : DataFrame
        One row that names a way of drafting; its load is not used.
    cards : Cards, optional
    longest : int
        Longest draft.
    current : int, optional
        Draft length that runs at first.
    forget : float, optional
        Share of what is known of acceptance and arrivals that is kept from window to window; learned by default.
    seed : int

    Raises
    ------
    ConditionError, CardError
        If a number is out of range, and as :func:`bayes_sd.decide.tune.prepare_choices`.
    """

    def __init__(
        self,
        posterior: Posterior,
        condition: pd.DataFrame,
        cards: Cards | None = None,
        *,
        longest: int = 8,
        current: int | None = None,
        forget: float | None = None,
        seed: int = 0,
    ) -> None:
        self.prepared = prepare_choices(
            thinned(posterior, DRAWS), condition, range(longest + 1), (), cards, seed, configured=True
        )
        self.lengths = tuple(way.k for way in self.prepared.alternatives)
        self.current = None if current is None else self._checked(current)
        self._told, self._advised = False, self.current
        n = self.prepared.costs.n_draws
        self._luck = (np.arange(n) + 0.5) / n
        self._shuffled = np.random.default_rng([seed, 37]).permutation(self._luck)
        method = self.prepared.conditions.frame["method"].iloc[-1]
        self._profile = extended_profile(method_profile(method), longest)
        level, self._shift = self._levels(min(REFERENCE, longest))
        shift = self._shift.mean(axis=0)
        self.level = AcceptanceLevel(float(level.mean()), float(level.std()), self._profile, shift, forget)
        self.rate = ArrivalRate(forget)
        self.offset = StepOffset(n)
        costs, conditions = self.prepared.costs, self.prepared.conditions
        cv = [self.prepared.spread.work_cv(costs, conditions, i) for i in range(len(self.lengths))]
        self._work_cv = np.stack(cv, axis=1)
        self._sizes = (0.0, 0.0)
        self._measure(*self._own_sizes())

    def _checked(self, k: int) -> int:
        if k not in self.lengths:
            raise ConditionError(
                f"the server drafts {k} tokens: beyond the longest that is compared, {self.lengths[-1]} (--longest)"
            )
        return k

    def _levels(self, reference: int) -> tuple[np.ndarray, np.ndarray]:
        """Give the level of acceptance at the reference, shape (draw,), and how others differ from it, (draw, k + 1)."""
        costs, n = self.prepared.costs, self.prepared.costs.n_draws
        levels = np.zeros((n, len(self.lengths)))
        for i, k in enumerate(self.lengths):
            if k:
                profile = np.tile(self._profile[:k], (n, 1))
                levels[:, i] = acceptance_logit(costs.committed[:, i], np.full(n, float(k)), profile)
        level = levels[:, self.lengths.index(reference)]
        return level, levels - level[:, None]

    def _own_sizes(self) -> tuple[float, float]:
        conditions = self.prepared.conditions
        return float(conditions.prompt[0]), float(conditions.output[0])

    def _measure(self, prompt: float, output: float) -> None:
        """Compute prefill and step of every draft length for prompts and outputs of these lengths, if those are new."""
        if all(abs(a - b) <= LENGTH_STEP * b for a, b in zip((prompt, output), self._sizes, strict=True)):
            return
        self._sizes = (prompt, output)
        costs, conditions = self.prepared.costs, self.prepared.conditions
        n = int(running_cap(costs, conditions, 0).max())
        self._points = curve_points(n, 1.0)
        parts = []
        for i in range(len(self.lengths)):
            own = condition_work(costs, conditions, i)
            work = replace(own, prompt_tokens=prompt, output_tokens=output, committed=1.0)
            service, step = service_curve(costs, conditions, i, self._points[None], work)
            scale = np.exp(costs.misfit[:, [i]])
            parts.append(((service - output * step) * scale, output * step * scale))
        self._prefill, self._decode = (np.stack(part, axis=1) for part in zip(*parts, strict=True))

    def see(self, window: Window, k: int | None, seconds: float) -> None:
        """Learn from a window.

        Parameters
        ----------
        window : Window
        k : int or None
            Draft length that ran; None where it is not known: then that of the last window that told, else the one that was advised.
        seconds : float
            Length of the window.

        Raises
        ------
        ConditionError
            If the draft length is beyond the longest, or the window lasts no time.
        """
        if not 0.0 < seconds < np.inf:
            raise ConditionError(f"a window of {seconds:g} s: it must last some time")
        if k is not None:
            self.current, self._told = self._checked(k), True
        elif not self._told:
            # Nobody says what runs, so it is taken to be what was advised.
            self.current = self._advised
        requests = window.requests if window.requests is not None else (window.rate_rps or 0.0) * seconds
        self.rate.see(requests, seconds)
        if requests <= 0 or window.batch < IDLE or not np.isfinite(window.latency_s):
            self.level.pass_window()
            return
        prompt, output = self._own_sizes()
        prompt, output = window.prompt_tokens or prompt, window.output_tokens or output
        self._measure(prompt, output)
        self._accepted(window, requests, output)
        if self.current is not None:
            self._steps(window, requests)

    def _accepted(self, window: Window, requests: float, output: float) -> None:
        if not self.current or window.accepted_len is None:
            self.level.pass_window()
            return
        committed = min(window.accepted_len, self.current + 1.0 - 1e-3)
        self.level.see(committed, self.current, requests * output / committed, requests)

    def _steps(self, window: Window, requests: float) -> None:
        i = self.lengths.index(int(self.current or 0))
        committed = self._committed()[:, i] if window.accepted_len is None else window.accepted_len
        if not i:
            committed = 1.0
        batch = np.clip(window.batch, 1.0, self._points[-1])
        at = [np.interp(batch, self._points, row) for row in self._prefill[:, i]]
        then = [np.interp(batch, self._points, row) for row in self._decode[:, i]]
        predicted = np.array(at) + np.array(then) / committed
        observed = window.latency_s - (window.queue_s or 0.0)
        cv = REQUEST_CV if window.output_tokens is None else KNOWN_LENGTH_CV
        self.offset.see(np.log(observed / predicted), float(np.hypot(JITTER_SD, cv / np.sqrt(requests))))

    def _committed(self, draws: np.ndarray | None = None) -> np.ndarray:
        """Give the tokens per cycle of each draft length in the next window, shape (draw, length); of some draws, or of all."""
        level = self.level.quantiles(self._shuffled)
        shift = self._shift if draws is None else self._shift[draws]
        columns = [
            expected_committed_profile(level + shift[:, i], self._profile, k)
            for i, k in enumerate(self.lengths)
        ]
        return np.stack(columns, axis=1)

    def _curves(self, draws: np.ndarray) -> np.ndarray:
        """Give the service curves of the next window at the points, shape (draw, length, point) [s]."""
        slower = np.exp(self.offset.mean[draws])[:, None, None]
        decode = self._decode[draws] / self._committed(draws)[:, :, None]
        return (self._prefill[draws] + decode) * slower

    def learned(self) -> Learned:
        """Say what is known for the next window.

        Returns
        -------
        Learned
        """
        committed, draws = None, self.offset.counted()
        if self.current:
            committed = three(self._committed(draws)[:, self.lengths.index(self.current)])
        return Learned(
            rate_rps=three(self.rate.quantiles(self._luck)),
            committed=committed,
            offset=three(self.offset.mean[draws]),
            memory=(self.level.models.memory, self.rate.models.memory),
        )


def three(values: Any) -> tuple[float, float, float]:
    """Give the 5 %, 50 % and 95 % quantiles."""
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), method="inverted_cdf")
    return float(low), float(middle), float(high)
