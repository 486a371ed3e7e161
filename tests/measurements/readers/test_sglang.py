import json

import pytest

from bayes_sd.errors import DataError
from bayes_sd.measurements import read_table
from bayes_sd.measurements.readers import ingest, write_table

HARDWARE = {"hardware": "H100-SXM-80GB"}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_servers_own_settings_need_no_options(fixtures):
    table = ingest([fixtures / "sglang.jsonl"], HARDWARE).table
    assert list(table["load_kind"]) == ["concurrency", "rate"]
    assert list(table["load_value"]) == [4, 20]
    assert list(table["arrivals"]) == ["", "poisson"]
    row = table.iloc[0]
    assert (row["engine"], row["tp"], row["max_num_seqs"]) == ("sglang-0.5.23", 1, 128)
    assert (row["method"], row["k"], row["precision"]) == ("eagle3", 4, "bf16")
    assert row["drafter"] == "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"
    assert row["verifier"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert row["workload"] == "random-ids 64/32"


def test_latencies_and_the_one_tpot(fixtures):
    (stated, _), row = (
        lines(fixtures / "sglang.jsonl"),
        ingest([fixtures / "sglang.jsonl"], HARDWARE).table.iloc[0],
    )
    assert row["mean_e2e_s"] == pytest.approx(stated["mean_e2e_latency_ms"] / 1000)
    assert row["p99_e2e_s"] == pytest.approx(stated["p99_e2e_latency_ms"] / 1000)
    output = stated["total_output_tokens"] / stated["completed"]
    by_hand = (stated["mean_e2e_latency_ms"] - stated["mean_ttft_ms"]) / (output - 1)
    assert row["mean_tpot_ms"] == pytest.approx(by_hand)


def test_acceptance_length_is_a_length_and_no_count(fixtures):
    report = ingest([fixtures / "sglang.jsonl"], HARDWARE)
    assert report.table["mean_accepted_len"][0] == pytest.approx(2.7731)
    assert not {"acceptance", "n_drafts"} & set(report.table.columns)
    assert any("mean over the server's life" in note for note in report.notes)


def test_details_give_failures_and_spread(fixtures):
    report = ingest([fixtures / "sglang_details.jsonl"], HARDWARE)
    lengths = lines(fixtures / "sglang_details.jsonl")[0]["output_lens"]
    spread = (sum(n * n for n in lengths) / len(lengths) - (sum(lengths) / len(lengths)) ** 2) ** 0.5
    assert report.table["output_tokens_std"][0] == pytest.approx(spread)
    assert not any("how many requests failed" in note for note in report.notes)
    plain = ingest([fixtures / "sglang.jsonl"], HARDWARE)
    assert any("does not say how many requests failed" in note for note in plain.notes)


def test_its_concurrency_is_called_an_identity(fixtures):
    notes = ingest([fixtures / "sglang.jsonl"], HARDWARE).notes
    assert any("by construction" in note for note in notes)


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        (None, ["tp", "engine", "verifier", "precision", "method"]),
        ({"speculative_eagle_topk": None, "speculative_num_steps": None}, ["k"]),
        ({"dtype": "auto"}, ["precision"]),
    ],
)
def test_what_the_server_does_not_tell_is_asked_for(fixtures, save, server, asked):
    result = lines(fixtures / "sglang.jsonl")[0]
    result["server_info"] = None if server is None else {**result["server_info"], **server}
    with pytest.raises(DataError) as raised:
        ingest([save(result)], HARDWARE)
    for name in asked:
        assert f"{name} (--{name})" in str(raised.value)


def with_server(fixtures, **changes):
    result = lines(fixtures / "sglang.jsonl")[0]
    result["server_info"].update(changes)
    return result


def test_an_algorithm_that_is_not_known_is_a_level_of_its_own(fixtures, save):
    result = with_server(fixtures, speculative_algorithm="SOMETHING_NEW")
    assert ingest([save(result)], HARDWARE).table["method"][0] == "something_new"


