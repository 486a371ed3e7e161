"""What ``monitor`` prints: a verdict in one sentence, and a line a window."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bayes_sd.cli.output import WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from bayes_sd.decide.monitor import Monitor
    from bayes_sd.decide.verdict import Verdict

UNLIKELY = 0.01
INDENT = " " * 7
_FILLED = re.compile(rf"\S{{{WIDTH - len(INDENT)},}}|\S.{{0,{WIDTH - len(INDENT) - 1}}}(?=\s|$)")
"""As many words as fit into a line, or one that fits into none. The library's wrapping took more time than all of the judging."""


def watched(condition: pd.DataFrame, notes: Sequence[str], watch: Monitor) -> list[str]:
    """Say what is watched."""
    row = condition.iloc[0]
    method = f"{row['method']} k={row['k']:g}" if row["k"] else "no speculation"
    workload = f", {row['workload']}" if isinstance(row.get("workload"), str) and row["workload"] else ""
    lines = [
        f"Watching {row['verifier']} on {row['tp']}x {row['hardware']}, {row['engine']}, {method}{workload}"
    ]
    lines += notes
    if watch.extrapolates:
        lines.append(f"The posterior has not seen: {watch.extrapolates}; what it predicts is wide.")
    return lines


HEADS = f"{'window':>6} {'batch':>7} {'latency':>9} {'predicted':>9} {'90 % of windows':>17} {'p-value':>8}"


def line(verdict: Verdict) -> str:
    """Write one window."""
    if not verdict.judged:
        return f"{verdict.number:>6} {verdict.batch:>7.2g} {'idle, nothing to judge':>28}"
    interval = f"{verdict.lower_s:.3g} to {verdict.upper_s:.3g}"
    words = ("ALARM  " if verdict.alarm else "") + verdict.drift
    text = (
        f"{verdict.number:>6} {verdict.batch:>7.3g} {verdict.window.latency_s:>7.3g} s {verdict.expected_s:>7.3g} s "
        f"{interval:>17} {verdict.p_value:>8.2g}"
    )
    if not words:
        return text
    return "\n".join([text, *(INDENT + part.rstrip() for part in _FILLED.findall(words))])


CELLS = ("window", "batch", "latency, s", "predicted, s [90 %]", "p-value", "")


def cells(verdict: Verdict) -> tuple[str, ...]:
    """Write one window as cells of a table."""
    if not verdict.judged:
        return (str(verdict.number), f"{verdict.batch:.2g}", "", "", "", "idle")
    return (
        str(verdict.number),
        f"{verdict.batch:.3g}",
        f"{verdict.window.latency_s:.3g}",
        f"{verdict.expected_s:.3g} [{verdict.lower_s:.3g}, {verdict.upper_s:.3g}]",
        f"{verdict.p_value:.2g}",
        "ALARM" if verdict.alarm else "",
    )


def json_line(
    verdict: Verdict, contradicts: Sequence[str] = (), learned: dict[str, Any] | None = None
) -> str:
    """Write one window as a JSON object; what cannot be said of an idle one is null."""
    judged = verdict.judged
    return json.dumps(
        {
            "window": verdict.number,
            "effective_batch": verdict.batch,
            "latency_s": verdict.window.latency_s if judged else None,
            "expected_s": verdict.expected_s if judged else None,
            "lower_s": verdict.lower_s if judged else None,
            "upper_s": verdict.upper_s if judged else None,
            "p_value": verdict.p_value if judged else None,
            "signals": {n: {"score": verdict.scores[n], "p_value": p} for n, p in verdict.p_values.items()},
            "alarm": verdict.alarm,
            "drift": verdict.drift,
            "contradicts": list(contradicts),
        }
        | ({} if learned is None else {"learned": learned})
    )


@dataclass
class Seen:
    """What a stream came to, in a few numbers however long it is.

    Attributes
    ----------
    windows, judged : int
    alarm : Verdict or None
        The first with an alarm.
    unlikely : Verdict or None
        The most unlikely one.
    last : Verdict or None
        The last that was judged.
    idlest : float
        Batch of the busiest window, where none was judged.
    contradicts : list of str
        What the numbers say of another server.
    """

    windows: int = 0
    judged: int = 0
    alarm: Verdict | None = None
    unlikely: Verdict | None = None
    last: Verdict | None = None
    idlest: float = 0.0
    contradicts: list[str] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Take a window in."""
        self.windows += 1
        if verdict.alarm and self.alarm is None:
            self.alarm = verdict
        if not verdict.judged:
            self.idlest = max(self.idlest, verdict.batch)
            return
        self.judged += 1
        self.last = verdict
        if self.unlikely is None or verdict.p_value < self.unlikely.p_value:
            self.unlikely = verdict

    def sentences(self) -> list[str]:
        """Give the verdict: of another server first, if the numbers are of one."""
        other = []
        if self.contradicts:
            other = [f"These numbers are not of the server that is watched: {'; '.join(self.contradicts)}."]
        return [*other, self._verdict()]

    def _verdict(self) -> str:
        many = f"{self.windows} window{'' if self.windows == 1 else 's'}"
        if self.alarm is not None:
            return f"ALARM in window {self.alarm.number}: {self.alarm.drift}; p = {self.alarm.p_value:.2g}."
        if self.last is None or self.unlikely is None:
            return f"Nothing to judge in {many}: the server was idle, {self.idlest:.2g} requests running on average."
        if self.unlikely.p_value < UNLIKELY / self.judged:
            worst = self.unlikely
            return (
                f"No alarm in {many}, but window {worst.number} is unlikely (p = {worst.p_value:.2g}): "
                f"{worst.drift}."
            )
        last = self.last
        return (
            f"As predicted, no alarm in {many}: {last.window.latency_s:.3g} s in the last one, {last.expected_s:.3g} s "
            f"[{last.lower_s:.3g}, {last.upper_s:.3g}] predicted."
        )


def worth(rate: float, windows: int) -> str:
    """Say what an alarm is worth.

    Parameters
    ----------
    rate, windows
        Probability of any alarm in so many good windows.
    """
    return (
        f"A server that behaves as predicted raises any alarm in {windows} windows with probability {rate:g}."
    )
