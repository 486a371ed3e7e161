"""Policies of drafting against fixed draft lengths, at the rates that a server meets and under the load that each brings about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.against import against
from bayes_sd.decide.caveats import caveats
from bayes_sd.decide.schedule import schedule, sweep_batch_sizes
from bayes_sd.decide.speedup import check_band, default_loads
from bayes_sd.decide.trees import DRAWS, first_acceptance
from bayes_sd.decide.tune import judge, prepare_choices
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.alternatives import Prepared
from bayes_sd.forecast.curves import condition_work, service_curve
from bayes_sd.forecast.grid import curve_points
from bayes_sd.forecast.latency import running_cap, running_curve
from bayes_sd.forecast.sweep import LOAD_UNITS, LoadAxis, arrivals_of, checked_loads, stability_limits
from bayes_sd.latency.between import straight_between
from bayes_sd.latency.policy import (
    Table,
    batch_passes,
    confidence_law,
    drafted_shares,
    length_at,
    own_passes,
)
from bayes_sd.latency.queue.loads import mean_over_loads

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

THRESHOLDS = (0.3, 0.5, 0.7)
"""Confidences below which drafting ends that are looked at."""
CONCENTRATION, CONCENTRATION_LOG_SD = 1.5, 0.4
"""Median of ν, how far a drafter's confidence is from all or nothing, and the sd of its logarithm: an assumption. At 1.5 a drafter
whose tokens are accepted in 70 % of the cases is above 0.9 in 36 % of the positions and below 0.3 in 14 %."""
N_LOADS = 12


@dataclass(frozen=True)
class Curve:
    """A policy's service curve.

    Attributes
    ----------
    name, kind : str
        The kind is "none", "fixed", "table" or "confidence".
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


