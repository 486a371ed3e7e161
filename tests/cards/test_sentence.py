"""A condition in one line."""

import json
from pathlib import Path

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.cards.sentence import read_sentence, restate
from bayes_sd.errors import CardError


@pytest.fixture(scope="module")
def cards():
    return load_cards()


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (
            "Qwen3-30B-A3B fp8 on 2xH100 sglang eagle3 k=3 at 8 req/s, 1k in 256 out",
            {
                "verifier": "Qwen3-30B-A3B", "precision": "fp8", "hardware": "H100", "tp": 2, "engine": "sglang",
                "method": "eagle3", "k": 3, "load_kind": "rate", "load_value": 8, "prompt_tokens": 1024, "output_tokens": 256,
            },
        ),
        (
            "Llama-3.3-70B-Instruct-FP8 on 4 x H200, vllm-0.11.0, 32 clients, 2000/500",
            {
                "verifier": "Llama-3.3-70B-Instruct", "precision": "fp8", "hardware": "H200", "tp": 4, "engine": "vllm-0.11.0",
                "load_kind": "concurrency", "load_value": 32, "prompt_tokens": 2000, "output_tokens": 500,
            },
        ),
        (
            "Qwen3-14B with Qwen3-0.6B k=5 on NVIDIA GeForce RTX 4090 acceptance 70%",
            {
                "verifier": "Qwen3-14B", "drafter": "Qwen3-0.6B", "method": "draft_model", "k": 5,
                "hardware": "NVIDIA GeForce RTX 4090", "acceptance": 0.7,
            },
        ),
        (
            "gpt-oss-120b mxfp4 on 8xMI355X tp=4 workload chat E=2.4 poisson 1.5 rps",
            {
                "verifier": "gpt-oss-120b", "precision": "mxfp4", "hardware": "MI355X", "tp": 4, "workload": "chat",
                "mean_accepted_len": 2.4, "arrivals": "poisson", "load_kind": "rate", "load_value": 1.5,
            },
        ),
        ("draft-model", {"method": "draft_model"}),
        ("TensorRT-LLM 1.2.0", {"engine": "trtllm-1.2.0"}),
        ("lmsysorg/sglang:v0.5.12-cu130 mtp", {"engine": "sglang-0.5.12", "method": "mtp"}),
        ("dynamo-sglang", {"engine": "dynamo-sglang"}),
    ],
)  # fmt: skip
def test_what_a_line_says(cards, text, columns):
    if "8xMI355X tp=4" in text:
        with pytest.raises(CardError, match="tp twice"):
            read_sentence(text, cards)
        text = text.replace("8xMI355X", "MI355X")
    assert read_sentence(text, cards) == columns


def test_what_was_understood_can_be_read_again(cards):
    said = read_sentence("Qwen3-8B-AWQ on 2xL40S 16 clients 1k in 128 out k=2 eagle3", cards)
    for part in (
        "k=2",
        "precision=w4a16",
        "prompt_tokens=1024",
        "verifier=Qwen3-8B",
        "tp=2",
        "method=eagle3",
    ):
        assert part in restate(said).split(", ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Qwen3-8B on a toaster", "'toaster' is not understood"),
        ("Qwen9-8B on H100", "'Qwen9-8B' is not understood"),
        ("Qwen3-8B k=3 k=4", "says k twice"),
        ("Qwen3-8B fp8 w4a16", "says precision twice"),
        ("Qwen3-8B at 8 req/s 16 clients", "says load_kind twice"),
        ("Qwen3-8B concurrency on H100", "concurrency has no number"),
        ("Qwen3-8B 17 on H100", "'17' is not understood"),
    ],
)
def test_what_means_nothing_is_refused(cards, text, says):
    with pytest.raises(CardError, match=says) as caught:
        read_sentence(text, cards)
    assert "\n" not in str(caught.value)


# Lines as engineers write them, with what each says, looked over one by one; or the words by which it is asked back.
WRITTEN = json.loads((Path(__file__).parent / "sentences.json").read_text())


def test_most_lines_are_understood():
    assert len(WRITTEN) >= 120
    assert sum("says" in line for line in WRITTEN) >= 0.65 * len(WRITTEN)


@pytest.mark.parametrize("line", WRITTEN, ids=lambda line: line["text"])
def test_lines_as_engineers_write_them(cards, line):
    if "refused" in line:
        with pytest.raises(CardError) as caught:
            read_sentence(line["text"], cards)
        assert line["refused"] in str(caught.value)
        assert "\n" not in str(caught.value)
    else:
        assert read_sentence(line["text"], cards) == line["says"]
