"""Draft lengths by class of requests: what must be the same without classes, and that each class gets its own."""

from itertools import pairwise

import numpy as np
import pytest

from bayes_sd.decide.policies import compare_policies
from bayes_sd.decide.policy_words import policy_table, policy_words
from bayes_sd.decide.request_classes import PromptClass
from bayes_sd.errors import ConditionError

RATES = [2.0, 8.0]
SHORT = PromptClass("short", 0.6, {"prompt_tokens": 207.2})
HARD = PromptClass("hard", 0.4, {"prompt_tokens": 1800.0, "output_tokens": 150.0, "mean_accepted_len": 1.25})


@pytest.fixture(scope="module")
def compared(small_fit, base, cards):
    return compare_policies(small_fit, base, RATES, longest=4, classes=[SHORT, HARD], cards=cards)


def test_equal_classes_are_the_condition_itself(small_fit, base, cards):
    same = [PromptClass("a", 0.3), PromptClass("b", 0.7)]
    found = compare_policies(small_fit, base, RATES, longest=3, classes=same, cards=cards)
    plain = compare_policies(small_fit, base, RATES, longest=3, thresholds=(), cards=cards)
    for name in ("none", "k=1", "k=3", "by batch"):
        own = found["latency_mean"].sel(alternative=name)
        assert np.allclose(own, plain["latency_mean"].sel(alternative=name), rtol=2e-3), name


def test_each_class_gets_its_own_length(compared):
    tables = compared.attrs["tables"]
    assert tables["by class, short"][0][2] > tables["by class, hard"][0][2]
    assert {"by class and batch, short", "by class and batch, hard", "by batch"} < set(tables)
    for table in tables.values():
        assert table[0][0] == 1 and all(a[1] + 1 == b[0] for a, b in pairwise(table))


def test_lengths_by_class_lose_less_than_any_one_length(compared):
    lost = compared["relative_regret"].mean("load")
    fixed = float(lost[compared["kind"] == "fixed"].min())
    assert float(lost.sel(alternative="by class")) < fixed
    assert float(lost.sel(alternative="by class and batch")) <= float(lost.sel(alternative="by batch")) + 1e-3


def test_words_and_table(compared):
    words = policy_words(compared)
    assert "by class" in words[0]
    assert set(policy_table(compared)["kind"]) == {"none", "fixed", "table", "classes"}


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([SHORT], "from 2 to 8"),
        ([SHORT, SHORT], "a name of its own"),
        ([SHORT, PromptClass("b", 0.2)], "sum to 0.8"),
        ([SHORT, PromptClass("b", 0.4, {"hardware": "H100"})], "differ in requests only"),
        ([SHORT, PromptClass("b", -0.4)], "share -0.4"),
    ],
)
def test_what_is_no_mixture_is_one_line(small_fit, base, cards, classes, words):
    with pytest.raises(ConditionError, match=words) as caught:
        compare_policies(small_fit, base, RATES, longest=2, classes=classes, cards=cards)
    assert "\n" not in str(caught.value)
