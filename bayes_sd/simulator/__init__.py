"""Discrete-event simulation of a serving engine: ground truth for the formulas, source of tail latencies.

Two levels. :func:`simulate_sharing` is the mathematical model that the queue formulas solve: a processor
shared by the requests in flight, each progressing at rate 1/S(b). :func:`simulate_server` is an engine: it
runs steps of draft and verify over the running requests, prefills in chunks, and accepts draft tokens at
random position by position.
"""

from bayes_sd.simulator.requests import Drafting, RequestClass, TokenLaw
from bayes_sd.simulator.result import SimulationResult
from bayes_sd.simulator.server import simulate_ladder, simulate_server
from bayes_sd.simulator.sharing import SharingResult, simulate_sharing
from bayes_sd.simulator.spec import Experts, LoadSpec, ServerSpec
from bayes_sd.simulator.statistics import batch_means_error

__all__ = [
    "Drafting",
    "Experts",
    "LoadSpec",
    "RequestClass",
    "ServerSpec",
    "SharingResult",
    "SimulationResult",
    "TokenLaw",
    "batch_means_error",
    "simulate_ladder",
    "simulate_server",
    "simulate_sharing",
]
