"""Number formats in the many words of public tables."""

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.cards.formats import read_formats
from bayes_sd.cards.record import canonical
from bayes_sd.errors import CardError


@pytest.fixture(scope="module")
def cards():
    return load_cards()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("FP8 (E4M3)", "w:fp8 kv:fp8"), ("float8_e4m3fn", "w:fp8 kv:fp8"), ("FP8 block-wise (128x128)", "w:fp8 kv:fp8"),
        ("fp8 (dynamic)", "w:fp8 kv:fp8"), ("W8A8 (FP8)", "w:fp8 kv:fp8"), ("W8A8-INT8", "w:int8 kv:fp16"),
        ("fp4/fp8", "w:fp4 kv:fp8"), ("fp8/bf16", "w:fp8 kv:fp16"), ("BF16/FP16", "w:fp16 kv:fp16"), ("fp8/fp8", "w:fp8 kv:fp8"),
        ("BF16+FP8", "w:fp16 kv:fp8"), ("bf16 / fp8 kv", "w:fp16 kv:fp8"), ("BF16 weights, FP8 KV", "w:fp16 kv:fp8"),
        ("INT4 (GPTQ), FP8 KV cache", "w:w4a16 kv:fp8"), ("fp16 kv fp8", "w:fp16 kv:fp8"), ("w:fp8 kv:auto", "w:fp8 kv:fp16"),
        ("FP8 (E4M3) eager", "w:fp8 kv:fp8 eager"), ("AWQ 4-bit", "w:w4a16 kv:fp16"), ("GPTQ 4bit", "w:w4a16 kv:fp16"),
        ("int8 weight only", "w:w8a16 kv:fp16"), ("bitsandbytes int8", "w:w8a16 kv:fp16"), ("bnb nf4", "w:bnb-4bit kv:fp16"),
        ("EXL2 4.0bpw", "w:4bit kv:fp16"), ("HQQ 4-bit", "w:4bit kv:fp16"), ("4.5bit kv fp8", "w:4.5bit kv:fp8"),
        ("Q4_K - Medium", "w:q4_k_m kv:fp16"), ("IQ3_M", "w:iq3_m kv:fp16"), ("Q5_0", "w:q5_0 kv:fp16"),
        ("quark mxfp4", "w:mxfp4 kv:fp16"), ("torch.bfloat16", "w:fp16 kv:fp16"), ("MXFP8", "w:mxfp8 kv:fp16"),
    ],
)  # fmt: skip
def test_what_is_meant(cards, written, meant):
    assert cards.precision(written).name == meant
    assert cards.precision(meant).name == meant
    assert read_formats(read_formats(written)) == read_formats(written)


@pytest.mark.parametrize(
    "written", ["fp8 fp4", "fp8/bf16/fp8", "fp8 w:fp4", "a b c", "kv fp8", "()", "/", "w: kv:"]
)
def test_what_says_too_much_or_nothing_is_refused_in_its_own_words(cards, written):
    with pytest.raises(CardError) as caught:
        cards.precision(written)
    assert repr(written) in str(caught.value)


def test_a_users_own_format_goes_before_another_spelling(cards, tmp_path):
    (tmp_path / "own.toml").write_text(
        '[weights.fp8-block]\nbits_per_param = 9\ncompute = "fp8"\nkv = "fp8"\nsource = "mine"\n'
    )
    assert load_cards(tmp_path).precision("fp8_block").weights.bits_per_param == 9
    assert cards.precision("fp8_block").name == "w:fp8 kv:fp8"


def test_a_row_says_what_was_understood():
    values, words = canonical({"precision": "FP8 (E4M3)"})
    assert values["precision"] == "fp8"
    assert words == ["precision 'FP8 (E4M3)' is fp8"]
    assert canonical({"precision": "auto"})[0]["precision"] == ""
    assert canonical({"precision": "w:fp8 kv:fp8 eager"}) == ({"precision": "w:fp8 kv:fp8 eager"}, [])
