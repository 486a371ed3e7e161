"""What drifts in a running server: acceptance, arrival rate and step time, learned with a forgetting rate that is learned too.

A posterior that is raised to a power γ < 1 between windows, and mixed on the log scale with the prior, remembers about 1/(1 − γ)
windows (discounting: the counts of a beta or gamma law are then multiplied by γ). How fast a server drifts is not known, so that
several γ are kept side by side, each weighted by how well it predicted the windows before; the weights are discounted too, so that a
sudden change finds the quick ones at work (dynamic model averaging; Raftery, Kárný and Ettler 2010).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.acceptance import committed_variance, survival_by_position
from bayes_sd.model.term import sigmoid

RATES = (0.2, 0.5, 0.8, 0.9, 0.97, 0.99)
"""Forgetting rates γ that are kept side by side where none is stated: memories of 1.25 to 100 windows."""
WEIGHTS_KEPT = 0.9
"""Share of a model's log weight that is kept from window to window."""
LEVELS = np.linspace(-5.0, 6.0, 221)
"""Log odds of acceptance that are told apart."""
REQUEST_LOG_ODDS_SD = 0.3
"""How much acceptance differs from request to request [log odds], as in :mod:`bayes_sd.forecast.spread`."""
LEAST_SD = 0.01
"""Least standard error of a window's tokens per cycle: its requests are not the next window's."""
AFTER_JUMP = 0.05
"""Forgetting rate of arrivals beside the others: after a jump hardly more than the last window tells."""
MOST_PAST, LEAST_PAST = 500, 10
"""Windows that are remembered for jumps back to them at most, and that there must be."""
FIRST_JUMPS = (0.5, 20.0)
"""Jumps, and windows without one, that are taken as seen at first."""
UNLIKE_SHARE, UNLIKE_SD = 0.2, 1.5
"""Weight and sd [log odds] of a workload that is unlike the one that the trace knows."""


def checked_rates(forget: float | None) -> tuple[float, ...]:
    """Give the forgetting rates to keep: the stated one, or all.

    Raises
    ------
    ConditionError
        If it is not between 0 and 1.
    """
    if forget is None:
        return RATES
    if not 0.0 < forget < 1.0:
        raise ConditionError(f"a forgetting rate of {forget:g}: it must lie between 0 and 1")
    return (float(forget),)


class _Averaged:
    """Weights of models by how well they predicted.

    Parameters
    ----------
    rates : sequence of float
    """

    def __init__(self, rates: Sequence[float]) -> None:
        self.rates = np.array(rates)
        self.log_weight = np.full(len(rates), -np.log(len(rates)))

    def learn(self, log_predictive: np.ndarray) -> None:
        """Take in the log density that each model gave a window."""
        weight = WEIGHTS_KEPT * self.log_weight + log_predictive
        weight -= weight.max()
        # None is ever lost for good: it may be the one that a later change needs.
        weight = np.maximum(weight - np.log(np.exp(weight).sum()), -12.0)
        self.log_weight = weight - np.log(np.exp(weight).sum())

    @property
    def weight(self) -> np.ndarray:
        """Weights, which sum to 1."""
        return np.exp(self.log_weight)

    @property
    def memory(self) -> float:
        """Windows that are remembered, by the average forgetting rate."""
        return float(1.0 / (1.0 - (self.weight * self.rates).sum()))


