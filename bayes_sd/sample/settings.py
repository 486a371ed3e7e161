"""How to sample: numbers of draws and chains, and what the sampler is tuned to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

TARGET, TARGET_CAREFUL = 0.8, 0.9
"""Mean acceptance statistic that the step size is tuned to; the second with mixtures of experts, whose posterior bends more, and
with many unknowns, of which some have a tail in which a chain with larger steps stays."""
MANY = 700
"""Unknowns that count as many."""


@dataclass(frozen=True)
class SamplerSettings:
    """How to sample.

    Attributes
    ----------
    draws, tune, chains, cores : int
        Kept and warm-up iterations per chain; chains; chains run at once.
    seed : int
    target_accept : float, optional
        Mean acceptance statistic that the step size is tuned to; by default 0.8, and 0.9 with mixtures of experts or
        more than 700 unknowns.
    max_depth : int
        Doublings of a trajectory at most.
    thin : int, optional
        Iterations per kept draw: neighbours are much alike, and half of them say nearly as much in half the file. By default 2,
        3 where there are more than 700 unknowns, 4 beyond 1,225, and 5 beyond 2,800.
    """

    draws: int = 1000
    tune: int = 250
    chains: int = 4
    cores: int = 2
    seed: int = 20260515
    target_accept: float | None = None
    max_depth: int = 10
    thin: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give what the draws depend on as plain values: not the cores, which would make another file of the same draws."""
        return {name: value for name, value in asdict(self).items() if name != "cores"}
