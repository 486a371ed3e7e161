import pytest

from bayes_sd.cards import load_cards
from bayes_sd.errors import CardError


@pytest.fixture(scope="module")
def cards():
    return load_cards()


@pytest.mark.parametrize(
    ("text", "name", "weight_bytes", "kv_bytes", "compute"),
    [
        ("bf16", "w:fp16 kv:fp16", 2, 2, "fp16"),
        ("W:FP16  KV:fp16", "w:fp16 kv:fp16", 2, 2, "fp16"),
        ("fp8", "w:fp8 kv:fp8", 1, 1, "fp8"),
        ("fp4", "w:fp4 kv:fp8", 4.5 / 8, 1, "fp4"),
        ("mxfp4", "w:mxfp4 kv:fp16", 4.25 / 8, 2, "fp4"),
        ("awq", "w:w4a16 kv:fp16", 4.25 / 8, 2, "fp16"),
        ("w:gptq kv:fp8", "w:w4a16 kv:fp8", 4.25 / 8, 1, "fp16"),
        ("kv:fp8 w:int8", "w:int8 kv:fp8", 1, 1, "int8"),
        ("eager w:fp16 kv:fp16", "w:fp16 kv:fp16 eager", 2, 2, "fp16"),
    ],
)
def test_precision_words(cards, text, name, weight_bytes, kv_bytes, compute):
    precision = cards.precision(text)
    assert precision.name == name
    assert precision.weights.bytes_per_param == weight_bytes
    assert precision.kv.bytes_per_element == kv_bytes
    assert precision.compute == compute
    assert precision.eager == ("eager" in text)
    assert cards.precision(precision.name) == precision  # the canonical name means itself


def test_a_verifier_says_what_a_format_means_for_it(cards):
    assert cards.precision("fp4", verifier="gpt-oss-120b").name == "w:mxfp4 kv:fp16"
    assert cards.precision("fp4", verifier="Llama-3.3-70B").name == "w:fp4 kv:fp8"
    assert cards.precision("fp4", verifier="no such card").name == "w:fp4 kv:fp8"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no weight format"),
        ("kv:fp8", "names no weight format"),
        ("fp9", "did you mean"),
        ("w:fp8 kv:q4", "no cache format"),
        ("fp8 fp8", "one format too many"),
        ("w:fp8 kv:fp8 kv:fp16", "one format too many"),
        ("x:fp8", "'x' is not known"),
    ],
)
def test_bad_precision(cards, text, says):
    with pytest.raises(CardError, match=says):
        cards.precision(text)
