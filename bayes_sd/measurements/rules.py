"""Named rules: what a fit fills in, and what it leaves out and why.

Tables keep every row as it was published; these rules are the only place where one is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayes_sd.measurements.schema import CONFIGURATION

if TYPE_CHECKING:
    import pandas as pd

SATURATED_BELOW = 0.97
"""Achieved over requested rate under which an open loop did not keep up. Stages of a minute miss a per cent
or two by their ends alone; the shipped tables have nothing between 0.961 and 0.987."""


@dataclass(frozen=True)
class Fill:
    """A value that a blank cell may take.

    Attributes
    ----------
    name, reason : str
        The rule's name, and why the value is a fair one, in words.
    column : str
        The column filled.
    values : callable
        From the table to a Series of values, NaN where there is none.
    """

    name: str
    reason: str
    column: str
    values: Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Exclusion:
    """A reason to leave rows out of a steady-state fit.

    Attributes
    ----------
    name, reason : str
        The rule's name, and why such rows do not belong, in words.
    takes : callable
        From the table to a boolean Series: the rows it leaves out.
    """

    name: str
    reason: str
    takes: Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Report:
    """What the rules did.

    Attributes
    ----------
    total, kept : int
        Rows given and rows kept.
    filled, excluded : tuple of (name, reason, count)
        In the order of the rules, those with count 0 included.
    """

    total: int
    kept: int
    filled: tuple[tuple[str, str, int], ...]
    excluded: tuple[tuple[str, str, int], ...]

    def __str__(self) -> str:
        lines = [f"{self.kept} of {self.total} rows used"]
        lines += [
            f"  left out {count:5d}  {name}: {reason}" for name, reason, count in self.excluded if count
        ]
        lines += [f"  filled   {count:5d}  {name}: {reason}" for name, reason, count in self.filled if count]
        return "\n".join(lines)

    def counts(self) -> dict[str, int]:
        """Give rule name to row count, for ``--json`` and for the attributes of a posterior."""
        return {name: count for name, _, count in (*self.filled, *self.excluded)}


def apply_rules(df: pd.DataFrame) -> tuple[pd.DataFrame, Report]:
    """Fill what may be filled, then leave out what does not belong in a steady-state fit.

    Parameters
    ----------
    df : DataFrame
        As from :func:`bayes_sd.measurements.load_family`; not changed.

    Returns
    -------
    kept : DataFrame
        The rows used, index 0, 1, ...; `file` and `row` still say where each one stands.
    report : Report
        Counts per rule. A row counts under the first exclusion that takes it.
    """
    frame = df.copy()
    filled = []
    for fill in FILLS:
        blank = frame[fill.column].isna()
        frame[fill.column] = frame[fill.column].fillna(fill.values(frame))
        filled.append((fill.name, fill.reason, int((blank & frame[fill.column].notna()).sum())))
    keep = frame["latency_s"].isna() | True
    excluded = []
    for rule in EXCLUSIONS:
        taken = rule.takes(frame) & keep
        excluded.append((rule.name, rule.reason, int(taken.sum())))
        keep &= ~taken
    kept = frame[keep].reset_index(drop=True)
    kept.attrs = dict(df.attrs)
    return kept, Report(len(frame), len(kept), tuple(filled), tuple(excluded))


def _workload_mean(df: pd.DataFrame) -> pd.Series:
    # Hardware belongs to the key: one source uses a workload's name for ten times longer prompts elsewhere.
    named = df["prompt_tokens"].where(df["workload"] != "")
    return named.groupby([df["source"], df["verifier"], df["hardware"], df["workload"]]).transform("mean")


def _no_latency(df: pd.DataFrame) -> pd.Series:
    return df["latency_s"].isna()


def _no_lengths(df: pd.DataFrame) -> pd.Series:
    return df["prompt_tokens"].isna() | df["output_tokens"].isna()


def _disaggregated(df: pd.DataFrame) -> pd.Series:
    return (df["engine"] + " " + df["engine_options"]).str.contains("disagg", case=False, regex=False)


def _draft_length_unknown(df: pd.DataFrame) -> pd.Series:
    return (df["method"] != "none") & df["k"].isna()


def _past_saturation(df: pd.DataFrame) -> pd.Series:
    open_loop = df["load_kind"] == "rate"
    # Tools divide by a duration that includes the drain of the last requests, about one latency.
    drain = 1.0 + (df["load_value"] * df["latency_s"] / df["n_requests"]).fillna(0.0)
    behind = df["achieved_rps"] < SATURATED_BELOW * df["load_value"] / drain
    in_flight = df["achieved_rps"].fillna(df["load_value"]) * df["latency_s"]  # Little's law
    return open_loop & (behind | (in_flight > df["max_num_seqs"]))


def _preempted(df: pd.DataFrame) -> pd.Series:
    # Not every run of a deployment records preemptions. One that ran out of cache memory at a load does so at
    # any load above it, so the lowest load seen to preempt stands for its neighbours that do not say.
    keys = [df[name] for name in (*CONFIGURATION, "load_kind")]
    lowest = df["load_value"].where(df["preemptions"] > 0).groupby(keys, dropna=False).transform("min")
    return (df["preemptions"] > 0) | (df["preemptions"].isna() & (df["load_value"] >= lowest))


FILLS: tuple[Fill, ...] = (
    Fill(
        "prompt_tokens_from_workload",
        "blank prompt length takes the mean of the same source, verifier, hardware and workload",
        "prompt_tokens",
        _workload_mean,
    ),
)

EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion("no_latency", "neither a mean nor a median end-to-end latency", _no_latency),
    Exclusion("no_lengths", "prompt or output length not known", _no_lengths),
    Exclusion("disaggregated", "prefill and decode on separate GPUs: another structure", _disaggregated),
    Exclusion(
        "draft_length_unknown", "speculation with a draft length that is not known", _draft_length_unknown
    ),
    Exclusion(
        "past_saturation",
        "open loop that fell behind its rate, or held more in flight than the engine runs: no steady state",
        _past_saturation,
    ),
    Exclusion(
        "preempted",
        "requests put back for want of cache memory, here or at no higher load of the same deployment",
        _preempted,
    ),
)
