"""Which draft length for the coming minutes: a running server's windows, what they say of it, and the choice that loses least.

A window tells three things, each learned by itself (:mod:`bayes_sd.decide.forgetting`): acceptance from the tokens per cycle, the
arrival rate from the requests, and how much slower or faster steps are than each draw of the posterior says. Costs of the other draft
lengths are the posterior's. So the latency of every draft length at the rate to come is known draw by draw, without trying it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.forgetting import AcceptanceLevel, ArrivalRate, StepOffset
from bayes_sd.decide.monitor import IDLE
from bayes_sd.decide.schedule import batch_sizes, schedule
from bayes_sd.decide.signals import KNOWN_LENGTH_CV, REQUEST_CV
from bayes_sd.decide.tune import prepare_choices
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.curves import condition_work, service_curve
from bayes_sd.forecast.grid import curve_points
from bayes_sd.forecast.latency import running_cap
from bayes_sd.forecast.mixture import thinned
from bayes_sd.forecast.sweep import arrivals_of
from bayes_sd.latency.acceptance import expected_committed_profile, extended_profile
from bayes_sd.latency.between import straight_between
from bayes_sd.latency.queue.loads import mean_over_loads
from bayes_sd.model.stated import acceptance_logit, method_profile

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.decide.windows import Window
    from bayes_sd.posterior.posterior import Posterior

DRAWS = 128
RATE_NODES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Quantiles of the rate to come that every draw is judged at."""
REFERENCE = 4
"""Draft length at which the level of acceptance is kept."""
JITTER_SD = 0.02
"""What a window's latency differs from the law by, beside the luck of its requests [log]."""
MARGIN, SURE = 0.005, 0.7
"""Hysteresis: another draft length must save this share of the speed, and be the better one with this probability."""
LENGTH_STEP = 0.05
"""Curves are computed anew when prompts or outputs have changed by this share."""


@dataclass(frozen=True)
class Advice:
    """What to do in the coming minutes.

    Attributes
    ----------
    k : int
        Draft length to run.
    current : int or None
        The one that runs.
    switch : bool
        Whether they differ.
    lengths : tuple of int
        Those that were compared.
    p_best, regret : array, shape (length,)
        Probability that each has the lowest mean latency, and the expected share of the attainable speed that it gives away.
    latency_s : tuple of float
        Mean latency of `k`: 5 %, 50 % and 95 % quantiles over what may be true [s].
    rate_rps, committed, offset : tuple of float
        The same of the arrival rate, of the tokens per cycle at `k`, and of how much slower steps are than the trace says [log].
    memory : tuple of float
        Windows that acceptance and arrival rate are remembered for.
    saturated : float
        Probability that no draft length keeps up.
    """

    k: int
    current: int | None
    switch: bool
    lengths: tuple[int, ...]
    p_best: np.ndarray
    regret: np.ndarray
    latency_s: tuple[float, float, float]
    rate_rps: tuple[float, float, float]
    committed: tuple[float, float, float]
    offset: tuple[float, float, float]
    memory: tuple[float, float]
    saturated: float

    @property
    def p_chosen(self) -> float:
        """Probability that the draft length to run is the best one."""
        return float(self.p_best[self.lengths.index(self.k)])

    @property
    def regret_chosen(self) -> float:
        """Expected share of the attainable speed that it gives away."""
        return float(self.regret[self.lengths.index(self.k)])


