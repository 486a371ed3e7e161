"""What a step's experts do to its cost, per draw: share touched and wait for the busiest, tabulated once per verifier."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bayes_sd.latency.coverage import coverage_skewed, effective_tokens
from bayes_sd.latency.expert_load import busiest_expert_load
from bayes_sd.latency.service import busiest_wait

NODES = np.linspace(0.0, 16.0, 97)
"""Log2 of the tokens in a step at which curves are tabulated; linear between them they are good to 5e-4."""
CHUNK = 500


@dataclass
class Experts:
    """Draws of how a mixture of experts loads a step.

    Attributes
    ----------
    routing : array, shape (draw,)
        ψ, worth of a draft token in independent tokens.
    skew : dict of str to array, shape (draw,)
        Spread of the experts' popularity, by verifier.
    busiest_share : array, shape (draw,)
        Part of the work per token that waits for the busiest expert.
    moe : {"coverage", "dense"}
    routed : {"k+1", "k"}
    """

    routing: np.ndarray
    skew: dict[str, np.ndarray]
    busiest_share: np.ndarray
    moe: str
    routed: str
    _tables: dict[str, np.ndarray] = field(default_factory=dict)

    def at(
        self, verifier: str, total: float, active: float, k: float, in_flight: np.ndarray
    ) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Look up a step's coverage and wait.

        Parameters
        ----------
        verifier : str
        total, active : float
            M experts in a layer and m routed per token; 0 for a dense verifier.
        k : float
            Draft length [tokens].
        in_flight : array, shape (1, n) or (draw, n)

        Returns
        -------
        coverage, wait : array, shape (draw, n), or float
            Share of experts touched (0 for a dense verifier) and the factor on the cost per token.
        """
        if total <= 0:
            return 0.0, 1.0
        if self.moe == "dense":
            return 1.0, 1.0
        if verifier not in self._tables:
            self._tables[verifier] = self._tabulate(int(total), int(active), self.skew[verifier])
        tokens = effective_tokens(in_flight, k, self.routing[:, None], self.routed)
        position = np.clip(np.log2(np.maximum(tokens, 1e-9)), NODES[0], NODES[-1]) / (NODES[1] - NODES[0])
        left = np.minimum(position.astype(int), len(NODES) - 2)
        weight = position - left
        row = np.arange(len(left))[:, None]
        covered, wait = (
            t[row, left] * (1.0 - weight) + t[row, left + 1] * weight for t in self._tables[verifier]
        )
        # Below one token, which only the interpolation of open loops asks for, coverage is in proportion.
        return covered * np.minimum(tokens, 1.0), wait

    def _tabulate(self, total: int, active: int, skew: np.ndarray) -> np.ndarray:
        """Coverage and wait at the nodes, shape (2, draw, node)."""
        tokens = 2.0 ** NODES[None, :]
        found = np.empty((2, len(skew), len(NODES)))
        for start in range(0, len(skew), CHUNK):
            part = slice(start, start + CHUNK)
            found[0, part] = coverage_skewed(tokens, total, active, skew[part, None])
            busiest = busiest_expert_load(tokens, total, active, skew[part, None])
            found[1, part] = busiest_wait(self.busiest_share[part, None], busiest)
        return found
