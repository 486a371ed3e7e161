import pytest
from benchmark_files import (
    guidellm_benchmark,
    guidellm_report,
    inferencex_csv,
    inferencex_row,
    steady,
    vllm_result,
)

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import ingest, recognise


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("aiperf_concurrency.json", "aiperf"),
        ("aiperf_failures.json", "aiperf"),
        ("inference_perf_rate.json", "inference-perf"),
        ("inference_perf_concurrency.json", "inference-perf"),
        ("sglang.jsonl", "sglang-bench-serving"),
        ("sglang_details.jsonl", "sglang-bench-serving"),
    ],
)
def test_files_of_the_tools_themselves(fixtures, name, tool):
    assert recognise(fixtures / name) == tool


@pytest.mark.parametrize("name", ["benchmarks.json", "results.txt", "x"])
def test_content_decides_not_the_name(save, name):
    assert recognise(save(guidellm_report(guidellm_benchmark(steady())), name)) == "guidellm"
    assert recognise(save(vllm_result(), name)) == "vllm-bench-serve"
    assert recognise(save(inferencex_csv([inferencex_row()]), name)) == "inferencex"


def test_order_of_members_does_not_matter(save):
    shuffled = dict(sorted(vllm_result().items(), reverse=True))
    assert recognise(save(shuffled)) == "vllm-bench-serve"
    report = guidellm_report(guidellm_benchmark(steady()))
    assert recognise(save(dict(sorted(report.items())))) == "guidellm"


def test_a_byte_order_mark_and_blank_lines_are_no_matter(save):
    import json

    assert recognise(save("\ufeff\n\n" + json.dumps(vllm_result()))) == "vllm-bench-serve"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("hello", "not the file of a benchmark tool"),
        ("a,b\n1,2\n", "not the file of a benchmark tool"),
        ('{"a": 1, "b": [2]}', "its first keys are a, b"),
        ("[{}]", "a JSON list"),
        ("{}", "its first keys are none"),
        ("# HELP x y\n# TYPE x counter\nx 1\n", "--metrics"),
        ("{nonsense", "not valid JSON"),
        ("\x00\x01\x02", "not the file of a benchmark tool"),
    ],
)
def test_anything_else_is_refused_in_one_line(save, content, says):
    with pytest.raises(DataError, match=says) as raised:
        recognise(save(content))
    assert "\n" not in str(raised.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        recognise(tmp_path / "none.json")
    with pytest.raises(DataError, match="is a folder"):
        recognise(tmp_path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["guidellm", "vllm", "aiperf", "sglang", "inference-perf"])
def test_a_truncated_file_is_named_as_such(save, fixtures, served, kind, share):
    import json

    text = {
        "guidellm": lambda: json.dumps(guidellm_report(guidellm_benchmark(steady()))),
        "vllm": lambda: json.dumps(vllm_result()),
        "aiperf": lambda: (fixtures / "aiperf_concurrency.json").read_text(),
        "sglang": lambda: (fixtures / "sglang_details.jsonl").read_text().strip(),
        "inference-perf": lambda: (fixtures / "inference_perf_rate.json").read_text().strip(),
    }[kind]()
    path = save(text[: int(len(text) * share)])
    with pytest.raises(DataError, match=r"cut short|not valid JSON") as raised:
        ingest([path], {**served, "verifier": "v", "arrivals": "poisson"})
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("============ Serving Benchmark Result ============\nSuccessful requests: 200\n", "--save-result"),
        ("=====\nMLPerf Results Summary\n=====\n", "MLPerf"),
        ("Type,Name,Request Count,Failure Count,Median Response Time\n", "Locust"),
        ({"engine": {}, "request_info": {}, "performance": {}}, "trtllm-bench"),
        ({"root_group": {}, "metrics": {}}, "k6"),
    ],
)
def test_what_is_known_and_not_read_is_named(save, content, what):
    with pytest.raises(DataError, match=what):
        recognise(save(content))
