"""Trees of drafts: what they commit, counted and simulated, and that no other tree of the size commits more."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_sd.errors import ConditionError
from bayes_sd.latency.acceptance import expected_committed
from bayes_sd.latency.trees import (
    DraftTree,
    best_committed,
    best_tree,
    chain,
    power_law_caught,
    rank_acceptance,
    reached_depths,
    tree_committed,
    trees_of_depth,
)

ACCEPTANCE = rank_acceptance([0.7, 0.6, 0.5], power_law_caught(0.45, 3))


def all_trees(depth, ranks, most):
    """Every tree of at most `most` verified tokens, sizes and shapes, by growing smaller ones."""
    grown = {DraftTree()}
    found = set(grown)
    for _ in range(most - 1):
        grown = {
            DraftTree((*tree.paths, (*path, rank)))
            for tree in grown
            for path in ((), *tree.paths)
            for rank in range(ranks)
            if len(path) < depth and (*path, rank) not in tree.paths
        }
        found |= grown
    return found


def simulated(tree, acceptance, cycles, rng):
    """Walk a tree: at each accepted node at most one child is accepted, drawn by its probability."""
    total = 0
    for _ in range(cycles):
        path = ()
        while len(path) < len(acceptance):
            rank = np.searchsorted(np.cumsum(acceptance[len(path)]), rng.random(), side="right")
            if (*path, int(rank)) not in tree.paths:
                break
            path = (*path, int(rank))
        total += 1 + len(path)
    return total / cycles


def test_a_chain_commits_what_chains_do():
    for k in range(4):
        assert tree_committed(chain(k), ACCEPTANCE) == pytest.approx(
            expected_committed([0.7, 0.6, 0.5], k), rel=1e-12
        )
    assert chain(3).depth == chain(3).expanded == 3 and chain(3).verify_tokens == 4


@pytest.mark.parametrize("size", [2, 4, 7, 12, 30])
def test_a_walk_through_the_tree_commits_as_many(size):
    tree = best_tree(ACCEPTANCE, size)
    n = 40_000
    found = simulated(tree, ACCEPTANCE, n, np.random.default_rng(size))
    reached = reached_depths(tree, ACCEPTANCE)
    variance = ((2 * np.arange(1, tree.depth + 1) - 1) * reached).sum() - reached.sum() ** 2
    assert abs(found - tree_committed(tree, ACCEPTANCE)) < 4 * np.sqrt(variance / n)


@given(
    first=st.lists(st.floats(0.05, 0.95), min_size=3, max_size=3),
    exponent=st.floats(0.1, 2.0),
)
def test_no_tree_of_the_size_commits_more(first, exponent):
    acceptance = rank_acceptance(first, power_law_caught(exponent, 3))
    most = best_committed(acceptance, 6)
    by_size = {}
    for tree in ALL:
        committed = float(tree_committed(tree, acceptance))
        by_size[tree.verify_tokens] = max(by_size.get(tree.verify_tokens, 0.0), committed)
    counted = list(itertools.accumulate((by_size[n] for n in range(1, 7)), max))
    assert np.allclose(most, counted, rtol=1e-12)
    for size in range(1, 7):
        tree = best_tree(acceptance, size)
        assert tree.verify_tokens <= size
        assert tree_committed(tree, acceptance) == pytest.approx(most[size - 1], rel=1e-12)


ALL = all_trees(3, 3, 6)


def test_draws_go_side_by_side():
    rng = np.random.default_rng(1)
    first, exponent = rng.uniform(0.2, 0.9, (5, 4)), rng.uniform(0.2, 1.0, 5)
    together = best_committed(rank_acceptance(first, power_law_caught(exponent, 4)), 16)
    for i in range(5):
        alone = best_committed(rank_acceptance(first[i], power_law_caught(exponent[i], 4)), 16)
        assert np.allclose(together[i], alone)


def test_sure_drafts_make_a_chain_and_unsure_ones_a_wide_tree():
    sure = rank_acceptance([0.97] * 6, power_law_caught(0.45, 6))
    unsure = rank_acceptance([0.3] * 6, power_law_caught(0.45, 6))
    assert best_tree(sure, 6) == chain(5)
    assert best_tree(unsure, 6).depth < 4


def test_trees_of_a_depth_are_its_chain_and_wider_ones_each_once():
    trees = trees_of_depth(ACCEPTANCE, (4, 8, 16, 16))
    assert trees[0] == chain(3)
    assert all(tree.depth == 3 for tree in trees)
    assert len(trees) == len(set(trees)) == 3
    assert [tree.verify_tokens for tree in trees] == [4, 8, 16]


def test_further_ranks_never_accept_more_than_the_first():
    acceptance = rank_acceptance([0.1, 0.9], power_law_caught(1.5, 5))
    assert np.all(np.diff(acceptance, axis=-1) <= 0)
    assert np.all(acceptance.sum(axis=-1) <= 1)


@pytest.mark.parametrize(
    ("first", "caught"), [([1.2], [0.1]), ([0.5], [0.7, 0.7]), ([0.5], [-0.1]), ([float("nan")], [0.1])]
)
def test_impossible_acceptance_is_one_line(first, caught):
    with pytest.raises(ConditionError, match="acceptance by rank"):
        rank_acceptance(first, caught)


def test_impossible_trees_are_one_line():
    with pytest.raises(ConditionError, match="no parent"):
        DraftTree(((0, 1),))
    with pytest.raises(ConditionError, match="at least its root"):
        best_tree(ACCEPTANCE, 0)
    with pytest.raises(ConditionError, match="3 depths"):
        tree_committed(chain(4), ACCEPTANCE)
