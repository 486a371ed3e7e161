"""A weights index set against the config that it goes with."""

import json

import pytest

from bayes_sd.cards.checkpoint import check_index, read_index
from bayes_sd.cards.checkpoint.config import config_of
from bayes_sd.cards.checkpoint.index import expected_bytes
from bayes_sd.errors import CardError

CONFIG = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "intermediate_size": 14336, "vocab_size": 128256, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip
BYTES = 2 * 8_030_261_248


def index(layers=32, size=BYTES, head=True, more=()):
    names = [f"model.layers.{i}.self_attn.q_proj.weight" for i in range(layers)]
    names += ["model.embed_tokens.weight", *(["lm_head.weight"] if head else []), *more]
    return {"metadata": {"total_size": size}, "weight_map": dict.fromkeys(names, "model-00001.safetensors")}


def config(**more):
    return config_of({**CONFIG, **more}, "config.json")


def test_an_index_that_belongs_to_its_config():
    assert check_index(config(), index(), "index.json") == [
        "32 layers",
        "16.06 GB of weights, 16.06 GB counted",
    ]
    assert check_index(config(), {**index(), "metadata": None}, "index.json") == ["32 layers"]


def test_a_tower_for_images_and_layers_that_draft_may_take_more():
    check_index(config(), index(size=BYTES + 1e9, more=["visual.blocks.0.attn.qkv.weight"]), "index.json")
    check_index(config(num_nextn_predict_layers=1), index(layers=33, size=1.03 * BYTES), "index.json")


def test_a_quantised_checkpoint():
    fp8 = config(quantization_config={"quant_method": "fp8"})
    size = 2 * 2 * 128256 * 4096 + (8_030_261_248 - 2 * 128256 * 4096)
    assert expected_bytes(fp8) == pytest.approx(size, rel=0.01)
    check_index(fp8, index(size=size), "index.json")


@pytest.mark.parametrize(
    ("settings", "made", "says"),
    [
        ({}, {"layers": 28}, "it has 28 layers where config.json says num_hidden_layers 32"),
        ({}, {"layers": 33}, "33 layers"),
        ({}, {"size": BYTES / 2}, "8.03 GB where config.json makes 16.06 GB"),
        ({}, {"size": BYTES * 1.2}, "two checkpoints"),
        ({"quantization_config": {"quant_method": "fp8"}}, {}, "two checkpoints"),
        ({}, {"head": False}, "no output layer in it"),
    ],
)
def test_an_index_of_another_checkpoint(settings, made, says):
    with pytest.raises(CardError, match=says) as caught:
        check_index(config(**settings), index(**made), "index.json")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_index(tmp_path):
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"weight_map": {}}))
    with pytest.raises(CardError, match="no weight_map"):
        read_index(path)
