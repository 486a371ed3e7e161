"""Points measured through GuideLLM, here a program that takes the same scenario and writes the same report."""

import json
import stat
import sys
from pathlib import Path

import pytest

from bayes_sd.errors import DataError, TargetError
from bayes_sd.measure import GuideLLM, Length, Plan, Shape, Sweep, measure
from bayes_sd.measurements import read_table

FILES = Path(__file__).parents[1] / "measurements" / "readers"
PROGRAM = """#!{python}
import json, sys, urllib.request
sys.path.insert(0, {files!r})
from benchmark_files import guidellm_benchmark, guidellm_report, guidellm_request
assert sys.argv[1:3] == ["run", "--config"]
scenario = json.load(open(sys.argv[3]))
json.dump(scenario, open({log!r}, "w"))
spec = scenario["spec"]
{fault}
profile, data = spec["profile"], spec["data"][0]
count = min(c["count"] for c in spec["constraints"] if c["kind"] == "max_requests")
warm_up = profile["warmup"]["value"]
body = {{"prompt": [7, 8], "max_tokens": 2}} | spec["backend"]["extras"]["body"]
for _ in range(3):
    request = urllib.request.Request(
        spec["backend"]["target"] + spec["backend"]["request_format"], json.dumps(body).encode())
    urllib.request.urlopen(request).read()
latency = 0.5
if profile["kind"] == "concurrent":
    clients = profile["streams"][0]
    strategy = {{"type_": "concurrent", "streams": clients}}
    starts = [latency * (i // clients) for i in range(count - warm_up)]
else:
    strategy = {{"type_": profile["kind"], "rate": profile["rate"][0], "max_concurrency": 512}}
    starts = [i / profile["rate"][0] for i in range(count - warm_up)]
lengths = dict(prompt=data["prompt_tokens"], output=data["output_tokens"], ttft_ms=50.0)
requests = [guidellm_request(start, latency, **lengths) for start in starts]
report = guidellm_report(guidellm_benchmark(requests, strategy=strategy))
json.dump(report, open(spec["outputs"][0]["path"], "w"))
"""


@pytest.fixture
def guidellm(tmp_path):
    """Make the program, and a folder that holds a tokenizer as far as anything looks."""

    def make(fault=""):
        program, tokenizer = tmp_path / "guidellm", tmp_path / "tokenizer"
        log = str(tmp_path / "scenario.json")
        program.write_text(PROGRAM.format(python=sys.executable, files=str(FILES), log=log, fault=fault))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        tokenizer.mkdir(exist_ok=True)
        (tokenizer / "tokenizer.json").write_text("{}")
        return GuideLLM(str(tokenizer), str(program))

    return make


def sweep(server, about, tool, **more):
    plan = Plan((Shape(32, 8),), clients=(2,), shares=(0.5,), arrivals="even", repeats=1)
    length = Length(warm_up=2, least=8, most=20, seconds=5.0)
    return Sweep(target=server.url, about=about, plan=plan, length=length, guidellm=tool, **more)


def test_guidellm_measures_the_points_of_the_plan(server, about, guidellm, tmp_path):
    output = tmp_path / "t.csv"
    result = measure(sweep(server, about, guidellm(), api_key="secret"), output)
    assert result.complete
    table = read_table(output)
    assert list(table["load_kind"]) == ["concurrency", "rate"]
    assert set(table["measured_by"]) == {"guidellm 0.8.1"}
    assert set(table["verifier"]) == {about["verifier"]}
    assert set(table["workload"]) == {"synthetic-text"}
    assert list(table["mean_e2e_s"]) == pytest.approx([0.5, 0.5])
    assert set(table["output_tokens"]) == {8.0}
    scenario = json.loads((tmp_path / "scenario.json").read_text())["spec"]
    assert scenario["backend"]["target"] == server.url
    assert scenario["backend"]["api_key"] == "secret"
    assert scenario["profile"]["kind"] == "constant"
    assert all(body["ignore_eos"] for body in server.bodies[-3:])
    again = measure(sweep(server, about, guidellm()), output)
    assert (again.measured, again.already_there) == (0, 2)


def test_acceptance_comes_from_the_server(server, drafted, guidellm, tmp_path):
    from test_measure_sweep import prometheus

    server.metrics = prometheus
    measure(sweep(server, drafted, guidellm()), tmp_path / "t.csv")
    table = read_table(tmp_path / "t.csv")
    assert table["acceptance"].to_numpy() == pytest.approx(5 / 12)


def test_a_program_or_tokenizer_that_is_not_there_is_said(server, about, guidellm, tmp_path):
    tool = guidellm()
    with pytest.raises(DataError, match=r"bayes_sd\[guidellm\]"):
        measure(sweep(server, about, GuideLLM(tool.tokenizer, "no-such-program")), tmp_path / "t.csv")
    with pytest.raises(DataError, match="--tokenizer"):
        measure(sweep(server, about, GuideLLM("", tool.command)), tmp_path / "t.csv")
    assert not server.bodies


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("sys.exit('the model is not served')", "exit code 1: the model is not served"),
        ("sys.exit(0)", "wrote no report"),
        ("open(spec['outputs'][0]['path'], 'w').write('{'); sys.exit(0)", "cannot be used"),
    ],
)
def test_what_goes_wrong_is_one_line(server, about, guidellm, tmp_path, fault, words):
    with pytest.raises(TargetError, match=words):
        measure(sweep(server, about, guidellm(fault)), tmp_path / "t.csv")
