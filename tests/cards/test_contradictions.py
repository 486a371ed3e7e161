"""Configs, indexes, chips and sizes that contradict themselves or are off by a thousand: one line each."""

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.cards.checkpoint import check_index, derive
from bayes_sd.cards.checkpoint.config import config_of
from bayes_sd.errors import CardError

DENSE = {
    **{"model_type": "qwen3", "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36},
    **{"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936},
}
MIXTURE = {
    **DENSE,
    **{"model_type": "qwen3_moe", "hidden_size": 2048, "moe_intermediate_size": 768, "num_experts": 128},
    **{"num_experts_per_tok": 8, "decoder_sparse_step": 1, "num_key_value_heads": 4},
}
LATENT = DENSE | {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}


def without(config, *names):
    return {name: value for name, value in config.items() if name not in names}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (DENSE | {"hidden_size": 4}, "so uneven"),
        (DENSE | {"intermediate_size": 12}, "so uneven"),
        (DENSE | {"text_config": DENSE | {"hidden_size": 2048}}, "4096 for the whole and 2048"),
        (without(MIXTURE, "moe_intermediate_size"), "--set moe_intermediate_size"),
        (without(MIXTURE, "moe_intermediate_size", "decoder_sparse_step"), "model_type qwen3_moe has"),
        (without(MIXTURE, "num_experts"), "--set n_experts"),
        (
            MIXTURE | {"n_routed_experts": 64},
            "num_experts is 128 and n_routed_experts, the same by another name",
        ),
        (DENSE | {"vocab_size": 151}, "fewer words than there are bytes"),
        (without(LATENT, "qk_rope_head_dim"), "qk_rope_head_dim"),
        (DENSE | {"num_nextn_predict_layers": 99}, "one of the counts is wrong"),
        (DENSE | {"quantization_config": {"quant_method": "zzz"}}, "no format that is known"),
    ],
)
def test_a_config_against_itself(config, says):
    with pytest.raises(CardError, match=says) as caught:
        derive(config_of(config, "config.json"), "M")
    assert "\n" not in str(caught.value)


def test_a_quantised_cache_alone_is_no_format_of_weights():
    stated = {"quant_method": "modelopt", "quant_algo": None, "kv_cache_quant_algo": "FP8"}
    made = derive(config_of(DENSE | {"quantization_config": stated}, "config.json"), "M")
    assert made.card.native_format is None


def test_fields_that_nothing_reads_are_named():
    made = derive(config_of(DENSE | {"num_super_experts": 64, "max_window_layers": 28}, "config.json"), "M")
    assert [n for n in made.notes if "num_super_experts" in n] and not [
        n for n in made.notes if "window" in n
    ]


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ({"metadata": {"total_size": -5}}, "total_size is -5"),
        ({"metadata": {"total_size": "big"}}, "total_size is 'big'"),
        ({"experts": 64}, "64 experts a layer"),
    ],
)
def test_an_index_against_its_config(index, says):
    names = [f"model.layers.{i}.mlp.gate.weight" for i in range(36)] + ["lm_head.weight"]
    names += [f"model.layers.0.mlp.experts.{i}.up_proj.weight" for i in range(index.get("experts", 128))]
    config = config_of(MIXTURE, "config.json")
    with pytest.raises(CardError, match=says):
        check_index(config, {"weight_map": dict.fromkeys(names, "a"), **index}, "i.json")


@pytest.mark.parametrize("number", ["fp16_tflops=0.989", "bandwidth_gb_per_s=3.35", "memory_gb=80000"])
def test_a_known_chip_a_thousand_times_off(number):
    with pytest.raises(CardError, match="off by 1000"):
        load_cards().hardware(f"H100({number})")


def test_a_variant_of_a_known_chip_is_taken():
    assert load_cards().hardware("H100(memory_gb=94 bandwidth_gb_per_s=3900)").memory_gb == 94


@pytest.mark.parametrize("params_b", [0.008, 8190])
def test_a_size_that_a_card_contradicts(params_b):
    with pytest.raises(CardError, match="the card of 'Qwen3-8B' says"):
        load_cards().verifier_from_row({"verifier": "Qwen3-8B", "verifier_params_b": params_b})


def test_a_drafter_larger_than_its_verifier():
    row = {"verifier": "Qwen3-8B", "method": "draft_model", "drafter": "Mine", "drafter_params_b": 600}
    with pytest.raises(CardError, match="a drafter is smaller"):
        load_cards().drafter_from_row(row)
