"""Two pools under an open loop: the law against a simulated pool of prefill ranks and decode workers.

Gates, fixed before the runs, on top of the Monte Carlo error, below saturation: mean 2 %, 95th percentile 5 %.
"""

from dataclasses import replace

import numpy as np
import pytest

from bayes_sd.errors import ConditionError
from bayes_sd.latency import queue, tails
from bayes_sd.latency.acceptance import expected_committed, expected_cycles
from bayes_sd.latency.pools import prefill_wait
from bayes_sd.latency.service import StageCosts, Work, step_s
from bayes_sd.simulator import Drafting, LoadSpec, ServerSpec, TokenLaw
from bayes_sd.simulator.pools import simulate_pools

COSTS = StageCosts(0.01, 1e-4, 0.008, 0.0, 2e-5, 1e-4, 1e-8, 0.0008, 2e-6, 0.5, cycle_s=0.0005)
ALPHA, PROMPT, OUTPUT, STD = (0.8, 0.75, 0.7), 1500, 200, 60
N = np.arange(1.0, 129.0)
POOLS = {"prefill binds": (1, 3), "decode binds": (6, 1), "even": (3, 2)}


def law(ranks, workers, alpha, share):
    """Rate, and mean and 95th percentile [s] at a share of what the smaller pool holds."""
    k = len(alpha)
    cycles = expected_cycles(alpha, OUTPUT - 1) if k else OUTPUT - 1.0
    work = Work(PROMPT, OUTPUT, k, OUTPUT / cycles)
    step = step_s(COSTS if k else replace(COSTS, cycle_s=0.0), work, N, 0.0) * np.ones_like(N)
    decode, read = cycles * step, PROMPT * COSTS.prefill_token_s
    rate = share * min(ranks / read, workers * len(N) / decode[-1])
    wait = prefill_wait(np.array([read]), ranks, rate)
    committed = float(expected_committed(alpha, k)) if k else 1.0
    log_sd = np.atleast_1d(tails.work_log_sd(STD / OUTPUT, committed, k, OUTPUT, 0.0))
    found = queue.in_flight_law(
        decode[None], "poisson", np.array([rate / workers]), len(N), tails.cv_of(log_sd)
    )
    at, own = float(found.mean[0]), COSTS.prefill_fixed_s + read
    joins = 0.5 * np.interp(at, N, step) * (1.0 - float(found.idle_probability[0]))
    mean = float(found.mean_latency_s[0])
    slope = np.interp(at + found.sd[0], N, decode) - np.interp(max(at - found.sd[0], 1.0), N, decode)
    feedback = rate / workers * slope / (2 * found.sd)
    memory = tails.memory_of_company(tails.cv_of(log_sd), feedback)
    spread = tails.shared_log_sd(0.95, log_sd, 0.5 * slope / mean, memory)
    weights, waits = tails.wait_nodes(wait.wait_probability, wait.wait_s / wait.wait_probability)
    start = own + joins + waits
    p95 = tails.mixture_quantile(0.95, weights, start, np.full_like(start, mean), spread)
    return rate, np.array([own + joins + float(wait.wait_s[0]) + mean, float(p95[0])])


@pytest.mark.parametrize("share", [0.15, 0.5, 0.75])
@pytest.mark.parametrize("alpha", [ALPHA, ()], ids=["k=3", "none"])
@pytest.mark.parametrize("name", POOLS)
def test_the_law_is_that_of_the_simulated_pools(name, alpha, share):
    rate, found = law(*POOLS[name], alpha, share)
    server = ServerSpec(COSTS, TokenLaw(PROMPT), TokenLaw(OUTPUT, STD), alpha, n_max=len(N))
    runs = [
        simulate_pools(server, *POOLS[name], LoadSpec("poisson", rate, 3000), seed).latency_s
        for seed in range(4)
    ]
    measured = np.array([[r.mean(), np.quantile(r, 0.95)] for r in runs])
    error, middle = measured.std(axis=0, ddof=1) / 2.0, measured.mean(axis=0)
    # Student's t of 4 runs: 5.8 standard errors are passed once in 100.
    assert np.all(np.abs(found - middle) < np.array([0.02, 0.05]) * middle + 5.8 * error), (
        found / middle - 1.0
    )


def test_one_rank_waits_as_a_queue_of_equal_prompts_does():
    """Half of what an exponential service would wait (Pollaczek and Khinchine)."""
    found = prefill_wait(np.array([0.5]), 1, 1.0)
    assert found.wait_s[0] == pytest.approx(0.5 * 0.5 * 0.5 / 0.5)
    assert prefill_wait(np.array([0.5]), 1, 2.5).wait_s[0] == np.inf
    assert prefill_wait(np.array([0.5]), 4, 1.0).wait_probability[0] < 0.01


def test_what_is_not_simulated_is_one_line():
    server = ServerSpec(COSTS, TokenLaw(10), TokenLaw(10), ALPHA)
    load = LoadSpec("poisson", 1.0, 10)
    with pytest.raises(ConditionError, match="open loop"):
        simulate_pools(server, 1, 1, LoadSpec("closed", 1, 10), 0)
    with pytest.raises(ConditionError, match="at least one"):
        simulate_pools(server, 0, 1, load, 0)
    with pytest.raises(ConditionError, match="one length"):
        simulate_pools(replace(server, drafting=Drafting(ahead=0.5)), 1, 1, load, 0)
