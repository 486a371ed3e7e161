"""The commands `card` and `cards`, as a user runs them."""

import json

import pytest
from click.testing import CliRunner

from bayes_sd.cards import load_cards
from bayes_sd.cli import command
from bayes_sd.errors import BayesSdError

CONFIG = {
    "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048, "num_hidden_layers": 48,
    "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144,
    "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151936,
    "tie_word_embeddings": False, "num_nextn_predict_layers": 1,
}  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "Mine-30B-A3B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def run(*words):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=True)


def refused(*words):
    result = run(*words)
    assert isinstance(result.exception, BayesSdError)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_from_a_config_to_cards_that_are_used(checkpoint, tmp_path):
    out = tmp_path / "models" / "mine.toml"
    result = run("card", checkpoint, "--output", out)
    assert result.exit_code == 0, result.output
    assert "routed experts" in result.output
    cards = load_cards(out.parent)
    assert cards.verifier("Mine-30B-A3B-FP8").params_b == pytest.approx(30.53, rel=0.001)
    assert cards.verifier("Mine-30B-A3B").family == "mine"
    own = cards.drafter_from_row({"verifier": "Mine-30B-A3B", "method": "mtp", "drafter": "native MTP"})
    assert (own.name, own.estimated) == ("Mine-30B-A3B-MTP", False)
    shown = run("cards", "Mine-30B", "--models", out.parent)
    assert "30.5e9 parameters, 3.0 active" in shown.output


def test_a_file_that_is_there_is_kept(checkpoint, tmp_path):
    out = tmp_path / "mine.toml"
    out.write_text("mine")
    assert "--force" in refused("card", checkpoint, "--output", out)
    assert out.read_text() == "mine"
    assert run("card", checkpoint, "--output", out, "--force").exit_code == 0
    assert "[verifier.Mine-30B-A3B]" in out.read_text()


def test_without_output_the_card_is_printed(checkpoint, tmp_path):
    text = run("card", checkpoint / "config.json", "--name", "Other", "--family", "others").stdout
    (tmp_path / "x.toml").write_text(text)
    assert load_cards(tmp_path).verifier("Other").family == "others"


def test_json(checkpoint):
    said = json.loads(run("card", checkpoint, "--json").stdout)
    assert [card["name"] for card in said["cards"]] == ["Mine-30B-A3B", "Mine-30B-A3B-MTP"]
    assert said["parts"]["routed experts"] == 48 * 128 * 3 * 2048 * 768
    listed = json.loads(run("cards", "Qwen3-8B", "--section", "verifier", "--json").stdout)
    assert listed["verifier"][0]["name"] == "Qwen3-8B"


def test_a_drafters_config(checkpoint, tmp_path):
    result = run(
        "card",
        checkpoint,
        "--method",
        "draft_model",
        "--verifier",
        "Qwen3-235B-A22B",
        "--name",
        "D",
        "--json",
    )
    card = json.loads(result.stdout)["cards"][0]
    assert (card["method"], card["verifiers"]) == ("draft_model", ["Qwen3-235B-A22B"])
    assert card["active_params_b"] < 4 < card["params_b"]


def test_weights_that_fit_and_that_do_not(checkpoint):
    assert "fit on 1 x H100-SXM" in run("card", checkpoint, "--hardware", "h100", "--precision", "fp8").output
    assert "61.1 GB of weights, and 2 x RTX-4090 hold 48.0 GB" in refused(
        "card", checkpoint, "--hardware", "RTX 4090", "--tp", 2
    )
    assert (
        "fit on 1 x Big("
        in run(
            "card", checkpoint, "--hardware", "Big(memory_gb=90 bandwidth_gb_per_s=500 fp16_tflops=50)"
        ).output
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "vocab_size"], "write it as FIELD=VALUE"),
        (["--set", "vocab_size=many"], "vocab_size is 'many'"),
        (["--set", "num_key_value_heads=5"], "not a multiple"),
        (["--set", "hidden_size=2048000"], "another unit"),
        (["--safetensors-index", "none.json"], "no such file"),
        (["--hardware", "H1000"], "H100-SXM"),
        (["--method", "mlp_speculator"], "no field 'n_predict'"),
    ],
)
def test_bad_input(checkpoint, words, says):
    assert says in refused("card", checkpoint, *words)


def test_nothing_there(tmp_path):
    assert "no such file" in refused("card", tmp_path / "config.json")
    assert "no such file" in refused("card", tmp_path / "x.gguf")


def test_cards_lists_everything_and_offers_the_nearest():
    everything = run("cards", "--all").output
    for name in ("Qwen3-235B-A22B", "GB10", "DeepSeek-MTP", "w4a16"):
        assert name in everything
    near = run("cards", "Llama-4-Behemoth-2T").output
    assert "No card is named" in near
    assert near.index("Llama-4-Maverick") < near.index("Llama-4-Scout")
    assert "Llama-3.2-1B" not in near
