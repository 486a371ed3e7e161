import json
import os
from pathlib import Path

import numpy as np
import pytest
from benchmark_files import guidellm_benchmark, guidellm_report, guidellm_request, steady

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import guidellm_file, ingest, jsonscan
from bayes_sd.measurements.readers.reading import BURST


def test_a_rate_benchmark_by_its_requests(save, served):
    # One request a second, each 2.1 s with its first token after 0.1 s and 51 tokens: 40 ms a further token.
    report = ingest([save(guidellm_report(guidellm_benchmark(steady(40), duration=41.1)))], served)
    row = report.table.iloc[0]
    assert row["load_kind"] == "rate"
    assert row["load_value"] == 1.0
    assert row["arrivals"] == "even"
    assert row["client_cap"] == 512
    assert row["verifier"] == "Llama-3.1-8B-Instruct"
    assert row["mean_e2e_s"] == pytest.approx(2.1)
    assert row["p99_e2e_s"] == pytest.approx(2.1)
    assert row["mean_ttft_ms"] == pytest.approx(100)
    # (2100 - 100)/50, not GuideLLM's own 2100/51, which spreads the first token's time.
    assert row["mean_tpot_ms"] == pytest.approx(40)
    assert row["achieved_rps"] == pytest.approx(40 / 41.1)
    assert row["output_tokens_std"] == 0
    assert row["n_requests"] == 40
    assert row["measured_by"] == "guidellm 0.8.1"


def test_littles_law_is_checked_on_integrated_requests_and_the_summary_is_called_an_identity(save, served):
    notes = ingest([save(guidellm_report(guidellm_benchmark(steady(40))))], served).notes
    checked = [note for note in notes if "Little's law" in note]
    assert any("middle 80 %" in note and "not steady" not in note for note in checked)
    assert any("by construction" in note for note in checked)


def test_a_growing_backlog_breaks_littles_law(save, served):
    growing = [guidellm_request(i * 1.0, 1.0 + 0.3 * i) for i in range(200)]
    notes = ingest([save(guidellm_report(guidellm_benchmark(growing)))], served).notes
    assert any("not steady" in note for note in notes)


def test_requests_cut_off_at_the_end_are_counted_and_kept_out_of_latency(save, served):
    cut = [guidellm_request(38.0 + i, 3.5 - i, status="cancelled") for i in range(3)]
    report = ingest([save(guidellm_report(guidellm_benchmark(steady(38), cut)))], served)
    row = report.table.iloc[0]
    assert row["mean_e2e_s"] == pytest.approx(2.1)
    assert row["n_requests"] == 38
    assert any("3 of 41 requests were cut off at the end, after up to 3.5 s" in note for note in report.notes)
    assert "3 requests cut off" in row["notes"]


def test_errored_requests_are_reported(save, served):
    failed = [guidellm_request(5.0, 0.01, status="errored")]
    report = ingest([save(guidellm_report(guidellm_benchmark(steady(39), (), failed)))], served)
    assert any("1 of 40 requests errored" in note for note in report.notes)
    assert "1 request errored" in report.table["notes"][0]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"type_": "synchronous"}, ("concurrency", 1)),
        ({"type_": "concurrent", "streams": 8}, ("concurrency", 8)),
        ({"type_": "throughput", "max_concurrency": 16}, ("concurrency", 16)),
        ({"type_": "poisson", "rate": 2.5, "max_concurrency": None}, ("rate", 2.5)),
        ({"type_": "constant", "rate": 2.5}, ("rate", 2.5)),
    ],
)
def test_strategies(save, served, strategy, expected):
    table = ingest([save(guidellm_report(guidellm_benchmark(steady(), strategy=strategy)))], served).table
    assert (table["load_kind"][0], table["load_value"][0]) == expected
    if strategy["type_"] == "poisson":
        assert table["arrivals"][0] == "poisson"


