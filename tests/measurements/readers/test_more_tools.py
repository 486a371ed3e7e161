"""llm-d reports, InferenceX's API, LLMPerf summaries, sweeps, and files that are known and not read."""

import json

import pytest
import yaml
from benchmark_files import DETAILS, guidellm_benchmark, guidellm_report, steady, vllm_result

from bayes_sd.errors import DataError
from bayes_sd.measurements import apply_rules, read_table
from bayes_sd.measurements.readers import ingest, recognise, write_table

GIVEN = {"precision": "bf16", "method": "none"}


def stat(mean, units, **more):
    return {"units": units, "mean": mean, **more}


def report_01(**changes):
    """Forty requests of 2.1 s at one a second, in schema 0.1."""
    report = {
        "version": "0.1",
        "scenario": {
            "model": {"name": "Llama-3.1-8B-Instruct"},
            "host": {
                "accelerator": [{"model": "H100", "count": 2, "parallelism": {"tp": 2, "dp": 1}}],
                "type": ["replica"],
            },
            "platform": {"engine": [{"name": "vllm", "version": "vllm/vllm-openai:v0.11.0"}]},
            "load": {
                "name": "inference-perf",
                "args": {"load": {"type": "constant", "stages": [{"rate": 9}, {"rate": 1.0}]}},
                "metadata": {"stage": 1},
            },
        },
        "metrics": {
            "time": {"duration": 42.0},
            "requests": {
                "total": 41,
                "failures": 1,
                "input_length": stat(100, "count"),
                "output_length": stat(51, "count"),
            },
            "latency": {
                "request_latency": stat(2100, "ms", p50=2090, p99=2300),
                "time_to_first_token": stat(0.1, "s"),
                "time_per_output_token": stat(40, "ms/token"),
            },
            "throughput": {"requests_per_sec": 40 / 42, "output_tokens_per_sec": 2040 / 42},
        },
    }
    return {**report, **changes}


def report_02(roles=("replica",), replicas=1):
    """The same in schema 0.2."""
    old = report_01()["metrics"]
    rate = {
        "request_rate": stat(40 / 42, "queries/s"),
        "output_token_rate": stat(2040 / 42, "tokens/s"),
    }
    stack = [
        {
            "standardized": {
                "kind": "inference_engine",
                "tool": "vllm",
                "tool_version": "0.11.0",
                "role": role,
                "replicas": replicas,
                "model": {"name": "Llama-3.1-8B-Instruct"},
                "accelerator": {"model": "H100", "count": 2, "parallelism": {"tp": 2}},
            }
        }
        for role in roles
    ]
    return {
        "version": "0.2",
        "run": {"time": {"duration": "PT42S"}},
        "scenario": {
            "stack": [*stack, {"standardized": {"kind": "router", "tool": "epp"}}],
            "load": {"standardized": {"tool": "inference-perf", "rate_qps": 1.0, "stage": 0}},
        },
        "results": {
            "request_performance": {
                "aggregate": {
                    "requests": old["requests"],
                    "latency": old["latency"],
                    "throughput": rate,
                }
            }
        },
    }


@pytest.mark.parametrize("report", [report_01(), report_02()], ids=["0.1", "0.2"])
@pytest.mark.parametrize("write", [yaml.safe_dump, json.dumps], ids=["yaml", "json"])
def test_llm_d_reports(save, report, write):
    result = ingest([save(write(report), "report")], {**GIVEN, "arrivals": "poisson"})
    row = result.table.iloc[0]
    assert (row["hardware"], row["tp"], row["engine"]) == ("H100", 2, "vllm-0.11.0")
    assert (row["load_kind"], row["load_value"], row["duration_s"]) == ("rate", 1.0, 42)
    assert (row["mean_e2e_s"], row["p50_e2e_s"], row["mean_ttft_ms"]) == (2.1, 2.09, 100)
    assert row["mean_tpot_ms"] == pytest.approx(40)
    assert row["n_requests"] == 40
    assert any("1 of 41 requests failed" in note for note in result.notes)


def test_an_llm_d_report_of_split_servers_is_left_out_of_a_fit(save, tmp_path):
    path = save(yaml.safe_dump(report_02(("prefill", "decode"))), "r.yaml")
    table = ingest([path], {**GIVEN, "arrivals": "poisson"}).table
    assert table["engine_options"][0] == "disaggregated"
    assert apply_rules(read_table(write_table(table, tmp_path / "t.csv")))[1].counts()["disaggregated"] == 1


