"""The shipped tables against the figures that they were gathered from, where those are beside this checkout."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from bayes_sd.files import shipped

GATHERED = Path(__file__).resolve().parents[3] / "shared" / "data"
LEFT_OUT = ("acceptance_by_draft_length", "acceptance_by_position", "acceptance_reported", "llamacpp-cpu")
FIGURES = [
    *(
        "source",
        "verifier",
        "k",
        "acceptance",
        "mean_accepted_len",
        "prompt_tokens",
        "output_tokens",
        "achieved_rps",
        "mean_e2e_s",
    ),
    *(
        "p50_e2e_s",
        "p95_e2e_s",
        "p99_e2e_s",
        "mean_ttft_ms",
        "mean_tpot_ms",
        "p50_ttft_ms",
        "p50_tpot_ms",
        "output_tok_per_s",
    ),
    *("n_requests", "workload", "duration_s", "n_drafts", "n_accepted_tokens", "prefill_gpus", "decode_gpus"),
]


def figures(frame):
    """Count the rows of each set of figures, numbers as numbers."""
    kept = frame.reindex(columns=FIGURES)
    for name in FIGURES:
        numbers = pd.to_numeric(kept[name], errors="coerce")
        kept[name] = numbers.astype(str).where(numbers.notna(), kept[name].fillna(""))
    return Counter(map(tuple, kept.to_numpy()))


@pytest.mark.skipif(not GATHERED.is_dir(), reason="the gathered figures are not beside this checkout")
def test_every_gathered_row_stands_in_a_table_and_no_other():
    files = [f for f in shipped("data").glob("*.csv") if f.stem not in LEFT_OUT]
    shown = pd.concat([pd.read_csv(f, dtype=str, keep_default_na=False) for f in files])
    gathered = pd.concat(
        [
            pd.read_csv(GATHERED / name, dtype=str, keep_default_na=False)
            for name in ("measurements.csv", "measurements_2.csv")
        ]
    )
    shown.loc[shown["engine"].str.contains("disaggregated"), "decode_gpus"] = ""  # said there by tp alone
    assert figures(shown) == figures(gathered)
    assert len(shown) == len(gathered) == 3059
