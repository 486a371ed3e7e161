"""Cards, servers to simulate, metrics, windows and benchmark files: damaged, or with bad numbers in them."""

from pathlib import Path

import pytest
from bad_cases import VALUES, faults, mutated, replaced_numbers, run, seeds
from test_options import CONFIG

from bayes_sd.files import shipped

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
SLOW = pytest.mark.slow
SERVER = """
[costs]
verify_fixed_s = 0.01
token_s = 0.001
draft_fixed_s = 0.001
[requests]
prompt_tokens = 50
output_tokens = 20
output_tokens_std = 5
[speculation]
k = 3
acceptance = 0.7
[engine]
max_num_seqs = 16
prefill_budget = 512
[experts]
total = 64
active = 4
skew = 0.5
"""
METRICS = """
process_start_time_seconds 1.7e9
vllm:e2e_request_latency_seconds_sum{engine="0"} 120.5
vllm:e2e_request_latency_seconds_count{engine="0"} 40
vllm:request_queue_time_seconds_sum{engine="0"} 2.5
vllm:request_queue_time_seconds_count{engine="0"} 40
vllm:spec_decode_num_drafts_total{engine="0"} 900
vllm:spec_decode_num_draft_tokens_total{engine="0"} 2700
vllm:spec_decode_num_accepted_tokens_total{engine="0"} 1500
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="0"} 700
"""
WINDOWS = "latency_s,rate_rps,accepted_len,requests\n3.0,1.0,2.5,100\n3.1,1.0,2.4,100\n"


def damaged(text, total):
    """Give damaged versions of a text."""
    for seed in seeds(total):
        if seed % 2:
            yield seed, replaced_numbers(text, seed).encode("utf-8", "surrogatepass")
        else:
            yield seed, mutated(text.encode(), seed)


@pytest.mark.parametrize("total", [120, pytest.param(2000, marks=SLOW)])
@pytest.mark.parametrize("name", ["hardware.toml", "llama.toml"])
def test_cards(tmp_path, name, total):
    text = (shipped("models") / name).read_text()

    def ran():
        for seed, content in damaged(text, total):
            (tmp_path / "own.toml").write_bytes(content)
            yield (
                seed,
                run(
                    ["predict", "none.nc", "--conditions", "c.csv", "--output", "o.csv", "--models", tmp_path]
                ),
            )

    assert faults(ran(), tmp_path / "o.csv") == []


@pytest.mark.parametrize("total", [150, pytest.param(2000, marks=SLOW)])
def test_servers_to_simulate(tmp_path, total):
    def ran():
        for seed, content in damaged(SERVER, total):
            (tmp_path / "server.toml").write_bytes(content)
            options = ["--output", tmp_path / "o.csv", "--concurrency", "2", "--n-requests", "10"]
            yield seed, run(["simulate", tmp_path / "server.toml", *options])

    assert faults(ran(), tmp_path / "o.csv") == []


@pytest.mark.parametrize("total", [200, pytest.param(3000, marks=SLOW)])
def test_metrics(tmp_path, total):
    def ran():
        for seed, content in damaged(METRICS, total):
            (tmp_path / "scrape.prom").write_bytes(content)
            yield seed, run(["monitor", "none.nc", "--metrics", tmp_path / "scrape.prom", "--interval", "60"])

    assert faults(ran(), tmp_path / "o.csv") == []


@pytest.mark.parametrize("total", [25, pytest.param(1000, marks=SLOW)])
def test_windows(tmp_path, small_trace, total):
    def ran():
        for seed, content in damaged(WINDOWS, total):
            yield seed, run(["monitor", small_trace], content.decode("utf-8", "replace"))
        for value in VALUES[:: 12 if total < 100 else 1]:
            yield (
                value,
                run(["monitor", small_trace, "--json"], '{"latency_s": 3, "in_flight": ' + value + "}\n"),
            )

    assert faults(ran(), tmp_path / "o.csv") == []


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples of benchmark files here")
@pytest.mark.parametrize("total", [60, pytest.param(1500, marks=SLOW)])
def test_benchmark_files(tmp_path, total):
    files = [path for path in sorted(SAMPLES.rglob("*")) if path.suffix in (".json", ".jsonl", ".csv")]

    def ran():
        for seed in seeds(total):
            source = files[seed % len(files)]
            path = tmp_path / f"bench{source.suffix}"
            text = source.read_text()
            path.write_bytes(
                replaced_numbers(text, seed).encode("utf-8", "surrogatepass")
                if seed % 2
                else mutated(text.encode(), seed)
            )
            options = [
                "--hardware",
                "H100",
                "--engine",
                "e",
                "--verifier",
                "V",
                "--precision",
                "fp16",
                "--method",
                "none",
            ]
            yield (source.name, seed), run(["ingest", path, "--output", tmp_path / "o.csv", *options])

    assert faults(ran(), tmp_path / "o.csv") == []


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
YAMLS = {
    "references": f"scenario: {{}}\n{LAUGHS}metrics: *a59\n", "itself": "scenario: {}\nmetrics: &a {b: *a}\n",
    "merged": "scenario: {}\nmetrics: &a\n  <<: *a\n", "deep": "scenario: " + "[" * 5000, "flow": "scenario: " + "{a: " * 5000,
    "number": f"scenario: {{}}\nmetrics: {{requests: {{total: {'9' * 10_000}}}}}\n", "date": "scenario: 2026-13-45\n",
    "python": "scenario: !!python/object/apply:os.system ['true']\n", "keys": "scenario: {[1]: 2}\n",
    "binary": "scenario: !!binary '*'\n", "sixties": "scenario: {}\nmetrics: {requests: {total: 99:99:99:99}}\n",
}  # fmt: skip