def test_an_llm_d_report_of_replicas(save, tmp_path):
    path = save(yaml.safe_dump(report_02(replicas=4)), "r.yaml")
    table = ingest([path], {**GIVEN, "arrivals": "poisson"}).table
    assert (table["n_gpu"][0], table["dp"][0]) == (8, 4)
    again = read_table(write_table(table, tmp_path / "t.csv"))
    assert (again["dp"] == 4).all()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: [", "not valid YAML"),
        ("version: 1\n", "no llm-d benchmark report"),
        (yaml.safe_dump(report_01()).replace("units: ms\n", "units: fortnights\n"), "'fortnights'"),
    ],
)
def test_yaml_that_is_something_else(save, text, says):
    with pytest.raises(DataError, match=says) as raised:
        ingest([save(text, "r.yaml")], {**GIVEN, "arrivals": "poisson"})
    assert "\n" not in str(raised.value)


def api_entry(**changes):
    """Eight clients on four GPUs: 900 + 450 tokens a request, 0.5 s and 449 tokens of 10 ms."""
    latency = 0.5 + 449 * 0.010
    rate = 8 / latency
    metrics = {
        "mean_e2el": latency,
        "median_e2el": latency,
        "p99_e2el": latency * 1.2,
        "mean_ttft": 0.5,
        "mean_tpot": 0.010,
        "tput_per_gpu": rate * 1350 / 4,
        "input_tput_per_gpu": rate * 900 / 4,
        "output_tput_per_gpu": rate * 450 / 4,
    }
    entry = {
        "hardware": "h200",
        "framework": "sglang",
        "model": "dsr1",
        "precision": "fp8",
        "spec_method": "none",
        "disagg": False,
        "decode_tp": 4,
        "decode_ep": 1,
        "num_prefill_gpu": 4,
        "num_decode_gpu": 4,
        "isl": 1000,
        "osl": 500,
        "conc": 8,
        "image": "lmsysorg/sglang:v0.5.12-cu129",
        "metrics": metrics,
        "date": "2026-06-11",
    }
    return {**entry, **changes}


def test_what_inferencexs_api_answers(save):
    entries = [api_entry(), api_entry(spec_method="eagle4", conc=16)]
    path = save(entries)
    assert recognise(path) == "inferencex-api"
    table = ingest([path], {"drafter": "d", "k": 3}).table
    row = table.iloc[0]
    assert (row["verifier"], row["hardware"], row["engine"], row["tp"]) == (
        *("DeepSeek-R1-0528", "h200", "sglang-0.5.12", 4),
    )
    assert (row["load_kind"], row["load_value"], row["method"]) == ("concurrency", 8, "none")
    assert row["mean_e2e_s"] == pytest.approx(4.99)
    assert (row["prompt_tokens"], row["output_tokens"]) == pytest.approx((900, 450))
    assert table["method"][1] == "eagle4"


def test_a_disaggregated_cell_of_the_api_is_marked(save):
    table = ingest([save([api_entry(disagg=True)])], {"prompt_tokens": 900}).table
    assert table["engine_options"][0].startswith("disaggregated")


def test_llmperf(save, served):
    latency = {f"results_end_to_end_latency_s_{s}": v for s, v in (("mean", 2.1), ("quantiles_p50", 2.0))}
    summary = {
        "version": "2023-08-31",
        "model": "Llama-3.1-8B-Instruct",
        "num_concurrent_requests": 4,
        "results_ttft_s_mean": 0.1,
        **latency,
        "results_number_input_tokens_mean": 100,
        "results_number_output_tokens_mean": 51,
        "results_num_completed_requests": 40,
        "results_number_errors": 2,
        "results_num_completed_requests_per_min": 60 * 4 / 2.1,
    }
    report = ingest([save(summary)], served)
    row = report.table.iloc[0]
    assert (row["load_kind"], row["load_value"], row["mean_e2e_s"]) == ("concurrency", 4, 2.1)
    assert row["achieved_rps"] == pytest.approx(4 / 2.1)
    assert row["mean_tpot_ms"] == pytest.approx(40)
    assert any("2 of 42 requests failed" in note for note in report.notes)


