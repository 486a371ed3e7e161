"""Hardware and formats that are said by their numbers."""

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.cards.record import canonical
from bayes_sd.errors import CardError


@pytest.fixture(scope="module")
def cards():
    return load_cards()


def test_hardware_by_its_numbers(cards):
    gpu = cards.hardware("MyGPU(memory_gb=24, bandwidth_gb_per_s=1008, fp16_tflops=165)")
    assert gpu.memory_bytes == 24e9
    assert gpu.bandwidth_bytes_per_s == 1.008e12
    assert gpu.flop_rate("fp8") == gpu.flop_rate("fp16") == 165e12
    assert gpu.link_bytes_per_s(2) == 32e9
    assert cards.hardware(gpu.name) == gpu  # the canonical name means itself


def test_numbers_in_place_of_a_cards(cards):
    gpu = cards.hardware("h100(memory_gb=94)")
    assert gpu.name == "H100-SXM(memory_gb=94)"
    assert gpu.memory_gb == 94
    assert gpu.fp8_tflops == cards.hardware("h100").fp8_tflops


def test_columns_of_a_row_make_the_same(cards):
    row = {
        "hardware": "MyGPU",
        "memory_gb": 24.0,
        "bandwidth_gb_per_s": 1008.0,
        "fp16_tflops": 165.0,
        "fp8_tflops": None,
    }
    values, words = canonical(row)
    assert values["hardware"] == "MyGPU(memory_gb=24 bandwidth_gb_per_s=1008 fp16_tflops=165)"
    assert "memory_gb" not in values
    assert words
    assert cards.hardware(values["hardware"]).fp16_tflops == 165


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("X(memory_gb=24)", "bandwidth_gb_per_s, fp16_tflops is not stated"),
        (
            "X(memory_gb=24 bandwidth_gb_per_s=3.35 fp16_tflops=900)",
            "bandwidth_gb_per_s is 3.35.*off by 1000",
        ),
        ("X(memory_gb=81559 bandwidth_gb_per_s=3350 fp16_tflops=900)", "memory_gb is 81559.*off by 1000"),
        ("X(memory_gb=24 bandwidth_gb_per_s=3350 fp16_tflops=989400)", "fp16_tflops is 989400"),
        ("X(memory=24)", "did you mean memory_gb"),
        ("X(memory_gb=lots bandwidth_gb_per_s=1 fp16_tflops=1)", "'lots', not a number"),
        ("X(memory_gb=nan bandwidth_gb_per_s=100 fp16_tflops=1)", "memory_gb"),
        ("h100(memory_gb=-1)", "memory_gb"),
    ],
)
def test_numbers_that_no_hardware_has(cards, text, says):
    with pytest.raises(CardError, match=says) as caught:
        cards.hardware(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "bits", "kv_bytes"),
    [
        ("4.5bit", "w:4.5bit kv:fp16", 4.5, 2),
        ("3-bit", "w:3bit kv:fp16", 3, 2),
        ("w:6bpw kv:8bit", "w:6bit kv:8bit", 6, 1),
        ("bitsandbytes", "w:bnb-4bit kv:fp16", 4.5, 2),
        ("gptq-3bit", "w:gptq-3bit kv:fp16", 3.25, 2),
        ("q4_k_m", "w:q4_k_m kv:fp16", 4.89, 2),
        ("w:q8_0 kv:fp8", "w:w8a16 kv:fp8", 8, 1),
    ],
)
def test_formats_by_their_bits(cards, text, name, bits, kv_bytes):
    precision = cards.precision(text)
    assert precision.name == name
    assert precision.weights.bits_per_param == bits
    assert precision.kv.bytes_per_element == kv_bytes
    assert precision.compute == "fp16"
    assert cards.precision(precision.name) == precision


@pytest.mark.parametrize("text", ["0bit", "64bit", "w:fp8 kv:99bit"])
def test_bits_that_no_format_has(cards, text):
    with pytest.raises(CardError, match=r"must be from 0.5 to 32"):
        cards.precision(text)


def test_a_table_may_state_hardware_by_numbers(tmp_path, cards):
    from bayes_sd.measurements import read_conditions

    path = tmp_path / "conditions.csv"
    path.write_text(
        "verifier,hardware,memory_gb,bandwidth_gb_per_s,fp16_tflops,is_moe,prompt_tokens,output_tokens,load_kind,load_value\n"
        "Qwen3-8B-FP8,MyGPU,24,1008,165,0.0,100,100,rate,1\n"
        "Qwen3-8B,H100,,,,False,100,100,rate,1\n"
    )
    frame = read_conditions(path)
    assert list(frame["precision"]) == ["fp8", ""]
    assert cards.hardware(frame["hardware"][0]).memory_gb == 24
    assert cards.hardware(frame["hardware"][1]).name == "H100-SXM"
    assert len(frame.attrs["understood"]) == 2
