import json
import os
from pathlib import Path

import pytest
from benchmark_files import DETAILS, SPECULATION, vllm_result

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import ingest


def test_a_rate_run(save, served):
    row = ingest([save(vllm_result())], served).table.iloc[0]
    assert (row["load_kind"], row["load_value"], row["arrivals"]) == ("rate", 1.0, "poisson")
    assert row["verifier"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert (row["prompt_tokens"], row["output_tokens"]) == (100, 51)
    assert row["mean_e2e_s"] == pytest.approx(2.1)
    assert row["p95_e2e_s"] == pytest.approx(2.2)
    assert row["mean_ttft_ms"] == 100
    assert row["mean_tpot_ms"] == pytest.approx(40)
    assert row["achieved_rps"] == pytest.approx(40 / 42)
    assert row["duration_s"] == 42


def test_a_closed_loop_and_how_full_it_was(save, served):
    result = vllm_result(request_rate="inf", max_concurrency=2, duration=42.0, request_throughput=40 / 42)
    report = ingest([save(result)], served)
    row = report.table.iloc[0]
    assert (row["load_kind"], row["load_value"]) == ("concurrency", 2)
    assert "arrivals" not in report.table
    assert any("2 of 2 clients had a request in flight" in note for note in report.notes)
    # One wave of 40 requests on 40 clients, in a run that lasts twice as long as a request.
    wave = vllm_result(request_rate="inf", max_concurrency=40, duration=4.2, request_throughput=40 / 4.2)
    report = ingest([save(wave)], served)
    assert "loop 50% full" in report.table["notes"][0]


def test_rate_with_a_cap_stays_an_open_loop(save, served):
    row = ingest([save(vllm_result(max_concurrency=64))], served).table.iloc[0]
    assert (row["load_kind"], row["client_cap"]) == ("rate", 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"request_rate": "inf"},
        {"ramp_up_strategy": "linear", "request_rate": "inf", "max_concurrency": 8},
    ],
)
def test_no_steady_load_no_row(save, served, changes):
    with pytest.raises(DataError, match="no steady load"):
        ingest([save(vllm_result(**changes))], served)


@pytest.mark.parametrize(
    ("burstiness", "arrivals", "says"),
    [(3.0, "gamma 3", "between Poisson and even"), (0.5, "gamma 0.5", "burstier than Poisson")],
)
def test_burstiness_is_the_shape_of_gamma_gaps(save, served, burstiness, arrivals, says):
    path = save(vllm_result(burstiness=burstiness))
    report = ingest([path], served)
    assert report.table["arrivals"][0] == arrivals
    assert any(says in note for note in report.notes)


def test_several_results_in_one_file(save, served):
    text = "\n".join(json.dumps(vllm_result(request_rate=rate)) for rate in (1.0, 2.0, 4.0))
    for content in (text, text.replace("\n", ""), json.dumps(vllm_result(), indent=2) + "\n" + text):
        table = ingest([save(content)], served).table
        assert list(table["load_value"])[-3:] == [1.0, 2.0, 4.0]


def test_acceptance_as_counts_with_the_rate_in_per_cent(save, drafted):
    row = ingest([save(vllm_result(**SPECULATION))], drafted).table.iloc[0]
    assert (row["n_drafts"], row["n_draft_tokens"], row["n_accepted_tokens"]) == (800, 1600, 1000)
    assert json.loads(row["accepted_per_position"]) == [600, 400]
    assert row["k"] == 2
    assert row["acceptance"] == pytest.approx(0.625)
    assert row["mean_accepted_len"] == pytest.approx(2.25)


