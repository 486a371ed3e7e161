"""Requests in flight and their latency under a load, for any service curve.

Let S(b) be the end-to-end latency that a request has when b requests are always in flight, in seconds (the
service curve). A continuous-batching engine is then one shared processor whose speed depends on its state:
each of b requests progresses at rate 1/S(b). Three load protocols, two of them open loops:

=============  ==========================================================================================
``"closed"``   N clients, each sends its next request when the last one returned
``"poisson"``  requests arrive at random at rate λ, whatever the server does; with ``gap_scv`` other than 1 the gaps are
               of a gamma distribution, burstier or more even (:mod:`bayes_sd.latency.queue.renewal`)
``"even"``     requests arrive every 1/λ seconds
=============  ==========================================================================================

Processor sharing is a symmetric queue, so under Poisson arrivals the law of the number in flight depends on
the work of a request through its mean only (Kelly, Reversibility and Stochastic Networks, chapter 3; Kong
et al. 2026, arXiv:2605.15051, have the fluid limit L = C1/(1 − λC2)).

Names throughout: ``service_s`` is S(1..n) in seconds on its last axis, ``rate_rps`` is λ in requests per
second, ``n_max`` the engine's cap on running requests, further requests wait first come, first served.
"""

from bayes_sd.latency.queue.curve import (
    adaptive_grid,
    capped_curve,
    is_stable,
    stability_limit,
    throughput_curve,
)
from bayes_sd.latency.queue.law import InFlightLaw, in_flight_law
from bayes_sd.latency.queue.linear import (
    in_flight_even_linear,
    mean_latency_even_linear,
    mean_latency_fluid_linear,
    mean_latency_poisson_linear,
)
from bayes_sd.latency.queue.loads import LoadMeans, mean_over_loads
from bayes_sd.latency.queue.mean import (
    mean_latency_closed,
    mean_latency_open_even,
    mean_latency_open_poisson,
)
from bayes_sd.latency.queue.pmf import poisson_pmf
from bayes_sd.latency.queue.protocol import PROTOCOLS, Protocol, protocol_of
from bayes_sd.latency.queue.renewal import dispersion

__all__ = [
    "PROTOCOLS",
    "InFlightLaw",
    "LoadMeans",
    "Protocol",
    "adaptive_grid",
    "capped_curve",
    "dispersion",
    "in_flight_even_linear",
    "in_flight_law",
    "is_stable",
    "mean_latency_closed",
    "mean_latency_even_linear",
    "mean_latency_fluid_linear",
    "mean_latency_open_even",
    "mean_latency_open_poisson",
    "mean_latency_poisson_linear",
    "mean_over_loads",
    "poisson_pmf",
    "protocol_of",
    "stability_limit",
    "throughput_curve",
]
