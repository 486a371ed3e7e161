"""Names as people write them."""

import math

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.cards.canonical import read_flag, split_format, stem
from bayes_sd.cards.engine_names import read_engine
from bayes_sd.cards.record import canonical
from bayes_sd.errors import CardError


@pytest.fixture(scope="module")
def cards():
    return load_cards()


@pytest.mark.parametrize(
    ("name", "base", "weights"),
    [
        ("Llama-3.1-8B-Instruct-FP8", "Llama-3.1-8B-Instruct", "fp8"),
        (
            "neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8-dynamic",
            "neuralmagic/Meta-Llama-3.1-8B-Instruct",
            "fp8",
        ),
        ("amd/Llama-3.1-405B-Instruct-FP8-KV", "amd/Llama-3.1-405B-Instruct", "fp8"),
        ("Qwen3-8B-AWQ", "Qwen3-8B", "w4a16"),
        ("Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "Meta-Llama-3.1-70B-Instruct", "w4a16"),
        ("Qwen2.5-7B-Instruct-GPTQ-Int4", "Qwen2.5-7B-Instruct", "w4a16"),
        ("Qwen2.5-7B-Instruct-GPTQ-Int8", "Qwen2.5-7B-Instruct", "w8a16"),
        ("RedHatAI/Qwen3-32B-quantized.w4a16", "RedHatAI/Qwen3-32B", "w4a16"),
        ("RedHatAI/Qwen3-32B-quantized.w8a8", "RedHatAI/Qwen3-32B", "int8"),
        ("nvidia/DeepSeek-R1-0528-NVFP4-v2", "nvidia/DeepSeek-R1-0528", "fp4"),
        ("Llama-3.3-70B-Instruct-MXFP4", "Llama-3.3-70B-Instruct", "mxfp4"),
        ("unsloth/Llama-3.3-70B-Instruct-bnb-4bit", "unsloth/Llama-3.3-70B-Instruct", "bnb-4bit"),
        ("Llama-3.1-8B-Instruct-Q4_K_M", "Llama-3.1-8B-Instruct", "q4_k_m"),
        ("gemma-3-27b-it-qat-q4_0-gguf", "gemma-3-27b-it", "q4_0"),
        ("NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "NVIDIA-Nemotron-3-Nano-30B-A3B", "fp16"),
        ("Qwen3-8B-GGUF", "Qwen3-8B", None),
        ("Qwen3-8B", "Qwen3-8B", None),
        ("gpt-oss-120b", "gpt-oss-120b", None),
        ("FP8", "FP8", None),
    ],
)
def test_a_format_at_the_end_of_a_models_name(cards, name, base, weights):
    assert split_format(name) == (base, weights)
    if weights is not None:
        cards.precision(weights)  # every format that a name may say has a card


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Qwen/Qwen3-30B-A3B-Instruct-2507-FP8", "Qwen3-30B-A3B"),
        ("Qwen3-235B-A22B-Thinking-2507", "Qwen3-235B-A22B"),
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama-3.1-8B-Instruct"),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "Llama-3.1-8B-Instruct"),
        ("casperhansen/llama-3-70b-instruct-awq", "Llama-3.1-70B-Instruct"),
        ("deepseek-ai/DeepSeek-V3.1-Terminus", "DeepSeek-V3.1"),
        ("DeepSeek-V3-0324", "DeepSeek-V3"),
        ("nvidia/DeepSeek-R1-0528-NVFP4-v2", "DeepSeek-R1-0528"),
        ("moonshotai/Kimi-K2-Instruct-0905", "Kimi-K2-Instruct"),
        ("google/gemma-3-27b-it-qat-q4_0-gguf", "gemma-3-27b-it"),
        ("mistralai/Mixtral-8x7B-v0.1", "Mixtral-8x7B-Instruct-v0.1"),
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
        ("Qwen3-4B-Base", "Qwen3-4B"),
        ("qwen3_8b", "Qwen3-8B"),
        ("llama3.1:8b-instruct-q4_K_M", "Llama-3.1-8B-Instruct"),
        ("gpt-oss:20b", "gpt-oss-20b"),
        ("bartowski/Qwen2.5-32B-Instruct-GGUF:Q4_K_M", "Qwen2.5-32B-Instruct"),
        ("Qwen3-8B (FP8)", "Qwen3-8B"),
        ("meta-llama/Llama-3.1-8B-Instruct [bf16]", "Llama-3.1-8B-Instruct"),
        ("accounts/fireworks/models/llama-v3p1-70b-instruct", "Llama-3.1-70B-Instruct"),
        ("llama-3-1-8b-instruct", "Llama-3.1-8B-Instruct"),
        ("LLaMA2-7B", "Llama-2-7b-chat"),
        ("Qwen 2.5 7B", "Qwen2.5-7B-Instruct"),
        ("qwen3_235b", "Qwen3-235B-A22B"),
        ("amd/Llama-3.3-70B-Instruct-MXFP4-Preview", "Llama-3.3-70B-Instruct"),
        ("/root/.cache/huggingface/hub/models--Qwen--Qwen3-8B/snapshots/0a1b2c", "Qwen3-8B"),
        ("moonshotai/Kimi-K3", "Kimi-K3"),
        ("inclusionAI/Ring-1T-FP8", "Ling-1T"),
        ("Step-3", "step3"),
    ],
)
def test_verifiers_as_people_write_them(cards, written, meant):
    assert cards.verifier(written).name == meant