def compare_policies(
    posterior: Posterior,
    base: pd.DataFrame,
    loads: Any = None,
    axis: LoadAxis = "rate",
    *,
    longest: int = 8,
    thresholds: Sequence[float] = THRESHOLDS,
    tables: dict[str, Table] | None = None,
    arrivals: str | None = None,
    ci: float = 0.9,
    cards: Cards | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Compare a table of draft lengths by batch size and drafts that end by confidence with fixed draft lengths.

    Every policy has a service curve S(b), and the stationary law of the number in flight for it at the rate: so the load is the one
    that the policy itself brings about (:mod:`bayes_sd.latency.policy`).

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row that names a way of drafting.
    loads : array, optional
        By default 12 loads up to the largest median stability limit of a fixed draft length.
    axis : {"rate", "utilisation"}
        Requests/s, or share of the limit without speculation.
    longest : int
        Longest draft.
    thresholds : sequence of float
        Confidences below which a draft ends, each a policy with drafts up to the longest.
    tables : dict of str to table, optional
        Draft lengths by batch size under names of their own; by default the one that :func:`bayes_sd.decide.schedule.schedule` writes
        for vLLM.
    arrivals, ci, cards, seed
        As in :func:`bayes_sd.decide.tune.tune`.

    Returns
    -------
    Dataset
        As :func:`bayes_sd.decide.tune.judge` gives, alternatives being policies, with coords ``kind`` and ``rate_rps``; ``chosen``
        (load), of policies that are equally good the simplest; ``best_fixed`` (load); ``gain_band`` (quantile, load), latency of
        that over the chosen one's; ``p_faster`` (load); ``in_flight_mean`` (alternative, load) over the draws that are stable.
        Attribute ``tables`` has the tables.

    Raises
    ------
    ConditionError
        If the load is a closed loop's, a threshold or table is none, and as :func:`bayes_sd.decide.tune.prepare_choices`.
    """
    if axis == "in-flight":
        raise ConditionError(
            "policies are compared at a rate, since the number in flight follows from them: --load-axis rate"
        )
    check_band(ci)
    thin = max(1, posterior.n_draws // DRAWS)
    prepared = prepare_choices(posterior, base, range(longest + 1), (), cards, seed, thin)
    tables = tables if tables is not None else {"by batch": best_table(prepared)}
    curves = [*fixed_curves(prepared)]
    curves += [table_curve(prepared, curves, name, table) for name, table in tables.items()]
    curves += [confidence_curve(prepared, threshold, seed) for threshold in thresholds]
    limits = stability_limits(prepared)
    if loads is None:
        loads = default_loads(prepared, limits, axis, N_LOADS)
    values = checked_loads(loads, axis)
    rates = values if axis == "rate" else values * np.median(limits[:, prepared.plain or 0])
    swept = _swept(prepared, curves, values, rates, axis, arrivals)
    result = judge(swept, ci).assign_coords(kind=("alternative", [c.kind for c in curves]))
    size = np.array([("none", "fixed", "table", "confidence").index(c.kind) for c in curves])
    result = result.assign(against(result, swept["latency"].to_numpy(), size, size < 2, ci, "best_fixed"))
    flight = swept["in_flight"].where(swept["stable"]).mean("sample")
    result = result.assign(in_flight_mean=flight.assign_attrs(units="requests"))
    result.attrs |= {"tables": {name: [list(row) for row in table] for name, table in tables.items()}}
    result.attrs["caveats"] = [*_assumed(thresholds), *caveats(posterior, prepared, swept)]
    return result


def _assumed(thresholds: Sequence[float]) -> list[str]:
    if not thresholds:
        return []
    return [
        f"How a drafter's confidence spreads was never measured: assumed calibrated, Beta distributed with a + b = {CONCENTRATION:g} "
        "(0.78 to 2.9)."
    ]


def best_table(prepared: Prepared) -> tuple[tuple[int, int, int], ...]:
    """Give the table of draft lengths by batch size that vLLM would get."""
    rows = schedule(sweep_batch_sizes(prepared))
    return tuple((int(r["start"]), int(r["end"]), int(r["k"])) for r in rows.to_dict("records"))


def fixed_curves(prepared: Prepared) -> list[Curve]:
    """Compute the service curve of each fixed draft length, no speculation first."""
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
        for i, (way, name) in enumerate(zip(prepared.alternatives, prepared.names, strict=True))
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


def _swept(
    prepared: Prepared,
    curves: Sequence[Curve],
    loads: np.ndarray,
    rates: np.ndarray,
    axis: str,
    arrivals: str | None,
) -> xr.Dataset:
    """Put every curve under every rate: the same form as :func:`bayes_sd.forecast.sweep.sweep` gives."""
    import xarray as xr

    open_loop = arrivals_of(prepared, arrivals)
    caps = running_cap(prepared.costs, prepared.conditions, 0)
    means = []
    for curve in curves:
        cap = np.minimum(caps, curve.service_s.shape[1])
        law = open_loop.protocol, rates, cap, curve.work_cv, open_loop.gap_scv
        means.append(mean_over_loads(curve.service_s, *law))
    misfit = np.exp(np.stack([c.misfit for c in curves], axis=1))
    latency = np.stack([m.latency_s for m in means], axis=1) * misfit[:, :, None]
    dims = ("sample", "alternative", "load")
    drafter = next(d for d in prepared.conditions.drafter if d)
    return xr.Dataset(
        {
            "latency": (dims, latency, {"units": "s"}),
            "in_flight": (dims, np.stack([m.in_flight for m in means], axis=1), {"units": "requests"}),
            "stable": (dims, np.isfinite(latency)),
        },
        coords={
            "alternative": [c.name for c in curves],
            "k": ("alternative", [int(c.kind != "none") for c in curves]),
            "drafter": ("alternative", ["" if c.kind == "none" else drafter for c in curves]),
            "load": ("load", loads, {"units": LOAD_UNITS[axis]}),
            "rate_rps": ("load", rates, {"units": "requests/s"}),
        },
        attrs={
            "load_axis": axis,
            "load_units": LOAD_UNITS[axis],
            "arrivals": open_loop.name,
            "deployment": prepared.conditions.deployments[0].key,
        },
    )
