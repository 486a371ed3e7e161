"""How requests differ from one another: output length, luck of their drafts, and the start of a benchmark run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.condition.defaults import OUTPUT_TOKENS_CV, OUTPUT_TOKENS_CV_LOG_SD
from bayes_sd.latency.tails import cv_of, work_log_sd
from bayes_sd.model.names import is_synthetic
from bayes_sd.model.unseen import StandardNormals

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts
    from bayes_sd.posterior.posterior import Posterior

LENGTH_CV = {"humaneval": 0.25, "random": 0.064}
"""Coefficient of variation of output lengths of measured rows that state none, by the first word of their workload. ``random``:
uniform between 0.8 and 1.0 of the nominal length, as data/SOURCES.md says of every shipped source with such prompts.
``humaneval``: the log-normal spread that gives the 95th percentile of latency, at one client without speculation, in
data/llama.csv. All other shipped workloads stop at a fixed length."""
OTHER_LENGTH_CV = 0.0
"""The same of measured rows of any other workload: benchmarks ask for a fixed length."""
DRAFT_LOG_ODDS_SD = (0.28, 0.4)
"""How much acceptance differs from request to request, as an sd [log odds]: the median of that sd, and the sd of its logarithm.
The percentiles of latency at one client of the fixed-length EAGLE-3 workloads in data/llama.csv follow from sds of 0.2 (gsm8k)
and 0.3 (rag_shared_prefix)."""


@dataclass(frozen=True)
class RequestSpread:
    """What differs between requests.

    Attributes
    ----------
    length_cv : array, shape (draw, condition)
        Coefficient of variation of output lengths; draws differ where nobody stated it.
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
            self.length_cv[:, i],
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
        Column ``output_tokens_std`` says the spread of lengths [tokens]; where it is blank, that of :func:`spread_of_lengths`
        holds. Column ``n_requests`` of a closed loop, if there, makes the percentiles those of a run of so many requests
        that starts with an idle server; without it they are those of a steady state.
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
    stated = _column(frame, "output_tokens_std", n) / conditions.output
    lengths = np.empty((posterior.n_draws, n))
    for place, workload in enumerate(workloads):
        usual, unsure = spread_of_lengths(workload, measured="latency_s" in frame)
        luck = unknown.normal("output lengths", workload) if unsure else 0.0
        lengths[:, place] = usual * np.exp(unsure * luck) if np.isnan(stated[place]) else stated[place]
    sent = _column(frame, "n_requests", n)
    with np.errstate(invalid="ignore"):
        # The first wave is slowed by the prefills of the second one: a run of one wave has none.
        starts = ~conditions.open_loop & (sent >= 2.0 * conditions.load)
    share = np.divide(conditions.load, sent, out=np.zeros(n), where=starts)
    return RequestSpread(lengths, draft, share)


def usual_length_cv(workload: str) -> float:
    """Give the coefficient of variation of output lengths of measured rows of a workload, where they do not state it."""
    return LENGTH_CV.get(_first_word(workload), OTHER_LENGTH_CV)


def spread_of_lengths(workload: str, measured: bool = False) -> tuple[float, float]:
    """Give the spread of output lengths that is taken where none is stated.

    Measured rows spread as their benchmark does (:func:`usual_length_cv`). A question is about traffic: it spreads as its
    workload does where that is people's text of known spread, else as conversations do, and nobody knows it exactly.

    Parameters
    ----------
    workload : str
    measured : bool
        Whether it is that of measured rows.

    Returns
    -------
    cv : float
        Coefficient of variation.
    unsure : float
        Sd of its logarithm; 0 where it is known.
    """
    if measured:
        return usual_length_cv(workload), 0.0
    word = _first_word(workload)
    if word in LENGTH_CV and not is_synthetic(word):
        return LENGTH_CV[word], 0.0
    return OUTPUT_TOKENS_CV, OUTPUT_TOKENS_CV_LOG_SD


def _first_word(workload: str) -> str:
    return workload.replace("_", " ").split(" ")[0].casefold()


def _column(frame: pd.DataFrame, name: str, n: int) -> np.ndarray:
    if name not in frame:
        return np.full(n, np.nan)
    return frame[name].to_numpy(dtype=float, na_value=np.nan)
