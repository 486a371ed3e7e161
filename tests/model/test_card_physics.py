"""What cards say of a cost beside its roofline: long prompts, windowed layers, launches; and the misfit of unseen lengths."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.forecast.latency import predict
from bayes_sd.latency.roofline import roofline
from bayes_sd.model.deployments import deployment_of, rooflines
from bayes_sd.model.latency import stage_costs
from bayes_sd.model.term import Quantities


def test_attention_of_a_long_prompt_is_counted_from_the_cards(cards):
    """Llama-3.3-70B: 80 layers of 64 heads of 128, two passes over p/2 earlier tokens at two operations an element."""
    card = cards.verifier("Llama-3.3-70B-Instruct")
    share = roofline(card, cards.hardware("H100-SXM"), cards.precision("fp16"), 1).attention_share
    assert share == pytest.approx(2 * 64 * 128 * 80 / (2 * card.active_params_b * 1e9))
    # Weights at 8 bits are multiplied at twice the rate, attention is not.
    narrow = roofline(card, cards.hardware("H100-SXM"), cards.precision("fp8"), 1).attention_share
    assert narrow == pytest.approx(2 * share, rel=0.01)


def test_attention_weighs_most_where_few_parameters_are_active(cards):
    """Reading 8,000 tokens: a few per cent of a dense 70B's work, tens of per cent of a mixture of experts'."""
    h200 = cards.hardware("H200-SXM")
    dense, mixture = (
        8192 * roofline(cards.verifier(name), h200, cards.precision("fp16"), 1).attention_share
        for name in ("Llama-3.3-70B-Instruct", "DeepSeek-R1-0528")
    )
    assert 0.04 < dense < 0.1 < 0.2 < mixture < 0.4


def test_a_prompt_token_costs_as_much_more_as_the_prompt_is_long():
    names = ("prefill_fixed", "prefill_token", "verify", "request", "token_share", "kv")
    q = Quantities(dict.fromkeys(names, 1.0) | {"attention": np.array([0.0, 1e-5, 2e-5])})
    costs = stage_costs(q, {}, {"prompt": 1000.0, "cached": 0.0, "speculates": 0.0}, np)
    assert costs.prefill_token_s == pytest.approx([1.0, 1.01, 1.02])


def test_what_is_read_of_a_cached_prompt_attends_to_all_of_it():
    """The second half of a prompt has one and a half times the attention of an average half."""
    names = ("prefill_fixed", "prefill_token", "verify", "request", "token_share", "kv")
    q = Quantities(dict.fromkeys(names, 1.0) | {"attention": 1e-4})
    whole, half = (
        stage_costs(q, {}, {"prompt": 1000.0, "cached": h, "speculates": 0.0}, np).prefill_token_s
        for h in (0.0, 500.0)
    )
    assert (half - 1.0) / (whole - 1.0) == pytest.approx(1.5)


def test_windowed_layers_take_cache_where_an_engine_keeps_their_context(cards):
    """gpt-oss has 18 of 36 layers that attend to a window: vLLM frees what it left, TensorRT-LLM does not by default."""
    frame = pd.DataFrame(
        {
            "verifier": "gpt-oss-120b",
            "hardware": "H200",
            "tp": 1,
            "precision": "fp4",
            "engine": ["vllm", "trtllm"],
        }
    )
    deployments = [deployment_of(row, cards) for _, row in frame.iterrows()]
    vllm, trtllm = rooflines(frame, deployments, cards)["cache_tokens"]
    assert trtllm == pytest.approx(0.5 * vllm)


def spread(posterior, conditions):
    return np.std(np.log(predict(posterior, conditions).latency_s), axis=0)


def test_unseen_lengths_are_less_certain_the_more_requests_are_in_flight(small_fit, a100):
    """What the formula gets wrong at new lengths is a part of what a request in flight costs, so it grows with load."""
    plain = a100[(a100["k"] == 0) & a100["prompt_tokens"].notna()].iloc[[0, 0]].reset_index(drop=True)
    plain["load_value"] = [1.0, 64.0]
    unseen = plain.assign(prompt_tokens=6000.0, output_tokens=300.0)
    _, known_high = spread(small_fit, plain)
    low, high = spread(small_fit, unseen)
    assert high > 1.5 * low
    assert high > 2.0 * known_high


def test_routed_experts_and_latent_attention_launch_more_a_layer(cards):
    """A dense layer is the unit; gpt-oss routes, DeepSeek-V3 routes, has a shared expert and latent attention."""
    per_layer = {
        name: cards.verifier(name).launches / cards.verifier(name).layers
        for name in ("Llama-3.3-70B-Instruct", "gpt-oss-120b", "DeepSeek-R1-0528")
    }
    assert per_layer["Llama-3.3-70B-Instruct"] == 1.0
    assert 1.3 < per_layer["gpt-oss-120b"] < 2.0 < per_layer["DeepSeek-R1-0528"] < 3.0
