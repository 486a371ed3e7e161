"""The stationary law of the number in flight: mean latency, effective batch size and its spread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.queue.blocks import Workspace, birth_death
from bayes_sd.latency.queue.mean import wait_factor
from bayes_sd.latency.queue.protocol import (
    Protocol,
    checked_cap,
    checked_load,
    checked_protocol,
    checked_service,
)
from bayes_sd.latency.queue.renewal import dispersion, met_mean

# Large enough for NumPy's overhead per call not to matter. Threads did not pay: the calls between the long ones hold
# the interpreter, and the long ones wait for memory.
_CHUNK_ELEMENTS = 2_097_152
MOMENTS = ("mean", "sd", "mean_running", "sd_running", "idle_probability")
"""Numbers of a law, one a row, that a row without a steady state has other values of."""


@dataclass(frozen=True)
class InFlightLaw:
    """Steady state of a server under a load; arrays of the conditions' shape (...).

    Attributes
    ----------
    mean_latency_s : array
        Mean end-to-end latency [s], waiting included; infinite where unstable.
    mean, sd : array
        Mean and standard deviation of the requests present (running and waiting), seen at a random time.
    mean_running, sd_running : array
        The same of the requests running, at most the cap: the effective batch size. All of the cap where
        unstable.
    levels : tuple of float
        Probabilities of the quantiles.
    quantiles : array, shape (..., level)
        Requests present; the smallest number with at least that probability at or below it.
    quantiles_running : array, shape (..., level)
        Requests running.
    idle_probability : array
        Share of time with no request present.
    throughput_rps : array
        Requests completed a second; the stability limit where unstable.
    limit_rps : array
        Stability limit of the open loop [requests/s]; for a closed loop the throughput at the cap.
    utilisation : array
        Throughput over the limit.
    stable : bool array
        Whether there is a steady state.
    """

    mean_latency_s: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    mean_running: np.ndarray
    sd_running: np.ndarray
    levels: tuple[float, ...]
    quantiles: np.ndarray
    quantiles_running: np.ndarray
    idle_probability: np.ndarray
    throughput_rps: np.ndarray
    limit_rps: np.ndarray
    utilisation: np.ndarray
    stable: np.ndarray


def in_flight_law(
    service_s: Any,
    protocol: Protocol,
    load: Any,
    n_max: Any = None,
    work_cv: Any = 1.0,
    levels: Sequence[float] = (0.05, 0.5, 0.95),
    gap_scv: float = 1.0,
) -> InFlightLaw:
    """Compute the steady state for any service curve under a load.

    Poisson arrivals: a birth-death law (see :func:`bayes_sd.latency.queue.mean_latency_open_poisson`),
    exact for any law of the work while nothing waits behind the cap, and for exponential work when
    something does; for other work say its `work_cv`. Even arrivals of equal requests: two neighbouring
    numbers. Closed loop: always the number of clients.

    Four thousand draws of a hundred conditions with 512 states take about two seconds. Memory beyond the
    result is some 40 MB however many curves there are, so large inputs may be memory maps.

    Parameters
    ----------
    service_s : array, shape (..., n)
        S(1..n) in seconds. Without a cap the grid's end stands for one: see
        :func:`bayes_sd.latency.queue.adaptive_grid`.
    protocol : {"closed", "poisson", "even"}
        Load protocol.
    load : array, broadcastable against the leading dims
        λ in requests/s for an open loop, the number of clients for a closed loop.
    n_max : int array, broadcastable, optional
        Cap on running requests.
    work_cv : array, broadcastable, optional
        Coefficient of variation of a request's work, as for
        :func:`bayes_sd.latency.queue.mean_latency_open_poisson`; it matters only to waiting behind a cap.
    levels : sequence of float
        Probabilities of the quantiles, in (0, 1).
    gap_scv : float
        Squared coefficient of variation of the gaps between random arrivals, 1 for Poisson's; otherwise they are of a gamma
        distribution (:mod:`bayes_sd.latency.queue.renewal`), `work_cv` matters at all loads, and spread and quantiles are those
        of the number that a request meets.

    Returns
    -------
    InFlightLaw

    Raises
    ------
    ConditionError
        If the protocol is unknown, a cap below 1, a rate or client count not positive, a curve not finite
        latencies above 0, or a closed loop has more clients than the curve has points and no cap.

    Examples
    --------
    >>> service_s = 1.0 + 0.1 * np.arange(1, 65)  # S(1), ..., S(64)
    >>> law = in_flight_law(service_s, "poisson", 2.0)
    >>> round(float(law.mean_latency_s), 3), bool(law.stable)
    (1.375, True)
    """
    protocol = checked_protocol(protocol)
    service = np.asarray(service_s, dtype=float)
    checked_service(service[..., :1])
    if not all(0.0 < level < 1.0 for level in levels):
        raise ConditionError(f"quantile levels {tuple(levels)}: each must lie between 0 and 1")
    n_states = service.shape[-1]
    load = checked_load(load, "clients" if protocol == "closed" else "rate_rps")
    if protocol == "closed" and np.any((load < 1) | (load != np.floor(load))):
        raise ConditionError(f"a closed loop of {load} clients: it must be a whole number, at least 1")
    cap = checked_cap(n_states if n_max is None else n_max)
    random = protocol == "poisson" and gap_scv != 1.0
    spread = dispersion(checked_load(gap_scv, "gap_scv"), work_cv) if random else 1.0
    factor = wait_factor(work_cv)
    shape = np.broadcast_shapes(service.shape[:-1], load.shape, cap.shape, np.shape(factor))
    if protocol == "closed" and np.any(np.minimum(load, np.inf if n_max is None else cap) > n_states):
        raise ConditionError(
            f"a closed loop of {int(load.max())} clients needs a service curve that long, or a cap; "
            f"it has {n_states} points"
        )
    result = _empty_result(shape, tuple(float(level) for level in levels))
    curve_of = _row_reader(service, shape)
    loads = np.broadcast_to(load, shape).ravel()
    caps = np.broadcast_to(np.minimum(cap, n_states), shape).ravel()
    factors = np.broadcast_to(factor, shape).ravel()
    spreads = np.broadcast_to(spread, shape).ravel()
    solve = {"closed": _closed, "even": _even, "poisson": _poisson}[protocol]

    size = max(_CHUNK_ELEMENTS // n_states, 16)
    workspace = Workspace()
    for start in range(0, loads.size, size):
        rows = slice(start, min(start + size, loads.size))
        chunk = curve_of(rows)
        if not chunk.min() > 0:
            checked_service(chunk)
        law = solve(chunk, loads[rows], caps[rows], factors[rows], result.levels, workspace)
        if random:
            law = _with_gamma_gaps(chunk, loads[rows], caps[rows], (spreads[rows], factors[rows]), law)
        for name, value in law.items():
            target = getattr(result, name)
            target.reshape(loads.size, *target.shape[len(shape) :])[rows] = value
    return result


def _poisson(
    service: np.ndarray,
    rate: np.ndarray,
    cap: np.ndarray,
    factor: np.ndarray,
    levels: tuple[float, ...],
    workspace: Workspace,
) -> dict[str, np.ndarray]:
    limit = cap / service[np.arange(len(cap)), cap - 1]
    stable = rate < limit
    if stable.all():
        return _open_loop(
            _birth_death_moments(service, rate, cap, factor, levels, workspace), rate, limit, cap
        )
    # Rows past their limit have no law: they get the values of such rows below, and cost no time here.
    if not np.isfinite(service.sum()):
        checked_service(service)
    moments = {name: np.zeros(len(cap)) for name in MOMENTS} | {
        "quantiles": np.zeros((len(cap), len(levels)))
    }
    if stable.any():
        own = _birth_death_moments(
            service[stable], rate[stable], cap[stable], factor[stable], levels, workspace
        )
        for name, values in own.items():
            moments[name][stable] = values
    return _open_loop(moments, rate, limit, cap)


def _birth_death_moments(
    service: np.ndarray,
    rate: np.ndarray,
    cap: np.ndarray,
    factor: np.ndarray,
    levels: tuple[float, ...],
    workspace: Workspace,
) -> dict[str, np.ndarray]:
    """Compute what is asked of the laws of rows that are all stable."""
    with np.errstate(over="ignore", invalid="ignore"):
        law = birth_death(service, rate, cap, factor, workspace)
    if not np.all(np.isfinite(law.total)):
        checked_service(service)
    mean, sd = law.mean_and_sd()
    running, sd_running = law.mean_and_sd_held()
    quantiles = np.empty((len(cap), len(levels)))
    for i, level in enumerate(levels):
        quantiles[:, i] = law.quantile(level)
    plain = (mean, sd, running, sd_running, law.empty_probability)
    return dict(zip(MOMENTS, plain, strict=True)) | {"quantiles": quantiles}


def _with_gamma_gaps(
    service: np.ndarray,
    rate: np.ndarray,
    cap: np.ndarray,
    spreads: tuple[np.ndarray, np.ndarray],
    law: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Replace the means of Poisson arrivals, and stretch what varies by the root of the means' ratio."""
    stable, limit = law["stable"], law["limit_rps"]
    held = np.where(stable, rate, 0.5 * limit)
    spread, factor = spreads
    latency, running = (
        np.where(stable, rate * s, plain)
        for s, plain in zip(
            met_mean(service, held, cap, spread, factor), (law["mean"], law["mean_running"]), strict=True
        )
    )
    wider = np.where(stable, np.sqrt(spread), 1.0)
    return law | {
        "mean": latency,
        "mean_running": running,
        "sd": law["sd"] * wider,
        "sd_running": law["sd_running"] * wider,
        "mean_latency_s": latency / rate,
    }


