"""Advice as other programs take it: Prometheus text, vLLM's table of draft lengths, SGLang's adaptive steps, one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.decide.advise import Advice

STEPS_REGRET = 0.03
"""Steps that SGLang may choose among are those of the table, and those that give away less than this at the rate to come."""
BOUNDS = ("0.05", "0.5", "0.95")


def prometheus_text(advice: Advice) -> str:
    """Write advice in Prometheus's text format, as a node exporter's textfile collector takes it.

    Parameters
    ----------
    advice : Advice

    Returns
    -------
    str
    """
    lines: list[str] = []

    def gauge(name: str, words: str, samples: Sequence[tuple[str, float]]) -> None:
        full = f"bayes_sd_{name}"
        lines.extend([f"# HELP {full} {words}", f"# TYPE {full} gauge"])
        lines.extend(f"{full}{label} {_number(value)}" for label, value in samples)

    gauge("advised_draft_length", "Draft length to run in the coming minutes.", [("", advice.k)])
    if advice.current is not None:
        gauge("current_draft_length", "Draft length that ran.", [("", advice.current)])
    by_length = [(f'{{k="{k}"}}', i) for i, k in enumerate(advice.lengths)]
    gauge(
        "p_best",
        "Probability that a draft length has the lowest mean latency.",
        [(label, float(advice.p_best[i])) for label, i in by_length],
    )
    gauge(
        "expected_regret_ratio",
        "Expected share of the attainable speed that a draft length gives away.",
        [(label, float(advice.regret[i])) for label, i in by_length],
    )
    for name, words, values in (
        ("latency_seconds", "Mean latency at the advised draft length.", advice.latency_s),
        ("arrival_rate", "Requests a second to come.", advice.rate_rps),
        ("tokens_per_cycle", "Tokens committed per cycle at the advised draft length.", advice.committed),
        ("step_time_ratio", "Time of a step over what the trace says.", tuple(np.exp(advice.offset))),
    ):
        gauge(name, words, [(f'{{quantile="{q}"}}', float(v)) for q, v in zip(BOUNDS, values, strict=True)])
    gauge("p_saturated", "Probability that no draft length keeps up.", [("", advice.saturated)])
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return "+Inf" if value == np.inf else f"{value:.6g}"


def adaptive_steps(advice: Advice, table: pd.DataFrame) -> dict[str, Any]:
    """Give the file of SGLang's ``--speculative-adaptive-config``: the steps that it may choose among.

    Parameters
    ----------
    advice : Advice
    table : DataFrame
        From :meth:`bayes_sd.decide.advise.Advisor.table`.

    Returns
    -------
    dict
        ``candidate_steps``, at least 1 each, since SGLang's adaptive mode always speculates.
    """
    near = [k for k, regret in zip(advice.lengths, advice.regret, strict=True) if regret < STEPS_REGRET]
    steps = {int(k) for k in table["k"]} | set(near) | {advice.k}
    return {"candidate_steps": sorted({max(k, 1) for k in steps})}


def advice_line(advice: Advice) -> str:
    """Say advice in one line."""
    rate, committed = advice.rate_rps[1], advice.committed
    what = f"k = {advice.k}" if advice.k else "no drafting"
    said = f"switch to {what}" if advice.switch else f"keep {what}" if advice.current is not None else what
    low, middle, high = advice.latency_s
    latency = (
        "no steady state"
        if not np.isfinite(middle)
        else f"{middle:.3g} s [{low:.3g}, {_number(round(high, 3))}]"
    )
    tokens = f", {committed[1]:.2f} tokens a cycle" if advice.k else ""
    sure = f"P(best) {advice.p_chosen:.0%}, gives away {advice.regret_chosen:.1%}"
    return f"{said}: {sure}; {rate:.3g} requests/s{tokens}, latency {latency}"


def advice_record(advice: Advice) -> dict[str, Any]:
    """Give advice as plain values, for JSON."""
    three = ("latency_s", "rate_rps", "committed", "offset")
    return {
        "k": advice.k,
        "current": advice.current,
        "switch": advice.switch,
        "p_best": {str(k): round(float(p), 4) for k, p in zip(advice.lengths, advice.p_best, strict=True)},
        "regret": {str(k): round(float(r), 5) for k, r in zip(advice.lengths, advice.regret, strict=True)},
        **{name: [v if np.isfinite(v) else "inf" for v in getattr(advice, name)] for name in three},
        "memory_windows": list(advice.memory),
        "p_saturated": advice.saturated,
    }
