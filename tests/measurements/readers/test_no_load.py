"""Loads of zero and their like: what a tool takes as none is none."""

import json

import pytest
from benchmark_files import guidellm_benchmark, guidellm_report, steady, vllm_result

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import ingest

NONE = [0, 0.0, -1, None, "inf", float("inf"), float("nan")]


def refused(path, given):
    with pytest.raises(DataError) as raised:
        ingest([path], given)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("clients", NONE)
def test_vllm_without_clients_or_rate_is_a_burst(save, served, clients):
    path = save(json.dumps(vllm_result(request_rate="inf", max_concurrency=clients)))
    assert "sent at once" in refused(path, served)


@pytest.mark.parametrize("cap", NONE)
def test_a_cap_of_nothing_is_no_cap(save, served, cap):
    path = save(json.dumps(vllm_result(max_concurrency=cap)))
    assert "client_cap" not in ingest([path], served).table


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_of_nothing_with_clients_is_a_closed_loop(save, served, rate):
    path = save(json.dumps(vllm_result(request_rate=rate, max_concurrency=2)))
    assert ingest([path], served).table["load_kind"][0] == "concurrency"


@pytest.mark.parametrize("clients", NONE)
def test_sglang(fixtures, save, clients):
    result = json.loads((fixtures / "sglang.jsonl").read_text().splitlines()[0])
    path = save(json.dumps({**result, "max_concurrency": clients}))
    assert "sent at once" in refused(path, {"hardware": "h100"})


@pytest.mark.parametrize("streams", [0, -1, None])
@pytest.mark.parametrize("kind", ["concurrent", "throughput"])
def test_guidellm(save, served, streams, kind):
    strategy = {"type_": kind, "streams": streams, "max_concurrency": streams}
    path = save(guidellm_report(guidellm_benchmark(steady(), strategy=strategy)))
    assert "no steady load" in refused(path, served)


@pytest.mark.parametrize("clients", [0, -1, None])
def test_aiperf(fixtures, save, drafted, clients):
    export = json.loads((fixtures / "aiperf_concurrency.json").read_text())
    export["input_config"]["phases"][0]["concurrency"] = clients
    assert "no steady load" in refused(save(export), drafted)


@pytest.mark.parametrize("clients", [0, -1])
def test_inference_perf(fixtures, save, served, clients):
    stage = json.loads((fixtures / "inference_perf_concurrency.json").read_text())
    stage["load_summary"]["concurrency"] = clients
    stage["load_summary"].pop("requested_rate", None)
    assert "no rate and no concurrency" in refused(save(stage), {**served, "verifier": "v"})
