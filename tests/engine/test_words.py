"""The language of the small models: what is known of its acceptance."""

import numpy as np
import pytest

from bayes_sd.engine.words import N_TOKENS, WORKLOADS, known_committed, known_cycles, successors, token_texts
from bayes_sd.latency.acceptance import expected_committed_iid

SEED = 7


def test_each_workload_is_one_cycle_through_all_its_words():
    follow = successors(SEED)
    for workload in WORKLOADS.values():
        at, seen = workload.first, set()
        for _ in workload.tokens:
            seen.add(at)
            at = int(follow[at])
        assert at == workload.first
        assert seen == set(workload.tokens)
    words = {token for workload in WORKLOADS.values() for token in workload.tokens}
    assert all(int(follow[token]) in words for token in range(N_TOKENS))
    assert len(set(token_texts())) == N_TOKENS


@pytest.mark.parametrize("name", WORKLOADS)
def test_drafter_and_verifier_agree_on_the_share_that_was_asked_for(name):
    workload = WORKLOADS[name]
    tokens = np.array(workload.tokens)
    follow, own = successors(SEED)[tokens], successors(SEED, drafter=True)[tokens]
    assert (follow == own).sum() == round(workload.agreement * len(tokens))
    assert set(own) <= set(tokens)


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_committed_tokens_are_those_of_independent_acceptance(name, k):
    # Places where the maps agree are a random choice, so E follows Leviathan et al. up to the luck of 1,276 words: a
    # cycle commits with a spread of at most k/2, and a turn has at least 1276/(k + 1) cycles.
    workload = WORKLOADS[name]
    spread = 0.5 * k / np.sqrt(len(workload.tokens) / (k + 1))
    expected = expected_committed_iid(workload.agreement, k)
    assert known_committed(SEED, workload, k) == pytest.approx(expected, abs=4 * spread)


def test_short_answers_cut_their_last_cycle_off():
    workload = WORKLOADS["agree-90"]
    short, long = (known_cycles(SEED, workload, 4, g).mean() for g in (16, 256))
    committed = known_committed(SEED, workload, 4)
    assert 15 / short < 255 / long < committed
    assert 255 / long == pytest.approx(committed, rel=0.01)
    assert (known_cycles(SEED, workload, 4, 2) == 1).all()
