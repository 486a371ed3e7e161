"""Conditions that the tests of learning ask about."""

import pytest

from bayes_sd.measurements.table import check_condition


@pytest.fixture(scope="session")
def unknown_text():
    """One A100 with EAGLE-3, prompts that were never measured, in closed loops."""
    values = {
        "hardware": "A100-SXM4-80GB", "tp": 1, "engine": "vllm-0.24.0", "verifier": "Llama-3.1-8B-Instruct",
        "precision": "w:fp16 kv:fp16", "method": "eagle3", "drafter": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "k": 5,
        "workload": "never seen", "prompt_tokens": 207.2, "output_tokens": 340.0, "load_kind": "concurrency", "load_value": 1,
    }  # fmt: skip
    return check_condition(values, "the test")