def test_without_counts_each_meaning_keeps_its_column(save, drafted):
    rates = {k: SPECULATION[k] for k in ("spec_decode_acceptance_rate", "spec_decode_acceptance_length")}
    report = ingest([save(vllm_result(**rates))], {**drafted, "k": 2})
    assert report.table["acceptance"][0] == pytest.approx(0.625)
    assert report.table["mean_accepted_len"][0] == pytest.approx(2.25)
    assert "n_drafts" not in report.table


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"spec_decode_acceptance_rate": 0.625}, "acceptance rate"),  # a share, not per cent
        ({"spec_decode_acceptance_length": 1.25}, "acceptance length"),  # the bonus token left out
        ({"spec_decode_per_position_acceptance_rates": [0.75, 0.4]}, "adds up to 920 tokens"),
        ({"spec_decode_accepted_tokens": 1601}, "adds up"),
    ],
)
def test_acceptance_that_contradicts_its_counts(save, drafted, changes, says):
    with pytest.raises(DataError, match=says):
        ingest([save(vllm_result(**{**SPECULATION, **changes}))], drafted)


def test_columns_given_to_the_tool_as_metadata_are_what_the_file_says(save, drafted):
    result = vllm_result(k="4", hardware="A100-SXM4-80GB", precision="fp8", whatever="x")
    given = {name: value for name, value in drafted.items() if name not in ("hardware", "precision")}
    row = ingest([save(result)], given).table.iloc[0]
    assert (row["k"], row["hardware"], row["precision"]) == (4, "A100-SXM4-80GB", "fp8")


def test_latency_put_together_where_the_tool_was_not_asked_for_it(save, served):
    missing = dict.fromkeys(("mean_e2el_ms", "median_e2el_ms", "p95_e2el_ms", "p99_e2el_ms"), ...)
    report = ingest([save(vllm_result(**missing))], served)
    assert report.table["mean_e2e_s"][0] == pytest.approx(0.1 + 50 * 0.04)
    assert "mean_e2e_s=ttft+tpot*(output-1)" in report.table["derived"][0]
    assert any("--percentile-metrics" in note for note in report.notes)


def test_details_give_percentiles_spread_and_littles_law(save, served):
    missing = dict.fromkeys(("mean_e2el_ms", "median_e2el_ms", "p95_e2el_ms", "p99_e2el_ms"), ...)
    details = {**DETAILS, "latencies": [2.0] * 20 + [2.2] * 20}
    report = ingest([save(vllm_result(**missing, **details))], served)
    row = report.table.iloc[0]
    assert row["mean_e2e_s"] == pytest.approx(2.1)
    assert row["p95_e2e_s"] == pytest.approx(2.2)
    assert row["output_tokens_std"] == 0
    assert any("Little's law" in note and "middle 80 %" in note for note in report.notes)


def test_failed_requests_are_reported_and_kept_out(save, served):
    details = {
        **DETAILS,
        "latencies": [2.1] * 36 + [0.0] * 4,
        "output_lens": [51] * 36 + [0] * 4,
        "errors": [""] * 36 + ["refused"] * 4,
    }
    result = vllm_result(
        completed=36, failed=4, total_input_tokens=3600, total_output_tokens=36 * 51, **details
    )
    report = ingest([save(result)], served)
    assert report.table["mean_e2e_s"][0] == pytest.approx(2.1)
    assert report.table["n_requests"][0] == 36
    assert any("4 of 40 requests failed" in note for note in report.notes)


def test_failures_are_seen_in_files_that_do_not_count_them(save, served):
    report = ingest([save(vllm_result(failed=..., num_prompts=50))], served)
    assert any("10 of 50 requests failed" in note for note in report.notes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"completed": 0, "failed": 40}, r"no request succeeded \(40 failed\)"),
        ({"mean_e2el_ms": 2.1, "median_e2el_ms": 2.1}, "are the units right"),  # seconds
        ({"mean_tpot_ms": 0.04}, "units contradict each other"),  # seconds
        ({"mean_e2el_ms": 2_100_000.0, "mean_tpot_ms": 42_000.0}, "longer than the run"),  # microseconds
        ({**DETAILS, "latencies": [2100.0] * 40}, "units contradict each other"),
        ({"mean_e2el_ms": -5}, "no column|says|mean"),
    ],
)
def test_files_that_cannot_be_right(save, served, changes, says):
    if changes.get("mean_e2el_ms") == -5:
        row = ingest([save(vllm_result(**changes))], served).table.iloc[0]
        assert row["mean_e2e_s"] > 0  # not measured: put together from its parts
        return
    with pytest.raises(DataError, match=says) as raised:
        ingest([save(vllm_result(**changes))], served)
    assert "\n" not in str(raised.value)


