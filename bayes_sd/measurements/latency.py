"""Which latency a row tells: that of whole requests, or of decoding alone where a source gives no more.

Sources differ in what they publish. Where there is a mean or median end-to-end latency, it is taken. Else

    latency = TTFT + (g − 1)·TPOT                          both times are given
    latency of decoding = (g − 1)·TPOT                     only the time per further token is
    latency = clients·g / (output tokens a second)         a closed loop's throughput, by Little's law

with g output tokens. The last two are told of closed loops at plain servers only: elsewhere what a request waits is missing. A
median of the time per token alone tells nothing, and a throughput nothing where times of tokens were published beside it: a source
that leaves out its latencies then has a reason, such as a tunnel, which is in its throughput too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayes_sd.measurements.schema import POOLS

if TYPE_CHECKING:
    import pandas as pd

MEAN, MEDIAN, PARTS, TOKENS, THROUGHPUT = "mean", "median", "parts", "tokens", "throughput"
PER_TOKEN = (TOKENS, THROUGHPUT)
"""Statistics of rows whose requests' own latencies were not published."""
WHOLE, DECODING = "whole", "decoding"
LATENCY = ("latency_s", "latency_statistic", "latency_part")
"""Columns that say which latency a row tells."""


def told_latency(frame: pd.DataFrame) -> pd.DataFrame:
    """Say which latency each row tells.

    Parameters
    ----------
    frame : DataFrame
        With the columns of a measurement table.

    Returns
    -------
    DataFrame
        Index of `frame`. ``latency_s`` [s], NaN where a row tells none; ``latency_statistic``, where it is from: "mean" and
        "median" of end-to-end latencies, "parts" (TTFT and TPOT), "tokens" (TPOT alone), "throughput", or ""; ``latency_part``,
        "decoding" where it is the time after the first token, else "whole".
    """
    import numpy as np
    import pandas as pd

    first_s = frame["mean_ttft_ms"].fillna(frame["p50_ttft_ms"]) / 1e3
    further_s = frame["mean_tpot_ms"].fillna(frame["p50_tpot_ms"]) / 1e3
    tokens = frame["output_tokens"]
    closed = (frame["load_kind"] == "concurrency") & frame[list(POOLS)].isna().all(axis=1)
    after_s = further_s * (tokens - 1.0)
    throughput = (frame["load_value"] * tokens / frame["output_tok_per_s"]).where(closed)
    ways = (
        (MEAN, frame["mean_e2e_s"]),
        (MEDIAN, frame["p50_e2e_s"]),
        (PARTS, first_s + after_s),
        # A request of one or two tokens has no time per further token to speak of.
        (TOKENS, after_s.where(closed & (tokens > 2) & frame["mean_tpot_ms"].notna())),
        (THROUGHPUT, throughput.where(further_s.isna())),
    )
    latency = pd.Series(np.nan, index=frame.index)
    statistic = pd.Series("", index=frame.index, dtype="str")
    for name, value in ways:
        taken = latency.isna() & value.notna() & np.isfinite(value)
        latency, statistic = latency.where(~taken, value), statistic.where(~taken, name)
    part = pd.Series(np.where(statistic == TOKENS, DECODING, WHOLE), index=frame.index, dtype="str")
    return pd.DataFrame(dict(zip(LATENCY, (latency, statistic, part), strict=True)))
