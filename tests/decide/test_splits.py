"""Splits of GPUs between prefill and decode workers."""

import numpy as np
import pytest

from bayes_sd.decide.splits import plan_splits
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.split import prepare_split, split_latency
from bayes_sd.plots.splits import plot_splits

SLO = ("mean<30s", "ttft<1s")


@pytest.fixture(scope="module")
def planned(small_fit, base, cards):
    return plan_splits(small_fit, base, SLO, 20.0, most_gpus=8, cards=cards)


def test_more_gpus_hold_it_more_probably(planned):
    frontier = planned["frontier"].to_numpy()
    assert np.all(np.diff(frontier) >= 0) and frontier[-1] > frontier[0]
    assert planned.sizes["split"] == 28 and int(planned["gpus"].max()) == 8


def test_the_chosen_split_has_the_fewest_gpus_that_promise_it(planned):
    i, held, gpus = planned.attrs["chosen"], planned["p_held"].to_numpy(), planned["gpus"].to_numpy()
    assert held[i] >= 0.9
    assert not (held[gpus < gpus[i]] >= 0.9).any()
    assert held[i] == held[gpus == gpus[i]].max()
    assert "prefill and" in planned.attrs["words"][0] and "Replicas that do both" in planned.attrs["words"][1]
    assert plot_splits(planned).axes


def test_each_pool_shortens_its_own_part(small_fit, base, cards):
    from bayes_sd.decide.splits import _as_pools

    split = prepare_split(small_fit, _as_pools(base.assign(prompt_tokens=4000.0), 1, 1), cards)
    little, readers, decoders = (split_latency(split, *n, 4.0) for n in ((2, 2), (8, 2), (2, 8)))
    steady = np.isfinite(little.latency_s)
    assert steady.mean() > 0.5
    assert np.all(readers.ttft_s[steady] < little.ttft_s[steady])
    # In a few draws kernels run a larger batch as fast as a small one.
    assert (decoders.latency_s < little.latency_s)[steady].mean() > 0.95
    assert np.allclose(decoders.ttft_s[steady], little.ttft_s[steady])
    assert np.all(little.tails_s[steady, 1] > little.latency_s[steady])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"most_gpus": 1}, "at most 1 GPUs"),
        ({"prefill_gpus": 0}, "at least one"),
        ({"probability": 1.0}, "between 0 and 1"),
    ],
)
def test_bad_input_is_one_line(small_fit, base, cards, options, words):
    with pytest.raises(ConditionError, match=words) as caught:
        plan_splits(small_fit, base, SLO, 20.0, cards=cards, **options)
    assert "\n" not in str(caught.value)


def test_the_law_is_one_of_poisson_arrivals(small_fit, another, cards):
    with pytest.raises(ConditionError, match="Poisson"):
        plan_splits(small_fit, another(arrivals="even"), SLO, 20.0, cards=cards)
