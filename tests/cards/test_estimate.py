"""Verifiers and drafters without a card."""

import math

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.errors import CardError


@pytest.fixture(scope="module")
def cards():
    return load_cards()


@pytest.mark.parametrize(
    "name", ["Llama-3.2-1B-Instruct", "Llama-3.1-8B-Instruct", "Llama-3.3-70B-Instruct", "gpt-oss-120b"]
)
def test_estimates_come_within_a_factor_of_two_of_the_listed_cards(cards, name):
    listed = cards.verifier(name)
    row = {
        "verifier": "like it",
        "verifier_params_b": listed.params_b,
        "verifier_active_params_b": listed.active_params_b,
        "n_experts": math.nan if listed.n_experts is None else float(listed.n_experts),
        "top_k_experts": math.nan if listed.top_k_experts is None else float(listed.top_k_experts),
    }
    made = cards.verifier_from_row(row)
    assert made.estimated
    assert not listed.estimated
    windowed = listed.full_attention_layers < listed.layers  # caches less than a name can tell
    for quantity in (
        ("layers", "hidden_size") if windowed else ("layers", "hidden_size", "kv_elements_per_token")
    ):
        assert 0.5 < getattr(made, quantity) / getattr(listed, quantity) < 2
    assert made.expert_params_b == pytest.approx(listed.expert_params_b, rel=0.02)


def test_expert_parameters_follow_exactly_from_the_counts(cards):
    dense, experts = 1.5, 29.0
    row = {
        "verifier": "M",
        "verifier_params_b": dense + experts,
        "verifier_active_params_b": dense + experts * 8 / 128,
        "n_experts": 128,
        "top_k_experts": 8,
    }
    made = cards.verifier_from_row(row)
    assert made.expert_params_b == pytest.approx(experts)
    assert made.dense_params_b == pytest.approx(dense)


def test_a_verifier_outside_the_listed_families(cards):
    # Qwen3-32B as published: 64 layers, hidden size 5,120, 8 cached heads of 128.
    made = cards.verifier_from_row({"verifier": "Qwen3-32B", "verifier_params_b": 32.8})
    assert made.layers == pytest.approx(64, rel=0.4)
    assert made.hidden_size == pytest.approx(5120, rel=0.4)
    assert made.kv_elements_per_token == pytest.approx(2 * 64 * 8 * 128, rel=0.4)


def test_a_card_goes_before_the_columns(cards):
    assert cards.verifier_from_row({"verifier": "llama-3.1-8b", "verifier_params_b": 99.0}).params_b == 8.03


@pytest.mark.parametrize("params_b", [0.001, 0.045, 1.0, 2000.0])
def test_any_size_makes_a_consistent_card(cards, params_b):
    made = cards.verifier_from_row({"verifier": "x", "verifier_params_b": params_b})
    assert 0 < made.dense_step_bytes(cards.precision("fp4")) <= made.weight_bytes(cards.precision("fp16"))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"verifier_params_b": math.nan}, "verifier_params_b is blank"),
        ({}, "did you mean Llama"),
        ({"verifier_params_b": 3.0, "verifier_active_params_b": 4.0}, "at most the total"),
        ({"verifier_params_b": 3.0, "n_experts": 8.0}, "contradict"),
        (
            {"verifier_params_b": 30.0, "verifier_active_params_b": 1.0, "n_experts": 8, "top_k_experts": 4},
            "too few",
        ),
    ],
)
def test_columns_that_make_no_verifier(cards, row, says):
    with pytest.raises(CardError, match=says):
        cards.verifier_from_row({"verifier": "Llama-3.3-71B", **row})


def test_drafters_from_rows(cards):
    llama = {"verifier": "Llama-3.3-70B-Instruct"}
    assert cards.drafter_from_row({**llama, "method": "none"}) is None
    assert cards.drafter_from_row({**llama, "method": "ngram", "drafter": ""}).params_b == 0
    given = cards.drafter_from_row(
        {**llama, "method": "draft_model", "drafter": "mine", "drafter_params_b": 0.5}
    )
    assert (given.params_b, given.estimated) == (0.5, True)
    listed = cards.drafter_from_row(
        {**llama, "method": "draft_model", "drafter": "meta-llama/Llama-3.2-1B-Instruct"}
    )
    assert not listed.estimated
    head = cards.drafter_from_row(
        {**llama, "method": "eagle", "drafter": "my/eagle", "drafter_params_b": math.nan}
    )
    known = cards.drafter("nvidia/Llama-3.3-70B-Instruct-Eagle3")
    assert 0.5 < head.step_bytes() / known.step_bytes() < 2
    with pytest.raises(CardError, match="give drafter_params_b"):
        cards.drafter_from_row({**llama, "method": "draft_model", "drafter": "mine"})
