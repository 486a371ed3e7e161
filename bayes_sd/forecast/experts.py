"""What a step's experts do to its cost, per draw: the model's own law, tabulated once for each verifier."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bayes_sd.latency.coverage import effective_tokens
from bayes_sd.model.term import Values
from bayes_sd.model.terms.experts import popularity, step_load

NODES = np.linspace(0.0, 16.0, 97)
"""Log2 of the tokens in a step at which curves are tabulated; linear between them they are good to 5e-4."""
CHUNK = 250


@dataclass
class Experts:
    """Draws of how a mixture of experts loads a step.

    Attributes
    ----------
    routing : array, shape (draw,)
        ψ, worth of a draft token in independent tokens.
    log_skew : array, shape (draw, verifier)
        Log spread of the experts' popularity.
    busiest_share : array, shape (draw,)
        Part of the work per token that waits for the busiest expert.
    facts : dict
        ``expert_threshold``, ``expert_most`` and ``busiest_surface`` of the verifiers.
    moe : {"coverage", "dense"}
    routed : {"k+1", "k"}
    """

    routing: np.ndarray
    log_skew: np.ndarray
    busiest_share: np.ndarray
    facts: Values
    moe: str
    routed: str
    _tables: dict[int, np.ndarray] = field(default_factory=dict)

    def at(
        self, verifier: int, k: float, in_flight: np.ndarray
    ) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Look up a step's coverage and wait.

        Parameters
        ----------
        verifier : int
            Which of the verifiers with routed experts, -1 for a dense one.
        k : float
            Draft length [tokens].
        in_flight : array, shape (1, n) or (draw, n)

        Returns
        -------
        coverage, wait : array, shape (draw, n), or float
            Share of experts touched (0 for a dense verifier) and the factor on the cost per token.
        """
        if verifier < 0:
            return 0.0, 1.0
        if self.moe == "dense":
            return 1.0, 1.0
        if verifier not in self._tables:
            self._tables[verifier] = self._tabulate(verifier)
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

    def _tabulate(self, verifier: int) -> np.ndarray:
        """Coverage and wait at the nodes, shape (2, draw, node)."""
        only = slice(verifier, verifier + 1)
        facts = {name: value[only] for name, value in self.facts.items()}
        tokens, table = 2.0 ** NODES[None, :], np.empty((2, len(self.routing), len(NODES)))
        for start in range(0, len(self.routing), CHUNK):
            part = slice(start, start + CHUNK)
            law = popularity(self.log_skew[part, only], facts)
            share = self.busiest_share[part, None]
            table[:, part] = step_load(tokens, law, facts["expert_most"], share)
        return table
