"""Which draft length for the coming minutes: what was learned of a running server, and the choice that loses least.

What windows say is learned by :class:`bayes_sd.decide.learner.Learner`. So the latency of every draft length at the rate to come
is known draw by draw, without trying it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.decide.learner import Learner, three
from bayes_sd.decide.schedule import batch_sizes, schedule
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.latency import running_cap
from bayes_sd.forecast.sweep import arrivals_of
from bayes_sd.latency.between import straight_between
from bayes_sd.latency.queue.loads import mean_over_loads

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

RATE_NODES = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
"""Quantiles of the rate to come that every draw is judged at: enough of them that a burst of one window in ten is among them."""
MARGIN, SURE = 0.005, 0.7
"""Hysteresis: another draft length must save this share of the speed, and be the better one with this probability."""


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


class Advisor(Learner):
    """Learns from a server's windows, and advises a draft length.

    Parameters
    ----------
    posterior, condition, cards, longest, current, forget, seed
        As of :class:`bayes_sd.decide.learner.Learner`.
    margin, sure : float
        Hysteresis: share of the speed that another draft length must save, and probability that it must be better with.

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
        self._margin, self._sure = margin, sure
        super().__init__(
            posterior, condition, cards, longest=longest, current=current, forget=forget, seed=seed
        )

    def advise(self) -> Advice:
        """Choose the draft length for the next window.

        Returns
        -------
        Advice
        """
        rate = self.rate.quantiles(self._luck)
        nodes = np.quantile(rate, RATE_NODES)
        draws = self.offset.counted()
        by_rate, limits = self._latency(nodes, draws)
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
            latency_s=three(latency[:, chosen]),
            rate_rps=three(rate),
            committed=three(self._committed(draws)[:, chosen]),
            offset=three(self.offset.mean[draws]),
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

    def _latency(self, rates: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean latency of each draft length under each rate, shape (draw, length, rate) [s], and limits, (draw, length)."""
        costs, conditions = self.prepared.costs, self.prepared.conditions
        n_max = running_cap(costs, conditions, 0)[draws, None]
        curves = self._curves(draws) @ straight_between(self._points, int(n_max.max()))
        come = arrivals_of(self.prepared, None)
        means = mean_over_loads(
            curves, come.protocol, np.maximum(rates, 1e-6), n_max, self._work_cv[draws], come.gap_scv
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
            {"latency": (("sample", "alternative", "load"), self._curves(self.offset.counted()) @ weights)},
            coords={
                "alternative": self.prepared.names,
                "k": ("alternative", list(self.lengths)),
                "drafter": ("alternative", np.array(names, dtype=str)),
                "load": sizes.astype(float),
            },
            attrs={"load_axis": "in-flight"},
        )
        return schedule(swept)
