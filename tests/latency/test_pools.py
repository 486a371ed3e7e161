"""Two pools, prefill and decode: the law's limits, and a closed network simulated event by event."""

import heapq

import numpy as np
import pytest

from bayes_sd.latency.pools import SHARES, two_pools

READ_S, FIXED_S, STEP_S, PER_REQUEST_S = 0.5, 0.05, 8.0, 0.02


def decode(flight):
    return STEP_S + PER_REQUEST_S * flight


def law(clients, ranks):
    clients = np.asarray(clients, dtype=float)
    number = clients[:, None] * SHARES
    return two_pools(
        decode(number),
        np.ones_like(number),
        number,
        clients,
        np.full(len(clients), FIXED_S + READ_S),
        clients * READ_S / ranks,
    )


def test_few_clients_find_both_pools_free():
    found = law([1.0], ranks=4)
    assert found.latency_s[0] == pytest.approx(FIXED_S + READ_S + decode(1.0), rel=0.01)


def test_past_its_capacity_the_prefill_pool_decides():
    """2,000 clients at 8 prompts a second: 250 s a request, whatever decoding takes."""
    found = law([2000.0], ranks=4)
    assert found.latency_s[0] == pytest.approx(2000 * READ_S / 4, rel=0.01)
    # The pool lets 8 requests a second through, so b = 8·D(b) decode: 8·8/(1 − 8·0.02).
    assert found.decode_s[0] == pytest.approx(decode(8 * 8 / (1 - 8 * 0.02)), rel=0.02)


def simulated(clients, ranks, requests):
    """Mean latency: prompts are read one at a time by each rank, first come first served; decoding is shared equally."""
    now, free, waiting, reading, left, began, done = (
        0.0,
        ranks,
        list(range(clients)),
        [],
        {},
        [0.0] * clients,
        [],
    )
    while len(done) < requests:
        while free and waiting:
            heapq.heappush(reading, (now + READ_S, waiting.pop(0)))
            free -= 1
        pace = 1.0 / decode(len(left)) if left else 0.0
        ends = now + min(left.values()) / pace if left else np.inf
        at = min(ends, reading[0][0] if reading else np.inf)
        for client in left:
            left[client] -= (at - now) * pace
        now = at
        if reading and reading[0][0] <= now:
            left[heapq.heappop(reading)[1]] = 1.0
            free += 1
        for client in [c for c, rest in left.items() if rest <= 1e-9]:
            del left[client]
            done.append(now - began[client])
            began[client] = now
            waiting.append(client)
    return float(np.mean(done[requests // 2 :]))


@pytest.mark.parametrize("clients", [4, 20, 60, 120])
def test_the_law_is_near_a_simulated_network(clients):
    """From idle over the knee to saturation; at the knee the rounded maximum stands for queueing that depends on how requests vary."""
    found = law([float(clients)], ranks=4).latency_s[0] - FIXED_S
    assert found == pytest.approx(simulated(clients, 4, 30 * clients), rel=0.08)
