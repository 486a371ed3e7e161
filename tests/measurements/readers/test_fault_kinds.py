"""The faults of `fixtures/faults` in other tools, other words and other figures: the kind counts, not the case."""

import copy
import json

import pytest
import yaml
from benchmark_files import SERVED_MODEL, vllm_result
from test_more_tools import GIVEN, report_01, report_02

from bayes_sd.errors import DataError
from bayes_sd.measurements import apply_rules, read_table
from bayes_sd.measurements.readers import ingest, write_table

SGLANG = {"hardware": "H100-SXM-80GB"}
CLOSED = {"request_rate": "inf", "max_concurrency": 2}
"""40 requests of 2.1 s and 51 tokens by two clients, 42 s in all."""
ON_VLLM = {"hardware": "H100-SXM-80GB", "engine": "vllm-0.24.0", "precision": "bf16"}


def fault(fixtures, name):
    path = next((fixtures / "faults").glob(f"{name}_*"))
    text = path.read_text()
    return json.loads(text.splitlines()[0] if path.suffix == ".jsonl" else text)


def sglang(fixtures, name, **server):
    result = copy.deepcopy(fault(fixtures, name))
    result["server_info"].update(server)
    return result


def left_out(table, tmp_path):
    _, rules = apply_rules(read_table(write_table(table, tmp_path / "t.csv")))
    return {name for name, count in rules.counts().items() if count}


CACHED = "/root/.cache/huggingface/hub/models--deepseek-ai--DeepSeek-R1/snapshots/abc123"


@pytest.mark.parametrize(
    ("verifier", "drafter"),
    [
        ("deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-R1/"),
        ("/models/DeepSeek-R1", "/models/deepseek-r1"),
        (CACHED, "deepseek-ai/DeepSeek-R1"),
        ("deepseek-ai/DeepSeek-R1", f"{CACHED}/"),
        ("./DeepSeek-R1", "DeepSeek-R1"),
        ("/data/DeepSeek-R1", "lmsys/DeepSeek-R1-NextN"),
    ],
)
def test_a_models_own_head_by_any_path(fixtures, save, verifier, drafter):
    result = sglang(fixtures, "m20", model_path=verifier, speculative_draft_model_path=drafter)
    table = ingest([save(result)], SGLANG).table
    assert table["method"][0] == "mtp"
    assert "drafter" not in table


def test_another_drafter_is_none_of_the_models_own(fixtures, save):
    result = sglang(fixtures, "m20", speculative_draft_model_path="lmsys/sglang-EAGLE-llama2-chat-7B")
    assert ingest([save(result)], SGLANG).table["method"][0] == "eagle"


