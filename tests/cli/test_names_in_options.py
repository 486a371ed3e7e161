"""Options that name models, GPUs and engines as people write them."""

import sys

import pytest

from bayes_sd.cli import main

MIXTURE = (
    *("--hardware", "H100", "--verifier", "New-30B-A3B", "--set", "verifier_params_b=30"),
    *("--method", "ngram", "--k", 3),
)
LENGTHS = ("--prompt-tokens", 200, "--output-tokens", 150)


@pytest.fixture
def call(monkeypatch, capsys):
    def run(*args):
        monkeypatch.setattr(sys, "argv", ["bayes_sd", *map(str, args)])
        with pytest.raises(SystemExit) as exit_:
            main()
        captured = capsys.readouterr()
        return exit_.value.code, captured.out, captured.err

    return run


def test_a_format_in_the_verifiers_name_is_the_precision(call, small_trace):
    code, out, err = call(
        "speedup",
        small_trace,
        "--verifier",
        "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic",
        "--hardware",
        "H100",
        *LENGTHS,
    )
    assert code == 0, err
    assert "is RedHatAI/Meta-Llama-3.1-8B-Instruct with weights in fp8" in out
    assert "The trace has no such deployment" in out  # it was measured at 16 and at 4 bits only


def test_hardware_by_its_numbers(call, small_trace):
    gpu = "MyGPU(memory_gb=48 bandwidth_gb_per_s=900 fp16_tflops=180)"
    code, out, err = call("speedup", small_trace, "--verifier", "Llama-3.1-8B", "--hardware", gpu, *LENGTHS)
    assert code == 0, err
    options = ("--set", "memory_gb=48", "--set", "bandwidth_gb_per_s=900", "--set", "fp16_tflops=180")
    again = call(
        "speedup", small_trace, "--verifier", "Llama-3.1-8B", "--hardware", "MyGPU", *options, *LENGTHS
    )
    assert again[0] == 0, again[2]
    assert f"hardware 'MyGPU' with its stated numbers is {gpu}" in again[1].replace("Hardware", "hardware")
    answer = out[out.index("The trace has") :]
    assert answer == again[1][again[1].index("The trace has") :]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--hardware", "MyGPU"), "no hardware card is named 'MyGPU'"),
        (("--hardware", "MyGPU(memory_gb=48)"), "bandwidth_gb_per_s, fp16_tflops is not stated"),
        (("--hardware", "MyGPU", "--set", "memory_gb=much"), "memory_gb"),
        (("--hardware", "H100(bandwidth_gb_per_s=3.35)"), "off by 1000"),
        (MIXTURE, "n_experts, top_k_experts"),
    ],
)
def test_bad_names_are_one_line_and_exit_2(call, small_trace, options, says):
    verifier = () if "--verifier" in options else ("--verifier", "Llama-3.1-8B")
    code, _, err = call("speedup", small_trace, *verifier, *options, *LENGTHS)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1
