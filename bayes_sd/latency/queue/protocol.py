"""Load protocols, and the checks that every load and cap passes."""

from typing import Any, Literal, get_args

import numpy as np

from bayes_sd.errors import ConditionError

Protocol = Literal["closed", "poisson", "even"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


def protocol_of(load_kind: str, arrivals: str = "even") -> Protocol:
    """Name the protocol of a table row.

    Parameters
    ----------
    load_kind : {"concurrency", "rate"}
        Column `load_kind`: closed loop or open loop.
    arrivals : {"even", "poisson"}
        Column `arrivals`; without meaning for a closed loop.

    Returns
    -------
    {"closed", "poisson", "even"}

    Raises
    ------
    ConditionError
        If either is not one of those.
    """
    if load_kind == "concurrency":
        return "closed"
    if load_kind != "rate":
        raise ConditionError(
            f"unknown load_kind {load_kind!r}: say concurrency (closed loop) or rate (open loop)"
        )
    if arrivals == "poisson":
        return "poisson"
    if arrivals == "even":
        return "even"
    raise ConditionError(f"unknown arrivals {arrivals!r} of an open loop: say even or poisson")


def checked_protocol(protocol: str) -> Protocol:
    """Return `protocol` if it is one.

    Parameters
    ----------
    protocol : str

    Returns
    -------
    {"closed", "poisson", "even"}

    Raises
    ------
    ConditionError
        If it is not.
    """
    for known in PROTOCOLS:
        if protocol == known:
            return known
    raise ConditionError(f"unknown arrival process {protocol!r}: say one of {', '.join(PROTOCOLS)}")


def checked_cap(n_max: Any) -> np.ndarray:
    """Return the cap on running requests as whole numbers.

    Parameters
    ----------
    n_max : int array
        Requests.

    Returns
    -------
    int array

    Raises
    ------
    ConditionError
        If a cap is below 1 or not a whole number.
    """
    cap = np.asarray(n_max)
    if not np.all(np.isfinite(cap)) or np.any(cap < 1) or np.any(cap != np.floor(cap)):
        raise ConditionError(f"a cap of {n_max} running requests: it must be a whole number, at least 1")
    return cap.astype(int)


def checked_load(value: Any, what: str = "rate_rps", smallest: float = 0.0) -> np.ndarray:
    """Return rates or client counts as floats.

    Parameters
    ----------
    value : array
        Requests/s, or clients.
    what : str
        What it is, for the message.
    smallest : float
        Exclusive lower end.

    Returns
    -------
    array

    Raises
    ------
    ConditionError
        If one is not a finite number above `smallest`.
    """
    load = np.asarray(value, dtype=float)
    if not np.all(np.isfinite(load) & (load > smallest)):
        raise ConditionError(f"{what} of {value}: it must be a number above {smallest:g}")
    return load


def checked_service(service_s: Any) -> np.ndarray:
    """Return a service curve as floats.

    Parameters
    ----------
    service_s : array, shape (..., n)
        S(1..n) in seconds.

    Returns
    -------
    array, shape (..., n)

    Raises
    ------
    ConditionError
        If it has no points, or one that is not a finite latency above 0.
    """
    service = np.asarray(service_s, dtype=float)
    if service.ndim == 0 or service.shape[-1] == 0:
        raise ConditionError("the service curve has no points: it needs S(1..n) on its last axis")
    # One pass instead of isfinite and a comparison: NaN fails it, and so do 0, negatives and infinity.
    if not (service.min() > 0 and service.max() < np.inf):
        raise ConditionError("the service curve must be finite latencies above 0 s")
    return service
