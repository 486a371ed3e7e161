"""Cards counted from configs, against what was published of the checkpoints."""

import json
import math
from pathlib import Path

import pytest

from bayes_sd.cards import Drafter, load_cards
from bayes_sd.cards.checkpoint import as_toml, derive, read_config
from bayes_sd.cards.checkpoint.config import config_of
from bayes_sd.errors import CardError

# Fields of config.json as published with each checkpoint, and its published parameter count where one is known.
FACTS = json.loads((Path(__file__).parent / "checkpoints.json").read_text())
PUBLISHED = [name for name, fact in FACTS.items() if fact["published"]]

LLAMA = FACTS["Llama-3.1-8B-Instruct"]["config"]
MIXTURE = FACTS["Qwen3-30B-A3B"]["config"]


@pytest.fixture(scope="module")
def cards():
    return load_cards()


def count(name_or_config, name="M", **more):
    config = FACTS[name_or_config]["config"] if isinstance(name_or_config, str) else name_or_config
    return derive(config_of(config, "config.json"), name, "f", **more)


def test_enough_checkpoints_have_a_published_count():
    assert len(PUBLISHED) >= 60


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    assert sum(count(name).parts.values()) == pytest.approx(FACTS[name]["published"], rel=0.01)


@pytest.mark.parametrize(
    ("name", "active"),
    [
        ("Qwen3-30B-A3B", 3.3), ("Qwen3-235B-A22B", 22), ("Qwen3-Coder-480B-A35B-Instruct", 35), ("gpt-oss-120b", 5.13),
        ("gpt-oss-20b", 3.61), ("DeepSeek-V3", 37), ("Kimi-K2-Instruct", 32), ("GLM-4.5", 32), ("GLM-4.5-Air", 12),
        ("MiniMax-M2", 10), ("Llama-4-Maverick-17B-128E-Instruct", 17), ("Mixtral-8x7B-Instruct-v0.1", 12.9),
        ("Mistral-Small-4-119B-2603", 6.5), ("Qwen3.5-397B-A17B", 17), ("NVIDIA-Nemotron-3-Super-120B-A12B", 12.7),
    ],
)  # fmt: skip
def test_active_parameters_are_near_the_published_ones(name, active):
    # Published figures differ in what they count (embeddings, layers that draft) and are rounded to a billion.
    assert count(name).card.active_params_b == pytest.approx(active, rel=0.11)


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("Llama-3.1-8B-Instruct", 2 * 32 * 8 * 128),
        ("DeepSeek-V3", 61 * 576),
        ("gpt-oss-120b", 2 * 18 * 8 * 64),
        ("Qwen3-Next-80B-A3B-Instruct", 2 * 12 * 2 * 256),
        ("gemma-3-27b-it", 2 * 10 * 16 * 128),
        ("gemma-4-31B-it", 2 * 10 * 4 * 512),
        ("Llama-4-Scout-17B-16E-Instruct", 2 * 12 * 8 * 128),
        ("NVIDIA-Nemotron-3-Nano-30B-A3B", 2 * 6 * 2 * 128),
    ],
)
def test_cache_elements_a_token(name, elements):
    assert count(name).card.kv_elements_per_token == elements


def test_shipped_cards_are_what_their_configs_make(cards):
    checked = 0
    for name in FACTS:
        if not cards.has("verifier", name) or cards.verifier(name).name != name:
            continue
        listed, made = cards.verifier(name), count(name, name).card
        assert made.params_b == pytest.approx(listed.params_b, rel=0.002), name
        assert made.expert_params_b == pytest.approx(listed.expert_params_b, rel=0.002), name
        assert made.active_params_b == pytest.approx(listed.active_params_b, rel=0.02), name
        for field in (
            "layers",
            "full_attention_layers",
            "hidden_size",
            "kv_heads",
            "head_dim",
            "latent_dim",
            "vocab_size",
        ):
            assert getattr(made, field) == getattr(listed, field), (name, field)
        assert made.kept_16bit_params_b == pytest.approx(listed.kept_16bit_params_b, rel=0.01), name
        assert made.native_format == listed.native_format, name
        checked += 1
    assert checked >= 60


def test_a_written_card_is_read_back_as_it_was(tmp_path):
    made = count("DeepSeek-V3", "Mine-V3")
    text = as_toml([made.card, made.beside], "mine", "one\ntwo")
    (tmp_path / "mine.toml").write_text(text)
    read = load_cards(tmp_path)
    assert read.verifier("Mine-V3") == made.card.model_copy(update={"family": "mine"})
    assert read.drafter("Mine-V3-MTP") == made.beside.model_copy(update={"family": "mine"})


# What a quantised checkpoint keeps ----------------------------------------------------------------------------------------------