def test_a_sweeps_settings_are_columns(save, served):
    given = {name: value for name, value in served.items() if name != "tp"}
    swept = {"tensor_parallel_size": 2, "max-num-seqs": 16, "speculative_config.num_speculative_tokens": 3}
    results = [vllm_result(run_number=n, **swept) for n in range(2)]
    table = ingest([save(results)], {**given, "method": "mtp"}).table
    assert list(table["tp"]) == [2, 2]
    assert list(table["max_num_seqs"]) == [16, 16]
    assert list(table["k"]) == [3, 3]
    assert list(table["repeat"]) == ["0", "1"]


def test_latency_from_the_times_of_single_requests(save, served):
    details = {name: DETAILS[name] for name in ("ttfts", "itls", "output_lens", "errors")}
    no_latency = dict.fromkeys(("mean_e2el_ms", "median_e2el_ms", "p95_e2el_ms", "p99_e2el_ms"), ...)
    report = ingest([save(vllm_result(**no_latency, **details))], served)
    assert report.table["mean_e2e_s"][0] == pytest.approx(0.1 + 50 * 0.04)
    assert "ttfts + itls" in report.table["derived"][0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"avg_latency": 1.0, "latencies": [1.0], "percentiles": {}}, "vllm bench latency"),
        ({"elapsed_time": 1.0, "num_requests": 2, "requests_per_second": 2.0}, "vllm bench throughput"),
        ([{"build_commit": "x", "n_prompt": 512, "n_gen": 0}], "llama-bench"),
        ({"status": "success", "data": {"resultType": "matrix"}}, "Prometheus"),
        ({"benchmarks": [{"args": {}}]}, "GuideLLM report from before 0.3"),
        ([{"benchmark": {}, "model": {}, "metric": {}}], "PyTorch's benchmark format"),
        ({"version": "1", "experiments": []}, "profile_export_genai_perf.json"),
        ({"metadata": {}, "metrics": {}, "error": None}, "profile_export_aiperf.json"),
        ([{"error_code": None, "ttft_s": 0.1, "end_to_end_latency_s": 1.0}], "_summary.json"),
    ],
)
def test_files_that_are_known_and_not_read_are_named(save, content, says):
    with pytest.raises(DataError, match=says) as raised:
        recognise(save(content))
    assert "\n" not in str(raised.value)


def test_a_stages_prometheus_metrics_are_named(save, served):
    stage = {
        "load_summary": {"count": 9},
        "successes": {"count": 9, "queue_len": {"mean": 1.0}, "request_latency": {"mean": 2.0}},
        "failures": {"count": 0},
    }
    with pytest.raises(DataError, match="the server's Prometheus metrics of a stage"):
        ingest([save(stage)], served)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PK\x03\x04", "zip archive"),
        ("{}".encode("utf-16"), "UTF-16"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
    ],
)
def test_packed_files_are_named(tmp_path, start, says):
    path = tmp_path / "result.json"
    path.write_bytes(start)
    with pytest.raises(DataError, match=says):
        recognise(path)


def test_settings_of_a_sweep_without_a_column_set_deployments_apart(save, served):
    results = [vllm_result(run_number=0, max_num_batched_tokens=tokens) for tokens in (2048, 8192)]
    table = ingest([save(results)], served).table
    assert list(table["engine_options"]) == ["max_num_batched_tokens=2048", "max_num_batched_tokens=8192"]
    same = [vllm_result(run_number=n, max_num_batched_tokens=2048, date=f"d{n}") for n in range(2)]
    assert "engine_options" not in ingest([save(same)], served).table


def guidellm_0_3():
    """A report as 0.3 wrote it: settings under args and worker, counts beside the metrics."""
    report = guidellm_report(guidellm_benchmark(steady()))
    report["metadata"] = {"version": 1, "guidellm_version": "0.3.0"}
    benchmark = report["benchmarks"][0]
    config = benchmark.pop("config")
    benchmark["args"] = {"strategy": config["strategy"]}
    benchmark["worker"] = {"backend_model": config["backend"]["model"]}
    benchmark["run_stats"] = {"requests_made": benchmark["metrics"].pop("request_totals")}
    for request in benchmark["requests"]["successful"]:
        request["type_"] = "generative_text_response"
        for name in ("start_time", "end_time"):
            request[name] = request.pop(f"request_{name}")
    return report


def test_a_guidellm_report_of_0_3(save, served):
    old = ingest([save(guidellm_0_3())], served).table
    new = ingest([save(guidellm_report(guidellm_benchmark(steady())))], served).table
    columns = ["verifier", "load_kind", "load_value", "mean_e2e_s", "mean_ttft_ms", "n_requests"]
    assert old[columns].equals(new[columns])
