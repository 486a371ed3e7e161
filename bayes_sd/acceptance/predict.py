"""Tokens per cycle at any draft length, for workloads that were measured and for ones that were not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.acceptance.model import LOOKUP
from bayes_sd.acceptance.tables import pair_name
from bayes_sd.errors import ConditionError
from bayes_sd.model.term import logit, sigmoid

if TYPE_CHECKING:
    from bayes_sd.acceptance.posterior import AcceptancePosterior


@dataclass(frozen=True)
class Workload:
    """Whose acceptance is asked for.

    Attributes
    ----------
    verifier, method : str
    dataset : str
        The prompts; one that was not measured gets its pair's acceptance, with the spread between workloads.
    drafter : str
        Blank: the method's usual one, as in the counts.
    """

    verifier: str
    method: str
    dataset: str = "?"
    drafter: str = ""

    @property
    def pair(self) -> str:
        """Name of its pair."""
        return pair_name(self.verifier, self.method, self.drafter)

    @property
    def cell(self) -> str:
        """Name of its cell."""
        return f"{self.pair} | {self.dataset}"


@dataclass(frozen=True)
class Curves:
    """Draws of one workload's acceptance.

    Attributes
    ----------
    alpha : array, shape (draw, position)
        Conditional acceptance by position, where no draft follows a fully accepted one.
    restart : array, shape (draw,)
        Log odds that the first position gains per share of fully accepted drafts.
    """

    alpha: np.ndarray
    restart: np.ndarray

    def committed(self, k: Any) -> np.ndarray:
        """Tokens per cycle at draft lengths `k`, shape (draw, len(k)) [tokens/cycle]."""
        survival = np.cumprod(self.alpha, axis=1)
        columns = []
        for length in np.atleast_1d(np.asarray(k, dtype=int)):
            first = sigmoid(logit(self.alpha[:, 0]) + self.restart * survival[:, length - 1])
            columns.append(1.0 + first / self.alpha[:, 0] * survival[:, :length].sum(axis=1))
        return np.stack(columns, axis=1)

    def at_draft_length(self, k: int) -> np.ndarray:
        """Conditional acceptance by position as an engine drafting `k` tokens counts it, shape (draw, k)."""
        alpha = self.alpha[:, :k].copy()
        alpha[:, 0] = sigmoid(logit(alpha[:, 0]) + self.restart * np.prod(alpha, axis=1))
        return alpha


def expected_committed(
    posterior: AcceptancePosterior,
    workload: Workload,
    k: Any,
    *,
    measured: tuple[int, float] | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Draw E, the tokens committed per cycle.

    Parameters
    ----------
    posterior : AcceptancePosterior
    workload : Workload
    k : int or array of int
        Draft lengths [tokens], at least 1; beyond what was measured the interval widens.
    measured : (int, float), optional
        Draft length and E of a run of this workload that the fit has not seen.
    seed : int
        For what was not measured.

    Returns
    -------
    array, shape (draw, len(k))
        Tokens per cycle.

    Raises
    ------
    ConditionError
        If a draft length is not a whole number from 1 up, or the measured E is outside (1, k + 1).
    """
    lengths = np.atleast_1d(np.asarray(k))
    if not np.all((lengths >= 1) & (lengths == np.floor(lengths))):
        raise ConditionError(f"draft length must be a whole number of tokens, at least 1; got {k}")
    reach = int(max(lengths.max(), measured[0] if measured else 1))
    return position_acceptance(posterior, workload, reach, measured=measured, seed=seed).committed(lengths)