@pytest.mark.parametrize(
    ("config", "method", "drafter"),
    [
        ({"method": "deepseek_mtp"}, "mtp", None),
        ({"method": "mtp", "model": f"{SERVED_MODEL}/"}, "mtp", None),
        ({"model": SERVED_MODEL}, "mtp", None),
        ({"model": "[ngram]"}, "ngram", None),
        ({"model": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"}, "eagle3", "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"),
        ({"method": "hydra9", "model": "a/b"}, "hydra9", "a/b"),
    ],
)
def test_vllms_own_words_for_drafting(save, config, method, drafter):
    result = vllm_result(**CLOSED, speculative_config=json.dumps({**config, "num_speculative_tokens": 2}))
    row = ingest([save(result)], {**ON_VLLM, "tp": 1}).table.iloc[0]
    assert (row["method"], row["k"], row.get("drafter")) == (method, 2, drafter)


def test_a_drafter_whose_name_says_nothing_is_asked_about(save):
    result = vllm_result(**CLOSED, speculative_config='{"model": "a/b", "num_speculative_tokens": 2}')
    with pytest.raises(DataError, match=r"method \(--method\)"):
        ingest([save(result)], {**ON_VLLM, "tp": 1})


@pytest.mark.parametrize(("branches", "verified"), [(None, 4), (None, None), (1, 4)])
def test_a_chain_is_one_where_its_branches_are_not_recorded(fixtures, save, branches, verified):
    changes = {"speculative_eagle_topk": branches, "speculative_num_draft_tokens": verified}
    table = ingest([save(sglang(fixtures, "m20", **changes))], SGLANG).table
    assert table["k"][0] == 3
    assert "verify_tokens" not in table


@pytest.mark.parametrize(
    "member",
    [
        {"disaggregated": True},
        {"pd_disaggregation": "1"},
        {"disaggregation_mode": "decode"},
        {"kv_role": "kv_producer"},
        {"deployment": "prefill/decode disaggregated 2P1D"},
        {"kv-transfer-config": '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}'},
    ],
)
def test_split_servers_in_whatever_words(save, served, tmp_path, member):
    report = ingest([save(vllm_result(**CLOSED, **member))], served)
    assert report.table["engine_options"][0].startswith("disaggregated")
    assert any("separate GPUs" in note for note in report.notes)
    assert "disaggregated" in left_out(report.table, tmp_path)


@pytest.mark.parametrize(
    "member", [{"disaggregated": "false"}, {"label": "non-disaggregated"}, {"disagg": 0}]
)
def test_servers_that_are_not_split(save, served, member):
    assert "engine_options" not in ingest([save(vllm_result(**CLOSED, **member))], served).table


@pytest.mark.parametrize("mode", ["decode", "PREFILL", "DisaggregationMode.DECODE"])
def test_halves_of_a_split_sglang_server(fixtures, save, tmp_path, mode):
    table = ingest([save(sglang(fixtures, "m44", dp_size=1, disaggregation_mode=mode))], SGLANG).table
    assert "disaggregated" in left_out(table, tmp_path)


def test_halves_that_are_not_in_a_list(fixtures, save):
    result = copy.deepcopy(fault(fixtures, "m07"))
    for half in ("prefill", "decode"):
        result["server_info"][half] = result["server_info"][half][0]
    row = ingest([save(result)], SGLANG).table.iloc[0]
    assert (row["engine"], row["n_gpu"]) == ("sglang-0.5.6", 4)


@pytest.mark.parametrize("roles", [("Prefill", "Decode"), ("prefill-leader", "decode-worker")])
def test_roles_of_a_split_llm_d_stack(save, tmp_path, roles):
    table = ingest([save(yaml.safe_dump(report_02(roles)))], {**GIVEN, "arrivals": "poisson"}).table
    assert "disaggregated" in left_out(table, tmp_path)


def test_replicas_listed_one_by_one_are_so_many_gpus(save):
    report = report_01()
    host, platform = report["scenario"]["host"], report["scenario"]["platform"]
    host.update(accelerator=host["accelerator"] * 4, type=["replica"] * 4)
    platform["engine"] = platform["engine"] * 4
    row = ingest([save(yaml.safe_dump(report))], {**GIVEN, "arrivals": "poisson"}).table.iloc[0]
    assert (row["n_gpu"], row["dp"], row["tp"]) == (8, 4, 2)


@pytest.mark.parametrize(
    ("sizes", "gpus", "options"),
    [
        ({"tensor_parallel_size": 1, "data_parallel_size": 4}, 4, "dp4"),
        ({"tensor_parallel_size": 2, "pipeline_parallel_size": 2}, 4, "pp2"),
        ({"data_parallel_size": 4, "enable_expert_parallel": True}, 8, "dp4, ep8"),
    ],
)
def test_vllms_replicas_and_stages_are_so_many_gpus(save, sizes, gpus, options):
    given = {**ON_VLLM, "method": "none", **({} if "tensor_parallel_size" in sizes else {"tp": 2})}
    row = ingest([save(vllm_result(**CLOSED, **sizes))], given).table.iloc[0]
    assert (row["n_gpu"], row["engine_options"]) == (gpus, options)


def test_experts_spread_by_the_way_they_are_reached(fixtures, save):
    result = sglang(fixtures, "m44", tp_size=8, dp_size=1, moe_a2a_backend="deepep")
    assert ingest([save(result)], SGLANG).table["ep"][0] == 8


def test_genai_perf_spaces_requests_evenly(fixtures, save, served):
    export = fault(fixtures, "m36")
    export["input_config"]["perf_analyzer"]["stimulus"] = {"request_rate": 2.0}
    row = ingest([save(export)], served).table.iloc[0]
    assert (row["load_kind"], row["load_value"], row["arrivals"]) == ("rate", 2, "even")


def test_genai_perfs_first_form(fixtures, save, served):
    export = {
        **fault(fixtures, "m36"),
        "input_config": {"model": ["m"], "concurrency": 8, "request_rate": None},
    }
    export["input_config"]["service_kind"] = "openai"
    row = ingest([save(export)], {**served, "verifier": "m"}).table.iloc[0]
    assert (row["load_kind"], row["load_value"], row["measured_by"]) == ("concurrency", 8, "genai-perf")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mean_itl_ms": -3.0}, "mean time between chunks is -3 ms, which is not a time"),
        ({"mean_tpot_ms": -19.0}, "mean time per token is -19 ms, which is not a time"),
        ({"p99_e2el_ms": 90000.0}, "99th percentile of latency is 90 s, longer than the run of 42 s"),
        ({"p95_e2el_ms": 44000.0, "p99_e2el_ms": 44000.0}, "less than 5 % of the 95th percentile 44 s"),
        ({"completed": 45, "num_prompts": 40}, "45 requests succeeded of 40 that were to be sent"),
        ({"output_lens": [20] * 40}, "51 output tokens a request as counted, 20 by the other count"),
        ({"failed": -3}, "which no counts can be"),
    ],
)
def test_figures_that_cannot_be(save, served, changes, says):
    notes = " | ".join(ingest([save(vllm_result(**CLOSED, **changes))], served).notes)
    assert says in notes