def test_a_sweep_keeps_its_steady_loads_and_says_what_it_leaves_out(save, served):
    report = ingest(
        [
            save(
                guidellm_report(
                    guidellm_benchmark(steady(10), strategy={"type_": "synchronous"}),
                    guidellm_benchmark(steady(10), strategy={"type_": "throughput", "max_concurrency": None}),
                    guidellm_benchmark(steady(20, gap_s=0.5), strategy={"type_": "constant", "rate": 2.0}),
                )
            )
        ],
        served,
    )
    assert list(report.table["load_kind"]) == ["concurrency", "rate"]
    assert [name.partition("#")[2] for name in report.table["config_id"]] == ["1", "3"]
    assert any("benchmark 2" in note and "left out" in note for note in report.notes)


def test_a_benchmark_without_success_stops_the_ingest_unless_told_otherwise(save, served):
    failed = [guidellm_request(1.0, 0.01, status="errored")] * 3
    path = save(guidellm_report(guidellm_benchmark(steady()), guidellm_benchmark([], (), failed)))
    with pytest.raises(DataError, match=r"benchmark 2: no request succeeded \(3 failed"):
        ingest([path], served)
    report = ingest([path], served, skip_failed=True)
    assert len(report.table) == 1
    assert any("no request succeeded" in note for note in report.notes)
    with pytest.raises(DataError, match="no benchmark in it can be used"):
        ingest([save(guidellm_report(guidellm_benchmark([], (), failed)))], served, skip_failed=True)


def test_a_sampled_report_falls_back_to_its_summary(save, served):
    report = ingest([save(guidellm_report(guidellm_benchmark(steady(40), sampled=5)))], served)
    row = report.table.iloc[0]
    assert row["n_requests"] == 40
    assert row["mean_e2e_s"] == pytest.approx(2.1)
    assert row["mean_tpot_ms"] == pytest.approx(40)
    assert any("from the summary" in note for note in report.notes)
    assert not any("middle 80 %" in note for note in report.notes)


def test_acceptance_that_the_server_sent_with_each_answer_is_stored_as_counts(save, drafted):
    # Two cycles accept nothing, three accept one, five accept both of k = 2: 13 accepted of 20.
    spec = {
        "acceptance_histogram": [2, 3, 5],
        "num_spec_steps": 10,
        "num_draft_tokens": 20,
        "num_accepted_draft_tokens": 13,
    }
    table = ingest([save(guidellm_report(guidellm_benchmark(steady(4, spec=spec))))], drafted).table
    row = table.iloc[0]
    assert row["k"] == 2
    assert (row["n_drafts"], row["n_draft_tokens"], row["n_accepted_tokens"]) == (40, 80, 52)
    assert json.loads(row["accepted_per_position"]) == [32, 20]
    assert row["acceptance"] == pytest.approx(0.65)
    assert row["mean_accepted_len"] == pytest.approx(2.3)


def test_tokens_per_streamed_chunk_are_not_taken_for_acceptance(save, drafted):
    requests = steady(20)
    for request in requests:
        request["info"]["timings"]["token_iterations"] = 11
    report = ingest([save(guidellm_report(guidellm_benchmark(requests)))], {**drafted, "k": 4})
    assert not {"acceptance", "mean_accepted_len"} & set(report.table.columns)
    assert any("5 tokens came per streamed chunk" in note for note in report.notes)


def test_summary_and_requests_in_different_units_are_refused(save, served):
    benchmark = guidellm_benchmark(steady())
    benchmark["metrics"]["request_latency"]["successful"]["mean"] = 2100.0
    with pytest.raises(DataError, match="units contradict each other"):
        ingest([save(guidellm_report(benchmark))], served)


def test_ttft_above_latency_is_refused(save, served):
    with pytest.raises(DataError, match="are the units right"):
        ingest([save(guidellm_report(guidellm_benchmark(steady(ttft_ms=2_200.0))))], served)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"metadata": {"version": 3}}, "report version 3"),
        ({"benchmarks": []}, "no benchmarks"),
        ({"benchmarks": {}}, "no benchmarks"),
    ],
)
def test_reports_of_another_form(save, served, change, says):
    with pytest.raises(DataError, match=says):
        ingest([save({**guidellm_report(guidellm_benchmark(steady())), **change})], served)