def test_without_a_quantization_config_the_embeddings_are_kept():
    assert count(LLAMA).card.kept_16bit_params_b == pytest.approx(2 * 128256 * 4096 / 1e9, rel=1e-3)
    assert count(LLAMA).card.native_format is None


@pytest.mark.parametrize(
    ("quantization", "native", "kept_modules"),
    [
        ({"quant_method": "fp8"}, "fp8", ()),
        (
            {"quant_method": "awq", "bits": 4, "modules_to_not_convert": ["self_attn"]},
            "w4a16",
            ("attention",),
        ),
        ({"quant_method": "gptq", "bits": 8}, "w8a16", ()),
        ({"quant_method": "gptq", "bits": 3}, "3bit", ()),
        (
            {"quant_method": "modelopt", "quant_algo": "NVFP4", "exclude_modules": ["*self_attn*"]},
            "fp4",
            ("attention",),
        ),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "w4a16", ()),
        (
            {
                "quant_method": "compressed-tensors",
                "ignore": ["lm_head", "re:.*self_attn.*"],
                "config_groups": {
                    "g": {"weights": {"num_bits": 8, "type": "float"}, "input_activations": {"num_bits": 8}}
                },
            },
            "fp8",
            ("attention",),
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "ignore": ["lm_head"],
                "config_groups": {
                    "g": {"weights": {"num_bits": 8, "type": "int"}, "input_activations": {"num_bits": 8}}
                },
            },
            "int8",
            (),
        ),
    ],
)
def test_what_a_quantization_config_says(quantization, native, kept_modules):
    made = count({**LLAMA, "quantization_config": quantization})
    assert made.card.native_format == native
    kept = made.parts["embedding"] + made.parts["output layer"] + made.parts["norms and biases"]
    kept += sum(made.parts[part] for part in kept_modules)
    narrow = made.card.kept_16bit_params_b_fp4
    stated = made.card.kept_16bit_params_b if narrow is None else narrow
    assert stated == pytest.approx(kept / 1e9, rel=1e-3)


def test_a_quantised_mixture_reads_fewer_bytes_than_its_16_bit_self(cards):
    kimi, sixteen = cards.verifier("Kimi-K2.5"), cards.precision("fp16")
    # Moonshot publishes K2-Thinking and K2.5 at 594 GB; scales of its group of 32 are finer than the card's.
    assert kimi.weight_bytes(cards.precision("w4a16")) == pytest.approx(594e9, rel=0.06)
    assert kimi.weight_bytes(sixteen) == pytest.approx(2 * 1026.4e9, rel=0.001)


# Drafters -----------------------------------------------------------------------------------------------------------------------


EAGLE3 = {
    "architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 1,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
    "draft_vocab_size": 32000,
}  # fmt: skip


def test_an_eagle3_head_is_the_listed_one(cards):
    made = count(EAGLE3, verifiers=("Llama-3.1-8B-Instruct",)).card
    listed = cards.drafter("yuhuili/EAGLE3-LLaMA3.1-Instruct-8B")
    assert isinstance(made, Drafter)
    assert (made.method, made.verifiers) == ("eagle3", listed.verifiers)
    assert made.step_bytes() == pytest.approx(listed.step_bytes(), rel=0.005)


def test_an_eagle_head_reads_the_verifiers_output_layer(cards):
    config = {k: v for k, v in EAGLE3.items() if k not in ("architectures", "draft_vocab_size")}
    made = count(config, method="eagle").card
    listed = cards.drafter("yuhuili/EAGLE-LLaMA3.1-Instruct-8B")
    assert made.params_b == pytest.approx(listed.params_b, rel=0.005)
    assert made.shared_params_b == pytest.approx(listed.shared_params_b, rel=0.005)


def test_a_speculators_config_keeps_its_layer_in_a_part():
    part = {k: v for k, v in EAGLE3.items() if k not in ("architectures", "draft_vocab_size")}
    whole = {"speculators_model_type": "eagle3", "draft_vocab_size": 32000, "transformer_layer_config": part}
    assert count(whole).card.params_b == count(EAGLE3).card.params_b


def test_own_layers_of_deepseek_are_the_listed_drafter(cards):
    made, listed = count("DeepSeek-V3").beside, cards.drafter("DeepSeek-MTP")
    assert made.method == "mtp"
    assert made.params_b == pytest.approx(listed.params_b, rel=0.01)
    assert made.active_params_b == pytest.approx(listed.active_params_b, rel=0.01)