@pytest.mark.parametrize(
    "other",
    [
        "Llama-3.1-80B-Instruct",
        "Qwen3-80B",
        "Llama-3.3-71B-FP8",
        "gpt-oss",
        "Qwen3",
        "llama3:18b",
        "Qwen-35-4B-Q",
    ],
)
def test_another_size_is_another_model(cards, other):
    assert not cards.has("verifier", other)
    with pytest.raises(CardError, match=r"did you mean .*--models DIR"):
        cards.verifier(other)


def test_what_a_verifiers_weights_are_in(cards):
    assert cards.weights_of("Qwen3-8B-AWQ") == "w4a16"
    assert cards.weights_of("gpt-oss-120b") == "mxfp4"
    assert cards.weights_of("DeepSeek-V3.1-Terminus") == "fp8"
    assert cards.weights_of("Qwen3-8B") is None
    assert cards.weights_of("never heard of-FP8") == "fp8"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("vllm-0.24.0", "vllm-0.24.0"),
        ("vLLM 0.11.0", "vllm-0.11.0"),
        ("vllm==0.8.5", "vllm-0.8.5"),
        ("vllm/vllm-openai:v0.10.2", "vllm-0.10.2"),
        ("vllm v0.6.3.post1", "vllm-0.6.3.post1"),
        ("vllm-0.26.1rc1.dev608+g99a10304d", "vllm-0.26.1rc1.dev608"),
        ("vllm/vllm-openai:nightly", "vllm"),
        ("vllm V0", "vllm V0"),
        ("trt", "trtllm"),
        ("trt nvcr.io/nvidia/tensorrt-llm/release:1.2.0", "trtllm-1.2.0"),
        ("nvcr.io/nvidia/tensorrt-llm/release:1.2.0rc6.post3", "trtllm-1.2.0rc6.post3"),
        ("TensorRT-LLM 1.0.0rc3", "trtllm-1.0.0rc3"),
        ("sglang lmsysorg/sglang:v0.5.12-rocm700-mi30x", "sglang-0.5.12"),
        ("lmsysorg/sglang:v0.5.8.post1-cu130-runtime", "sglang-0.5.8.post1"),
        ("sglang-0.5.8+", "sglang-0.5.8"),
        ("sgl-dev:sglang-0.5.7-rocm700-mi35x-mori-fp4-0122", "mori-sglang-0.5.7"),
        ("atom", "atom"),
        ("rocm/atom:rocm7.1.1-ubuntu24.04-pytorch2.9-atom0.1.1-MI350x", "atom-0.1.1"),
        ("atom:rocm7.2.4_ubuntu24.04_py3.12_pytorch_release_2.10.0_atom0.1.3", "atom-0.1.3"),
        ("dynamo-trt", "dynamo-trtllm"),
        ("dynamo-trtllm (disaggregated)", "dynamo-trtllm (disaggregated)"),
        ("dynamo-sglang-0.5.8.post1", "dynamo-sglang-0.5.8.post1"),
        ("nvcr.io/nvidia/ai-dynamo/tensorrtllm-runtime:0.8.1.post2", "dynamo-trtllm"),
        ("llama.cpp", "llamacpp"),
        ("my-engine-2.3", "my-engine-2.3"),
        ("unknown", "unknown"),
        ("", "unknown"),
    ],
)
def test_engines_as_tables_and_images_name_them(text, label):
    assert read_engine(text).label == label
    assert read_engine(label).label == label  # the canonical text means itself


@pytest.mark.parametrize(
    ("value", "meant"),
    [("1", True), ("1.0", True), (1.0, True), (True, True), ("True", True), ("yes", True), ("0", False), ("0.0", False),
     (False, False), ("no", False), ("", None), (None, None), (math.nan, None)],
)  # fmt: skip
def test_flags(value, meant):
    assert read_flag(value) is meant


@pytest.mark.parametrize("value", ["2", 0.5, "maybe", -1])
def test_no_flag(value):
    with pytest.raises(CardError, match="neither 0 nor 1"):
        read_flag(value)


def test_a_row_in_canonical_words():
    row = {
        "verifier": "Qwen/Qwen3-8B-AWQ",
        "engine": "lmsysorg/sglang:v0.5.12-cu130",
        "hardware": "H100",
        "k": 3.0,
    }
    values, words = canonical(row)
    assert values == {
        "verifier": "Qwen/Qwen3-8B",
        "precision": "w4a16",
        "engine": "sglang-0.5.12",
        "hardware": "H100",
        "k": 3.0,
    }
    assert [w.split()[0] for w in words] == ["verifier", "engine"]
    assert canonical(values) == (values, [])  # canonical words mean themselves