class AcceptanceLevel:
    """Log odds of acceptance at the reference draft length, over windows.

    Parameters
    ----------
    mean, sd : float
        What the trace says of the level.
    profile : array, shape (position,)
        Log odds by position relative to the level.
    shift : array, shape (k + 1,)
        How the level at each draft length differs from that of the reference.
    forget : float, optional
        γ; learned by default.
    """

    def __init__(
        self, mean: float, sd: float, profile: np.ndarray, shift: np.ndarray, forget: float | None = None
    ) -> None:
        near = np.exp(-0.5 * ((LEVELS - mean) / max(sd, 0.1)) ** 2)
        far = np.exp(-0.5 * ((LEVELS - mean) / UNLIKE_SD) ** 2)
        prior = (1.0 - UNLIKE_SHARE) * near / near.sum() + UNLIKE_SHARE * far / far.sum()
        self.models = _Averaged(checked_rates(forget))
        self._log_prior = np.log(prior)
        self._log = np.tile(self._log_prior, (len(self.models.rates), 1))
        self._profile, self._shift = profile, shift

    def see(self, committed: float, k: int, drafts: float, requests: float) -> None:
        """Learn from a window.

        Parameters
        ----------
        committed : float
            Tokens per cycle.
        k : int
            Draft length at which it was seen, at least 1.
        drafts, requests : float
            How many cycles and requests it is a mean of.
        """
        self.pass_window()
        alpha = sigmoid(LEVELS[:, None] + self._shift[k] + self._profile[:k])
        expected = 1.0 + survival_by_position(alpha).sum(axis=1)
        slope = np.gradient(expected, LEVELS)
        variance = committed_variance(alpha) / max(drafts, 1.0)
        variance = (
            variance
            + (REQUEST_LOG_ODDS_SD * slope) ** 2 / max(requests, 1.0)
            + (LEAST_SD * (expected - 1.0)) ** 2
            + 1e-6
        )
        log = -0.5 * (committed - expected) ** 2 / variance - 0.5 * np.log(variance)
        joint = self._log + log
        top = joint.max(axis=1, keepdims=True)
        predictive = (np.log(np.exp(joint - top).sum(axis=1, keepdims=True)) + top)[:, 0]
        self._log = joint - predictive[:, None]
        self.models.learn(predictive)

    def pass_window(self) -> None:
        """Forget a window's worth: also where nothing was drafted."""
        rates = self.models.rates[:, None]
        self._log = rates * self._log + (1.0 - rates) * self._log_prior
        self._log -= np.log(np.exp(self._log).sum(axis=1, keepdims=True))

    def probability(self) -> np.ndarray:
        """Give the probability of each of :data:`LEVELS` in the next window."""
        rates = self.models.rates[:, None]
        ahead = np.exp(rates * self._log + (1.0 - rates) * self._log_prior)
        ahead /= ahead.sum(axis=1, keepdims=True)
        return self.models.weight @ ahead

    def quantiles(self, probabilities: np.ndarray) -> np.ndarray:
        """Give quantiles of the level in the next window."""
        return np.interp(probabilities, np.cumsum(self.probability()), LEVELS)


class ArrivalRate:
    """Requests a second, over windows: gamma laws whose counts are discounted, and jumps back to what was seen before.

    Bursts come again. A window is either like those just before it, or, with a probability that is learned, like any of the windows so
    far: so that in a calm the next burst is known to be possible, and how high it would be.

    Parameters
    ----------
    forget : float, optional
        γ; learned by default.
    """

    def __init__(self, forget: float | None = None) -> None:
        self.models = _Averaged((AFTER_JUMP, *RATES) if forget is None else checked_rates(forget))
        self._count = np.full(len(self.models.rates), 0.5)
        self._seconds = np.full(len(self.models.rates), 1e-3)
        self._past: deque[tuple[float, float]] = deque(maxlen=MOST_PAST)
        self._jumps, self._stays = FIRST_JUMPS

    @property
    def jump(self) -> float:
        """Probability that the next window is like any before, and not like the last ones."""
        return self._jumps / (self._jumps + self._stays) if len(self._past) >= LEAST_PAST else 0.0

    def see(self, requests: float, seconds: float) -> None:
        """Learn from a window's requests.

        Parameters
        ----------
        requests, seconds : float
        """
        # The discounted mean stays and its certainty falls; half a request keeps the law proper.
        a, b = self.models.rates * self._count + 0.05, self.models.rates * self._seconds + 1e-4
        log = _log_count(requests, seconds, a, b)
        if self._past:
            self.models.learn(self._with_jumps(requests, seconds, log))
        self._count, self._seconds = a + requests, b + seconds
        self._past.append((requests, seconds))

    def _with_jumps(self, requests: float, seconds: float, log: np.ndarray) -> np.ndarray:
        """Give each model's log predictive where a jump may have come between, which counts as one as far as it explains more.

        No model can foresee a jump: none is judged by one.
        """
        if not self.jump:
            return log
        counts, lengths = np.array(self._past).T
        like_any = _log_count(requests, seconds, counts + 0.5, lengths)
        jumped = np.log(self.jump) + float(np.logaddexp.reduce(like_any)) - np.log(len(like_any))
        stayed = np.log1p(-self.jump) + log
        probability = float(sigmoid(jumped - np.logaddexp.reduce(stayed + self.models.log_weight)))
        self._jumps, self._stays = self._jumps + probability, self._stays + 1.0 - probability
        return np.logaddexp(stayed, jumped)

    def quantiles(self, probabilities: np.ndarray) -> np.ndarray:
        """Give quantiles of the rate in the next window [requests/s]; of each model so many as it has weight.

        Parameters
        ----------
        probabilities : array, shape (n,)
            In rising order.
        """
        from scipy.special import gammaincinv

        a, b = self.models.rates * self._count + 0.05, self.models.rates * self._seconds + 1e-4
        edges = np.cumsum(self.models.weight)
        rng = np.random.default_rng(5)
        model = np.minimum(np.searchsorted(edges, rng.permutation(probabilities)), len(a) - 1)
        shape, rate = a[model], b[model]
        jumps = rng.permutation(len(probabilities))[: round(self.jump * len(probabilities))]
        if len(jumps):
            counts, lengths = np.array(self._past).T
            like = np.linspace(0, len(counts) - 1, len(jumps)).astype(int)
            like = np.argsort(counts / lengths)[like]
            shape[jumps], rate[jumps] = counts[like] + 0.5, lengths[like]
        return gammaincinv(shape, probabilities) / rate