def test_medusa_and_mlp_speculators():
    medusa = {
        "model_type": "medusa",
        "hidden_size": 4096,
        "vocab_size": 32000,
        "medusa_num_heads": 3,
        "medusa_num_layers": 1,
    }
    assert count(medusa).card.params_b == pytest.approx(3 * (4097 * 4096 + 4096 * 32000) / 1e9, rel=1e-3)
    mlp = {
        "model_type": "mlp_speculator",
        "n_predict": 4,
        "inner_dim": 3072,
        "emb_dim": 4096,
        "vocab_size": 128256,
    }
    made = count(mlp).card
    assert made.method == "mlp_speculator"
    assert 0 < made.active_params_b < made.params_b


def test_block_drafters():
    dflash = {**EAGLE3, "architectures": ["DFlashDraftModel"], "num_hidden_layers": 5}
    dflash.pop("draft_vocab_size")
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336
    made = count(dflash).card
    assert made.method == "dflash"
    assert made.params_b == pytest.approx((5 * layer + 5 * 4096**2) / 1e9, rel=0.001)
    dspark = {**dflash, "architectures": ["DSparkDraftModel"], "dflash_config": {"markov_rank": 256}}
    assert count(dspark).card.params_b - made.params_b == pytest.approx(2 * 128256 * 256 / 1e9, rel=0.01)


def test_a_whole_model_as_drafter(cards):
    made = count("Llama-3.2-1B-Instruct", method="draft_model").card
    assert made.step_bytes() == pytest.approx(cards.drafter("Llama-3.2-1B-Instruct").step_bytes(), rel=0.001)


# Bad input ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hidden_size": None}, "no field 'hidden_size'.*--set hidden_size=NUMBER"),
        ({"vocab_size": None}, "no field 'vocab_size'"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"num_hidden_layers": 32.5}, "num_hidden_layers is 32.5: it must be a whole number"),
        ({"num_hidden_layers": "32"}, "num_hidden_layers is '32'"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True"),
        ({"hidden_size": -4096}, "hidden_size is -4096"),
        ({"hidden_size": 4096000}, "more than any model has.*another unit"),
        ({"vocab_size": float("inf")}, "vocab_size is inf"),
        ({"hidden_size": 4100, "head_dim": None}, "not a multiple of num_attention_heads"),
        ({"num_key_value_heads": 5}, "not a multiple of num_key_value_heads 5"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"layer_types": ["full_attention"]}, "layer_types names 1 layers, num_hidden_layers 32"),
        ({"layer_types": ["who_knows"] * 32}, "'who_knows', which is not known"),
        ({"layer_types": "full"}, "layer_types must be a list of words"),
        ({"tie_word_embeddings": "no"}, "tie_word_embeddings is 'no'"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_counted(change, says):
    config = {k: v for k, v in {**LLAMA, **change}.items() if v is not None}
    with pytest.raises(CardError, match=says) as caught:
        count(config)
    assert "\n" not in str(caught.value)
    assert "config.json" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num_experts_per_tok": 200}, "200 experts a token of 128"),
        ({"num_experts_per_tok": None}, "no field 'top_k_experts'"),
        ({"moe_intermediate_size": None, "intermediate_size": None}, "moe_intermediate_size"),
    ],
)
def test_a_mixture_that_contradicts_itself(change, says):
    config = {k: v for k, v in {**MIXTURE, **change}.items() if v is not None}
    with pytest.raises(CardError, match=says):
        count(config)


def test_an_unknown_architecture_is_counted_from_its_shapes_and_says_so():
    made = count({**LLAMA, "model_type": "brand_new"})
    assert sum(made.parts.values()) == sum(count(LLAMA).parts.values())
    assert any("'brand_new' is not known" in note for note in made.notes)


def test_fields_of_ones_own_go_before_the_files(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in LLAMA.items() if k != "vocab_size"}))
    config = read_config(tmp_path, {"vocab_size": 128256})
    assert sum(derive(config, "M").parts.values()) == FACTS["Llama-3.1-8B-Instruct"]["published"]


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "not valid JSON"), ("[1]", "not a JSON object"), ("\ufeff{", "not valid JSON"), ("[" * 100000, "nested")],
)  # fmt: skip
def test_files_that_are_no_config(tmp_path, text, says):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CardError, match=says):
        read_config(tmp_path / "config.json")
    with pytest.raises(CardError, match="no such file"):
        read_config(tmp_path / "other.json")
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CardError, match="not UTF-8"):
        read_config(tmp_path / "b.json")


@pytest.mark.parametrize("name", list(FACTS))
def test_every_card_is_finite_and_consistent(name):
    card = count(name).card
    assert all(
        math.isfinite(v)
        for v in (card.params_b, card.active_params_b, card.launches, card.attention_flop_per_pair)
    )
    assert 0 < card.active_params_b <= card.params_b


