"""A bandit that learns draft lengths by trying them: discounted upper confidence bounds, one bandit for each range of loads.

The rule is D-UCB of Garivier and Moulines (2011, arXiv:0805.3415), for rewards that drift: with X̄(i) the mean of arm i's rewards, each
weighted by γ^age, N(i) the sum of those weights and n = Σ N(i), play the arm with the largest

    X̄(i) + 2·B·√(ξ·log n / N(i)).

γ = 1 is UCB1 (Auer et al. 2002), which published learners of speculation use (BanditSpec, arXiv:2505.15141; TapOut, arXiv:2511.02017).
That the best arm depends on the load is met by a bandit for each doubling of the rate.
"""

from __future__ import annotations

import numpy as np

from bayes_sd.errors import ConditionError


class DraftLengthBandit:
    """Chooses among draft lengths by what their windows gave.

    Parameters
    ----------
    arms : int
    discount : float
        γ in (0, 1].
    bound : float
        B, the range of the rewards that confidence is scaled by.
    exploration : float
        ξ, above 0.
    """

    def __init__(
        self, arms: int, discount: float = 0.98, bound: float = 0.2, exploration: float = 0.6
    ) -> None:
        if not (arms >= 1 and 0.0 < discount <= 1.0 and bound >= 0.0 and exploration > 0.0):
            raise ConditionError(
                f"a bandit of {arms} arms, discount {discount:g}, bound {bound:g} and exploration {exploration:g}: out of range"
            )
        self._arms, self._discount = arms, discount
        self._bound, self._exploration = bound, exploration
        self._count: dict[int, np.ndarray] = {}
        self._sum: dict[int, np.ndarray] = {}

    @staticmethod
    def bucket(rate_rps: float) -> int:
        """Give the range of loads that a rate falls into: doublings of requests/s."""
        return int(np.floor(np.log2(max(rate_rps, 1e-3))))

    def choose(self, rate_rps: float) -> int:
        """Choose the arm to play at a rate."""
        count = self._count.get(self.bucket(rate_rps), np.zeros(self._arms))
        untried = np.flatnonzero(count < 1e-9)
        if untried.size:
            return int(untried[0])
        mean = self._sum[self.bucket(rate_rps)] / count
        wide = 2.0 * self._bound * np.sqrt(self._exploration * np.log(max(count.sum(), 1.0)) / count)
        return int((mean + wide).argmax())

    def learn(self, rate_rps: float, arm: int, reward: float) -> None:
        """Take in what an arm gave at a rate."""
        key = self.bucket(rate_rps)
        for table in (self._count, self._sum):
            table.setdefault(key, np.zeros(self._arms))
            table[key] *= self._discount
        self._count[key][arm] += 1.0
        self._sum[key][arm] += reward