def _log_count(requests: float, seconds: float, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Log probability of a window's requests, where the rate is of a gamma law of shape `a` and rate `b` [s]; up to a constant."""
    from scipy.special import gammaln

    share = seconds / (b + seconds)
    return gammaln(a + requests) - gammaln(a) + a * np.log1p(-share) + requests * np.log(share)


class StepOffset:
    """How much slower steps are than each draw says [log], over windows: a random walk seen with noise.

    A draw whose steps are off by as much in every window is a server that is slower than the trace says. One that is off by another
    share at each load and draft length is another server: it counts less (:meth:`counted`).

    Parameters
    ----------
    n_draws : int
    """

    DRIFT, FIRST = 0.01, 0.15
    KEPT, TAILS = 0.98, 4.0
    """Share of what is known against a draw that is kept from window to window, and degrees of freedom of what a window says."""
    LEAST = 0.25
    """Share of the draws that count at least: costs between draws must stay possible."""

    def __init__(self, n_draws: int) -> None:
        self.mean = np.zeros(n_draws)
        self._variance = self.FIRST**2
        self._log_weight = np.zeros(n_draws)

    def see(self, residual: np.ndarray, sd: float) -> None:
        """Learn from a window: observed over predicted [log], shape (draw,), and its standard error."""
        self._variance += self.DRIFT**2
        off = np.square(residual - self.mean) / (self._variance + sd**2)
        told = -0.5 * (self.TAILS + 1.0) * np.log1p(off / self.TAILS)
        self._log_weight = self.KEPT * self._log_weight + told
        gain = self._variance / (self._variance + sd**2)
        self.mean = self.mean + gain * (residual - self.mean)
        self._variance *= 1.0 - gain

    def counted(self) -> np.ndarray:
        """Give as many draws as there are, each as often as windows speak for it: indices, shape (draw,)."""
        n = len(self._log_weight)
        weight = flattened(self._log_weight, self.LEAST * n)
        places = (np.arange(n) + 0.5) / n
        return np.minimum(np.searchsorted(np.cumsum(weight), places), n - 1)


def flattened(log_weight: np.ndarray, least: float) -> np.ndarray:
    """Give weights that sum to 1: the highest power, at most 1, that leaves so many draws to count (Kish)."""
    shifted = log_weight - log_weight.max()
    low, high = 0.0, 1.0
    for power in (1.0, *[None] * 30):
        at = 0.5 * (low + high) if power is None else power
        weight = np.exp(at * shifted)
        enough = weight.sum() ** 2 / np.square(weight).sum() >= least
        if enough and power == 1.0:
            break
        low, high = (at, high) if enough else (low, at)
    return weight / weight.sum()
