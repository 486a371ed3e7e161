"""Valid files of every tool, mutated: each gives a table that can be read back, or one line that says what is wrong.

Twelve forms of file, or its text, 700 mutations each: more than 10,000 in all. The examples are the same in every run.
"""

import copy
import json
from pathlib import Path

import pytest
import yaml
from benchmark_files import (
    DETAILS,
    SPECULATION,
    guidellm_benchmark,
    guidellm_report,
    inferencex_csv,
    inferencex_row,
    steady,
    vllm_result,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_more_tools import api_entry, report_01, report_02

from bayes_sd.errors import DataError
from bayes_sd.measurements import read_table
from bayes_sd.measurements.readers import ingest, prometheus, write_table

FIXTURES = Path(__file__).parent / "fixtures"
GIVEN = {
    "hardware": "h",
    "tp": 1,
    "engine": "e",
    "verifier": "v",
    "precision": "bf16",
    "drafter": "d",
    "k": "unknown",
    "method": "eagle3",
    "arrivals": "poisson",
    "output_tokens": 51,
    "prompt_tokens": 100,
}
EXAMPLES = 700
READ_BACK = 20
"""Share of the tables, one in so many, that are written and read back."""


def fixture(name):
    lines = (FIXTURES / name).read_text().splitlines()
    return json.loads(lines[0] if name.endswith("l") else "\n".join(lines))


SPEC = {
    "acceptance_histogram": [1, 1],
    "num_spec_steps": 2,
    "num_draft_tokens": 2,
    "num_accepted_draft_tokens": 1,
}
SMALL = {**DETAILS, **{k: v[:3] for k, v in DETAILS.items()}}
NO_LATENCY = {"mean_e2el_ms": ..., "median_e2el_ms": ..., "latencies": None}
DOCUMENTS = {
    "guidellm": guidellm_report(guidellm_benchmark(steady(12, spec=SPEC))),
    "guidellm-summary": fixture("faults/m05_guidellm_v1_of_0.5.json"),
    "vllm": vllm_result(**SPECULATION, **SMALL),
    "vllm-times": vllm_result(**{**SMALL, **NO_LATENCY}, completed=3, num_prompts=3),
    "sglang": fixture("sglang_details.jsonl"),
    "sglang-split": fixture("faults/m07_sglang_pd_disaggregated.jsonl"),
    "aiperf": fixture("aiperf_concurrency.json"),
    "genai-perf": fixture("faults/m36_genai_perf_concurrency.json"),
    "inference-perf": fixture("inference_perf_rate.json"),
    "inferencex-api": [api_entry(), api_entry(conc=16)],
    "llm-d": report_01(),
    "llm-d-2": report_02(),
}
ODD = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2, 1e-300, 1e300, -1e9, 10**400, -(10**400), float("inf")),
        *(float("-inf"), float("nan"), "", "x", "NaN", "inf", "12", "\x00", "\ud800", "a\nb", "é" * 300),
        *([], {}, [None], [1, "x"], {"mean": None}, {"a": {}}, [[]], [[1], None], {"": 0}),
    ]
)
ANY = ODD | st.integers() | st.floats() | st.text(max_size=8)


def places(value, path=(), depth=6):
    """Every member down to a depth, and the first two elements of each list."""
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value[:2]) if isinstance(value, list) else items
    found = []
    for key, inner in items:
        found.append((*path, key))
        if depth > 1:
            found += places(inner, (*path, key), depth - 1)
    return found


PLACES = {name: places(document) for name, document in DOCUMENTS.items()}


def mutated(document, path, value, how):
    """Change one member; a path that an earlier change took away is passed over."""
    inner = document
    for key in path[:-1]:
        try:
            inner = inner[key]
        except (KeyError, IndexError, TypeError):
            return
    if not isinstance(inner, dict | list):
        return
    try:
        if how == "set":
            inner[path[-1]] = copy.deepcopy(value)
        elif how == "remove":
            del inner[path[-1]]
        elif isinstance(inner, dict):
            inner[f"{path[-1]}_"] = inner.pop(path[-1])
        else:
            inner.insert(0, copy.deepcopy(value))
    except (KeyError, IndexError, TypeError):
        return


