"""Options that name models, GPUs and engines as people write them."""

import pytest

MIXTURE = (
    *("--hardware", "H100", "--verifier", "New-30B-A3B", "--set", "verifier_params_b=30"),
    *("--method", "ngram", "--k", 3),
)
LENGTHS = ("--prompt-tokens", 200, "--output-tokens", 150)


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
    assert "is RedHatAI/Meta-Llama-3.1-8B-Instruct with weights in fp8" in " ".join(out.split())
    assert "The trace has no such deployment" in out  # it was measured at 16 and at 4 bits only


def test_hardware_by_its_numbers(call, small_trace):
    gpu = "MyGPU(memory_gb=48 bandwidth_gb_per_s=900 fp16_tflops=180)"
    code, out, err = call(
        "speedup", small_trace, "--verifier", "Llama-3.1-8B", "--hardware", gpu, *LENGTHS, "--explain"
    )
    assert code == 0, err
    options = ("--set", "memory_gb=48", "--set", "bandwidth_gb_per_s=900", "--set", "fp16_tflops=180")
    again = call(
        "speedup",
        small_trace,
        "--verifier",
        "Llama-3.1-8B",
        "--hardware",
        "MyGPU",
        *options,
        *LENGTHS,
        "--explain",
    )
    assert again[0] == 0, again[2]
    assert f"hardware 'MyGPU' with its stated numbers is {gpu}" in " ".join(
        again[1].replace("Hardware", "hardware").split()
    )
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


def test_every_column_of_a_condition_is_an_option_of_the_same_name():
    from bayes_sd.cli.condition import ELSEWHERE
    from bayes_sd.cli.plan import plan
    from bayes_sd.cli.speedup import speedup
    from bayes_sd.measurements.schema import COLUMNS

    wanted = {
        f"--{c.name.replace('_', '-')}"
        for c in COLUMNS
        if c.condition != "result" and c.name not in ELSEWHERE
    }
    for command in (speedup, plan):
        options = [name for param in command.params for name in param.opts]
        assert wanted <= set(options)
        assert len(options) == len(set(options))


def test_options_say_what_a_table_says(call, small_trace):
    size = (
        "--verifier-params-b",
        30,
        "--verifier-active-params-b",
        3,
        "--n-experts",
        128,
        "--top-k-experts",
        8,
    )
    options = (*("--hardware", "2xH100", "--verifier", "New-30B-A3B", "--workload", "chat"), *size, *LENGTHS)
    code, out, err = call("speedup", small_trace, *options, "--method", "ngram", "--k", 3, "--loads", "1,4")
    assert code == 0, err
    flat = " ".join(out.split())
    assert "hardware '2xH100' is H100" in flat.replace("Hardware", "hardware")
    assert "No mixture of experts was measured in this trace" in flat


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--workload", "humanevl"), "did you mean 'humaneval'"),
        (("--method", "draft_model", "--drafter", "Qwen3-0.6b-bas"), "has no card and was never measured"),
        (("--is-moe", "perhaps"), "neither 0 nor 1"),
        (("--cached-prompt-tokens", 900, "--prompt-tokens", 200), "cached of a prompt of"),
        (
            ("--verifier", "Llama-3.3-70B", "--hardware", "A100", "--method", "ngram", "--k", 3),
            "GB of weights",
        ),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(call, small_trace, options, says):
    code, _, err = call("speedup", small_trace, *options, "--loads", "1,4")
    assert code == 2 and says in err and err.count("\n") == 1
