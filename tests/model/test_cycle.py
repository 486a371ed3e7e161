"""A speculative cycle costs the host what a plain step does not."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.latency import predict


@pytest.fixture
def pair(a100):
    """One condition without and with speculation."""
    rows = a100[a100["mean_accepted_len"].notna()].iloc[[0, 0]].reset_index(drop=True)
    plain = rows.index == 0
    return rows.assign(
        method=np.where(plain, "none", rows["method"]),
        drafter=np.where(plain, "", rows["drafter"]),
        k=np.where(plain, 0.0, rows["k"]),
        mean_accepted_len=rows["mean_accepted_len"].mask(plain),
        acceptance=rows["acceptance"].mask(plain),
    )


def test_only_speculation_pays(small_fit, pair, cards):
    costs = costs_for(small_fit, resolve(pair, small_fit, cards), cards).costs
    assert np.all(costs.cycle_s[:, 0] == 0.0)
    assert np.all(costs.cycle_s[:, 1] > 0.0)


def test_an_engine_that_was_not_fitted_is_less_certain(small_fit, pair, cards):
    both = pd.concat([pair.iloc[[1]], pair.iloc[[1]].assign(engine="sglang-0.5.6")], ignore_index=True)
    known, new = np.log(costs_for(small_fit, resolve(both, small_fit, cards), cards).costs.cycle_s).T
    assert np.std(new) > np.std(known)


def test_a_model_without_the_term_predicts_without_the_cost(small_fit, pair):
    """A file of format 3 does not know the term: its speculation costs what it did."""
    spec = small_fit.about["spec"]
    before = type(small_fit)(
        small_fit.tree,
        small_fit.about | {"spec": spec | {"terms": [t for t in spec["terms"] if t != "cycle"]}},
    )
    now, then = (predict(p, pair).latency_s for p in (small_fit, before))
    assert np.array_equal(now[:, 0], then[:, 0])
    assert np.all(now[:, 1] > then[:, 1])
