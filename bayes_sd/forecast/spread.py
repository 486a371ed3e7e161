"""How requests differ from one another: output length, luck of their drafts, and the start of a benchmark run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.tails import cv_of, work_log_sd
from bayes_sd.model.unseen import StandardNormals

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts
    from bayes_sd.posterior.posterior import Posterior

LENGTH_CV = {"humaneval": 0.25, "random": 0.064}
"""Coefficient of variation of output lengths where a condition states none, by the first word of its workload. ``random``:
uniform between 0.8 and 1.0 of the nominal length, as data/SOURCES.md says of every shipped source with such prompts.
``humaneval``: the log-normal spread that gives the 95th percentile of latency, at one client without speculation, in
data/llama.csv. All other shipped workloads stop at a fixed length."""
OTHER_LENGTH_CV = 0.0
"""The same of any other workload: benchmarks ask for a fixed length."""
DRAFT_LOG_ODDS_SD = (0.28, 0.4)
"""How much acceptance differs from request to request, as an sd [log odds]: the median of that sd, and the sd of its logarithm.
The percentiles of latency at one client of the fixed-length EAGLE-3 workloads in data/llama.csv follow from sds of 0.2 (gsm8k)
and 0.3 (rag_shared_prefix)."""


@dataclass(frozen=True)
class RequestSpread:
    """What differs between requests.

    Attributes
    ----------
    length_cv : array, shape (condition,)
        Coefficient of variation of output lengths.
    draft_log_odds_sd : array, shape (draw, condition)
        Sd of acceptance from request to request [log odds].
    start_share : array, shape (condition,)
        Share of requests that a closed-loop run sent at its start, all at once; 0 in a steady state.
    """

    length_cv: np.ndarray
    draft_log_odds_sd: np.ndarray
    start_share: np.ndarray

    def work_log_sd(self, predicted: PredictedCosts, conditions: Conditions, i: int) -> np.ndarray:
        """Compute the standard deviation of log work of a condition, shape (draw,)."""
        return work_log_sd(
            self.length_cv[i],
            predicted.committed[:, i],
            int(conditions.k[i]),
            conditions.output[i],
            self.draft_log_odds_sd[:, i],
        )

    def work_cv(self, predicted: PredictedCosts, conditions: Conditions, i: int) -> np.ndarray:
        """Compute the coefficient of variation of the work of a condition, shape (draw,)."""
        return cv_of(self.work_log_sd(predicted, conditions, i))


def request_spread(posterior: Posterior, conditions: Conditions, seed: int = 0) -> RequestSpread:
    """Find what differs between the requests of conditions.

    Parameters
    ----------
    posterior : Posterior
    conditions : Conditions
        Column ``output_tokens_std`` says the spread of lengths [tokens]; where it is blank :data:`LENGTH_CV` holds. Columns
        ``n_requests`` of a closed loop, if there, makes the percentiles those of a run of so many requests that starts
        with an idle server; without it they are those of a steady state.
    seed : int
        For the spread of acceptance, which no measurement tells.

    Returns
    -------
    RequestSpread
    """
    frame, n = conditions.frame, len(conditions)
    unknown = StandardNormals(posterior.n_draws, seed)
    median, log_sd = DRAFT_LOG_ODDS_SD
    draft = np.zeros((posterior.n_draws, n))
    for i in np.flatnonzero(conditions.k > 0):
        draft[:, i] = median * np.exp(log_sd * unknown.normal("request acceptance", conditions.cell[i]))
    workloads = frame["workload"].fillna("").astype(str) if "workload" in frame else [""] * n
    usual = np.array([usual_length_cv(w) for w in workloads])
    stated = _column(frame, "output_tokens_std", n) / conditions.output
    sent = _column(frame, "n_requests", n)
    with np.errstate(invalid="ignore"):
        # The first wave is slowed by the prefills of the second one: a run of one wave has none.
        starts = ~conditions.open_loop & (sent >= 2.0 * conditions.load)
    share = np.divide(conditions.load, sent, out=np.zeros(n), where=starts)
    return RequestSpread(np.where(np.isnan(stated), usual, stated), draft, share)


def usual_length_cv(workload: str) -> float:
    """Give the coefficient of variation of a workload's output lengths, where its table does not state it."""
    word = workload.replace("_", " ").split(" ")[0].casefold()
    return LENGTH_CV.get(word, OTHER_LENGTH_CV)


def _column(frame: pd.DataFrame, name: str, n: int) -> np.ndarray:
    if name not in frame:
        return np.full(n, np.nan)
    return frame[name].to_numpy(dtype=float, na_value=np.nan)