def position_acceptance(
    posterior: AcceptancePosterior,
    workload: Workload,
    n_positions: int,
    *,
    measured: tuple[int, float] | None = None,
    seed: int = 0,
) -> Curves:
    """Draw the acceptance of positions 1..n of a workload.

    Where the workload was counted, a position's own rate is drawn given its counts (the Beta that goes with the
    beta-binomial); elsewhere it scatters round the curve.

    Parameters
    ----------
    posterior : AcceptancePosterior
    workload : Workload
    n_positions : int
    measured : (int, float), optional
        As :func:`expected_committed` takes it.
    seed : int

    Returns
    -------
    Curves
    """
    draws = Draws(posterior, workload, seed)
    # At least as many positions as the data have: the draws must not depend on how many are asked for.
    reach = max(n_positions, len(posterior.about["coords"]["position"]))
    shape = draws.shape(reach)
    if measured is not None:
        k, committed = measured
        if not 1.0 < committed < k + 1.0:
            raise ConditionError(
                f"{committed:g} tokens per cycle cannot come from draft length {k}: it must lie between 1 and k + 1"
            )
        return draws.given(shape, int(k), float(committed))
    first = draws.first()
    return draws.scattered(first[:, None] + shape)


class Draws:
    """Draws of one workload's parameters: as learned where it was measured, else from its pair, its method or the prior."""

    def __init__(self, posterior: AcceptancePosterior, workload: Workload, seed: int = 0) -> None:
        self.posterior, self.workload = posterior, workload
        self._rng = np.random.default_rng([seed, *workload.cell.encode()])
        self._n = posterior.n_draws
        about = posterior.about["coords"]
        self._cell = _index(about["cell"], workload.cell)
        self._pair = _index(about["pair"], workload.pair)
        self._method = _index(about["method"], workload.method)
        self.iid = "step" not in posterior.tree["posterior"]
        self.restart = np.zeros(self._n)
        if "restart" in posterior.tree["posterior"]:
            spec = posterior.spec
            new = spec.restart_mean + spec.restart_sd * self._rng.normal(size=self._n)
            self.restart = new if self._method is None else posterior.draws("restart")[:, self._method]

    def centre(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of the first position's log odds of a workload that was not measured, shape (draw,)."""
        get = self.posterior.draws
        spec = self.posterior.spec
        spread = np.exp(get("log_cell_sd")) ** 2
        if self._pair is not None:
            return get("pair_level")[:, self._pair], np.sqrt(spread)
        spread = spread + np.exp(get("log_pair_sd")) ** 2
        if self._method is not None:
            return get("method_level")[:, self._method], np.sqrt(spread)
        mean, sd = spec.level(self.workload.method)
        return np.full(self._n, mean), np.sqrt(spread + sd**2)

    def first(self) -> np.ndarray:
        """Log odds of the first position, shape (draw,)."""
        if self._cell is not None:
            return self.posterior.draws("first")[:, self._cell]
        mean, sd = self.centre()
        return mean + sd * self._rng.normal(size=self._n)

    def profile(self, n_positions: int) -> np.ndarray:
        """Log odds of the method's positions against its first, shape (draw, position)."""
        if self.iid:
            return np.zeros((self._n, n_positions))
        get = self.posterior.draws
        rng = np.random.default_rng([7, *self.workload.method.encode()])
        learned = get("step")[:, self._method] if self._method is not None else np.zeros((self._n, 0))
        known = learned.shape[1]
        step = rng.normal(size=(self._n, max(n_positions - 1, known, 1)))
        named = "log_step" in self.posterior.tree["posterior"]
        step *= np.exp(get("log_step"))[:, None] if named else self.posterior.spec.step
        if self.workload.method in LOOKUP:
            step[:, 0] = self.posterior.spec.lookup_step_sd * rng.normal(size=self._n)
        step[:, :known] = learned
        return np.concatenate([np.zeros((self._n, 1)), np.cumsum(step, axis=1)], axis=1)[:, :n_positions]

    def shape(self, n_positions: int) -> np.ndarray:
        """Log odds of each position against the first: the method's profile and the workload's slope."""
        if self.iid:
            return np.zeros((self._n, n_positions))
        if self._cell is not None:
            slope = self.posterior.draws("slope")[:, self._cell]
        else:
            slope = np.exp(self.posterior.draws("log_slope_sd")) * self._rng.normal(size=self._n)
        return self.profile(n_positions) + slope[:, None] * np.log2(np.arange(1, n_positions + 1))

    def scattered(self, odds: np.ndarray) -> Curves:
        """Draw each position's own acceptance: it scatters round the smooth curve, and follows counts where there are any."""
        smooth = sigmoid(odds)
        if "log_concentration" not in self.posterior.tree["posterior"] or self._only_lengths():
            return Curves(smooth, self.restart)
        phi = np.exp(self.posterior.draws("log_concentration"))[:, None]
        if self.iid:
            # With one acceptance for all positions the scatter is noise of the counts, not a property of a position.
            return Curves(smooth, self.restart)
        reached, accepted, length = self._counts(odds.shape[1])
        at_run = smooth.copy()
        lift = self.restart * np.prod(smooth[:, :length], axis=1) if length else np.zeros(self._n)
        at_run[:, 0] = sigmoid(odds[:, 0] + lift)
        own = self._rng.beta(at_run * phi + accepted, (1.0 - at_run) * phi + reached - accepted)
        own = np.clip(own, 1e-9, 1.0 - 1e-9)
        own[:, 0] = sigmoid(logit(own[:, 0]) - lift)
        return Curves(own, self.restart)

    def given(self, shape: np.ndarray, k: int, committed: float) -> Curves:
        """Give curves with a stated E(k): the first position is solved for, and draws are weighted by its density."""
        get = self.posterior.draws
        run = (
            np.exp(get("log_run_sd")).mean(axis=1)
            if "log_run_sd" in self.posterior.tree["posterior"]
            else 0.03
        )
        target = np.log(committed - 1.0) + run * self._rng.normal(size=self._n)
        target = np.minimum(target, np.log(k) - 1e-6)
        scatter = np.zeros_like(shape)
        if not self.iid and "log_concentration" in self.posterior.tree["posterior"]:
            phi = np.exp(get("log_concentration"))[:, None]
            near = np.clip(sigmoid(self.centre()[0][:, None] + shape), 0.02, 0.98)
            scatter = self._rng.normal(size=shape.shape) / np.sqrt(phi * near * (1.0 - near))

        def miss(first: np.ndarray) -> np.ndarray:
            curves = Curves(sigmoid(first[:, None] + shape + scatter), self.restart)
            return np.log(curves.committed(k)[:, 0] - 1.0) - target

        first = _root(miss, np.full(self._n, -12.0), np.full(self._n, 12.0))
        mean, sd = self.centre()
        slope = (miss(first + 1e-3) - miss(first - 1e-3)) / 2e-3
        log_weight = -0.5 * ((first - mean) / sd) ** 2 - np.log(sd) - np.log(np.maximum(slope, 1e-9))
        weight = np.exp(log_weight - log_weight.max())
        at = self._rng.choice(self._n, size=self._n, p=weight / weight.sum())
        return Curves(sigmoid((first[:, None] + shape + scatter)[at]), self.restart[at])

    def _only_lengths(self) -> bool:
        """Whether the workload was measured by mean lengths alone: then positions have no scatter of their own."""
        data = self.posterior.data
        if self.workload.cell not in data.cells:
            return False
        return data.cells.index(self.workload.cell) not in data.count_cell

    def _counts(self, n_positions: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Reached and accepted by position in the workload's run of longest drafts, and that draft length."""
        reached, accepted = np.zeros(n_positions), np.zeros(n_positions)
        data = self.posterior.data
        if self.workload.cell not in data.cells or not len(data.counts):
            return reached, accepted, 0
        own = data.counts[data.count_cell == data.cells.index(self.workload.cell)]
        if not len(own):
            return reached, accepted, 0
        run = own.sort_values(["draft_length", "n_reached"], ascending=False)["source"].iloc[0]
        own = own[(own["source"] == run) & (own["position"] <= n_positions)]
        at = own["position"].to_numpy(dtype=int) - 1
        reached[at], accepted[at] = own["n_reached"], own["n_accepted"]
        return reached, accepted, int(own["draft_length"].max())


def _index(names: list[str], name: str) -> int | None:
    return names.index(name) if name in names else None


def _root(function: Any, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Bisect an increasing function, element by element."""
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = function(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return 0.5 * (low + high)
