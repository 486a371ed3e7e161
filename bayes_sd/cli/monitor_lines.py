"""What ``monitor`` prints: a line a window."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.decide.monitor import Monitor
    from bayes_sd.decide.verdict import Verdict


def heading(condition: pd.DataFrame, notes: list[str], watch: Monitor) -> str:
    """Say what is watched, and name the columns."""
    row = condition.iloc[0]
    method = f"{row['method']} k={row['k']:g}" if row["k"] else "no speculation"
    workload = f", {row['workload']}" if isinstance(row.get("workload"), str) and row["workload"] else ""
    lines = [
        f"Watching {row['verifier']} on {row['tp']}x {row['hardware']}, {row['engine']}, {method}{workload}"
    ]
    lines += notes
    if watch.extrapolates:
        lines.append(f"The posterior has not seen: {watch.extrapolates}; what it predicts is wide.")
    lines.append(
        f"{'window':>6} {'batch':>7} {'latency':>9} {'predicted':>9} {'90 % of windows':>17} {'p-value':>8}  drift"
    )
    return "\n".join(lines)


def line(verdict: Verdict) -> str:
    """Write one window."""
    interval = f"{verdict.lower_s:.3g} to {verdict.upper_s:.3g}"
    words = ("ALARM  " if verdict.alarm else "") + verdict.drift
    text = (
        f"{verdict.number:>6} {verdict.batch:>7.3g} {verdict.window.latency_s:>7.3g} s {verdict.expected_s:>7.3g} s "
        f"{interval:>17} {verdict.p_value:>8.2g}  {words}"
    )
    return text.rstrip()


def json_line(verdict: Verdict) -> str:
    """Write one window as a JSON object."""
    return json.dumps(
        {
            "window": verdict.number,
            "effective_batch": verdict.batch,
            "latency_s": verdict.window.latency_s,
            "expected_s": verdict.expected_s,
            "lower_s": verdict.lower_s,
            "upper_s": verdict.upper_s,
            "p_value": verdict.p_value,
            "signals": {n: {"score": verdict.scores[n], "p_value": p} for n, p in verdict.p_values.items()},
            "alarm": verdict.alarm,
            "drift": verdict.drift,
        }
    )


def closing(seen: int, first: Verdict | None, rate: float, windows: int) -> str:
    """Sum up the stream, and say what an alarm is worth.

    Parameters
    ----------
    seen : int
        Windows.
    first : Verdict or None
        The first with an alarm.
    rate, windows
        Probability of any alarm in so many good windows.
    """
    worth = (
        f"A server that behaves as predicted raises any alarm in {windows} windows with probability {rate:g}."
    )
    if first is None:
        return f"No alarm in {seen} window{'' if seen == 1 else 's'}. {worth}"
    return f"ALARM since window {first.number}: {first.drift}. {worth}"