class Advisor:
    """Learns from a server's windows, and advises a draft length.

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
    margin, sure : float
        Hysteresis: share of the speed that another draft length must save, and probability that it must be better with.
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
        margin: float = MARGIN,
        sure: float = SURE,
        seed: int = 0,
    ) -> None:
        if not (0.0 <= margin < 1.0 and 0.0 <= sure < 1.0):
            raise ConditionError(
                f"hysteresis of {margin:g} of the speed at {sure:g}: both must be from 0 to below 1"
            )
        self.prepared = prepare_choices(
            thinned(posterior, DRAWS), condition, range(longest + 1), (), cards, seed, configured=True
        )
        self.lengths = tuple(way.k for way in self.prepared.alternatives)
        self.current = None if current is None else self._checked(current)
        self._margin, self._sure = margin, sure
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

    def _committed(self) -> np.ndarray:
        """Give the tokens per cycle of each draft length in the next window, shape (draw, length)."""
        level = self.level.quantiles(self._shuffled)
        columns = [
            expected_committed_profile(level + self._shift[:, i], self._profile, k)
            for i, k in enumerate(self.lengths)
        ]
        return np.stack(columns, axis=1)

    def _curves(self) -> np.ndarray:
        """Give the service curves of the next window at the points, shape (draw, length, point) [s]."""
        slower = np.exp(self.offset.mean)[:, None, None]
        return (self._prefill + self._decode / self._committed()[:, :, None]) * slower

    def advise(self) -> Advice:
        """Choose the draft length for the next window.

        Returns
        -------
        Advice
        """
        rate = self.rate.quantiles(self._luck)
        nodes = np.quantile(rate, RATE_NODES)
        by_rate, limits = self._latency(nodes)
        # Each draw of costs and acceptance under each of the rates that may come.
        latency = np.moveaxis(by_rate, 2, 1).reshape(-1, len(self.lengths))
        limit = np.repeat(limits, len(nodes), axis=0)
        stable = np.isfinite(latency)
        some = stable.any(axis=1)
        # Where none keeps up, the one that completes most requests is best.
        loss = np.where(some[:, None], latency, 1.0 / limit)
        best = loss.min(axis=1, keepdims=True)
        relative = 1.0 - best / loss
        p_best = np.bincount(loss.argmin(axis=1), minlength=len(self.lengths)) / len(loss)
        chosen = self._hysteresis(loss, relative.mean(axis=0))
        k, was = self.lengths[chosen], self.current
        self._advised = k
        return Advice(
            k=k,
            current=was,
            switch=was is not None and k != was,
            lengths=self.lengths,
            p_best=p_best,
            regret=relative.mean(axis=0),
            latency_s=_three(latency[:, chosen]),
            rate_rps=_three(rate),
            committed=_three(self._committed()[:, chosen]),
            offset=_three(self.offset.mean),
            memory=(self.level.models.memory, self.rate.models.memory),
            saturated=float(1.0 - some.mean()),
        )

    def _hysteresis(self, loss: np.ndarray, regret: np.ndarray) -> int:
        """Keep what runs unless another is clearly better."""
        best = int(regret.argmin())
        if self.current is None:
            return best
        own = self.lengths.index(self.current)
        saves = regret[own] - regret[best] > self._margin
        return best if saves and (loss[:, best] < loss[:, own]).mean() >= self._sure else own

    def _latency(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean latency of each draft length under each rate, shape (draw, length, rate) [s], and limits, (draw, length)."""
        costs, conditions = self.prepared.costs, self.prepared.conditions
        n_max = running_cap(costs, conditions, 0)[:, None]
        curves = self._curves() @ straight_between(self._points, int(n_max.max()))
        come = arrivals_of(self.prepared, None)
        means = mean_over_loads(
            curves, come.protocol, np.maximum(rates, 1e-6), n_max, self._work_cv, come.gap_scv
        )
        return means.latency_s, means.limit_rps

    def table(self) -> pd.DataFrame:
        """Give draft lengths by batch size for the next window.

        Returns
        -------
        DataFrame
            As :func:`bayes_sd.decide.schedule.schedule`.
        """
        import xarray as xr

        sizes = batch_sizes(int(self._points[-1]))
        weights = straight_between(self._points, int(self._points[-1]))[:, sizes - 1]
        names = list(self.prepared.conditions.drafter)
        swept = xr.Dataset(
            {"latency": (("sample", "alternative", "load"), self._curves() @ weights)},
            coords={
                "alternative": self.prepared.names,
                "k": ("alternative", list(self.lengths)),
                "drafter": ("alternative", np.array(names, dtype=str)),
                "load": sizes.astype(float),
            },
            attrs={"load_axis": "in-flight"},
        )
        return schedule(swept)


def _three(values: Any) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), method="inverted_cdf")
    return float(low), float(middle), float(high)
