"""Engines in time: a version's day, else the run's."""

from datetime import date

import pandas as pd

from bayes_sd.model.ages import REFERENCE, engine_age
from bayes_sd.model.deployments import deployment_of, engine_label


def aged(**columns):
    row = pd.Series({"engine": "vllm-0.11.0"} | columns)
    return engine_age(row, engine_label(row))


def test_the_release_counts_before_the_day_of_the_run():
    """vLLM 0.11.0 was published on 4 October 2025, whenever it was run."""
    old = aged(run_date="2026-06-01")
    assert old.years * 365.25 == (date(2025, 10, 4) - REFERENCE).days
    assert old.version == "0.11.0"


def test_without_a_version_the_day_of_the_run_stands_for_it():
    new = aged(engine="sglang", run_date="2026-05-20")
    assert new.known
    assert 0.5 < new.years < 0.7
    assert new.version == "2026-Q2"


def test_runs_of_an_unversioned_engine_in_another_quarter_are_another_deployment(cards):
    row = {
        "verifier": "DeepSeek-R1-0528",
        "hardware": "MI300X",
        "tp": 8,
        "precision": "fp8",
        "engine": "sglang",
    }
    keys = {
        day: deployment_of(pd.Series(row | {"run_date": day}), cards).key
        for day in ("2025-10-24", "2026-02-01", "2026-03-01", "2026-05-20")
    }
    assert keys["2025-10-24"] == deployment_of(pd.Series(row), cards).key
    assert keys["2026-02-01"] == keys["2026-03-01"]
    assert len(set(keys.values())) == 3


def test_nothing_stated_is_the_reference():
    age = aged(engine="homegrown")
    assert not age.known
    assert age.years == 0.0
