"""A continuous-batching engine with speculative decoding, step by step."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.latency.coverage import coverage_skewed, effective_tokens, inclusion_probabilities
from bayes_sd.simulator.result import SimulationResult
from bayes_sd.simulator.spec import MOST_WORK, LoadSpec, ServerSpec
from bayes_sd.simulator.statistics import time_in_state

_UNLIMITED = 2**40


def simulate_server(server: ServerSpec, load: LoadSpec, seed: int) -> SimulationResult:
    """Simulate an engine under a load.

    The engine runs step after step. A request takes one of the `n_max` places in order of arrival, is set
    up for `prefill_fixed_s` (its own time, not the engine's), and has its prompt read in chunks within the
    token budget; the step that reads the last of it yields the first output token. From then on each step
    is a draft-verify cycle: it commits the draft tokens accepted before the first rejection, and one token
    of the verifier's, up to the request's length. A step lasts

        c1v + φ·c1x + Σ(t_seq + (k + 1)·t_tok + context·t_kv) + draft steps·c1d + k·b·t_dtok + h_c + prompt
        tokens·t_pre

    with the sum over the b decoding requests and φ the share of experts that their b(1 + ψk) tokens touch,
    expected or drawn. A server's `drafting` makes k depend on b, ends a draft where the drafter is not confident
    (the batch then takes the passes of its longest draft), or has a tree verified; its `classes` make requests differ in lengths,
    acceptance and k. The service curve of
    :mod:`bayes_sd.latency.service` is the average of this over a request's life, but for three things that it leaves
    out: the last cycle's surplus tokens are thrown away (:func:`bayes_sd.latency.acceptance.expected_cycles`), a
    request arrives within a step and waits for its end, and the number in flight changes while a request is served.

    Parameters
    ----------
    server : ServerSpec
        The engine, its costs and requests.
    load : LoadSpec
        Load and number of requests.
    seed : int
        With the load itself it determines the run, whatever other loads are simulated.

    Returns
    -------
    SimulationResult

    Raises
    ------
    ConditionError
        If the seed is negative.
    """
    from bayes_sd.simulator.engine_kernel import run_engine

    rng = _generator(load, seed)
    arrival = load.arrival_times(rng)
    kind, prompt = np.zeros(load.n_total, dtype=np.int64), server.prompt.draw(load.n_total, rng)
    if load.n_total * server.output.mean > MOST_WORK:
        raise ConditionError(
            f"{load.n_total:,} requests of {server.output.mean:g} output tokens: more than {MOST_WORK:g} tokens take too "
            "long; simulate fewer requests"
        )
    output = server.output.draw(load.n_total, rng)
    if server.classes:
        kind = rng.choice(len(server.classes), load.n_total, p=[c.share for c in server.classes])
        for i, one in enumerate(server.classes):
            own = np.flatnonzero(kind == i)
            prompt[own], output[own] = one.prompt.draw(len(own), rng), one.output.draw(len(own), rng)
    cap = min(load.n_total, server.n_max or load.n_total)
    popularity = np.empty(0)
    experts = server.experts
    if experts is not None and experts.draws:
        popularity = inclusion_probabilities(experts.total, experts.active, experts.skew)
        rng.shuffle(popularity)
    first, after = load.n_warm_up, load.n_warm_up + load.n_requests
    admitted, first_token, departure, cycles, accepted, drafted, totals = run_engine(
        arrival,
        prompt,
        output,
        kind,
        server.survival,
        np.array(server.drafting.confident, dtype=float),
        server.plans(cap),
        _step_costs(server),
        _coverage_table(server, cap),
        popularity,
        1.0 if experts is None else float(experts.independence),
        cap,
        server.prefill_budget or _UNLIMITED,
        -1.0 if server.drafting.ahead is None else float(server.drafting.ahead),
        load.clients,
        first,
        after,
        rng,
    )
    measured = slice(first, after)
    window = (float(arrival[first]), float(arrival[after]))
    if not window[1] > window[0]:
        # Requests of one length that start together end together: a round of clients holds no time between them.
        raise ConditionError(
            f"{load.n_requests} requests of {load.clients} clients all begin at one time: measure more than twice as many as clients"
        )
    in_window = (departure > window[0]) & (departure <= window[1])
    return SimulationResult(
        server=server,
        load=load,
        seed=seed,
        arrival_s=arrival[measured],
        admitted_s=admitted[measured],
        first_token_s=first_token[measured],
        departure_s=departure[measured],
        prompt_tokens=prompt[measured],
        output_tokens=output[measured],
        n_cycles=cycles[measured],
        accepted_per_position=accepted[measured].sum(axis=0),
        n_drafted=int(drafted[measured].sum()),
        in_flight_share=time_in_state(arrival, departure, window),
        running_share=time_in_state(admitted, departure, window),
        duration_s=window[1] - window[0],
        n_completed=int(in_window.sum()),
        mean_coverage=float(totals[2] / totals[0]) if totals[0] and experts is not None else float("nan"),
        mean_decoding=float(totals[1] / totals[0]) if totals[0] else 0.0,
        kind=kind[measured],
    )


def simulate_ladder(server: ServerSpec, loads: Sequence[LoadSpec], seed: int) -> list[SimulationResult]:
    """Simulate an engine under several loads, one after another.

    Parameters
    ----------
    server : ServerSpec
        The engine, its costs and requests.
    loads : sequence of LoadSpec
        Loads; the result of each does not depend on the others.
    seed : int
        As for :func:`simulate_server`.

    Returns
    -------
    list of SimulationResult

    Examples
    --------
    >>> from bayes_sd import LoadSpec, ServerSpec, StageCosts, TokenLaw
    >>> costs = StageCosts(0.01, 1e-5, 0.02, 0.0, 1e-4, 0.0, 0.0, 0.0, 0.0, 0.0)
    >>> server = ServerSpec(costs, prompt=TokenLaw(200, law="fixed"), output=TokenLaw(100, law="fixed"))
    >>> one, many = simulate_ladder(server, [LoadSpec("closed", 1, 50), LoadSpec("closed", 32, 500)], seed=1)
    >>> one.row()["mean_e2e_s"] < many.row()["mean_e2e_s"]
    True
    """
    return [simulate_server(server, load, seed) for load in loads]


def _generator(load: LoadSpec, seed: int) -> np.random.Generator:
    if seed < 0:
        raise ConditionError(f"a seed of {seed}: it must not be negative")
    # The load is part of the seed, so that a load gives the same run whatever other loads are simulated.
    load_bits = int(np.float64(load.value).view(np.uint64))
    kind = ("closed", "poisson", "even").index(load.protocol)
    return np.random.default_rng(np.random.SeedSequence([seed, kind, load_bits]))


def _step_costs(server: ServerSpec) -> np.ndarray:
    costs = server.costs
    values: list[Any] = [
        costs.prefill_fixed_s,
        costs.prefill_token_s,
        costs.verify_fixed_s,
        costs.verify_expert_s,
        costs.sequence_s,
        costs.token_s,
        costs.kv_token_s,
        costs.draft_fixed_s,
        costs.draft_token_s,
        costs.draft_extra_steps * costs.draft_fixed_s + costs.cycle_s,
    ]
    return np.array(values, dtype=float)


def _coverage_table(server: ServerSpec, cap: int) -> np.ndarray:
    """φ for 0..cap requests decoding, shape (cap + 1,)."""
    experts = server.experts
    if experts is None:
        return np.zeros(cap + 1)
    further = server.drafting.mean_verified(server.draft_length, cap) - 1.0
    tokens = effective_tokens(np.arange(cap + 1.0), further, experts.independence)
    return np.asarray(coverage_skewed(tokens, experts.total, experts.active, experts.skew))
