"""Latency of one deployment over a ladder of loads, for several draft lengths and drafters at once, per draw.

What :func:`bayes_sd.forecast.latency.predict` says of each condition, several times faster: the service curve is computed once for
each alternative and then put under all loads. Draws are shared: in one draw all alternatives have the same deployment and
the same luck, so their differences are sharp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.forecast.alternatives import Alternative, Prepared, prepare
from bayes_sd.forecast.curves import curve, service_curve
from bayes_sd.forecast.latency import running_cap, running_curve
from bayes_sd.latency.queue import Protocol
from bayes_sd.latency.queue.loads import mean_over_loads
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.rowchecks import unanswerable
from bayes_sd.measurements.schema import BY_NAME, gap_shape, random_arrivals
from bayes_sd.model.terms.cache import smooth_minimum

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "LOAD_UNITS",
    "Alternative",
    "LoadAxis",
    "Prepared",
    "checked_loads",
    "prepare",
    "stability_limits",
    "sweep",
]

LoadAxis = Literal["rate", "in-flight", "utilisation"]
LOAD_UNITS = {
    "rate": "requests/s",
    "in-flight": "requests",
    "utilisation": "share of the stability limit without speculation (median)",
}


def stability_limits(prepared: Prepared) -> np.ndarray:
    """Compute the rate below which each alternative has a steady state, n_max/S(n_max), in every draw.

    Parameters
    ----------
    prepared : Prepared

    Returns
    -------
    array, shape (sample, alternative)
        Requests/s.
    """
    limits = []
    for i in range(len(prepared.alternatives)):
        n_max = running_cap(prepared.costs, prepared.conditions, i)
        at = n_max[:, None].astype(float)
        limits.append(n_max / service_curve(prepared.costs, prepared.conditions, i, at)[0][:, 0])
    return np.stack(limits, axis=1)


def sweep(
    prepared: Prepared, loads: Any, axis: LoadAxis = "rate", arrivals: str | None = None, ttft: bool = True
) -> xr.Dataset:
    """Compute mean latency and requests in flight of every alternative under every load, per draw.

    Parameters
    ----------
    prepared : Prepared
        From :func:`prepare`.
    loads : array, shape (load,)
        Rates [requests/s], clients [requests], or utilisations, all above 0.
    axis : {"rate", "in-flight", "utilisation"}
        ``"rate"``: an open loop. ``"in-flight"``: a closed loop of so many clients, or equally a batch that stays of
        that size. ``"utilisation"``: an open loop whose rate is this share of the median stability limit without
        speculation (of the first alternative where none is without).
    arrivals : str, optional
        Of an open loop, ``"even"``, ``"poisson"`` or ``"gamma SHAPE"``; the base condition's by default.
    ttft : bool
        Whether to compute the time to first token too.

    Returns
    -------
    Dataset
        Dims ``sample``, ``alternative``, ``load``. Coords: ``alternative`` (names), ``k``, ``drafter`` and ``extrapolates``
        (per alternative), ``load`` (as given), ``rate_rps`` (per load, open loops only). Variables:

        * ``latency`` (sample, alternative, load) [s]: mean end-to-end latency, infinite without a steady state;
        * ``in_flight`` (sample, alternative, load) [requests]: mean present, waiting ones included;
        * ``stable`` (sample, alternative, load): whether there is a steady state;
        * ``ttft`` (sample, alternative, load) [s]: mean time to first token, waiting included, if asked for;
        * ``committed`` (sample, alternative) [tokens/cycle]: E;
        * ``limit`` (sample, alternative) [requests/s]: stability limit, open loops only.

        Attributes: ``load_axis``, ``load_units``, ``arrivals``, ``deployment``, ``requests`` (words).

    Raises
    ------
    ConditionError
        If an axis or arrivals are unknown, or a load is not above 0.
    """
    import xarray as xr

    values = checked_loads(loads, axis)
    open_loop = None if axis == "in-flight" else arrivals_of(prepared, arrivals)
    if open_loop is None:
        draws = _closed(prepared, values, ttft)
    else:
        rates = values
        if axis == "utilisation":
            plain = prepared.plain
            rates = values * np.median(stability_limits(prepared)[:, 0 if plain is None else plain])
        draws = _open(prepared, rates, open_loop, ttft)
    draws["latency"] *= np.exp(prepared.costs.misfit)[:, :, None]
    dims = ("sample", "alternative", "load")
    units = {"latency": "s", "in_flight": "requests", "ttft": "s"}
    variables: dict[str, Any] = {
        name: (dims, value, {"units": units[name]}) for name, value in draws.items() if name in units
    }
    variables["stable"] = (dims, np.isfinite(draws["latency"]))
    variables["committed"] = (dims[:2], prepared.costs.committed, {"units": "tokens/cycle"})
    coords: dict[str, Any] = {
        "alternative": prepared.names,
        "k": ("alternative", [a.k for a in prepared.alternatives]),
        "drafter": ("alternative", np.array(prepared.conditions.drafter, dtype=str)),
        "extrapolates": ("alternative", np.array(prepared.conditions.extrapolates, dtype=str)),
        "load": ("load", values, {"units": LOAD_UNITS[axis]}),
    }
    if open_loop is not None:
        variables["limit"] = (dims[:2], draws["limit"], {"units": "requests/s"})
        coords["rate_rps"] = ("load", rates, {"units": "requests/s"})
    about = {
        "load_axis": axis,
        "load_units": LOAD_UNITS[axis],
        "arrivals": "closed" if open_loop is None else open_loop.name,
        "deployment": prepared.conditions.deployments[0].key,
        "requests": requests_words(prepared),
    }
    return xr.Dataset(variables, coords=coords, attrs=about)


def requests_words(prepared: Prepared) -> str:
    """Say which requests alternatives are compared for: workload and lengths.

    Parameters
    ----------
    prepared : Prepared

    Returns
    -------
    str
    """
    row = prepared.conditions.frame.iloc[0]
    workload = row.get("workload", "")
    named = f"{workload}, " if isinstance(workload, str) and workload else ""
    return f"{named}{row['prompt_tokens']:.0f} prompt + {row['output_tokens']:.0f} output tokens"


def checked_loads(loads: Any, axis: str) -> np.ndarray:
    """Return loads as floats.

    Parameters
    ----------
    loads : array
    axis : {"rate", "in-flight", "utilisation"}

    Returns
    -------
    array, shape (load,)

    Raises
    ------
    ConditionError
        If the axis is unknown, there is no load, or one is not a finite number above 0 (for in-flight: at least 1).
    """
    if axis not in LOAD_UNITS:
        raise ConditionError(f"unknown load axis {axis!r}: say one of {', '.join(LOAD_UNITS)}")
    values = np.atleast_1d(np.asarray(loads, dtype=float))
    least = 1.0 if axis == "in-flight" else np.nextafter(0.0, 1.0)
    if values.ndim != 1 or not values.size or not np.all(np.isfinite(values) & (values >= least)):
        wanted = "at least 1" if axis == "in-flight" else "above 0"
        wrong = values[~(np.isfinite(values) & (values >= least))]
        said = f"{wrong[0]:g}" if wrong.size else "none"
        raise ConditionError(f"a load of {said}: each {axis} must be a number {wanted}")
    return values


class Arrivals(NamedTuple):
    """How an open loop's requests come.

    Attributes
    ----------
    name : str
        As a table writes it.
    protocol : {"even", "poisson"}
        The latter for all random arrivals.
    gap_scv : float
        Squared coefficient of variation of the gaps between random arrivals.
    """

    name: str
    protocol: Protocol
    gap_scv: float


def arrivals_of(prepared: Prepared, arrivals: str | None) -> Arrivals:
    """Say how an open loop's requests come, by default the base condition's.

    Raises
    ------
    ConditionError
        If no law covers them.
    """
    if arrivals is None:
        conditions = prepared.conditions
        arrivals = random_arrivals(1.0 / conditions.gap_scv[0]) if conditions.poisson[0] else "even"
    try:
        name = str(parse_cell(arrivals.strip(), BY_NAME["arrivals"]))
    except CellError as error:
        raise ConditionError(f"unknown arrivals of an open loop: {error}") from error
    wrong = unanswerable({"arrivals": name})
    if wrong:
        raise ConditionError(": ".join(wrong))
    return Arrivals(name, "even" if name == "even" else "poisson", 1.0 / gap_shape(name))


def _open(prepared: Prepared, rates: np.ndarray, open_loop: Arrivals, ttft: bool) -> dict[str, np.ndarray]:
    costs, conditions = prepared.costs, prepared.conditions
    shape = (costs.n_draws, len(prepared.alternatives), len(rates))
    draws = {name: np.empty(shape) for name in ("latency", "in_flight", *(["ttft"] if ttft else []))}
    draws["limit"] = np.empty(shape[:2])
    for i in range(shape[1]):
        n_max, service = running_curve(costs, conditions, i)
        work_cv = prepared.spread.work_cv(costs, conditions, i)
        means = mean_over_loads(service, open_loop.protocol, rates, n_max, work_cv, open_loop.gap_scv)
        draws["latency"][:, i], draws["in_flight"][:, i] = means.latency_s, means.in_flight
        draws["limit"][:, i] = means.limit_rps
        if ttft:
            stable = np.isfinite(means.latency_s)
            running = np.clip(np.where(stable, means.running, 1.0), 1.0, n_max[:, None])
            service_at, _, first = curve(costs, conditions, i, running)
            waited = np.maximum(np.where(stable, means.latency_s, 0.0) - service_at, 0.0)
            draws["ttft"][:, i] = np.where(stable, first + waited, np.inf)
    return draws


def _closed(prepared: Prepared, clients: np.ndarray, ttft: bool) -> dict[str, np.ndarray]:
    costs, conditions = prepared.costs, prepared.conditions
    shape = (costs.n_draws, len(prepared.alternatives), len(clients))
    draws = {name: np.empty(shape) for name in ("latency", "in_flight", *(["ttft"] if ttft else []))}
    for i in range(shape[1]):
        offered = np.minimum(clients, conditions.cap[i])[None, :]
        running = smooth_minimum(costs.cache_requests[:, [i]], offered)
        service, _ = service_curve(costs, conditions, i, running)
        draws["latency"][:, i], draws["in_flight"][:, i] = service * clients / running, clients
        if ttft:
            first = curve(costs, conditions, i, running)[2]
            draws["ttft"][:, i] = first + draws["latency"][:, i] - service
    return draws
