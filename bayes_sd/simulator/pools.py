"""Two pools simulated: ranks that read prompts first come, first served, and decode workers that run draft-verify steps."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.acceptance import survival_by_position
from bayes_sd.simulator.requests import Drafting
from bayes_sd.simulator.spec import LoadSpec, ServerSpec


@dataclass(frozen=True)
class PoolResult:
    """Measured requests of a run, in order of arrival; arrays of shape (request,) [s].

    Attributes
    ----------
    arrival_s, first_token_s, departure_s : array
    wait_s : array
        For a prefill rank.
    """

    arrival_s: np.ndarray
    first_token_s: np.ndarray
    departure_s: np.ndarray
    wait_s: np.ndarray

    @property
    def latency_s(self) -> np.ndarray:
        """End-to-end latency of each request [s]."""
        return self.departure_s - self.arrival_s


def simulate_pools(
    server: ServerSpec,
    prefill_ranks: int,
    decode_workers: int,
    load: LoadSpec,
    seed: int,
    transfer_s: float = 0.0,
) -> PoolResult:
    """Simulate an open loop at a pool of prefill ranks and one of decode workers.

    A prompt is read by the first rank that is free, which yields the first token; its cache then takes `transfer_s` to a decode worker
    chosen at random, where the request joins at the end of the running step. There a step is a draft-verify cycle as in
    :func:`bayes_sd.simulator.simulate_server`, with no prompts in it.

    Parameters
    ----------
    server : ServerSpec
        Costs and requests of one decode worker; `prefill_token_s` is that of a prefill rank.
    prefill_ranks, decode_workers : int
    load : LoadSpec
        An open loop, of all workers together.
    seed : int
    transfer_s : float

    Returns
    -------
    PoolResult

    Raises
    ------
    ConditionError
        If the load is a closed loop, or the server has experts, classes, or drafts other than in chains of one length.
    """
    if load.clients:
        raise ConditionError("two pools are simulated under an open loop: say a rate")
    if server.experts is not None or server.classes or server.drafting != Drafting():
        raise ConditionError(
            "two pools are simulated without experts and classes, and with drafts of one length"
        )
    if prefill_ranks < 1 or decode_workers < 1:
        raise ConditionError(f"pools of {prefill_ranks} and {decode_workers}: each needs at least one worker")
    rng = np.random.default_rng([seed, 83])
    n = load.n_warm_up + load.n_requests
    arrival = load.arrival_times(rng)[:n]
    prompt, output = server.prompt.draw(n, rng), server.output.draw(n, rng)
    began = _read(arrival, prompt * server.costs.prefill_token_s, prefill_ranks)
    first = began + prompt * server.costs.prefill_token_s + server.costs.prefill_fixed_s
    worker, departure = rng.integers(decode_workers, size=n), np.empty(n)
    for i in range(decode_workers):
        own = np.flatnonzero(worker == i)
        own = own[np.argsort(first[own], kind="stable")]
        departure[own] = _decoded(server, first[own] + transfer_s, prompt[own], output[own], rng)
    kept = slice(load.n_warm_up, n)
    return PoolResult(arrival[kept], first[kept], departure[kept], (began - arrival)[kept])


def _read(arrival: np.ndarray, read_s: np.ndarray, ranks: int) -> np.ndarray:
    """When each prompt begins to be read, first come, first served [s]."""
    free, began = [0.0] * ranks, np.empty(len(arrival))
    for i, (at, seconds) in enumerate(zip(arrival, read_s, strict=True)):
        began[i] = max(at, heapq.heappop(free))
        heapq.heappush(free, began[i] + seconds)
    return began


def _decoded(
    server: ServerSpec, ready: np.ndarray, prompt: np.ndarray, output: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """When each request of one decode worker is done [s]; they come in the order in which they are ready."""
    from bayes_sd.simulator.pools_kernel import run_decode

    costs, k = server.costs, server.draft_length
    survival = survival_by_position(server.acceptance)
    cap, fixed = server.n_max or len(ready), costs.verify_fixed_s
    if k:
        fixed += (k + costs.draft_extra_steps) * costs.draft_fixed_s + costs.cycle_s
    each = costs.sequence_s + (k + 1) * costs.token_s + k * costs.draft_token_s
    return run_decode(ready, prompt, output, survival, fixed, each, costs.kv_token_s, cap, rng)
