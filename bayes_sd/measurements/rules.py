"""Named rules: what a fit fills in, and what it leaves out and why.

Tables keep every row as it was published; these rules are the only place where one is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayes_sd.measurements.latency import LATENCY, PER_TOKEN, told_latency
from bayes_sd.measurements.loads import Load, Verdict, judge
from bayes_sd.measurements.schema import CONFIGURATION, POOLS, POOLS_NEEDED, REMOTE, is_modelled

if TYPE_CHECKING:
    import pandas as pd

NOISE = "load_noise"
"""Column that the rules add: noise of a row in units of that of a sound one, above 1 near a bound of the load check and where lengths
are not stated."""
USUAL_TOKENS = {"prompt_tokens": 200.0, "output_tokens": 300.0}
"""Lengths of a question of a public set, as a chat, and of its answer. Of rows that tell tokens per second only they hardly matter: a
prompt of ten times as many is a few per cent of the time per token."""
LENGTHS_NOISE = 3.0
"""Noise of rows whose lengths are not stated, in units of that of others."""
VERDICT = "load_was"
LOAD_NUMBERS = ("latency_s", "achieved_rps", "n_requests", "duration_s", "client_cap", "max_num_seqs")
CLOSED_IN_TRUTH = ("closed_in_truth", "open loop whose client was the limit: used as the closed loop it was")
PRECISION_FROM_CARD = (
    "precision_from_card",
    "blank number format takes that of the published checkpoint, 16 bits where its card names none",
)
USUAL_LENGTHS = (
    "usual_lengths",
    "blank lengths of a closed loop that tells tokens per second only: a question's and an answer's, with more noise",
)
NEAR_A_BOUND = ("near_a_bound", "load near a bound of these rules: used with more noise")


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
    filled, excluded, changed : tuple of (name, reason, count)
        In the order of the rules, those with count 0 included. Changed rows are used otherwise than their load says.
    """

    total: int
    kept: int
    filled: tuple[tuple[str, str, int], ...]
    excluded: tuple[tuple[str, str, int], ...]
    changed: tuple[tuple[str, str, int], ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.kept} of {self.total} rows used"]
        lines += [
            f"  left out {count:5d}  {name}: {reason}" for name, reason, count in self.excluded if count
        ]
        lines += [f"  filled   {count:5d}  {name}: {reason}" for name, reason, count in self.filled if count]
        lines += [f"  changed  {count:5d}  {name}: {reason}" for name, reason, count in self.changed if count]
        return "\n".join(lines)

    def counts(self) -> dict[str, int]:
        """Give rule name to row count, for ``--json`` and for the attributes of a posterior."""
        return {name: count for name, _, count in (*self.filled, *self.changed, *self.excluded)}


def apply_rules(df: pd.DataFrame) -> tuple[pd.DataFrame, Report]:
    """Fill what may be filled, then leave out what does not belong in a steady-state fit.

    Parameters
    ----------
    df : DataFrame
        As from :func:`bayes_sd.measurements.load_family`; not changed.

    Returns
    -------
    kept : DataFrame
        The rows used, index 0, 1, ...; `file` and `row` still say where each one stands. :data:`NOISE` is above 1 for
        a row near a bound of :mod:`bayes_sd.measurements.loads`.
    report : Report
        Counts per rule. A row counts under the first exclusion that takes it.
    """
    frame = df.copy()
    assumed = int(frame["precision_assumed"].sum()) if "precision_assumed" in frame else 0
    filled = [(*PRECISION_FROM_CARD, assumed)]
    for fill in FILLS:
        blank = frame[fill.column].isna()
        frame[fill.column] = frame[fill.column].fillna(fill.values(frame))
        filled.append((fill.name, fill.reason, int((blank & frame[fill.column].notna()).sum())))
    unstated = _usual_lengths(frame)
    filled.append((*USUAL_LENGTHS, int(unstated.sum())))
    verdicts = judge_rows(frame)
    frame[NOISE] = [v.noise * (LENGTHS_NOISE if u else 1.0) for v, u in zip(verdicts, unstated, strict=True)]
    frame[VERDICT] = [verdict.kind for verdict in verdicts]
    keep = frame["latency_s"].isna() | True
    excluded = []
    for rule in EXCLUSIONS:
        taken = rule.takes(frame) & keep
        excluded.append((rule.name, rule.reason, int(taken.sum())))
        keep &= ~taken
    used = [verdict for verdict, stays in zip(verdicts, keep, strict=True) if stays]
    kept = _as_it_was(frame[keep], used)
    changed = (
        (*CLOSED_IN_TRUTH, int((kept[VERDICT] == "closed").sum())),
        (*NEAR_A_BOUND, sum(verdict.noise > 1.0 for verdict in used)),
    )
    kept = kept.drop(columns=VERDICT)
    kept.attrs = dict(df.attrs)
    return kept, Report(len(frame), len(kept), tuple(filled), tuple(excluded), changed)


def judge_rows(df: pd.DataFrame) -> list[Verdict]:
    """Say of each row of a table what its load was.

    Parameters
    ----------
    df : DataFrame
        As from :func:`bayes_sd.measurements.read_table`.

    Returns
    -------
    list of Verdict, one a row
    """
    # A latency that is not measured by itself is no check of a rate.
    derived = df["latency_statistic"].isin(PER_TOKEN)
    numbers = df[list(LOAD_NUMBERS)].assign(achieved_rps=df["achieved_rps"].mask(derived))
    known = numbers.astype(object).where(numbers.notna(), None)
    return [
        judge(
            Load(
                kind,
                value,
                **dict(zip(LOAD_NUMBERS, numbers, strict=True)),
                random_arrivals=arrivals != "even",
            )
        )
        for kind, value, arrivals, numbers in zip(
            df["load_kind"], df["load_value"], df["arrivals"], known.to_numpy(), strict=True
        )
    ]


def _as_it_was(kept: pd.DataFrame, verdicts: list[Verdict]) -> pd.DataFrame:
    """Give an open loop whose client was the limit the load that it had: a closed loop of that many clients."""
    kept = kept.reset_index(drop=True)
    closed = kept[VERDICT] == "closed"
    kept.loc[closed, "load_kind"] = "concurrency"
    kept.loc[closed, "load_value"] = [float(v.clients) for v in verdicts if v.kind == "closed"]
    kept.loc[closed, "arrivals"] = "even"
    return kept


def _workload_mean(df: pd.DataFrame) -> pd.Series:
    # Hardware belongs to the key: one source uses a workload's name for ten times longer prompts elsewhere.
    named = df["prompt_tokens"].where(df["workload"] != "")
    return named.groupby([df["source"], df["verifier"], df["hardware"], df["workload"]]).transform("mean")


def _usual_lengths(frame: pd.DataFrame) -> pd.Series:
    """Fill blank lengths of rows that tell tokens per second and no latency of requests, in place; flag these rows.

    What is known of the workload from the same source stands by now.
    """
    columns = list(USUAL_TOKENS)
    blank = frame[columns].isna().any(axis=1)
    usual = frame[blank].fillna(USUAL_TOKENS)
    usual[list(LATENCY)] = told_latency(usual)
    usual = usual[usual["latency_statistic"].isin(PER_TOKEN)]
    changed = [*columns, *LATENCY]
    frame.loc[usual.index, changed] = usual[changed]
    return blank & frame.index.isin(usual.index)


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


FILLS: tuple[Fill, ...] = (
    Fill(
        "prompt_tokens_from_workload",
        "blank prompt length takes the mean of the same source, verifier, hardware and workload",
        "prompt_tokens",
        _workload_mean,
    ),
)

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
