"""Policies of drafting against fixed lengths: the same where they are the same, and judged under the load that they bring about."""

import numpy as np
import pytest

from bayes_sd.decide.policies import compare_policies
from bayes_sd.decide.policy_words import policy_table, policy_words
from bayes_sd.decide.tune import tune
from bayes_sd.errors import ConditionError

RATES = [2.0, 8.0, 13.0]


@pytest.fixture(scope="module")
def compared(small_fit, base, cards):
    return compare_policies(small_fit, base, RATES, longest=6, thresholds=(0.5,), cards=cards)


def test_a_table_of_one_row_is_a_fixed_length(small_fit, base, cards):
    tables = {"always 3": [(1, 256, 3)], "never": [(1, 256, 0)]}
    found = compare_policies(small_fit, base, RATES, longest=4, thresholds=(), tables=tables, cards=cards)
    latency = found["latency_mean"]
    always, never = (latency.sel(alternative=name) for name in tables)
    assert np.allclose(always, latency.sel(alternative="k=3"), rtol=1e-3)
    # A server that could draft pays for that where it never does.
    assert (never > 1.02 * latency.sel(alternative="none")).all()


def test_confidence_of_no_threshold_is_the_longest_draft(small_fit, base, cards):
    found = compare_policies(small_fit, base, RATES, longest=4, thresholds=(0.0,), tables={}, cards=cards)
    own = found["latency_mean"].sel(alternative="k<=4, confidence 0")
    assert np.allclose(own, found["latency_mean"].sel(alternative="k=4"), rtol=2e-3)


def test_fixed_lengths_are_those_of_tune(compared, small_fit, base, cards):
    tuned = tune(small_fit, base, RATES, "rate", draft_lengths=range(7), cards=cards)
    for name in ("none", "k=2", "k=6"):
        own = compared["latency_mean"].sel(alternative=name)
        assert np.allclose(own, tuned["latency_mean"].sel(alternative=name), rtol=0.02)


def test_a_table_loses_less_over_all_loads_than_any_fixed_length(compared):
    lost = compared["relative_regret"].mean("load")
    fixed = lost[compared["kind"] == "fixed"]
    assert float(lost.sel(alternative="by batch")) < float(fixed.min())


def test_the_load_depends_on_the_policy(compared):
    """Little's law, per policy: a slower one has more requests in flight at the same rate."""
    stable = compared["p_stable"].to_numpy() == 1.0
    flight, latency = compared["in_flight_mean"].to_numpy(), compared["latency_mean"].to_numpy()
    order = np.argsort(latency[stable[:, 0], 0])
    assert np.all(np.diff(flight[stable[:, 0], 0][order]) > -0.05)
    assert np.allclose(flight[:, 0], latency[:, 0] * RATES[0], rtol=0.1)


def test_words_and_table(compared):
    words, table = policy_words(compared), policy_table(compared)
    assert words[0].startswith("Draft by batch") or "confidence" in words[0]
    assert len(table) == 3 * compared.sizes["alternative"]
    assert table.groupby("load")["chosen"].sum().eq(1).all()
    assert "confidence spreads was never measured" in compared.attrs["caveats"][0]


def test_what_cannot_be_compared(small_fit, base, cards):
    for options in (
        {"axis": "in-flight"},
        {"thresholds": (1.0,)},
        {"tables": {"t": [(2, 8, 1)]}},
        {"tables": {"t": [(1, 8, 9)]}},
        {"ci": 0.0},
    ):
        with pytest.raises(ConditionError) as caught:
            compare_policies(small_fit, base, [1.0], longest=2, cards=cards, **options)
        assert "\n" not in str(caught.value)
