"""Latency objectives: what they are written as, and how far a server is from them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.tails import LEVELS
from bayes_sd.measurements.schema import MOST

STATISTICS = ("mean", *(f"p{level * 100:.0f}" for level in LEVELS), "ttft")
"""What may be bounded: mean latency, its percentiles over requests, mean time to first token."""
UNITS_S = {"s": 1.0, "ms": 1e-3}
_FORM = re.compile(
    r"\s*([a-z0-9]+)\s*(?:<=|<|≤)\s*((?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[+-]?[0-9]+)?)\s*(ms|s)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Objective:
    """An upper bound of a latency statistic.

    Attributes
    ----------
    statistic : str
        One of :data:`STATISTICS`.
    limit_s : float
        Seconds, above 0.
    """

    statistic: str
    limit_s: float

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"{self.statistic} < {self.limit_s:g} s"

    def of(self, latency_s: np.ndarray, ttft_s: np.ndarray, tails_s: np.ndarray) -> np.ndarray:
        """Compute the statistic over its limit: at most 1 where the objective is held.

        Parameters
        ----------
        latency_s, ttft_s : array, shape (draw,)
            Means [s].
        tails_s : array, shape (draw, level)
            Percentiles [s].

        Returns
        -------
        array, shape (draw,)
        """
        if self.statistic == "mean":
            return latency_s / self.limit_s
        if self.statistic == "ttft":
            return ttft_s / self.limit_s
        return tails_s[:, STATISTICS.index(self.statistic) - 1] / self.limit_s


def read_objective(text: str) -> Objective:
    """Read an objective such as ``p95<2s`` or ``ttft <= 300 ms``.

    Parameters
    ----------
    text : str

    Returns
    -------
    Objective

    Raises
    ------
    ConditionError
        If it is not written so.

    Examples
    --------
    >>> read_objective("ttft <= 300 ms")
    Objective(statistic='ttft', limit_s=0.3)
    """
    match = _FORM.fullmatch(text)
    statistic = match[1].casefold() if match else ""
    if match is None or statistic not in STATISTICS:
        raise ConditionError(
            f"objective {text!r}: write it as STATISTIC<TIME with one of {', '.join(STATISTICS)} and s or ms, as p95<2s"
        )
    limit = float(match[2]) * UNITS_S[match[3].casefold()]
    if not 0 < limit <= MOST["s"]:
        raise ConditionError(f"objective {text!r}: the time must be above 0, and at most {MOST['s']:g} s")
    return Objective(statistic, limit)
