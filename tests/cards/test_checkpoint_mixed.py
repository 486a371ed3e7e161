"""Cards of checkpoints in several formats, of layers unlike each other, and of configs that repeat settings of sampling."""

import json
from pathlib import Path

import pytest

from bayes_sd.cards.checkpoint import derive, read_config
from bayes_sd.cards.checkpoint.config import config_of
from bayes_sd.errors import CardError

FACTS = json.loads((Path(__file__).parent / "checkpoints.json").read_text())
HYBRID = FACTS["Qwen3.5-27B"]["config"]
MIXTURE = FACTS["Qwen3-30B-A3B"]["config"]


def count(config, name="M"):
    return derive(config_of(config, "config.json"), name, "f")


def test_a_setting_of_sampling_is_not_taken_for_the_experts_of_a_token():
    # Kimi-K2.5's config repeats transformers' default top_k of 50.
    assert count({**MIXTURE, "top_k": 50}).card == count(MIXTURE).card
    without = {k: v for k, v in MIXTURE.items() if k != "num_experts_per_tok"}
    with pytest.raises(CardError, match="top_k_experts"):
        count({**without, "top_k": 50})


def test_the_index_of_sparse_attention_is_found_inside_its_own_object():
    plain = FACTS["MiniMax-M3"]["config"]["text_config"]
    nested = {k: v for k, v in plain.items() if not k.startswith("index_")}
    sparse = {"sparse_num_index_heads": 4, "sparse_index_dim": 128}
    found = count({**nested, "model_type": "minimax_m3", "sparse_attention_config": sparse})
    assert found.card.params_b == pytest.approx(count(plain).card.params_b, rel=1e-6)


# Several formats ----------------------------------------------------------------------------------------------------------------


def layer_names(i):
    mixing = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
    if (i + 1) % 4:
        mixing = [f"linear_attn.{name}" for name in ("in_proj_qkv", "in_proj_z", "out_proj")]
    return mixing, ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]


def quantised(prefix, wide, narrow):
    found = {}
    for i in range(HYBRID["text_config"]["num_hidden_layers"]):
        for names, algorithm in zip(layer_names(i), (wide, narrow), strict=True):
            found |= {f"{prefix}layers.{i}.{name}": {"quant_algo": algorithm} for name in names}
    return found


def test_a_checkpoint_in_two_formats_is_in_the_one_of_most_weights():
    layers = quantised("model.language_model.", "FP8", "W4A16_NVFP4")
    stated = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    made = count({**HYBRID, "quantization_config": stated})
    parts, card = made.parts, made.card
    assert card.native_format == "fp4"
    # Attention in 8 bits takes the bytes of 4.5 bits and of so much at 16 bits; small weights stay at 16.
    extra = parts["attention"] * (8.05 - 4.5) / (16 - 4.5)
    whole = parts["embedding"] + parts["output layer"] + parts["norms and biases"]
    assert card.kept_16bit_params_b_fp4 == pytest.approx((whole + extra) / 1e9, rel=0.01)


def test_groups_that_name_their_targets_say_the_same():
    layers = quantised("model.language_model.", "FP8", "NVFP4")
    groups = {
        f"group_{i}": {
            "targets": [name for name, entry in layers.items() if entry["quant_algo"] == algorithm],
            "weights": {"num_bits": bits, "type": "float"},
            "input_activations": {"num_bits": bits},
        }
        for i, (algorithm, bits) in enumerate((("FP8", 8), ("NVFP4", 4)))
    }
    stated = {"quant_method": "compressed-tensors", "config_groups": groups}
    listed = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    assert (
        count({**HYBRID, "quantization_config": stated}).card
        == count({**HYBRID, "quantization_config": listed}).card
    )


def test_modelopts_own_file_beside_a_config_is_read(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(MIXTURE))
    own = {
        "producer": {"name": "modelopt"},
        "quantization": {"quant_algo": "NVFP4", "exclude_modules": ["*self_attn*", "lm_head"]},
    }
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(own))
    made = derive(read_config(tmp_path), "M")
    assert made.card.native_format == "fp4"
    assert (
        made.card.kept_16bit_params_b_fp4
        > made.card.kept_16bit_params_b + 0.9 * made.parts["attention"] / 1e9
    )


# Layers unlike each other -------------------------------------------------------------------------------------------------------

FULL, NONE = {"n_heads_in_group": 8, "no_op": False}, {"n_heads_in_group": None, "no_op": True}
# Widths of nvidia/Llama-3_3-Nemotron-Super-49B-v1 by how many layers have them; 49 of 80 layers attend.
WIDTHS = {5.25: 49, 1.3125: 10, 1.0: 8, 2.625: 6, 0.5: 6, 3.28125: 1}
SUPER = {
    "model_type": "nemotron-nas", "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64, "vocab_size": 128256,
    "intermediate_size": None, "num_key_value_heads": None, "tie_word_embeddings": False,
    "block_configs": [
        {"attention": FULL if i < 49 else NONE, "ffn": {"ffn_mult": mult, "no_op": False}}
        for i, mult in enumerate(mult for mult, n in WIDTHS.items() for _ in range(n))
    ],
}  # fmt: skip


def test_layers_that_a_search_made_are_counted_one_by_one():
    made = count(SUPER)
    assert sum(made.parts.values()) == pytest.approx(49.9e9, rel=0.01)  # as published
    assert (made.card.layers, made.card.full_attention_layers, made.card.kv_heads) == (80, 49, 8)


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        (SUPER["block_configs"][:79], "79 layers"),
        ("x", "no layers"),
        ([{"ffn": {"ffn_mult": 1.0}}] * 80, "no 'attention'"),
        ([{"attention": FULL, "ffn": {"ffn_mult": -1}}] * 80, "ffn_mult"),
        ([{"attention": {"n_heads_in_group": 0}, "ffn": {"ffn_mult": 1.0}}] * 80, "n_heads_in_group"),
        ([{"attention": NONE, "ffn": {"ffn_mult": 1.0}}] * 80, "no layer of block_configs has attention"),
    ],
)
def test_blocks_that_contradict_themselves_are_refused(blocks, words):
    with pytest.raises(CardError, match=words):
        count({**SUPER, "block_configs": blocks})
