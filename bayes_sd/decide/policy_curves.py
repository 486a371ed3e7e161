"""Service curves of policies of drafting: fixed draft lengths, tables by batch size, drafts that end by confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_sd.decide.trees import first_acceptance
from bayes_sd.forecast.alternatives import Prepared
from bayes_sd.forecast.curves import condition_work, service_curve
from bayes_sd.forecast.grid import curve_points
from bayes_sd.forecast.latency import running_cap, running_curve
from bayes_sd.latency.between import straight_between
from bayes_sd.latency.policy import (
    Table,
    batch_passes,
    confidence_law,
    drafted_shares,
    length_at,
    own_passes,
)

CONCENTRATION, CONCENTRATION_LOG_SD = 1.5, 0.4
"""Median of ν, how far a drafter's confidence is from all or nothing, and the sd of its logarithm: an assumption. At 1.5 a drafter
whose tokens are accepted in 70 % of the cases is above 0.9 in 36 % of the positions and below 0.3 in 14 %."""


@dataclass(frozen=True)
class Curve:
    """A policy's service curve.

    Attributes
    ----------
    name, kind : str
        The kind is "none", "fixed", "table", "classes" or "confidence".
    service_s : array, shape (draw, n)
        S(1..n) [s].
    misfit : array, shape (draw,)
        Log of what the formula gets wrong, applied to latency.
    work_cv : array, shape (draw,)
        Coefficient of variation of requests' work.
    committed : array, shape (draw,)
        E where it is one number [tokens/cycle], NaN where it changes with the batch.
    """

    name: str
    kind: str
    service_s: np.ndarray
    misfit: np.ndarray
    work_cv: np.ndarray
    committed: np.ndarray


def fixed_curves(prepared: Prepared, first: int | None = None) -> list[Curve]:
    """Compute the service curve of each fixed draft length, or of the first so many, no speculation first."""
    costs, conditions = prepared.costs, prepared.conditions
    return [
        Curve(
            name,
            "fixed" if way.k else "none",
            running_curve(costs, conditions, i)[1],
            costs.misfit[:, i],
            prepared.spread.work_cv(costs, conditions, i),
            costs.committed[:, i],
        )
        for i, (way, name) in enumerate(
            zip(prepared.alternatives[:first], prepared.names[:first], strict=True)
        )
    ]


def table_curve(prepared: Prepared, fixed: Sequence[Curve], name: str, table: Table) -> Curve:
    """Splice the service curve of a table of draft lengths from those of its lengths.

    Parameters
    ----------
    prepared : Prepared
    fixed : sequence of Curve
        From :func:`fixed_curves`.
    name : str
    table : sequence of (int, int, int)

    Returns
    -------
    Curve
    """
    lengths = [way.k for way in prepared.alternatives]
    n = min(c.service_s.shape[1] for c in fixed)
    at = length_at(table, np.arange(1, n + 1), max(lengths))
    which = np.array([lengths.index(int(k)) for k in at])
    misfits = np.stack([c.misfit for c in fixed], axis=1)
    # One misfit for the whole, so that a fixed length is a table of one row; what differs by length stays in the curve.
    common = misfits[:, np.unique(which)].mean(axis=1)
    curves = np.stack([c.service_s[:, :n] for c in fixed], axis=1)
    service = curves[:, which, np.arange(n)] * np.exp(misfits[:, which] - common[:, None])
    typical = fixed[int(which[len(which) // 8])]
    return Curve(name, "table", service, common, typical.work_cv, np.full(len(common), np.nan))


def confidence_curve(prepared: Prepared, threshold: float, seed: int = 0) -> Curve:
    """Compute the service curve of the longest draft that ends where the drafter's confidence is below a threshold.

    Parameters
    ----------
    prepared : Prepared
    threshold : float
        τ.
    seed : int
        For how confidence spreads, which no trace tells.

    Returns
    -------
    Curve
    """
    costs, conditions = prepared.costs, prepared.conditions
    i = int(np.argmax(conditions.k))
    luck = np.random.default_rng([seed, 31]).normal(size=costs.n_draws)
    nu = CONCENTRATION * np.exp(CONCENTRATION_LOG_SD * luck)
    confident, accepted = confidence_law(first_acceptance(prepared, i), threshold, nu)
    committed = 1.0 + np.cumprod(confident * accepted, axis=1).sum(axis=1)
    verified = 1.0 + drafted_shares(confident).sum(axis=1)
    n = int(running_cap(costs, conditions, i).max())
    points = curve_points(n, float(np.median(verified)))
    own = condition_work(costs, conditions, i)
    passes = (
        own.passes if np.all(own.passes != own.draft_length) else batch_passes(confident, own.met(points))
    )
    work = replace(
        own,
        draft_length=own_passes(confident)[:, None],
        committed=committed[:, None],
        draft_passes=passes,
        verify_tokens=verified[:, None],
    )
    service, _ = service_curve(costs, conditions, i, points[None, :], work)
    spread = prepared.spread.work_cv(
        replace(costs, committed=_column(costs.committed, i, committed)), conditions, i
    )
    return Curve(
        f"k<={int(conditions.k[i])}, confidence {threshold:g}",
        "confidence",
        service @ straight_between(points, n),
        costs.misfit[:, i],
        spread,
        committed,
    )


def _column(values: np.ndarray, i: int, column: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[:, i] = column
    return changed
