"""The rows that a fit leaves out, rule by rule, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayes_sd.measurements.latency import PER_TOKEN
from bayes_sd.measurements.schema import CONFIGURATION, POOLS, POOLS_NEEDED, REMOTE, is_modelled

if TYPE_CHECKING:
    import pandas as pd

VERDICT = "load_was"
"""Column with the kind of load that :mod:`bayes_sd.measurements.loads` found, while rules work."""


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


def _no_latency(df: pd.DataFrame) -> pd.Series:
    return df["latency_s"].isna()


def _no_lengths(df: pd.DataFrame) -> pd.Series:
    return df["prompt_tokens"].isna() | df["output_tokens"].isna()


def _disaggregated(df: pd.DataFrame) -> pd.Series:
    """Two pools whose workers are not stated, or that were not loaded in a closed loop."""
    said = (df["engine"] + " " + df["engine_options"]).str.contains("disagg", case=False, regex=False)
    pools = df[list(POOLS)].notna().any(axis=1)
    told = df[list(POOLS_NEEDED)].notna().all(axis=1) & (df["load_kind"] == "concurrency")
    return (said | pools) & ~told


def _remote_drafter(df: pd.DataFrame) -> pd.Series:
    return (df["k"] > 0) & df.reindex(columns=list(REMOTE)).replace("", None).notna().any(axis=1)


def _gamma_arrivals(df: pd.DataFrame) -> pd.Series:
    return ~df["arrivals"].map(is_modelled)


def _draft_length_unknown(df: pd.DataFrame) -> pd.Series:
    return (df["method"] != "none") & df["k"].isna()


def _was(kind: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Give the rule that takes rows whose load was of a kind of :mod:`bayes_sd.measurements.loads`."""
    return lambda df: df[VERDICT] == kind


def _preempted(df: pd.DataFrame) -> pd.Series:
    # Not every run of a deployment records preemptions. One that ran out of cache memory at a load does so at
    # any load above it, so the lowest load seen to preempt stands for its neighbours that do not say.
    keys = [df[name] for name in (*CONFIGURATION, "load_kind")]
    lowest = df["load_value"].where(df["preemptions"] > 0).groupby(keys, dropna=False).transform("min")
    return (df["preemptions"] > 0) | (df["preemptions"].isna() & (df["load_value"] >= lowest))


DOUBTED = ("aurotripathy_vllm_bench", "heyram74_nebius_h200", "sgl_cookbook_deepseek-v3")
"""Sources whose servers were what they do not say: a step of Llama-3.1-8B takes 1.6 times as long at one client as on the H100s of
the others, and eight GPUs run six requests at once; the same suite on the same GPUs up to three times slower than published;
one page far slower than another of the same make. data/SOURCES.md has the figures."""


def _acceptance_nowhere(df: pd.DataFrame) -> pd.Series:
    """Published speculating rows where no row at all states an acceptance: of a user's own table a fit says so instead."""
    speculates, stated = df["k"].fillna(0) > 0, _states_acceptance(df)
    nowhere = not (speculates & stated & df["latency_s"].notna() & ~_doubted(df)).any()
    return speculates & df["source"].str.startswith("inferencex") & nowhere


def _tokens_without_acceptance(df: pd.DataFrame) -> pd.Series:
    """Speculating rows that tell only how many seconds a token takes, of cycles whose seconds and whose tokens are both unknown."""
    return (df["k"].fillna(0) > 0) & ~_states_acceptance(df) & df["latency_statistic"].isin(PER_TOKEN)


def _states_acceptance(df: pd.DataFrame) -> pd.Series:
    return df[["acceptance", "mean_accepted_len", "n_drafts"]].notna().any(axis=1)


def _step_alone(df: pd.DataFrame) -> pd.Series:
    """Tokens per second at one load of a server that was not measured both with and without speculation there.

    Such a row is a step's whole, or a cycle's. Where it is far from a roofline, the fixed cost may be the reason as well as the
    requests', and what a fit says of the GPU's other servers is either.
    """
    usable = ~(_tokens_without_acceptance(df) | _draft_length_unknown(df))
    of_server = df[usable].groupby(["source", "verifier", "hardware", "tp", "precision"], dropna=False)
    loads = of_server["load_value"].transform("nunique").reindex(df.index, fill_value=0)
    drafted = of_server["k"].transform("max").reindex(df.index, fill_value=0.0) > 0
    plain = of_server["k"].transform("min").reindex(df.index, fill_value=1.0) == 0
    return df["latency_statistic"].isin(PER_TOKEN) & (loads < 2) & ~(drafted & plain)


def _doubted(df: pd.DataFrame) -> pd.Series:
    return df["source"].isin(DOUBTED)


EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion(
        "source_in_doubt",
        "rows of a server that contradicts all others of its kind, for reasons not stated",
        _doubted,
    ),
    Exclusion("no_latency", "no end-to-end latency, nor what tells one", _no_latency),
    Exclusion("no_lengths", "prompt or output length not known", _no_lengths),
    Exclusion(
        "disaggregated", "prefill and decode on separate GPUs whose workers are not stated", _disaggregated
    ),
    Exclusion(
        "remote_drafter",
        "drafter on hardware of its own, or drafting while the verifier works",
        _remote_drafter,
    ),
    Exclusion(
        "draft_length_unknown", "speculation with a draft length that is not known", _draft_length_unknown
    ),
    Exclusion(
        "tokens_without_acceptance",
        "speculation that states neither latency nor acceptance: tokens per second are the ratio of two unknowns",
        _tokens_without_acceptance,
    ),
    Exclusion(
        "step_alone", "tokens per second at one load, not both with and without speculation", _step_alone
    ),
    Exclusion(
        "acceptance_nowhere", "published speculation where no row states an acceptance", _acceptance_nowhere
    ),
    Exclusion(
        "gamma_arrivals",
        "open loop whose gaps are far burstier or more even than Poisson's: no law covers it",
        _gamma_arrivals,
    ),
    Exclusion(
        "past_saturation",
        "open loop that fell behind its rate, or held more in flight than the engine runs: no steady state",
        _was("fell_behind"),
    ),
    Exclusion("burst", "fewer requests than clients, all sent at once: no steady load", _was("burst")),
    Exclusion("too_short", "open loop that ended before it was steady", _was("short")),
    Exclusion("single_wave", "closed loop of a few requests a client that mostly drained", _was("wave")),
    Exclusion(
        "preempted",
        "requests put back for want of cache memory, here or at no higher load of the same deployment",
        _preempted,
    ),
)
