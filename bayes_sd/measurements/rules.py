"""Named rules: what a fit fills in, what it uses otherwise than stated, and what it leaves out and why.

Tables keep every row as it was published; these rules are the only place where one is passed over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bayes_sd.measurements.exclusions import EXCLUSIONS, VERDICT
from bayes_sd.measurements.latency import LATENCY, PER_TOKEN, told_latency
from bayes_sd.measurements.loads import Load, Verdict, judge

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
ONE_WAVE = (
    "first_tokens_of_a_wave",
    "closed loop whose requests were mostly sent at once: its mean latency is used, its times to the first token and a token are not",
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
        (*ONE_WAVE, _without_split(kept, used)),
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


def _without_split(kept: pd.DataFrame, verdicts: list[Verdict]) -> int:
    """Blank how the latency of a single wave is split, in place; give the number of rows that told it.

    The prompts of a wave wait for each other before their first tokens and delay each other's further ones, which those of a steady
    loop do not.
    """
    split = ["mean_ttft_ms", "mean_tpot_ms"]
    told = [
        row and verdict.one_wave
        for row, verdict in zip(kept[split].notna().any(axis=1), verdicts, strict=True)
    ]
    kept.loc[told, split] = float("nan")
    return sum(told)


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


FILLS: tuple[Fill, ...] = (
    Fill(
        "prompt_tokens_from_workload",
        "blank prompt length takes the mean of the same source, verifier, hardware and workload",
        "prompt_tokens",
        _workload_mean,
    ),
)
