"""A processor shared by the requests in flight: the model that the queue formulas solve, simulated."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.queue.protocol import checked_cap, checked_service
from bayes_sd.simulator.spec import LoadSpec
from bayes_sd.simulator.statistics import batch_means_error, time_in_state

WorkLaw = Literal["deterministic", "exponential", "lognormal"]


@dataclass(frozen=True)
class SharingResult:
    """Measured requests of a run, in order of arrival, and the time spent with each number present.

    Attributes
    ----------
    arrival_s, admitted_s, departure_s : array, shape (request,)
        When a request came, started to run, and was done [s].
    in_flight_share : array, shape (batch, state)
        Share of time with 0, 1, 2, ... requests present, over consecutive batches of the run.
    running_share : array, shape (batch, state)
        The same of requests running.
    """

    arrival_s: np.ndarray
    admitted_s: np.ndarray
    departure_s: np.ndarray
    in_flight_share: np.ndarray
    running_share: np.ndarray

    @property
    def latency_s(self) -> np.ndarray:
        """End-to-end latency of each request, shape (request,) [s]."""
        return self.departure_s - self.arrival_s

    @property
    def mean_latency_s(self) -> float:
        """Mean latency [s]."""
        return float(self.latency_s.mean())

    @property
    def mean_latency_error_s(self) -> float:
        """Monte Carlo standard error of the mean latency [s]."""
        return batch_means_error(self.latency_s)


def simulate_sharing(
    service_s: Any,
    load: LoadSpec,
    seed: int | np.random.Generator,
    n_max: int | None = None,
    work: WorkLaw = "exponential",
    work_cv: float = 1.0,
) -> SharingResult:
    """Simulate a processor shared by the requests in flight, each progressing at rate 1/S(b).

    Parameters
    ----------
    service_s : array, shape (n,)
        S(1..n) in seconds; beyond its end it goes on straight.
    load : LoadSpec
        Load and number of requests.
    seed : int or Generator
        Source of randomness.
    n_max : int, optional
        Cap on running requests; further ones wait, first come, first served.
    work : {"deterministic", "exponential", "lognormal"}
        Law of a request's work, of mean 1: the share of S(b) that it needs.
    work_cv : float
        Coefficient of variation of a log-normal work.

    Returns
    -------
    SharingResult

    Raises
    ------
    ConditionError
        If the curve, cap or work law is impossible.
    """
    from bayes_sd.simulator.sharing_kernel import run_sharing

    service = checked_service(service_s)
    if service.ndim != 1:
        raise ConditionError(
            f"one service curve is simulated at a time; got an array of shape {service.shape}"
        )
    if work not in get_args(WorkLaw):
        raise ConditionError(f"unknown work law {work!r}: say {', '.join(get_args(WorkLaw))}")
    cap = load.n_total if n_max is None else int(checked_cap(n_max))
    rng = np.random.default_rng(seed)
    arrival = load.arrival_times(rng)
    works = _draw_work(work, work_cv, load.n_total, rng)
    first, after = load.n_warm_up, load.n_warm_up + load.n_requests
    admitted, departure = run_sharing(
        arrival, works, _lengthened(service, cap), cap, load.clients, first, after
    )
    window = (float(arrival[first]), float(arrival[after]))
    return SharingResult(
        arrival_s=arrival[first:after],
        admitted_s=admitted[first:after],
        departure_s=departure[first:after],
        in_flight_share=time_in_state(arrival, departure, window),
        running_share=time_in_state(admitted, departure, window),
    )


def _draw_work(law: WorkLaw, cv: float, n: int, rng: np.random.Generator) -> np.ndarray:
    if law == "deterministic":
        return np.ones(n)
    if law == "exponential":
        return rng.exponential(1.0, n)
    if not (np.isfinite(cv) and cv > 0):
        raise ConditionError(f"a coefficient of variation of {cv:g}: it must be above 0")
    log_variance = np.log1p(cv**2)
    return rng.lognormal(-0.5 * log_variance, np.sqrt(log_variance), n)


def _lengthened(service: np.ndarray, n: int) -> np.ndarray:
    """Continue a curve to n points with its last slope."""
    if len(service) >= n:
        return service[:n].copy()
    slope = service[-1] - service[-2] if len(service) > 1 else 0.0
    more = service[-1] + max(slope, 0.0) * np.arange(1, n - len(service) + 1)
    return np.concatenate([service, more])