def test_a_tree_of_drafts(fixtures, save):
    tree = with_server(fixtures, speculative_eagle_topk=8, speculative_num_draft_tokens=32)
    path = save(tree)
    row = ingest([path], HARDWARE).table.iloc[0]
    assert (row["k"], row["draft_passes"], row["verify_tokens"]) == (4, 4, 32)
    table = read_table(write_table(ingest([path], HARDWARE).table, path.with_name("t.csv")))
    assert (table["verify_tokens"] > table["k"] + 1).all()


def test_attention_parallel_replicas_are_one_deployment(fixtures, save):
    result = with_server(fixtures, tp_size=8, dp_size=8, ep_size=8, nnodes=2, enable_dp_attention=True)
    path = save(result)
    report = ingest([path], HARDWARE)
    row = report.table.iloc[0]
    assert (row["tp"], row["dp"], row["ep"], row["nodes"]) == (8, 8, 8, 2)
    assert "n_gpu" not in report.table
    assert row["engine_options"] == "dp attention8, ep8, nodes2"


def test_a_server_without_speculation(fixtures, save):
    result = lines(fixtures / "sglang.jsonl")[0]
    result["server_info"]["speculative_algorithm"] = None
    result["accept_length"] = None
    row = ingest([save(result)], HARDWARE).table.iloc[0]
    assert row["method"] == "none"


@pytest.mark.parametrize(
    ("formats", "precision"),
    [
        ({"quantization": "fp8"}, "fp8"),
        ({"quantization": None, "kv_cache_dtype": "fp8_e4m3"}, "w:bf16 kv:fp8"),
    ],
)
def test_precision_from_the_servers_settings(fixtures, save, formats, precision):
    result = lines(fixtures / "sglang.jsonl")[0]
    result["server_info"].update(formats)
    assert ingest([save(result)], HARDWARE).table["precision"][0] == precision


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"completed": 0}, "no request succeeded"),
        ({"max_concurrency": None}, "no steady load"),  # its rate is Infinity
        ({"request_rate": "trace"}, "trace"),
    ],
)
def test_runs_that_give_no_row(fixtures, save, changes, says):
    result = {**lines(fixtures / "sglang.jsonl")[0], **changes}
    with pytest.raises(DataError, match=says):
        ingest([save(result)], HARDWARE)


@pytest.mark.parametrize(
    ("reported", "share"),
    [
        ({"total_cached_tokens": 300, "total_prompt_tokens": 1200}, 0.25),
        ({"cache_hit_rate": 0.5}, 0.5),
        ({"total_cached_tokens": 0, "total_prompt_tokens": 1200}, 0.0),
    ],
)
def test_prefix_cache_hits_are_a_share_of_the_prompt(fixtures, tmp_path, reported, share):
    path = tmp_path / "cached.jsonl"
    path.write_text(json.dumps(lines(fixtures / "sglang.jsonl")[0] | reported))
    row = ingest([path], HARDWARE).table.iloc[0]
    assert row["cached_prompt_tokens"] == pytest.approx(share * row["prompt_tokens"])


@pytest.mark.parametrize(
    "reported", [{}, {"cache_hit_rate": None, "total_cached_tokens": None}, {"cache_hit_rate": 1.5}]
)
def test_without_a_share_nothing_is_said_of_the_cache(fixtures, tmp_path, reported):
    path = tmp_path / "uncached.jsonl"
    path.write_text(json.dumps(lines(fixtures / "sglang.jsonl")[0] | reported))
    report = ingest([path], HARDWARE)
    assert "cached_prompt_tokens" not in report.table
    assert any("hit rate" in note for note in report.notes) == (
        "cache_hit_rate" in reported and bool(reported["cache_hit_rate"])
    )


def test_a_checkpoint_of_nothing_but_own_layers_is_mtp(fixtures, save):
    result = with_server(
        fixtures,
        model_path="nvidia/DeepSeek-R1-0528-FP4",
        speculative_algorithm="EAGLE",
        speculative_draft_model_path="lmsys/DeepSeek-R1-NextN",
        speculative_eagle_topk=1,
    )
    assert ingest([save(result)], HARDWARE).table["method"][0] == "mtp"