@pytest.mark.parametrize("field", ["mamba_d_state", "conv_L_cache", "lru_width"])
def test_layers_that_nothing_counts_are_refused(field):
    with pytest.raises(CardError, match=f"'brand_new' has layers that are not counted .*{field}"):
        count({**LLAMA, "model_type": "brand_new", field: 4})


def test_as_transformers_5_writes_them():
    deepseek = FACTS["DeepSeek-V3.2"]["config"]
    named = {
        **deepseek,
        "layer_types": ["indexed_attention"] * 61,
        "mlp_layer_types": ["dense"] * 3 + ["sparse"] * 58,
    }
    assert count(named).parts == count(deepseek).parts
    nano = FACTS["NVIDIA-Nemotron-3-Nano-30B-A3B"]["config"]
    words = {"M": "linear_attention", "*": "full_attention", "E": "moe", "-": "mlp"}
    blocks = [words[letter] for letter in nano["hybrid_override_pattern"]]
    bare = {k: v for k, v in nano.items() if k not in ("hybrid_override_pattern", "num_hidden_layers")}
    assert count({**bare, "layers_block_type": blocks}).parts == count(nano).parts
    gemma = FACTS["gemma-4-31B-it"]["config"]
    part = {k: v for k, v in gemma["text_config"].items() if k != "global_head_dim"}
    own = {**gemma, "text_config": {**part, "per_layer_config": {"05": {"head_dim": 512}}}}
    assert count(own).parts == count(gemma).parts
    assert count(own).card.kv_elements_per_token == count(gemma).card.kv_elements_per_token


def test_a_synonym_or_the_fields_own_name_may_be_given():
    bare = {k: v for k, v in MIXTURE.items() if k != "num_experts_per_tok"}
    for name in ("top_k_experts", "num_experts_per_tok"):
        made = derive(config_of(bare, "config.json", {name: 8}), "M")
        assert made.card.active_params_b == count(MIXTURE).card.active_params_b


ODD = (None, "x", [], [1, "a"], {}, {"a": 1}, -1, 0, 1.5, True, 10**12, math.nan, math.inf)
MORE = (
    "quantization_config", "linear_attn_config", "per_layer_config", "compress_ratios", "attn_type_list", "mlp_only_layers",
    "sliding_window_pattern", "layer_types", "mlp_layer_types", "eagle_config", "tie_word_embeddings", "architectures",
)  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "Llama-3.1-8B-Instruct",
        "DeepSeek-V4-Flash",
        "Kimi-K2.5",
        "gemma-4-26B-A4B-it",
        "granite-4.0-h-small",
        "eagle3",
    ],
)
def test_any_value_in_any_field_gives_a_card_or_one_clear_line(name):
    whole = EAGLE3 if name == "eagle3" else FACTS[name]["config"]
    part = whole.get("text_config", whole)
    said = []
    for field in (*part, *MORE):
        for value in ODD:
            changed = {**part, field: value}
            config = {**whole, "text_config": changed} if "text_config" in whole else changed
            try:
                as_toml([count(config).card], "f")
            except CardError as error:
                said.append(str(error))
    assert said
    assert not [line for line in said if "\n" in line or "config.json" not in line]


@pytest.mark.parametrize(
    "wrong",
    [
        {"moe_layer_freq": "x"}, {"moe_layer_freq": [1]}, {"moe_layer_freq": 1.5}, {"moe_layer_freq": {}},
        {"moe_layers_enum": ""}, {"moe_layers_enum": "a,b"}, {"moe_layers_enum": "4,5,999"}, {"moe_layers_enum": [4, 5]},
        {"hybrid_layer_pattern": [1], "sliding_window": 128}, {"first_k_dense_replace": 999}, {"share_q_dim": 10**9},
        {"quantization_config": "fp8"}, {"quantization_config": ["fp8"]}, {"tie_word_embeddings": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_field_of_another_kind_is_refused_by_name(wrong):
    with pytest.raises(CardError) as caught:
        count({**MIXTURE, **wrong})
    field = next(iter(wrong))
    assert field in str(caught.value) or "no layer uses them" in str(caught.value)


def test_fields_of_layers_by_number_and_by_pattern():
    layers = MIXTURE["num_hidden_layers"]
    some = ",".join(map(str, range(4, layers)))
    assert count({**MIXTURE, "moe_layers_enum": some}).parts["dense feed-forward"] > 0
    windows = [0 if i % 6 == 0 else 1 for i in range(layers)]
    made = count({**MIXTURE, "hybrid_layer_pattern": windows, "sliding_window": 128})
    assert made.card.full_attention_layers == windows.count(0)


def test_keys_and_values_of_two_widths():
    made = count("MiMo-V2-Flash").card
    assert made.kv_elements_per_token == 9 * 4 * (192 + 128)
    assert made.attention_width == 64 * (192 + 128)
