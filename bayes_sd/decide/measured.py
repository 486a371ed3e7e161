"""Measured speedups of the configurations that were fitted, beside the intervals that are told for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayes_sd.condition.rows import observed_keys
from bayes_sd.decide.speedup import speedup
from bayes_sd.decide.tables import speedup_table
from bayes_sd.measurements.schema import of_role

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

SETTING = ["deployment", "workload"]
"""What a speculating row and its baseline share, beside the load."""


def measured_speedups(posterior: Posterior, cards: Cards | None = None, ci: float = 0.9) -> pd.DataFrame:
    """Compare measured speedups of closed-loop configurations with what :func:`~bayes_sd.decide.speedup.speedup` says.

    The question states neither acceptance nor latency: it is answered as for somebody who asks about that server.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards, optional
        The posterior's own by default.
    ci : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        One row for each speculating observation that has a baseline at its load: ``deployment, workload, k, load,
        measured, lower, median, upper, inside``.
    """
    cards = posterior.cards() if cards is None else cards
    rows = posterior.observed
    rows = rows[rows["load_kind"] == "concurrency"].assign(deployment=lambda r: observed_keys(r, cards))
    plain = rows[rows["k"] == 0].groupby([*SETTING, "load_value"])["latency_s"].mean()
    pieces = []
    for names, group in rows[rows["k"] > 0].groupby([*SETTING, "method", "drafter", "k"], sort=False):
        baseline = plain.get(tuple(names[: len(SETTING)]), pd.Series(dtype=float))
        own = group[group["load_value"].isin(baseline.index)]
        if len(own):
            pieces.append(_compared(posterior, cards, own, baseline, ci))
    return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame()


def _compared(
    posterior: Posterior, cards: Cards, own: pd.DataFrame, baseline: pd.Series, ci: float
) -> pd.DataFrame:
    """Ask about one configuration at the loads of its rows."""
    drop = [name for name in (*of_role("acceptance"), "latency_s") if name in own]
    base = own.iloc[[0]].drop(columns=drop).reset_index(drop=True)
    for name in ("prompt_tokens", "output_tokens"):
        base[name] = own[name].median()
    loads = own["load_value"].to_numpy(dtype=float)
    told = speedup_table(speedup(posterior, base, loads, "in-flight", ci=ci, cards=cards))
    measured = baseline.loc[loads].to_numpy() / own["latency_s"].to_numpy()
    low, high = told["speedup_lower"].to_numpy(), told["speedup_upper"].to_numpy()
    return own[[*SETTING, "k"]].assign(
        load=loads,
        measured=measured,
        lower=low,
        median=told["speedup_median"].to_numpy(),
        upper=high,
        inside=np.logical_and(low <= measured, measured <= high),
    )
