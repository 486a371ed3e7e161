"""Where the files that tools wrote are, what no file says, and a place to write one."""

import json
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"
SERVED = {
    "hardware": "H100-SXM-80GB",
    "tp": 1,
    "engine": "vllm-0.24.0",
    "precision": "bf16",
    "method": "none",
}
DRAFTED = {**SERVED, "method": "eagle3", "drafter": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"}


@pytest.fixture
def fixtures():
    return FIXTURES


@pytest.fixture
def served():
    """What no tool's file says, without speculation."""
    return dict(SERVED)


@pytest.fixture
def drafted():
    """The same with speculation, but for the draft length."""
    return dict(DRAFTED)


@pytest.fixture
def save(tmp_path):
    def write(content, name="result.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write
