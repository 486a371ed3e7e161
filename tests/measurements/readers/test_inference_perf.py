import json

import pytest

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import ingest


@pytest.fixture
def given(served):
    return {**served, "verifier": "Llama-3.1-8B-Instruct", "arrivals": "poisson"}


def load(fixtures):
    return json.loads((fixtures / "inference_perf_rate.json").read_text())


def test_a_rate_stage(fixtures, given):
    stated = load(fixtures)
    row = ingest([fixtures / "inference_perf_rate.json"], given).table.iloc[0]
    assert (row["load_kind"], row["load_value"], row["arrivals"]) == ("rate", 10, "poisson")
    latency = stated["successes"]["latency"]
    assert row["mean_e2e_s"] == pytest.approx(latency["request_latency"]["mean"])
    assert row["p50_e2e_s"] == pytest.approx(latency["request_latency"]["median"])
    assert row["mean_ttft_ms"] == pytest.approx(1000 * latency["time_to_first_token"]["mean"])
    assert row["output_tokens"] == pytest.approx(stated["successes"]["output_tokens"]["mean"])
    assert row["duration_s"] == pytest.approx(stated["benchmark_time_seconds"])
    assert row["n_requests"] == 40


def test_arrivals_are_asked_for_with_the_fact_that_constant_is_not_even(fixtures, given):
    del given["arrivals"]
    with pytest.raises(DataError, match=r"arrivals \(--arrivals\).*exponential gaps"):
        ingest([fixtures / "inference_perf_rate.json"], given)


def test_a_closed_loop_stage(fixtures, given):
    report = ingest([fixtures / "inference_perf_concurrency.json"], given)
    assert (report.table["load_kind"][0], report.table["load_value"][0]) == ("concurrency", 3)
    assert "arrivals" not in report.table  # those given are for open loops
    assert any("of 3 clients" in note for note in report.notes)


def test_the_form_of_2025(fixtures, save, given):
    stage = load(fixtures)
    done = stage["successes"]
    done["prompt_len"], done["output_len"] = done.pop("prompt_tokens"), done.pop("output_tokens")
    del stage["benchmark_time_seconds"]
    row = ingest([save(stage)], given).table.iloc[0]
    assert row["prompt_tokens"] == pytest.approx(done["prompt_len"]["mean"])
    assert row["duration_s"] == pytest.approx(40 / done["throughput"]["requests_per_sec"])


def test_a_summary_over_stages_is_refused(fixtures, given):
    with pytest.raises(DataError, match="several stages"):
        ingest([fixtures / "inference_perf_summary.json"], given)


def test_failures(fixtures, save, given):
    stage = load(fixtures)
    stage["failures"]["count"] = 5
    assert any("5 of 45 requests failed" in note for note in ingest([save(stage)], given).notes)
    stage["successes"] = {"count": 0}
    with pytest.raises(DataError, match=r"no request succeeded \(5 failed\)"):
        ingest([save(stage)], given)


def test_a_stage_in_milliseconds_contradicts_its_own_rate(fixtures, save, given):
    stage = load(fixtures)
    for record in stage["successes"]["latency"].values():
        for name in record:
            record[name] *= 1000
    with pytest.raises(DataError, match="longer than the run"):
        ingest([save(stage)], given)