def damaged(data, text):
    """Cut a text short, or change some bytes of it."""
    at = data.draw(st.integers(0, len(text)))
    how = data.draw(st.sampled_from(["cut", "put", "drop", "twice"]))
    if how == "cut":
        return text[:at]
    if how == "put":
        return text[:at] + data.draw(st.binary(max_size=6)) + text[at:]
    if how == "drop":
        return text[:at] + text[at + data.draw(st.integers(1, 40)) :]
    return text + text[at:]


def one_line(read):
    """Read; give None where that ends in an error of the package, which must be one line."""
    try:
        return read()
    except DataError as error:
        message = str(error)
    assert "\n" not in message
    assert "\r" not in message
    return None


def check(path, turn):
    """Read a file; the only error allowed is one line of the package's own."""
    report = one_line(lambda: ingest([path], given_for(path)))
    if report is None:
        return
    assert len(report.table)
    assert not any("\n" in note for note in report.notes)
    "".join(report.notes).encode()
    if turn % READ_BACK == 0:
        assert len(read_table(write_table(report.table, path.with_suffix(".csv")))) == len(report.table)


def given_for(path):
    """Give what the form of file needs and does not contradict."""
    said = {
        "sglang": ("tp", "engine", "verifier", "precision", "drafter", "k", "method", "arrivals"),
        "sglang-split": ("tp", "engine", "verifier", "precision", "drafter", "k", "method", "arrivals"),
        "inferencex-api": ("method", "tp", "precision", "hardware", "drafter", "k"),
        "inferencex": ("method", "tp", "precision", "hardware", "drafter", "k"),
        "llm-d": ("tp", "engine", "verifier", "hardware"),
        "llm-d-2": ("tp", "engine", "verifier", "hardware"),
        "guidellm": ("arrivals",),
    }.get(path.stem, ())
    lengths = ("prompt_tokens", "output_tokens")
    return {name: value for name, value in GIVEN.items() if name not in (*said, *lengths)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_mutated_documents(folder, name):
    path = folder / name
    write = yaml.safe_dump if name.startswith("llm-d") else json.dumps
    path.write_text(write(DOCUMENTS[name]))
    assert len(ingest([path], given_for(path)).table)  # the valid file is one
    turns = iter(range(10**6))

    @QUICK
    @given(st.data())
    def run(data):
        document = copy.deepcopy(DOCUMENTS[name])
        for _ in range(data.draw(st.integers(1, 3))):
            how = data.draw(st.sampled_from(["set", "set", "set", "remove", "rename"]))
            mutated(document, data.draw(st.sampled_from(PLACES[name])), data.draw(ANY), how)
        text = json.dumps(document).encode()
        path.write_bytes(damaged(data, text) if data.draw(st.integers(0, 3)) == 0 else text)
        check(path, next(turns))

    run()


@pytest.mark.parametrize("name", ["inferencex", "llm-d-yaml"])
def test_damaged_text(folder, name):
    text = {
        "inferencex": inferencex_csv([inferencex_row(), inferencex_row(16)]),
        "llm-d-yaml": yaml.safe_dump(report_01()),
    }[name].encode()
    path = folder / name.removesuffix("-yaml")
    turns = iter(range(10**6))

    @QUICK
    @given(st.data())
    def run(data):
        path.write_bytes(damaged(data, damaged(data, text)))
        check(path, next(turns))

    run()


METRICS = """# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{engine="0"} 100.0
vllm:spec_decode_num_draft_tokens_total{engine="0"} 200.0
vllm:spec_decode_num_accepted_tokens_total{engine="0"} 90.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="0"} 60.0
vllm:prefix_cache_queries_total{engine="0"} 2.0
"""


def test_damaged_metrics(folder):
    path = folder / "metrics.prom"

    @QUICK
    @given(st.data())
    def run(data):
        path.write_bytes(damaged(data, damaged(data, METRICS.encode())))
        one_line(lambda: prometheus.server_run([path]))

    run()
