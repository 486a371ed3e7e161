"""Tables simulated from known coefficients, without noise."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.cards import load_cards

VERIFIER, DRAFTER = "Llama-3.1-8B-Instruct", "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"


@pytest.fixture(scope="session")
def cards():
    return load_cards()


def table(rows: list[dict]) -> pd.DataFrame:
    """Complete rows with what they share."""
    common = {
        "verifier": VERIFIER,
        "hardware": "A100-SXM4-80GB",
        "tp": 1,
        "precision": "fp16",
        "engine": "vllm-0.24.0",
        "method": "none",
        "drafter": "",
        "k": 0.0,
        "mean_accepted_len": np.nan,
        "workload": "",
        "load_kind": "concurrency",
    }
    return pd.DataFrame([common | row for row in rows])


@pytest.fixture
def make_table():
    return table


@pytest.fixture
def speculating():
    """Columns of a speculating row, by draft length and E."""

    def make(k: int, committed: float) -> dict:
        return {"method": "eagle3", "drafter": DRAFTER, "k": float(k), "mean_accepted_len": committed}

    return make
