"""What ``monitor --learn`` says beside its verdict: acceptance, arrivals and step time as the windows so far show them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import ConditionError

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.decide.learner import Learned
    from bayes_sd.decide.windows import Window
    from bayes_sd.posterior.posterior import Posterior

REQUESTS = 100.0
"""Requests of a window that states none, as `monitor` takes it."""
WINDOW_S = 15.0
"""Length of a window without requests whose length nobody states [s]."""
DRIFTS = 5.0
"""Windows: what is remembered for fewer drifts, what is remembered for more differs by chance from window to window."""


class Following:
    """Learns from the windows that a monitor judges, also from those after an alarm: a change is to be followed then.

    Parameters
    ----------
    posterior : Posterior
    condition : DataFrame
        The server that is watched.
    cards : Cards
    interval_s : float or None
        From window to window, where it is stated [s].
    seed : int

    Raises
    ------
    ConditionError
        If the server drafts nothing.
    """

    def __init__(
        self, posterior: Posterior, condition: pd.DataFrame, cards: Cards, interval_s: float | None, seed: int
    ) -> None:
        from bayes_sd.decide.learner import Learner

        self._k, self._interval_s = int(condition["k"].iloc[0]), interval_s
        if not self._k:
            raise ConditionError("--learn follows acceptance: name a server that drafts, or leave it out")
        at_rate = condition.assign(load_kind="rate", arrivals="poisson")
        self._learner = Learner(posterior, at_rate, cards, longest=self._k, current=self._k, seed=seed)

    def see(self, window: Window) -> dict[str, Any]:
        """Learn from a window, and give what is known then, for JSON."""
        whole, seconds = with_rate(window, self._interval_s)
        self._learner.see(whole, self._k, seconds)
        return record(self._learner.learned())

    def lines(self) -> list[str]:
        """Say what is known for the next window."""
        return sentences(self._learner.learned(), self._k)


def with_rate(window: Window, interval_s: float | None) -> tuple[Window, float]:
    """Fill in a window's rate and number of requests from what it states; give it with its length [s]."""
    rate = window.rate_rps
    if rate is None:
        rate = (window.in_flight or 0.0) / window.latency_s if np.isfinite(window.latency_s) else 0.0
    requests = REQUESTS if window.requests is None else window.requests
    if rate <= 0.0 or requests <= 0.0:
        return replace(window, rate_rps=0.0, requests=0.0), interval_s or WINDOW_S
    return replace(window, rate_rps=rate, requests=requests), requests / rate


def record(learned: Learned) -> dict[str, Any]:
    """Give what was learned as plain values."""
    return {
        "rate_rps": list(learned.rate_rps),
        "tokens_per_cycle": list(learned.committed or ()),
        "step_time_ratio": [float(np.exp(v)) for v in learned.offset],
        "memory_windows": {"acceptance": learned.memory[0], "arrivals": learned.memory[1]},
    }


def sentences(learned: Learned, k: int) -> list[str]:
    """Say what was learned, a line each."""
    found = []
    if learned.committed is not None:
        low, middle, high = learned.committed
        found.append(
            f"acceptance: {middle:.3g} tokens a cycle [{low:.3g}, {high:.3g}] at k = {k}; {_memory(learned.memory[0])}"
        )
    low, middle, high = learned.rate_rps
    found.append(f"arrivals: {middle:.3g} requests/s [{low:.3g}, {high:.3g}]; {_memory(learned.memory[1])}")
    low, middle, high = (100.0 * float(np.expm1(v)) for v in learned.offset)
    found.append(f"steps: {middle:+.0f} % of the time that the trace says [{low:+.0f}, {high:+.0f}]")
    return found


def _memory(windows: float) -> str:
    """Say how long is remembered, and whether that is drift or noise."""
    return f"{'drifts' if windows < DRIFTS else 'steady'}, remembered for {windows:.0f} windows"
