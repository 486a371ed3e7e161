"""Which tree at which load: smaller ones as load grows, never worse than chains, and honest about acceptance by rank."""

import numpy as np
import pytest

from bayes_sd.decide.ranks import RankLaw
from bayes_sd.decide.tree_words import tree_table, tree_words
from bayes_sd.decide.trees import best_trees, first_acceptance
from bayes_sd.decide.tune import prepare_choices, tune
from bayes_sd.errors import ConditionError
from bayes_sd.latency.acceptance import expected_committed

LOADS = [1, 4, 16, 128]


@pytest.fixture(scope="module")
def compared(small_fit, base, cards):
    return best_trees(small_fit, base, LOADS, deepest=5, most_tokens=32, cards=cards)


def test_trees_shrink_as_load_grows(compared):
    chosen = compared["chosen"].to_numpy()
    for size in ("verify_tokens", "depth", "top_k"):
        assert np.all(np.diff(compared[size].to_numpy()[chosen]) <= 0), size
    assert compared["top_k"].to_numpy()[chosen[0]] > 1
    assert compared["top_k"].to_numpy()[chosen[-1]] == 1


def test_chains_among_them_are_those_of_tune(compared, small_fit, base, cards):
    """A chain is a tree: it costs and commits what the same draft length does."""
    tuned = tune(small_fit, base, LOADS, draft_lengths=range(6), cards=cards)
    for k in (1, 3, 5):
        own = compared["latency_mean"].sel(alternative=f"chain of {k}")
        assert np.allclose(own, tuned["latency_mean"].sel(alternative=f"k={k}"), rtol=0.01)
    assert np.allclose(
        compared["latency_mean"].sel(alternative="none"),
        tuned["latency_mean"].sel(alternative="none"),
        rtol=0.01,
    )


def test_acceptance_by_position_gives_the_tokens_back(small_fit, base, cards):
    chains = prepare_choices(small_fit, base, (0, 3, 6), cards=cards)
    for i, k in enumerate((0, 3, 6)):
        if k:
            found = expected_committed(first_acceptance(chains, i))
            assert np.allclose(found, chains.costs.committed[:, i], rtol=1e-6)


def test_better_further_candidates_make_larger_trees(small_fit, base, cards):
    sizes = []
    for ranks in (RankLaw((0.6, 0.02)), RankLaw((0.6, 0.2, 0.1))):
        found = best_trees(small_fit, base, [1], deepest=4, most_tokens=32, ranks=ranks, cards=cards)
        sizes.append(int(found["verify_tokens"][int(found["chosen"][0])]))
        assert found.attrs["ranks_known"] == 1
    assert sizes[0] < sizes[1]


def test_what_was_assumed_of_ranks_is_said_first(compared):
    assert "by rank was not given: assumed" in compared.attrs["caveats"][0]
    counted = RankLaw((0.6, 0.12), 500)
    assert "counted over 500 positions" in counted.words()
    assert counted.caught(4000).mean() == pytest.approx(0.3, abs=0.02)
    assert counted.caught(4000).std() == pytest.approx(np.sqrt(0.3 * 0.7 / 200), rel=0.1)
    assert RankLaw((0.6, 0.12)).caught(5) == pytest.approx(np.full((5, 1), 0.3))


def test_table_and_words_say_the_same(compared):
    table, words = tree_table(compared), tree_words(compared)
    assert list(table["load"]) == LOADS
    assert words[0].startswith(f"Draft a tree of {table['choice'][0]}, at 1 in flight")
    assert np.all(table["gain_median"] > 0.95)
    assert np.all(table["relative_regret"] < 0.2)


@pytest.mark.parametrize("shares", [(0.5,), (0.5, 0.0), (0.7, 0.5), (1.0, 0.1), (float("nan"), 0.1)])
def test_shares_by_rank_that_cannot_be(shares):
    with pytest.raises(ConditionError, match="by rank"):
        RankLaw(shares)


def test_trees_that_cannot_be_asked_for(small_fit, base, cards):
    for options in ({"deepest": 0}, {"deepest": 17}, {"most_tokens": 1}, {"ci": 1.0}):
        with pytest.raises(ConditionError):
            best_trees(small_fit, base, [1], cards=cards, **options)