def _even(
    service: np.ndarray,
    rate: np.ndarray,
    cap: np.ndarray,
    _: np.ndarray,
    levels: tuple[float, ...],
    workspace: Workspace,
) -> dict[str, np.ndarray]:
    n = np.arange(1, service.shape[1] + 1)
    throughput = np.divide(n, service, out=workspace.array("rows", *service.shape))
    if np.any(cap < len(n)):
        throughput *= n <= cap[:, None]
    limit = throughput.max(axis=1)
    held = np.where(rate < limit, rate, 0.5 * limit)
    row = np.arange(len(cap))
    below = np.argmax(throughput > held[:, None], axis=1)
    x_below = np.where(below > 0, throughput[row, below - 1], 0.0)
    share_above = (held - x_below) / (throughput[row, below] - x_below)
    mean = below + share_above
    sd = np.sqrt(share_above * (1.0 - share_above))
    levels_ = np.asarray(levels)
    quantiles = below[:, None] + (levels_ > 1.0 - share_above[:, None])
    moments: dict[str, np.ndarray] = {
        "mean": mean,
        "sd": sd,
        "mean_running": mean,
        "sd_running": sd,
        "quantiles": quantiles,
        "idle_probability": np.maximum(1.0 - mean, 0.0),
    }
    return _open_loop(moments, rate, limit, cap)


