"""Methods and formats as people write them mean those that are known."""

import pandas as pd
import pytest

from bayes_sd.measurements import read_conditions


@pytest.mark.parametrize(
    ("written", "meant"),
    [("EAGLE-3", "eagle3"), ("eagle 3", "eagle3"), ("draft-model", "draft_model"), ("N-Gram", "ngram")],
)
def test_method(tmp_path, written, meant):
    path = tmp_path / "asked.csv"
    pd.DataFrame(
        {
            "verifier": ["Llama-3.1-8B-Instruct"],
            "hardware": ["H100"],
            "method": [written],
            "k": [3],
            "prompt_tokens": [500],
            "output_tokens": [200],
            "load_kind": ["concurrency"],
            "load_value": [4],
        }
    ).to_csv(path, index=False)
    assert read_conditions(path)["method"].tolist() == [meant]


@pytest.mark.parametrize(
    ("written", "meant"), [("AWQ-Marlin", "w:w4a16"), ("modelopt_fp4", "w:fp4"), ("fp8_e5m2", "w:fp8")]
)
def test_format(cards, written, meant):
    assert cards.precision(written).name.startswith(meant)