def test_answers_without_one_token(save, served):
    path = save(vllm_result(**CLOSED, total_output_tokens=0, output_throughput=0.0))
    with pytest.raises(DataError, match="not one token came back"):
        ingest([path], served)


def test_bounds_of_a_summary(fixtures, save, served):
    export = fault(fixtures, "m36")
    export["request_latency"] |= {"max": 3000.0, "min": 100.0}
    export["output_sequence_length"]["min"] = 0.0
    notes = " | ".join(ingest([save(export)], served).notes)
    assert "mean latency 3.9 s is above the longest 3 s" in notes
    assert "an answer without a token" in notes


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("metadata:\n  version: 1\nbenchmarks:\n- a: 1\n", "a GuideLLM report as YAML or CSV"),
        ("date,request_throughput,completed\n1,2,3\n", "summary.csv of `vllm bench sweep`"),
        ("Metric,avg,min,max\nTime To First Token (ms),1,2,3\n", "the table of AIPerf or GenAI-Perf"),
        ('{"n_kv_max": 2048, "pp": 128, "tg": 128, "pl": 1}\n', "what llama-batched-bench writes"),
        ("CREATE TABLE IF NOT EXISTS llama_bench (\n", "what llama-bench writes"),
        ("<!DOCTYPE html><html></html>", "a page of HTML"),
        ('{"summary": {}, "metrics": {}}', "what a server's own metrics came to"),
    ],
)
def test_more_files_that_are_named(save, content, says):
    with pytest.raises(DataError, match=says):
        ingest([save(content, "some.txt")])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["{}", "[{}]", "version: 1\n"])
def test_utf_16_of_any_kind(tmp_path, encoding, text):
    path = tmp_path / "r.json"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match="UTF-16"):
        ingest([path])


def test_one_run_in_two_files_counts_once(tmp_path, save, served):
    runs = [vllm_result(**CLOSED), vllm_result(**CLOSED, mean_e2el_ms=2100.5)]
    folder = tmp_path / "runs"
    folder.mkdir()
    for number, run in enumerate(runs):
        (folder / f"run{number}.json").write_text(json.dumps(run))
    (folder / "summary.json").write_text(json.dumps(runs))
    report = ingest([folder], served, recursive=True)
    assert list(report.table["mean_e2e_s"]) == [2.1, 2.1005]
    ((reason, count),) = report.left_out().items()
    assert "to the last digit: counted once" in reason
    assert count == 2


def test_two_alike_in_one_file_are_two_runs(save, served):
    assert len(ingest([save([vllm_result(**CLOSED)] * 2)], served).table) == 2


def test_a_single_wave_is_said_in_the_row(save, served):
    result = vllm_result(request_rate="inf", max_concurrency=40, duration=2.2, request_throughput=40 / 2.2)
    report = ingest([save({**result, "output_throughput": 2040 / 2.2})], served)
    assert "single wave" in report.table["notes"][0]
    assert any("no steady loop's" in note for note in report.notes)
