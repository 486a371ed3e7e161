"""What a run that is one wave of requests says of a steady closed loop, by a small engine that can run both.

A step decodes every running request and reads what its token budget leaves of prompts; costs are linear. As long as the
clients are busy the engine does the same work for the same requests, so mean latency is that of a steady loop (Little's
law); only how it is split between first and further tokens differs.
"""

import numpy as np
import pytest

from bayes_sd.measurements.loads import LEAST_FULL, Load, judge

FIXED_S, SEQUENCE_S, PROMPT_TOKEN_S = 8e-3, 6e-5, 2e-5
PROMPT, OUTPUT, BUDGET = 500, 200, 2048


def run(clients, lengths):
    """Mean latency (s), mean time to the first token (s), and the run's length (s)."""
    now, sent, running, latencies, firsts = 0.0, min(clients, len(lengths)), [], [], []
    waiting = [[0.0, PROMPT, length] for length in lengths[:sent]]  # sent at, prompt left, tokens to come
    while running or waiting:
        left, read = BUDGET - len(running), 0
        for request in waiting:
            part = min(left, request[1])
            request[1] -= part
            left, read = left - part, read + part
        now += FIXED_S + SEQUENCE_S * len(running) + PROMPT_TOKEN_S * read
        running = [[start, tokens - 1] for start, tokens in running]
        ready = [request for request in waiting if request[1] == 0]
        waiting = [request for request in waiting if request[1] > 0]
        firsts += [now - start for start, _, _ in ready]
        running += [[start, tokens - 1] for start, _, tokens in ready]
        ended = [start for start, tokens in running if tokens == 0]
        running = [request for request in running if request[1] > 0]
        latencies += [now - start for start in ended]
        following = lengths[sent : sent + len(ended)]
        waiting += [[now, PROMPT, length] for length in following]
        sent += len(following)
    return float(np.mean(latencies)), float(np.mean(firsts)), now


def drawn(kind, count, seed):
    draw = np.random.default_rng(seed)
    if kind == "lognormal":
        return [max(1, int(n)) for n in np.exp(draw.normal(np.log(OUTPUT), 0.5, count))]
    low = {"fixed": OUTPUT, "narrow": int(0.8 * OUTPUT), "wide": OUTPUT // 2}[kind]
    return [int(n) for n in draw.integers(low, OUTPUT + 1, count)]


@pytest.mark.parametrize("clients", [16, 64])
@pytest.mark.parametrize("kind", ["fixed", "narrow", "wide", "lognormal"])
def test_a_wave_that_is_used_has_the_latency_of_a_steady_loop(clients, kind):
    steady, steady_first, _ = run(clients, drawn(kind, 20 * clients, 0))
    used, firsts = [], []
    for seed in range(8):
        latency, first, length = run(clients, drawn(kind, clients, seed))
        verdict = judge(Load("concurrency", clients, latency, clients / length, n_requests=clients))
        assert verdict.one_wave
        assert verdict.usable == (latency / length >= LEAST_FULL)
        used += [latency / steady] if verdict.usable else []
        firsts.append(first / steady_first)
    assert (kind == "lognormal") == (not used)
    # One wave has as many lengths as clients: the mean over waves is compared, not each.
    assert not used or np.mean(used) == pytest.approx(1.0, abs=0.04)
    assert np.mean(firsts) > 2.0  # the prompts of a wave wait for each other
    print(
        kind,
        clients,
        f"latency {np.mean(used or [np.nan]):.3f}, first token {np.mean(firsts):.1f} times that of a steady loop",
    )
