import json

import pytest

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import ingest


def load(fixtures, name="aiperf_concurrency"):
    return json.loads((fixtures / f"{name}.json").read_text())


def test_a_closed_loop_with_acceptance_counts(fixtures, drafted):
    stated = load(fixtures)
    report = ingest([fixtures / "aiperf_concurrency.json"], drafted)
    row = report.table.iloc[0]
    assert (row["load_kind"], row["load_value"]) == ("concurrency", 4)
    assert row["verifier"] == "m"
    assert row["measured_by"] == "aiperf 0.13.0"
    assert row["mean_e2e_s"] == pytest.approx(stated["request_latency"]["avg"] / 1000)
    assert row["p95_e2e_s"] == pytest.approx(stated["request_latency"]["p95"] / 1000)
    assert row["duration_s"] == pytest.approx(stated["benchmark_duration"]["avg"])
    # Every answer has 32 tokens, so AIPerf's per-request mean is the ratio of means.
    assert row["mean_tpot_ms"] == pytest.approx(stated["inter_token_latency"]["avg"])
    assert row["k"] == 4
    assert (row["n_drafts"], row["n_draft_tokens"], row["n_accepted_tokens"]) == (472, 1888, 811)
    # 151 cycles accepted none, 99 one, 64 two, 48 three, 110 four.
    assert json.loads(row["accepted_per_position"]) == [321, 222, 158, 110]
    assert row["mean_accepted_len"] == pytest.approx(1 + 811 / 472)
    assert any("by construction" in note for note in report.notes)


def test_an_evenly_spaced_rate(fixtures, drafted):
    row = ingest([fixtures / "aiperf_constant_rate.json"], drafted).table.iloc[0]
    assert (row["load_kind"], row["load_value"], row["arrivals"]) == ("rate", 20, "even")


def test_failures_and_a_capped_poisson_rate(fixtures, served):
    report = ingest([fixtures / "aiperf_failures.json"], served)
    row = report.table.iloc[0]
    assert (row["arrivals"], row["client_cap"], row["n_requests"]) == ("poisson", 6, 23)
    assert any("17 of 40 requests failed" in note for note in report.notes)


def test_units_are_those_that_the_file_names(fixtures, save, drafted):
    export = load(fixtures)
    for statistic in ("avg", "p50", "p95", "p99"):
        export["request_latency"][statistic] /= 1000
    export["request_latency"]["unit"] = "s"
    converted = ingest([save(export)], drafted).table
    plain = ingest([fixtures / "aiperf_concurrency.json"], drafted).table
    assert converted["mean_e2e_s"][0] == pytest.approx(plain["mean_e2e_s"][0])
    export["request_latency"]["unit"] = "fortnights"
    with pytest.raises(DataError, match="'fortnights'"):
        ingest([save(export)], drafted)


def test_a_unit_that_is_wrong_is_noticed(fixtures, save, drafted):
    export = load(fixtures)
    export["time_to_first_token"]["unit"] = "s"  # the values are in ms
    with pytest.raises(DataError, match="are the units right"):
        ingest([save(export)], drafted)


def test_the_older_form_of_the_load(fixtures, save, drafted):
    export = load(fixtures)
    export["input_config"] = {"endpoint": {"model_names": ["old"]}, "loadgen": {"concurrency": 4}}
    row = ingest([save(export)], drafted).table.iloc[0]
    assert (row["load_kind"], row["load_value"], row["verifier"]) == ("concurrency", 4, "old")
    export["input_config"]["loadgen"] = {"request_rate": 20.0, "request_rate_mode": "constant"}
    row = ingest([save(export)], drafted).table.iloc[0]
    assert (row["load_kind"], row["arrivals"]) == ("rate", "even")


def test_the_gpu_where_telemetry_saw_it(fixtures, save, drafted):
    export = load(fixtures)
    gpus = {"gpu_0": {"gpu_name": "NVIDIA H200"}, "gpu_1": {"gpu_name": "NVIDIA H200"}}
    export["telemetry_data"]["endpoints"] = {"localhost:9400": {"gpus": gpus}}
    given = {name: value for name, value in drafted.items() if name != "hardware"}
    assert ingest([save(export)], given).table["hardware"][0] == "NVIDIA H200"
    gpus["gpu_1"]["gpu_name"] = "NVIDIA L4"
    with pytest.raises(DataError, match=r"hardware \(--hardware\)"):
        ingest([save(export)], given)


def test_gamma_arrivals_are_read_and_asked_for_where_their_shape_is_missing(fixtures, save, drafted):
    export = load(fixtures)
    phase = export["input_config"]["phases"][0]
    phase.update(type="gamma", rate=33.0, smoothness=2.0, concurrency=None)
    report = ingest([save(export)], drafted)
    assert report.table["arrivals"][0] == "gamma 2"
    assert any("smoothness 2 is between Poisson and even" in note for note in report.notes)
    del phase["smoothness"]
    with pytest.raises(DataError, match="smoothness the file does not say"):
        ingest([save(export)], drafted)
    assert ingest([save(export)], drafted | {"arrivals": "gamma 3"}).table["arrivals"][0] == "gamma 3"


def test_an_incomplete_run_is_called_one(fixtures, save, drafted):
    export = {**load(fixtures), "is_complete": False, "incomplete_reason": "records stalled"}
    report = ingest([save(export)], drafted)
    assert any("records stalled" in note for note in report.notes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"request_count": {"unit": "requests", "avg": 0.0}}, "no request succeeded"),
        ({"request_count": None, "completed_request_count": None, "request_latency": None}, "no request"),
        ({"pooled_spec_decode_acceptance_histogram": {"0": 1, "4": 2}}, "histogram does not add up"),
        ({"spec_decode_overall_draft_acceptance_rate": {"unit": "%", "avg": 0.43}}, "acceptance rate"),
    ],
)
def test_exports_that_cannot_be_right(fixtures, save, drafted, changes, says):
    with pytest.raises(DataError, match=says):
        ingest([save({**load(fixtures), **changes})], drafted)
