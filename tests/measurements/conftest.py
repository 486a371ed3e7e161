"""A small measurement table that tests change one cell of."""

import csv

import pytest

ROW = {
    "source": "here",
    "hardware": "h100",
    "tp": "1",
    "engine": "vllm-0.24.0",
    "verifier": "Llama-3.1-8B-Instruct",
    "method": "none",
    "k": "",
    "prompt_tokens": "1000",
    "output_tokens": "200",
    "load_kind": "concurrency",
    "load_value": "8",
    "achieved_rps": "4.0",
    "mean_e2e_s": "2.0",
    "p50_e2e_s": "1.9",
    "p99_e2e_s": "3.0",
    "precision": "bf16",
    "workload": "chat",
    "preemptions": "",
}


@pytest.fixture
def write(tmp_path):
    """Write a table: each row is ROW with the given cells changed; `without` leaves columns out."""

    def writer(*rows, without=(), name="mine.csv"):
        given = [ROW | row for row in rows]
        columns = [c for c in dict.fromkeys(c for row in given for c in row) if c not in without]
        path = tmp_path / name
        with path.open("w", encoding="utf-8", newline="") as handle:
            table = csv.DictWriter(handle, columns, restval="", extrasaction="ignore")
            table.writeheader()
            table.writerows(given)
        return path

    return writer
