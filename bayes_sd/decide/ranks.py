"""What further candidates of a drafter are worth: acceptance by rank, as counted or, where nobody counted, as a stated law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.trees import power_law_caught

EXPONENT, EXPONENT_LOG_SD = 0.45, 0.4
"""Median and log sd of b in the default law: the first r candidates of a position miss a share r^(−b) of what the first one misses.
An assumption, not a measurement: heads with a first candidate right in 60 % and one of five in 80 % of the positions, as Medusa's
authors say of theirs (Cai et al. 2024, arXiv:2401.10774), have b = 0.43. The 90 % interval is 0.23 to 0.87."""
RANKS = 8
"""Children of a node at most."""


@dataclass(frozen=True)
class RankLaw:
    """Acceptance by rank, given that of the first candidate.

    Attributes
    ----------
    shares : tuple of float
        Share of positions in which the candidate of rank 1, 2, ... was the accepted one; empty where nobody counted.
    positions : int or None
        Positions that the shares were counted over; None takes them as exact.
    """

    shares: tuple[float, ...] = ()
    positions: int | None = None

    def __post_init__(self) -> None:
        shares = self.shares
        if not shares:
            return
        if not all(0.0 < share < 1.0 for share in shares) or sum(shares) > 1.0 or len(shares) < 2:
            raise ConditionError(
                "shares of accepted candidates by rank: give at least two, each between 0 and 1, 1 together at most, as 0.62,0.12,0.06"
            )
        if self.positions is not None and self.positions < 1:
            raise ConditionError(f"shares by rank counted over {self.positions} positions: at least 1")

    @property
    def ranks(self) -> int:
        """Children of a node at most."""
        return len(self.shares) or RANKS

    def caught(self, n_draws: int, seed: int = 0) -> np.ndarray:
        """Draw what further ranks catch of the first one's misses.

        Parameters
        ----------
        n_draws : int
        seed : int

        Returns
        -------
        array, shape (draw, rank − 1)
        """
        rng = np.random.default_rng([seed, 29])
        if not self.shares:
            return power_law_caught(EXPONENT * np.exp(EXPONENT_LOG_SD * rng.normal(size=n_draws)), RANKS)
        rest = max(1.0 - sum(self.shares), 0.0)
        further = np.array([*self.shares[1:], rest])
        if self.positions is None:
            return np.tile(further[:-1] / further.sum(), (n_draws, 1))
        # The misses of the first rank fall on the later ones: a Dirichlet law of their shares, from a uniform prior.
        return rng.dirichlet(1.0 + self.positions * further, n_draws)[:, :-1]

    def words(self) -> str:
        """Say where acceptance by rank comes from."""
        if not self.shares:
            return (
                f"Acceptance by rank was not given: assumed that the first r candidates miss r^(−b) of what the first one misses, b = "
                f"{EXPONENT:g} (0.23 to 0.87). --ranks says what yours catch."
            )
        counted = f", counted over {self.positions} positions" if self.positions else ", taken as exact"
        return f"Acceptance by rank as given{counted}; the first rank's own is the trace's."
