"""Policies of drafting against fixed draft lengths, at the rates that a server meets and under the load that each brings about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.against import against
from bayes_sd.decide.caveats import caveats
from bayes_sd.decide.class_policies import chosen_class_curves, fixed_class_curves
from bayes_sd.decide.policy_curves import CONCENTRATION, Curve, confidence_curve, fixed_curves, table_curve
from bayes_sd.decide.prompt_classes import Mixture, mixture
from bayes_sd.decide.request_classes import PromptClass
from bayes_sd.decide.schedule import schedule, sweep_batch_sizes
from bayes_sd.decide.speedup import check_band, default_loads
from bayes_sd.decide.trees import DRAWS
from bayes_sd.decide.tune import judge, prepare_choices
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.alternatives import Prepared
from bayes_sd.forecast.latency import running_cap
from bayes_sd.forecast.sweep import LOAD_UNITS, LoadAxis, arrivals_of, checked_loads, stability_limits
from bayes_sd.latency.policy import Table
from bayes_sd.latency.queue.loads import mean_over_loads

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

THRESHOLDS = (0.3, 0.5, 0.7)
"""Confidences below which drafting ends that are looked at."""
N_LOADS = 12
KINDS = ("none", "fixed", "table", "classes", "confidence")
"""Kinds of policy, the simplest first."""


def compare_policies(
    posterior: Posterior,
    base: pd.DataFrame,
    loads: Any = None,
    axis: LoadAxis = "rate",
    *,
    longest: int = 8,
    thresholds: Sequence[float] = THRESHOLDS,
    tables: dict[str, Table] | None = None,
    classes: Sequence[PromptClass] = (),
    arrivals: str | None = None,
    ci: float = 0.9,
    cards: Cards | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Compare a table of draft lengths by batch size and drafts that end by confidence with fixed draft lengths.

    A server whose draft length changes was started with speculation: where it drafts nothing it is slower than one without.
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
    classes : sequence of PromptClass, optional
        Classes of a mixture of requests (:mod:`bayes_sd.decide.prompt_classes`). What is compared then is that mixture under fixed
        draft lengths, one table by batch, one draft length for each class, and one table for each; `thresholds` and `tables` are
        left out.
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
    if classes:
        mixed = mixture(posterior, base, classes, longest, cards, seed, thin)
        without = mixture(posterior, base, classes, 1, cards, seed, thin, configured=False)
        prepared, caps = without.prepared[0], mixed.cap
        fixed = [fixed_class_curves(without)[0], *fixed_class_curves(mixed)[1:]]
        curves, tables, compared = _of_classes(mixed, fixed, loads, axis, arrivals)
        own = _new_classes(mixed)
    else:
        choices = (posterior, base, range(longest + 1), (), cards, seed, thin)
        prepared, changing = (prepare_choices(*choices, configured=c) for c in (False, True))
        tables = tables if tables is not None else {"by batch": best_table(changing)}
        curves = [*fixed_curves(prepared)]
        own_lengths = [*fixed_curves(changing, first=1), *curves[1:]]
        curves += [table_curve(changing, own_lengths, name, table) for name, table in tables.items()]
        curves += [confidence_curve(prepared, threshold, seed) for threshold in thresholds]
        caps = running_cap(prepared.costs, prepared.conditions, 0)
        compared, own = _loads(prepared, stability_limits(prepared), loads, axis), _assumed(thresholds)
    swept = _swept(prepared, curves, caps, *compared, axis, arrivals)
    result = judge(swept, ci).assign_coords(kind=("alternative", [c.kind for c in curves]))
    size = np.array([KINDS.index(c.kind) for c in curves])
    result = result.assign(against(result, swept["latency"].to_numpy(), size, size < 2, ci, "best_fixed"))
    flight = swept["in_flight"].where(swept["stable"]).mean("sample")
    result = result.assign(in_flight_mean=flight.assign_attrs(units="requests"))
    result.attrs |= {"tables": {name: [list(row) for row in table] for name, table in tables.items()}}
    result.attrs["caveats"] = [*own, *caveats(posterior, prepared, swept)]
    return result


def _loads(
    prepared: Prepared, limits: np.ndarray, loads: Any, axis: LoadAxis
) -> tuple[np.ndarray, np.ndarray]:
    """Give the loads to compare at, and the rates that they are [requests/s]."""
    if loads is None:
        loads = default_loads(prepared, limits, axis, N_LOADS)
    values = checked_loads(loads, axis)
    return values, values if axis == "rate" else values * np.median(limits[:, prepared.plain or 0])


def _of_classes(
    mixed: Mixture, fixed: list[Curve], loads: Any, axis: LoadAxis, arrivals: str | None
) -> tuple[list[Curve], dict[str, Table], tuple[np.ndarray, np.ndarray]]:
    """Make the policies of a mixture of classes, the tables, and the loads."""
    prepared = mixed.prepared[0]
    row = np.arange(len(mixed.cap))
    limits = np.stack(
        [mixed.cap / (c.service_s[row, mixed.cap - 1] * np.exp(c.misfit)) for c in fixed], axis=1
    )
    values, rates = _loads(prepared, limits, loads, axis)

    def latencies(curves: Sequence[Curve]) -> np.ndarray:
        return _swept(prepared, curves, mixed.cap, values, rates, axis, arrivals)["latency"].to_numpy()

    best = latencies(fixed).min(axis=1)

    def lost(curve: Curve) -> float:
        with np.errstate(invalid="ignore"):
            share = 1.0 - best / latencies([curve])[:, 0]
        return float(np.where(np.isfinite(best), share, 0.0).mean())

    chosen, tables = chosen_class_curves(mixed, fixed, lost)
    return [*fixed, *chosen], tables, (values, rates)


def _new_classes(mixed: Mixture) -> list[str]:
    """Say what is new about the requests of classes, beyond what is about those of the first."""
    common = set(mixed.prepared[0].conditions.extrapolates[-1].split("; "))
    words = []
    for name, prepared in zip(mixed.names[1:], mixed.prepared[1:], strict=True):
        new = [w for w in prepared.conditions.extrapolates[-1].split("; ") if w and w not in common]
        words += [f"Never measured, class {name}: {', '.join(new)}."] if new else []
    return words


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


def _swept(
    prepared: Prepared,
    curves: Sequence[Curve],
    caps: np.ndarray,
    loads: np.ndarray,
    rates: np.ndarray,
    axis: str,
    arrivals: str | None,
) -> xr.Dataset:
    """Put every curve under every rate: the same form as :func:`bayes_sd.forecast.sweep.sweep` gives."""
    import xarray as xr

    open_loop = arrivals_of(prepared, arrivals)
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
