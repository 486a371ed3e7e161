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
    made = cards.verifier_from_row({"verifier": "a 32B of no listed family", "verifier_params_b": 32.8})
    assert made.estimated
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


@pytest.mark.parametrize(
    "row",
    [
        {"verifier": "New-30B-A3B", "verifier_params_b": 30.0},
        {"verifier": "New-8x7B", "verifier_params_b": 46.7},
        {"verifier": "New-MoE", "verifier_params_b": 46.7},
        {"verifier": "New", "verifier_params_b": 30.0, "is_moe": True},
        {"verifier": "New", "verifier_params_b": 30.0, "is_moe": "1.0"},
        {
            "verifier": "New",
            "verifier_params_b": 30.0,
            "is_moe": 1.0,
            "n_experts": 128.0,
            "top_k_experts": 8.0,
        },
        {"verifier": "New", "verifier_params_b": 30.0, "verifier_active_params_b": 3.0},
    ],
)
def test_a_mixture_of_which_only_the_size_is_told_is_refused(cards, row):
    with pytest.raises(CardError) as caught:
        cards.verifier_from_row(row)
    for column in ("verifier_params_b", "verifier_active_params_b", "n_experts", "top_k_experts"):
        assert column in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mixture_told_in_full_and_a_dense_model_are_taken(cards):
    told = {
        "verifier_params_b": 30.0,
        "verifier_active_params_b": 3.0,
        "n_experts": 128,
        "top_k_experts": 8,
        "is_moe": 1,
    }
    assert cards.verifier_from_row({"verifier": "New-30B-A3B", **told}).is_moe
    assert not cards.verifier_from_row(
        {"verifier": "New-30B", "verifier_params_b": 30.0, "is_moe": False}
    ).is_moe
    assert (
        cards.verifier_from_row({"verifier": "Qwen3-30B-A3B", "is_moe": True}).n_experts == 128
    )  # it has a card


@pytest.mark.parametrize(
    ("verifier", "drafter"),
    [
        ("DeepSeek-R1-0528", "DeepSeek-MTP"),
        ("DeepSeek-V3.1-Terminus", "DeepSeek-MTP"),
        ("Qwen3.5-397B-A17B-FP8", "Qwen3.5-397B-A17B-MTP"),
        ("GLM-4.5-Air", "GLM-4.5-Air-MTP"),
        ("MiniMax-M2", "MiniMax-M2-MTP"),
    ],
)
def test_native_mtp_is_the_verifiers_own(cards, verifier, drafter):
    found = cards.drafter_from_row({"verifier": verifier, "method": "mtp", "drafter": "native MTP"})
    assert found.name == drafter
    assert found.method == "mtp"
    assert found.estimated == (verifier == "MiniMax-M2")


def test_block_drafters_without_a_card_have_several_layers(cards):
    row = {"verifier": "Qwen3-8B", "drafter": "mine"}
    one, block = (cards.drafter_from_row({**row, "method": method}) for method in ("eagle", "dflash"))
    assert 3 < block.params_b / one.params_b < 6
    assert block.params_b == pytest.approx(cards.drafter("z-lab/Qwen3-8B-DFlash-b16").params_b, rel=0.25)