def test_text_where_a_number_belongs(save, served):
    requests = steady(12)
    requests[5]["request_start_time"] = "noon"
    with pytest.raises(DataError, match="something else than numbers"):
        ingest([save(guidellm_report(guidellm_benchmark(requests)))], served)


@pytest.mark.parametrize("chunk", [1, 7, 300, 5000])
def test_reading_in_pieces_gives_what_reading_whole_does(save, monkeypatch, chunk):
    cut = [guidellm_request(3.0, 0.5, status="cancelled")]
    report = guidellm_report(guidellm_benchmark(steady(4), cut), guidellm_benchmark(steady(3)))
    path = save(report)
    whole, requests = guidellm_file.read_report(path)
    monkeypatch.setattr(guidellm_file, "CHUNK_BYTES", chunk)
    pieces, again = guidellm_file.read_report(path)
    assert pieces == whole
    assert pieces["benchmarks"][1]["requests"]["successful"] == [5, 6, 7]
    np.testing.assert_array_equal(requests.column("start_s", [0, 1, 4]), [0.0, 1.0, 3.0])
    np.testing.assert_array_equal(again.column("end_s", [0, 4, 7]), [2.1, 3.5, 4.1])


@pytest.mark.parametrize("whole_bytes", [1, 1 << 26])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_report_written_again_with_sorted_members_is_read_alike(
    save, served, monkeypatch, whole_bytes, indent
):
    report = guidellm_report(guidellm_benchmark(steady(20)), guidellm_benchmark(steady(12)))
    expected = ingest([save(report)], served).table
    monkeypatch.setattr(guidellm_file, "WHOLE_BYTES", whole_bytes)  # small: streamed event by event
    monkeypatch.setattr(jsonscan, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(guidellm_file, "CHUNK_BYTES", 1000)
    path = save(json.dumps(report, sort_keys=True, indent=indent))
    again = ingest([path], served).table
    assert again.equals(expected)


def test_a_large_report_with_sorted_members_that_is_cut_short(save, served, monkeypatch):
    monkeypatch.setattr(guidellm_file, "WHOLE_BYTES", 1)
    text = json.dumps(guidellm_report(guidellm_benchmark(steady(20))), sort_keys=True)
    with pytest.raises(DataError, match="cut short"):
        ingest([save(text[: len(text) // 2])], served)


SAMPLES = os.environ.get("BAYES_SD_BENCHMARK_SAMPLES", "")


@pytest.mark.skipif(not SAMPLES, reason="BAYES_SD_BENCHMARK_SAMPLES names no folder of real benchmark files")
def test_a_report_of_guidellm_itself(drafted):
    path = Path(SAMPLES) / "guidellm-0.8.1.json"
    metrics = [Path(SAMPLES) / "vllm-metrics.prom"]
    table = ingest([path], drafted, metrics=metrics).table
    summary = [b["metrics"] for b in json.loads(path.read_text())["benchmarks"]]
    means = [m["request_latency"]["successful"]["mean"] for m in summary]
    np.testing.assert_allclose(table["mean_e2e_s"], means, rtol=1e-9)
    assert list(table["load_value"]) == [0.5, 1.0]
    # GuideLLM's inter-token latency leaves out the first token, so it must agree; its TPOT must not.
    itl = [m["inter_token_latency_ms"]["successful"]["mean"] for m in summary]
    np.testing.assert_allclose(table["mean_tpot_ms"], itl, rtol=0.01)
    assert json.loads(table["accepted_per_position"][0]) == [819, 765, 720, 663]
    assert table["n_drafts"].isna()[1]


def test_the_reason_of_a_burst_is_said_once(save, served):
    unlimited = guidellm_benchmark(steady(), strategy={"type_": "throughput", "max_concurrency": None})
    with pytest.raises(DataError, match="no steady load"):
        ingest([save(guidellm_report(unlimited))], served)
    assert "at once" in BURST