SAMPLES = os.environ.get("BAYES_SD_BENCHMARK_SAMPLES", "")


@pytest.mark.skipif(not SAMPLES, reason="BAYES_SD_BENCHMARK_SAMPLES names no folder of real benchmark files")
def test_results_of_vllm_itself(drafted):
    paths = sorted(Path(SAMPLES).glob("vllm-bench-serve*.json"))
    table = ingest(paths, drafted).table
    assert sorted(table["load_value"]) == [1.0, 1.5]
    assert set(table["k"]) == {4}
    assert [json.loads(c) for c in table["accepted_per_position"]] == [[273, 255, 240, 221]] * 2
    for row, path in zip(table.to_dict("records"), paths, strict=True):
        stated = json.loads(path.read_text())
        assert row["mean_e2e_s"] == pytest.approx(stated["mean_e2el_ms"] / 1000)
        # Every request has 32 output tokens, so ratio of means and mean of ratios are one.
        assert row["mean_tpot_ms"] == pytest.approx(stated["mean_tpot_ms"])


def closed(**changes):
    """A closed loop of 2 clients, one request at a time each."""
    return vllm_result(request_rate="inf", max_concurrency=2, duration=42.0, **changes)


def test_times_in_another_unit_than_their_name(save, served):
    seconds = {name: value / 1000 for name, value in vllm_result().items() if name.endswith("_ms")}
    path = save(closed(**seconds))
    with pytest.raises(DataError, match="of 2 clients: a unit error"):
        ingest([path], served)
    assert len(ingest([path], {**served, "load_kind": "concurrency", "load_value": 2}).table) == 1


def test_experts_spread_over_the_replicas(save, served):
    stated = closed(tensor_parallel_size=4, data_parallel_size=2, enable_expert_parallel=True)
    row = ingest([save(stated)], {n: v for n, v in served.items() if n != "tp"}).table.iloc[0]
    assert (row["tp"], row["dp"], row["ep"]) == (4, 2, 8)


@pytest.mark.parametrize("name", ["speculative_config", "speculative-config"])
@pytest.mark.parametrize("written", [json.dumps, lambda config: config], ids=["text", "object"])
def test_what_the_server_was_told_to_draft_with(save, served, name, written):
    config = {"method": "eagle3", "model": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "num_speculative_tokens": 3}
    path = save(closed(**{name: written(config)}))
    row = ingest([path], {n: v for n, v in served.items() if n != "method"}).table.iloc[0]
    assert (row["method"], row["drafter"], row["k"]) == ("eagle3", config["model"], 3)


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ({"kv_connector": "NixlConnector", "kv_role": "kv_both"}, "disaggregated NixlConnector"),
        ({"kv_connector": "X", "kv_role": "kv_producer"}, "disaggregated X"),
        ({"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}, "LMCacheConnectorV1"),
    ],
)
def test_caches_that_go_between_servers(save, served, config, options):
    row = ingest([save(closed(kv_transfer_config=json.dumps(config)))], served).table.iloc[0]
    assert row["engine_options"] == options


@pytest.mark.parametrize(
    "config", ["{", "[]", 3, '{"method": []}', {"method": {}}, {"num_speculative_tokens": True}, None, ""]
)
def test_a_config_that_is_none_says_nothing(save, served, config):
    assert (
        len(ingest([save(closed(speculative_config=config, kv_transfer_config=config))], served).table) == 1
    )


def test_more_in_flight_at_once_than_there_are_clients(save, served):
    notes = ingest([save(closed(max_concurrent_requests=9))], served).notes
    assert any("9 requests were in flight at once" in note for note in notes)
    assert not any(
        "at once" in note for note in ingest([save(closed(max_concurrent_requests=3))], served).notes
    )


def test_numbers_written_as_text_are_named(save, served):
    with pytest.raises(DataError, match="completed is the text '40'"):
        ingest([save(closed(completed="40"))], served)
