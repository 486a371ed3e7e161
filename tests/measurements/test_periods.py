"""When runs of one cell are repeats, and when the engine has become another."""

import pytest

from bayes_sd.measurements import apply_rules, read_table
from bayes_sd.measurements.repeats import average_repeats


@pytest.mark.parametrize(
    ("engine", "days", "cells"),
    [
        ("vllm", ("2026-01-01", "2026-01-31"), 1),
        ("vllm", ("2026-01-01", "2026-02-02"), 2),
        ("vllm", ("2026-02-02", "2026-01-01", "2026-01-20"), 2),  # the order of rows does not matter
        (
            "vllm",
            ("2026-01-01", "2026-01-25", "2026-02-20"),
            2,
        ),  # a chain of short gaps does not make one engine
        ("vllm", ("2026-01-01", ""), 2),
        ("vllm", ("", ""), 1),
        ("vllm-0.24.0", ("2026-01-01", "2026-09-01"), 1),  # the version says that it is the same engine
    ],
)
def test_runs_of_one_cell(write, engine, days, cells):
    kept, _ = apply_rules(read_table(write(*[{"engine": engine, "run_date": day} for day in days])))
    averaged = average_repeats(kept)
    assert len(averaged) == cells
    assert averaged["n_repeats"].sum() == len(days)


def test_versions_and_splits_are_cells_of_their_own(write):
    rows = [
        {"engine": "vllm-0.24.0"},
        {"engine": "vllm-0.25.0"},
        {"tp": "8", "ep": "8"},
        {"tp": "8", "ep": "1"},
    ]
    kept, _ = apply_rules(read_table(write(*rows)))
    assert len(average_repeats(kept)) == 4