def _closed(
    service: np.ndarray,
    clients: np.ndarray,
    cap: np.ndarray,
    _: np.ndarray,
    levels: tuple[float, ...],
    __: Workspace,
) -> dict[str, np.ndarray]:
    row = np.arange(len(cap))
    running = np.minimum(clients, cap)
    throughput = running / service[row, running.astype(int) - 1]
    limit = cap / service[row, cap - 1]
    quantiles = np.repeat(clients[:, None], len(levels), axis=1)
    nothing = np.zeros(len(cap))
    return {
        "mean_latency_s": clients / throughput,
        "mean": clients,
        "sd": nothing,
        "mean_running": running,
        "sd_running": nothing,
        "quantiles": quantiles,
        "quantiles_running": np.minimum(quantiles, cap[:, None]),
        "idle_probability": nothing,
        "throughput_rps": throughput,
        "limit_rps": limit,
        "utilisation": throughput / limit,
        "stable": np.ones(len(cap), dtype=bool),
    }


def _open_loop(
    law: dict[str, np.ndarray], rate: np.ndarray, limit: np.ndarray, cap: np.ndarray
) -> dict[str, np.ndarray]:
    """Overwrite rows past the stability limit, and add what follows from Little's law."""
    stable = rate < limit
    past: dict[str, Any] = {
        "mean": np.inf,
        "sd": np.inf,
        "mean_running": cap,
        "sd_running": 0.0,
        "quantiles": np.inf,
        "idle_probability": 0.0,
    }
    for name, value in past.items():
        keep = stable if law[name].ndim == 1 else stable[:, None]
        law[name] = np.where(keep, law[name], value)
    throughput = np.minimum(rate, limit)
    return law | {
        "mean_latency_s": law["mean"] / rate,
        "quantiles_running": np.minimum(law["quantiles"], cap[:, None]),
        "throughput_rps": throughput,
        "limit_rps": limit,
        "utilisation": throughput / limit,
        "stable": stable,
    }


def _empty_result(shape: tuple[int, ...], levels: tuple[float, ...]) -> InFlightLaw:
    def new(*more: int) -> np.ndarray:
        return np.empty((*shape, *more))

    return InFlightLaw(
        mean_latency_s=new(),
        mean=new(),
        sd=new(),
        mean_running=new(),
        sd_running=new(),
        levels=levels,
        quantiles=new(len(levels)),
        quantiles_running=new(len(levels)),
        idle_probability=new(),
        throughput_rps=new(),
        limit_rps=new(),
        utilisation=new(),
        stable=np.empty(shape, dtype=bool),
    )


def _row_reader(service: np.ndarray, shape: tuple[int, ...]) -> Callable[[slice], np.ndarray]:
    """Give a reader of rows of the curves, broadcast to `shape` and flattened, without copying them all."""
    n_states = service.shape[-1]
    if service.shape[:-1] == shape and service.flags.c_contiguous:
        flat = service.reshape(-1, n_states)
        return lambda rows: flat[rows]
    broadcast = np.broadcast_to(service, (*shape, n_states))
    return lambda rows: broadcast[np.unravel_index(np.arange(rows.start, rows.stop), shape)]