def test_a_stated_precision_goes_before_the_names_and_is_said():
    values, words = canonical({"verifier": "Qwen3-8B-FP8", "precision": "w:fp8 kv:fp16"})
    assert (values["verifier"], values["precision"]) == ("Qwen3-8B", "w:fp8 kv:fp16")
    assert "its precision is stated as w:fp8 kv:fp16" in words[0]


def test_stems_tell_shapes_apart():
    assert stem("Ministral-3-8B-Instruct-2512") != stem("Ministral-8B-Instruct-2410")
    assert stem("Llama-3.1-8B") != stem("Llama-3-8B")
    assert stem("Qwen3-Coder-30B-A3B-Instruct") != stem("Qwen3-30B-A3B")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("H100 80 GB", "H100-SXM"),
        ("NVIDIA H200 141GB", "H200-SXM"),
        ("NVIDIA A100-SXM4-40GB", "A100-SXM-40GB"),
        ("NVIDIA A100 80GB PCIe", "A100-PCIe-80GB"),
        ("AMD Instinct MI300X OAM", "MI300X"),
        ("MI300X-192GB", "MI300X"),
        ("Tesla T4", "T4"),
        ("Tesla V100-SXM2-32GB", "V100-SXM-32GB"),
        ("GeForce RTX 4090", "RTX-4090"),
        ("NVIDIA L40S 48GB", "L40S"),
        ("nvidia_b200", "B200"),
        ("Radeon 8060S Graphics", "Strix-Halo"),
        ("Google TPU v6e", "TPU-v6e"),
        ("Intel Gaudi 3", "Gaudi-3"),
        ("NVIDIA H20 141GB", "H20-141GB"),
    ],
)
def test_gpus_as_people_and_drivers_name_them(cards, written, meant):
    assert cards.hardware(written).name == meant


@pytest.mark.parametrize("other", ["H100 160GB", "RTX 4090 48GB", "NVIDIA", "H10", "A100 20GB"])
def test_another_memory_is_another_gpu(cards, other):
    with pytest.raises(CardError, match="no hardware card"):
        cards.hardware(other)


@pytest.mark.parametrize(
    ("text", "gpu", "count"),
    [
        ("8xH100", "H100", 8),
        ("8 x MI300X", "MI300X", 8),
        ("2×RTX 4090", "RTX 4090", 2),
        ("H200 x4", "H200", 4),
        ("H200 × 4", "H200", 4),
        ("rtx4090", "rtx4090", None),
        ("RTX 4090", "RTX 4090", None),
        ("MI300X", "MI300X", None),
        ("RTX-PRO-6000", "RTX-PRO-6000", None),
        ("0xH100", "0xH100", None),
    ],
)
def test_the_number_of_gpus_in_the_hardware(text, gpu, count):
    from bayes_sd.cards.canonical import split_count

    assert split_count(text) == (gpu, count)


def test_a_number_of_gpus_fills_what_is_blank():
    values, words = canonical({"hardware": "8xH100", "verifier": "Qwen3-8B"})
    assert (values["hardware"], values["tp"], values["n_gpu"]) == ("H100", 8, 8)
    assert "n_gpu and tp of 8" in words[0]
    values, _ = canonical({"hardware": "8xH100", "tp": 4.0, "n_gpu": None})
    assert (values["tp"], values["n_gpu"]) == (4, 8)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("H100 (SXM)", "H100-SXM"), ("HGX B200", "B200"), ("A100 40GB PCIe", "A100-PCIe-40GB"), ("4090", "RTX-4090"),
        ("RTX4080", "RTX-4080"), ("NVIDIA RTX A5000", "RTX-A5000"), ("MacBook Pro M4 Max", "Apple-M4-Max"),
        ("M2 Ultra", "Apple-M2-Ultra"),
        ("Huawei Ascend 910B", "Ascend-910B"), ("AWS Trainium 2", "Trainium2"), ("Ironwood", "TPU7x"), ("RTX 4090 D", "RTX-4090D"),
        ("7900 XTX", "RX-7900-XTX"), ("9070 XT", "RX-9070-XT"), ("V100-16GB", "V100-SXM-16GB"),
    ],
)  # fmt: skip
def test_hardware_as_people_write_it(cards, written, meant):
    assert cards.hardware(written).name == meant


def test_a_computers_memory_is_the_size_behind_its_chip(cards):
    some, all_of_it = cards.hardware("M3 Ultra 256GB"), cards.hardware("Mac Studio M3 Ultra 512GB")
    assert (some.memory_gb, all_of_it.memory_gb) == (256, 512)
    assert some.bandwidth_gb_per_s == all_of_it.bandwidth_gb_per_s
    assert cards.hardware(some.name) == some
    with pytest.raises(CardError):
        cards.hardware("RTX 4090 48GB")
