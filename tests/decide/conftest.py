"""Conditions that the decision tests ask about."""

import pytest

from bayes_sd.measurements.table import check_condition

EAGLE3 = "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"


@pytest.fixture(scope="session")
def base():
    """One A100 with EAGLE-3, as measured."""
    return make_base()


def make_base(**changes):
    values = {
        "hardware": "A100-SXM4-80GB", "tp": 1, "engine": "vllm-0.24.0", "verifier": "Llama-3.1-8B-Instruct",
        "precision": "w:fp16 kv:fp16", "method": "eagle3", "drafter": EAGLE3, "k": 5, "workload": "humaneval",
        "prompt_tokens": 207.2, "output_tokens": 340.0, "load_kind": "rate", "load_value": 1, "arrivals": "poisson",
    }  # fmt: skip
    return check_condition(values | changes, "the test")


@pytest.fixture(scope="session")
def another():
    """Make a base condition with some columns changed."""
    return make_base
