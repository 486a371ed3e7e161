"""Layouts, versions and days that stand in engine options and repeats are read into their columns."""

import pytest

from bayes_sd.cards.record import canonical
from bayes_sd.condition.frame import as_conditions


def read(options, engine="sglang", tp=8, **more):
    row = {
        "verifier": "DeepSeek-R1-0528",
        "hardware": "h200",
        "engine": engine,
        "engine_options": options,
        "tp": tp,
    }
    return canonical(row | more)[0]


@pytest.mark.parametrize(
    ("options", "engine", "meant"),
    [
        (
            "ep=1 dp_attn=False; image=sglang:v0.5.12-rocm700-mi30x",
            "sglang",
            {"ep": 1, "engine": "sglang-0.5.12"},
        ),
        ("ep=8 dp_attn=True", "sglang", {"ep": 8, "dp": 8}),
        (
            "attention_dp=4 moe_tp=1 moe_ep=16",
            "trtllm-1.0.0rc3",
            {"dp": 4, "ep": 16, "engine": "trtllm-1.0.0rc3"},
        ),
        ("--enable-expert-parallel --data-parallel-size 2", "vllm-0.22.0", {"dp": 2, "ep": 8}),
        ("--pipeline-parallel-size 2", "vllm-0.22.0", {"pp": 2}),
    ],
)
def test_a_layout_in_options_has_its_columns(options, engine, meant):
    values = read(options, engine)
    assert {name: values.get(name) for name in meant} == meant
    assert values["engine_options"] == ""


def test_what_is_no_layout_stays():
    values = read("disaggregated ep=32 dp_attn=True chunked prefill")
    assert values["engine_options"] == "disaggregated chunked prefill"
    assert read("V1 runner, no async scheduling")["engine_options"] == "V1 runner, no async scheduling"


def test_a_column_goes_before_options():
    assert read("ep=8", ep=4.0)["ep"] == 4.0


def test_a_repeat_that_is_a_day_is_the_day_of_the_run():
    assert read("", repeat="2026-05-20")["run_date"] == "2026-05-20"
    assert "run_date" not in read("", repeat="c256_b10_r1")


def test_a_programs_table_is_read_the_same():
    asked = {
        "verifier": "DeepSeek-R1-0528", "hardware": "h200", "tp": 8, "engine": "sglang", "prompt_tokens": 1000, "output_tokens": 1000,
        "load_kind": "concurrency", "load_value": [4, 8], "engine_options": ["ep=8 dp_attn=True", ""], "repeat": "2026-05-20",
    }  # fmt: skip
    frame = as_conditions(asked)
    assert frame["dp"].fillna(1).tolist() == [8, 1]
    assert frame["engine_options"].tolist() == ["", ""]
    assert frame["run_date"].tolist() == ["2026-05-20"] * 2
