"""What a window of live numbers says: its scores, whether an alarm stands, and in words what would explain a drift."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.decide.windows import Window

SIDES = {"acceptance": (1, -1), "steps": (1, -1), "queue": (1,)}
"""Directions that each signal is watched in."""


@dataclass(frozen=True)
class Verdict:
    """What one window says.

    Attributes
    ----------
    number : int
        From 1.
    window : Window
    batch : float
        Effective batch size [requests].
    expected_s, lower_s, upper_s : float
        Latency that the posterior predicts at that batch size and accepted length: median and 90 % interval [s].
    scores, p_values : dict of str to float
        Per signal: standard normal score given the windows before, and its two-sided p-value.
    p_value : float
        Of the window: the smallest of them, corrected for their number (Šidák).
    alarm : bool
        Whether an alarm stands; it began with the first such window.
    drift : str
        What would explain an unlikely window or the alarm; empty if nothing is unlikely.
    reached : dict of str to float
        Per signal: how far it is on the way to an alarm, which stands from 1 on.

    A window in which the server was idle has no scores; its numbers are NaN.
    """

    number: int
    window: Window
    batch: float
    expected_s: float
    lower_s: float
    upper_s: float
    scores: dict[str, float]
    p_values: dict[str, float]
    p_value: float
    alarm: bool
    drift: str
    reached: dict[str, float] = field(default_factory=dict)

    @property
    def judged(self) -> bool:
        """Whether there was anything to judge."""
        return bool(self.scores)


def idle(number: int, window: Window, alarm: bool) -> Verdict:
    """Give the verdict of a window in which hardly any request ran."""
    nan = float("nan")
    words = f"idle: {window.batch:.2g} requests running on average, nothing to judge"
    return Verdict(number, window, window.batch, nan, nan, nan, {}, {}, nan, alarm, words)


def drift_words(name: str, side: int, observed: float, expected: float, k: int, window: Window) -> str:
    """Say what would explain a signal that is not as expected; empty if nothing would.

    Parameters
    ----------
    name : {"acceptance", "steps", "queue"}
    side : int
        1 for above what was expected, -1 for below.
    observed, expected : float
        On the signal's own scale.
    k : int
        Draft length, 0 without speculation.
    window : Window

    Returns
    -------
    str
    """
    if name == "acceptance":
        now, then = (1.0 / (1.0 + math.exp(-value)) for value in (observed, expected))
        was = sum(then**j for j in range(k + 1))
        verb = "rose" if side > 0 else "fell"
        return (
            f"acceptance {verb}: {window.accepted_len:.2f} tokens per cycle where {was:.2f} were expected "
            f"(per-token acceptance {now:.2f}, expected {then:.2f})"
        )
    if name == "queue":
        return (
            ""
            if side < 0
            else f"requests queue: {window.queue_s:.3g} s before they run, beyond what the load explains"
        )
    change = math.expm1(observed - expected)
    pace = "slower" if change > 0 else "faster"
    what = "steps (verify and draft)" if k else "steps (verify)"
    blame = (
        ""
        if window.accepted_len is not None or not k
        else "; or acceptance moved, which the window does not state"
    )
    return f"{what} {abs(change):.0%} {pace} than expected at a batch of {window.batch:.3g}{blame}"


def to_dataset(verdicts: list[Verdict]) -> xr.Dataset:
    """Collect verdicts.

    Parameters
    ----------
    verdicts : list of Verdict

    Returns
    -------
    Dataset
        Dims ``window`` (numbers from 1) and ``signal``: ``latency``, ``expected, lower, upper`` [s] (posterior predictive
        at the window's batch size, 90 %), ``batch`` [requests], ``accepted_len``, ``p_value``, ``alarm``, ``drift``
        (words); ``score``, ``signal_p_value`` and ``reached`` (the way to an alarm, which stands from 1 on) per signal, NaN where
        a window lacks it.
    """
    import xarray as xr

    names = [name for name in SIDES if any(name in v.scores for v in verdicts)]
    columns = {
        "latency": [v.window.latency_s for v in verdicts],
        "expected": [v.expected_s for v in verdicts],
        "lower": [v.lower_s for v in verdicts],
        "upper": [v.upper_s for v in verdicts],
        "batch": [v.batch for v in verdicts],
        "accepted_len": [
            np.nan if v.window.accepted_len is None else v.window.accepted_len for v in verdicts
        ],
        "p_value": [v.p_value for v in verdicts],
        "alarm": [v.alarm for v in verdicts],
        "drift": np.array([v.drift for v in verdicts], dtype=object),
    }
    result: dict[str, Any] = {name: (("window",), values) for name, values in columns.items()}
    for name, attribute in (("score", "scores"), ("signal_p_value", "p_values"), ("reached", "reached")):
        table = [[getattr(v, attribute).get(s, np.nan) for s in names] for v in verdicts]
        result[name] = (("window", "signal"), np.array(table, dtype=float).reshape(len(verdicts), len(names)))
    return xr.Dataset(result, coords={"window": [v.number for v in verdicts], "signal": names})
