"""Names of models and GPUs from benchmark tables, model hubs and schedulers, and what must not be taken for them."""

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.cards.record import canonical
from bayes_sd.errors import CardError
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.schema import BY_NAME


@pytest.fixture(scope="module")
def cards():
    return load_cards()


@pytest.mark.parametrize(
    ("written", "meant", "weights"),
    [
        ("Llama 3.3 70B Instruct FP8", "Llama-3.3-70B-Instruct", "fp8"),
        ("Llama3.1-8B w8a8 int8", "Llama-3.1-8B-Instruct", "int8"),
        ("Llama-3.1-70B-Instruct-exl2 4.5bpw", "Llama-3.1-70B-Instruct", "4.5bit"),
        ("Qwen3-32B-4_25bpw-h6-exl3", "Qwen3-32B", "4.25bit"),
        ("unsloth/DeepSeek-R1-0528-GGUF:UD-Q2_K_XL", "DeepSeek-R1-0528", "q2_k_xl"),
        ("Qwen3-30B-A3B-Thinking-2507-UD-Q4_K_XL", "Qwen3-30B-A3B", "q4_k_xl"),
        ("DeepSeek-R1-W8A8-channel-INT8", "DeepSeek-R1-0528", "int8"),
        ("gpt-oss-120b (high)", "gpt-oss-120b", None),
        ("DeepSeek-V3.1 (non-thinking)", "DeepSeek-V3.1", None),
        ("llama2-70b-99.9", "Llama-2-70b-chat", None),
        ("minimaxm2.5-fp4", "MiniMax-M2.5", "fp4"),
        ("glm4.5air", "GLM-4.5-Air", None),
        ("Qwen2.5-14B-Instruct-1M", "Qwen2.5-14B-Instruct", None),
        ("Hermes-3-Llama-3.1-405B-FP8", "Llama-3.1-405B-Instruct", "fp8"),
        ("Nous-Hermes-2-Mixtral-8x7B-DPO", "Mixtral-8x7B-Instruct-v0.1", None),
    ],
)
def test_models(cards, written, meant, weights):
    row, _ = canonical({"verifier": written})
    assert cards.verifier(row["verifier"]).name == meant
    assert row.get("precision") == weights
    if weights is not None:
        cards.precision(weights, meant)


@pytest.mark.parametrize(
    "other",
    [
        *(
            "Mini-Llama-3.1-8B",
            "Pruned-Llama-3.1-8B",
            "EAGLE-Llama-3.1-8B",
            "draft-Llama-3.2-1B",
            "MoE-Mistral-7B",
        ),
        *(
            "4x-Llama-3-8B",
            "Sheared-LLaMA-1.3B",
            "GLM-4.6-REAP-218B-A32B-FP8",
            "gpt-oss-120b-Eagle3-long-context",
        ),
        *("mistral-medium", "qwen3.5", "gpt-oss", "fast Llama-3.1-8B"),
    ],
)
def test_another_shape_is_no_tuning(cards, other):
    with pytest.raises(CardError):
        cards.verifier(canonical({"verifier": other})[0]["verifier"])


@pytest.mark.parametrize(
    ("written", "meant", "count"),
    [
        ("RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000-Server", None),
        ("AMD Instinct MI325X-256GB-1000W x 8", "MI325X", 8),
        ("NVIDIA GB200-GraceBlackwell x 4", "GB200", 4),
        ("RTX 6000 Blackwell", "RTX-PRO-6000", None),
        ("4 NVIDIA H100 PCIe", "H100-PCIe", 4),
        ("8 A100", "A100-SXM-80GB", 8),
        ("2x3090", "RTX-3090", 2),
        ("2x3090 Ti", "RTX-3090-Ti", 2),
        ("H100:4", "H100-SXM", 4),
        ("NVIDIA A100-SXM4-80GB (1 GPU)", "A100-SXM-80GB", 1),
        ("H100 (TP=4)", "H100-SXM", 4),
        ("1x8 H200", "H200-SXM", 8),
        ("TPU v5e-8", "TPU-v5e", 8),
        ("80GB A100", "A100-SXM-80GB", None),
        ("RTX 5060 Ti 16GB", "RTX-5060-Ti", None),
    ],
)
def test_hardware(cards, written, meant, count):
    row, _ = canonical({"hardware": written})
    assert cards.hardware(row["hardware"]).name == meant
    assert row.get("n_gpu") == count


@pytest.mark.parametrize(
    "other", ["RTX 6000", "Blackwell", "8 GPUs", "40 GB A100 x", "A6000 Ada", "TPU v5p-8", "2x8xH100"]
)
def test_what_names_no_gpu_is_refused(cards, other):
    with pytest.raises(CardError):
        cards.hardware(canonical({"hardware": other})[0]["hardware"])


def test_a_draft_models_size_stands_in_its_name(cards):
    row = {"verifier": "Llama-2-70b-chat", "method": "draft_model", "drafter": "TinyDraft-1.1B"}
    assert cards.drafter_from_row(row).params_b == 1.1
    for unclear in ("TinyDraft", "Draft-8x1B", "Draft-30B-A3B"):
        with pytest.raises(CardError, match="drafter_params_b"):
            cards.drafter_from_row(row | {"drafter": unclear})


@pytest.mark.parametrize(
    ("written", "method", "k"),
    [
        ("MTP-3", "mtp", 3),
        ("mtp3", "mtp", 3),
        ("EAGLE-3 (k=4)", "eagle3", 4),
        ("MTP (1)", "mtp", 1),
        ("ngram (prompt lookup)", "ngram", None),
        ("None (baseline)", "none", None),
        ("draft-target", "draft_model", None),
        ("EAGLE3", "eagle3", None),
    ],
)
def test_methods(written, method, k):
    row, _ = canonical({"method": parse_cell(written, BY_NAME["method"])})
    assert (row["method"], row.get("k")) == (method, k)


@pytest.mark.parametrize("word", ["speculative", "sd", "on", "speculative (fast)"])
def test_that_there_is_drafting_is_no_method(word):
    with pytest.raises(CellError, match="does not say how"):
        parse_cell(word, BY_NAME["method"])


def test_a_method_and_k_that_disagree_are_refused():
    with pytest.raises(CardError, match="says a draft length of 3 and k is 5"):
        canonical({"method": "mtp_3", "k": 5.0})
    assert canonical({"method": "mtp_3", "k": 3.0})[0]["k"] == 3


@pytest.mark.parametrize(
    ("written", "meant", "count"),
    [
        ("4xB200 (TP4)", "B200", 4),
        ("H20-141G*8", "H20-141GB", 8),
        ("Google TPU v6e-8", "TPU-v6e", 8),
        ("DGX Spark (GB10)", "GB10", None),
    ],
)
def test_counts_said_twice_and_sizes_without_b(cards, written, meant, count):
    row, _ = canonical({"hardware": written})
    assert cards.hardware(row["hardware"]).name == meant and row.get("n_gpu") == count


def test_counts_that_disagree_are_no_name(cards):
    with pytest.raises(CardError):
        cards.hardware(canonical({"hardware": "4xB200 (TP8)"})[0]["hardware"])
