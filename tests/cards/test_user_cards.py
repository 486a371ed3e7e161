"""A user's own cards, and what is said of those that are wrong."""

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.errors import CardError

GPU = """
[hardware.{name}]
{more}
memory_gb = 24
bandwidth_gb_per_s = 1000
fp16_tflops = 100
link_gb_per_s = 32
source = "measured here"
"""

VERIFIER = """
family = "mine"
[verifier.'Mine-7B']
params_b = 7.0
layers = 32
hidden_size = 4096
attention_heads = 32
kv_heads = 8
head_dim = 128
vocab_size = 32000
source = "own model"
{more}
"""

MOE = "active_params_b = 2.0\nn_experts = 64\ntop_k_experts = 8\nexpert_params_b = 5.7"


def folder(tmp_path, text, name="mine.toml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_users_card_is_added(tmp_path):
    cards = load_cards(folder(tmp_path, GPU.format(name="MyGPU", more='aliases = ["mg1"]')))
    assert cards.hardware("MG1").bandwidth_bytes_per_s == 1e12
    assert cards.hardware("H100").name == "H100-SXM"


@pytest.mark.parametrize("name", ["H100-SXM", "h100"])
def test_a_users_card_replaces_the_shipped_one_under_all_of_its_names(tmp_path, name):
    cards = load_cards(folder(tmp_path, GPU.format(name=name, more="")))
    for alias in ("H100-SXM", "h100", "H100-SXM-80GB"):
        assert cards.hardware(alias).bandwidth_bytes_per_s == 1e12
    assert cards.hardware("H200").bandwidth_bytes_per_s == 4.8e12


def test_a_users_family(tmp_path):
    cards = load_cards(folder(tmp_path, VERIFIER.format(more=MOE)))
    mine = cards.verifier("mine-7b")
    assert mine.is_moe
    assert mine.family == "mine"
    assert cards.families["mine"].verifiers == ("Mine-7B",)


def test_priors_beside_the_cards_are_not_read_as_cards(tmp_path):
    folder(tmp_path, "[part]\nx = 1\n", name="priors.toml")
    load_cards(folder(tmp_path, GPU.format(name="MyGPU", more="")))


def test_cards_are_frozen():
    card = load_cards().hardware("H100")
    with pytest.raises(Exception, match="frozen"):
        card.memory_gb = 1.0


@pytest.mark.parametrize(
    ("kind", "name", "offers"),
    [
        ("hardware", "H1000", "H100-SXM"),
        ("hardware", "quantum", "known: A10"),
        ("verifier", "llama-3.3-70", "Llama-3.3-70B-Instruct"),
        ("drafter", "EAGLE3-LLaMA3.1-Instruct-8", "EAGLE3-Llama-3.1-8B"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(kind, name, offers):
    with pytest.raises(CardError, match=f"{kind}.*{name}.*{offers}.*--models DIR"):
        getattr(load_cards(), kind)(name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("= broken", "not valid TOML"),
        ("[gpu.X]\nmemory_gb = 1", r"unknown section \[gpu\]"),
        ("[hardware]\nmemory_gb = 1", "must hold named entries"),
        (GPU.format(name="A.b", more=""), "needs quotes"),
        (GPU.format(name="X", more="memory_gib = 3"), "memory_gib: unknown key; did you mean memory_gb"),
        (GPU.format(name="X", more="fp8_tflops = -1"), "fp8_tflops: .*greater than 0"),
        (GPU.format(name="X", more="fp8_tflops = nan"), "fp8_tflops: "),
        (GPU.format(name="X", more="fp8_tflops = inf"), "fp8_tflops: .*finite"),
        (GPU.format(name="X", more='fp8_tflops = "100"'), "fp8_tflops: .*number"),
        (GPU.format(name="X", more="name = 'Y'"), "name: not a key"),
        (GPU.format(name="X", more="").replace("memory_gb = 24\n", ""), "memory_gb: Field required"),
        (GPU.format(name="X", more="").replace('source = "measured here"', ""), "source: Field required"),
        (GPU.format(name="X", more="") + GPU.format(name="Y", more="aliases=['x']"), "already one of 'X'"),
        (VERIFIER.format(more="").replace('family = "mine"', ""), "no family"),
        (VERIFIER.format(more="").replace('"mine"', "3"), "family must be a text"),
        (VERIFIER.format(more="n_experts = 8\nexpert_params_b = 4.0"), "go together"),
        (VERIFIER.format(more=MOE.replace("= 8", "= 65")), "top_k_experts 65 is more than n_experts 64"),
        (
            VERIFIER.format(more=MOE.replace("expert_params_b = 5.7", "")),
            "expert_params_b goes with n_experts",
        ),
        (VERIFIER.format(more=MOE.replace("2.0", "0.5")), "active_params_b is not the dense part"),
        (VERIFIER.format(more="active_params_b = 8.0"), "active_params_b is more than params_b"),
        (VERIFIER.format(more="active_params_b = 3.0"), "n_experts is missing"),
        (VERIFIER.format(more="latent_dim = 576"), "either kv_heads and head_dim, or latent_dim"),
        (VERIFIER.format(more="").replace("kv_heads = 8\n", ""), "either kv_heads and head_dim"),
        (VERIFIER.format(more="full_attention_layers = 33"), "more than layers"),
        (VERIFIER.format(more="kept_16bit_params_b = 7.5"), "outside the experts"),
        (VERIFIER.format(more="format_means = {fp4 = 'fp3'}"), r"format_means: no \[weights.'fp3'\]"),
        (VERIFIER.format(more="").replace("= 32\n", "= 0\n"), "layers: .*greater than or equal to 1"),
        ("[drafter.d]\nmethod='eagle'\nparams_b=0\nsource='s'", "params_b is 0, which method eagle"),
        ("[drafter.d]\nmethod='ngram'\nparams_b=1\nsource='s'", "params_b is 1, which method ngram"),
        ("[drafter.d]\nmethod='magic'\nparams_b=1\nsource='s'", "method: "),
        (
            "[drafter.d]\nmethod='eagle'\nparams_b=1\nsource='s'\nverifiers=['Llama-9']",
            r"no \[verifier.'Llama-9'\]",
        ),
    ],
)
def test_a_wrong_card_is_one_error_that_says_where(tmp_path, text, says):
    with pytest.raises(CardError, match=says) as caught:
        load_cards(folder(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "mine.toml" in str(caught.value) or "[" in str(caught.value)


def test_folders_and_files_that_cannot_be_read(tmp_path):
    with pytest.raises(CardError, match="no such folder"):
        load_cards(tmp_path / "nowhere")
    with pytest.raises(CardError, match=r"no \.toml card"):
        load_cards(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CardError, match="not UTF-8"):
        load_cards(tmp_path)