@pytest.mark.parametrize("name", YAMLS)
def test_yaml_that_means_more_than_it_says(tmp_path, name):
    (tmp_path / "r.yaml").write_text(YAMLS[name])
    done = run(["ingest", tmp_path / "r.yaml", "--output", tmp_path / "o.csv"])
    assert (done.code, done.fault()) == (2, "")


TOMLS = {
    "dotted": "a." * 200_000 + "a = 1\n", "quoted": '"=".' * 100_000 + "a = 1\n", "header": "[" + "a." * 200_000 + "a]\n",
    "inline": "x = {" + "a." * 200_000 + "a = 1}\n", "deep": "a = " + "[" * 5000, "tables": "a = " + "{a=" * 5000,
    "number": f"a = {'9' * 10_000}\n", "hex": f"a = 0x{'f' * 10_000}\n", "text": 'a = "' + "x" * 2_000_000 + '"\n',
    "date": "a = 9999-99-99\n", "twice": "a = 1\n" * 2, "nan": "[costs]\nverify_fixed_s = nan\n",
}  # fmt: skip


@pytest.mark.parametrize("name", TOMLS)
def test_toml_that_costs_more_than_it_says(tmp_path, name):
    (tmp_path / "s.toml").write_text(TOMLS[name])
    done = run(["simulate", tmp_path / "s.toml", "--output", tmp_path / "o.csv"])
    assert (done.code, done.fault()) == (2, "")


STREAMED = {
    "deep": b'{"benchmarks": ' + b"[" * 300_000, "maps": b'{"benchmarks": ' + b'{"a":' * 100_000,
    "number": b'{"benchmarks": [%s]}' % (b"9" * 10_000),
    "cut": b'{"benchmarks": [{"requests": {"successful": [{"a": 1', "text": b'{"benchmarks": "\xff\xfe"}', "none": b"{]",
    "infinite": b'{"benchmarks": [{"requests": {"successful": [{"output_tokens": 1e400}]}}]}',
    "histogram": b'{"benchmarks": [{"requests": {"successful": [{"response_metrics": {"speculative_decoding": '
    b'{"acceptance_histogram": [1e300, {}]}}}]}}]}',
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMED)
def test_a_report_that_is_streamed(tmp_path, monkeypatch, name):
    from bayes_sd.errors import DataError
    from bayes_sd.measurements.readers import guidellm_file

    monkeypatch.setattr(guidellm_file, "WHOLE_BYTES", 0)
    (tmp_path / "b.json").write_bytes(STREAMED[name] + b" " * 1000)
    with pytest.raises(DataError) as caught:
        guidellm_file.read_report(tmp_path / "b.json")
    assert "\n" not in str(caught.value)


INDEX = """{"metadata": {"total_size": 16060522496, "total_parameters": 8030261248},
"weight_map": {"model.embed_tokens.weight": "model-00001.safetensors", "lm_head.weight": "model-00002.safetensors"}}"""


@pytest.mark.parametrize("total", [60, pytest.param(1500, marks=SLOW)])
@pytest.mark.parametrize("damage", ["config.json", "index.json"])
def test_checkpoints(tmp_path, damage, total):
    texts = {"config.json": CONFIG, "index.json": INDEX}

    def ran():
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        for seed, content in damaged(texts[damage], total):
            (tmp_path / damage).write_bytes(content)
            yield (
                seed,
                run(["card", tmp_path / "config.json", "--safetensors-index", tmp_path / "index.json"]),
            )

    assert faults(ran(), tmp_path / "o.csv") == []


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    pytest.importorskip("gguf")
    import numpy as np

    from bayes_sd.engine import DRAFTERS, write_model
    from bayes_sd.engine.words import N_TOKENS

    path = tmp_path_factory.mktemp("gguf") / "whole.gguf"
    write_model(DRAFTERS["cycle-draft-4m"], np.roll(np.arange(N_TOKENS), 1), seed=1, path=path)
    return path.read_bytes()


@pytest.mark.parametrize("total", [40, pytest.param(1000, marks=SLOW)])
def test_weights_in_one_file(tmp_path, gguf_file, total):
    head = 40_000  # what is said of the tensors; damage within them says nothing

    def ran():
        for seed in seeds(total):
            (tmp_path / "m.gguf").write_bytes(mutated(gguf_file[:head], seed) + gguf_file[head:])
            yield seed, run(["card", tmp_path / "m.gguf"])

    assert faults(ran(), tmp_path / "o.csv") == []
