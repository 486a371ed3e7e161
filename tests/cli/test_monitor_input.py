"""``monitor`` on the command line: what it accepts, and one line and exit 2 for what it cannot use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "bayes_sd", "monitor"]
SAMPLE = Path(__file__).parents[3] / "shared" / "samples" / "vllm-metrics.prom"
SERVED = ("--deployment", "fp16 kv:fp16", "--workload", "humaneval")
ROWS = "rate_rps,latency_s,accepted_len,requests,prompt_tokens,output_tokens\n3,1.3,3.9,400,207,340\n"


def run(trace, *args, given=""):
    return subprocess.run([*RUN, str(trace), *map(str, args)], input=given, capture_output=True, text=True)


def refused(done, *words):
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def metrics(path, requests, seconds, drafts, accepted):
    path.write_text(
        f'vllm:e2e_request_latency_seconds_count{{engine="0"}} {requests}\n'
        f'vllm:e2e_request_latency_seconds_sum{{engine="0"}} {seconds}\n'
        f'vllm:request_prompt_tokens_sum{{engine="0"}} {207 * requests}\n'
        f'vllm:request_prompt_tokens_count{{engine="0"}} {requests}\n'
        f'vllm:request_generation_tokens_sum{{engine="0"}} {340 * requests}\n'
        f'vllm:request_generation_tokens_count{{engine="0"}} {requests}\n'
        f'vllm:spec_decode_num_drafts_total{{engine="0"}} {drafts}\n'
        f'vllm:spec_decode_num_accepted_tokens_total{{engine="0"}} {accepted}\n'
    )
    return path


def test_two_scrapes_and_rows_agree(small_trace, tmp_path):
    before = metrics(tmp_path / "a.prom", 100, 120.0, 8000, 24000)
    after = metrics(tmp_path / "b.prom", 500, 640.0, 40000, 117000)
    done = run(
        small_trace,
        *SERVED,
        "--metrics",
        before,
        "--metrics",
        after,
        "--interval",
        133.3333333333333,
        "--json",
    )
    assert done.returncode in (0, 4), done.stderr
    rows = run(
        small_trace, *SERVED, "--json",
        given=ROWS.splitlines()[0] + f"\n3.0,1.3,{1 + 93000 / 32000},400,207,340\n",
    )  # fmt: skip
    one, other = json.loads(done.stdout), json.loads(rows.stdout)
    assert one["p_value"] == pytest.approx(other["p_value"], rel=1e-6)
    assert one["effective_batch"] == pytest.approx(3.9)


def test_json_lines_and_a_figure(small_trace, tmp_path):
    figure = tmp_path / "m.png"
    row = json.dumps({"rate": 3, "latency": 1.3, "accepted_length": 3.9})
    done = run(small_trace, *SERVED, "--figure", figure, given=row + "\n")
    assert done.returncode in (0, 4), done.stderr
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert "probability 0.01" in done.stdout


def test_metrics_that_are_of_no_use(small_trace, tmp_path):
    other = tmp_path / "other.prom"
    other.write_text("sglang:num_requests_total 4\n")
    refused(run(small_trace, "--metrics", other, "--interval", 60), "other.prom", "another engine")
    from bayes_sd.errors import DataError
    from bayes_sd.measurements.readers.server_metrics import windows_between

    def told(files, *words):
        with pytest.raises(DataError) as caught:
            windows_between(files, 60.0)
        assert all(word in str(caught.value) for word in words)

    bare = tmp_path / "bare.prom"
    bare.write_text("vllm:num_requests_running 4\n")
    told([bare], "bare.prom", "e2e_request_latency")
    garbage = tmp_path / "garbage.prom"
    garbage.write_text("<html>\n")
    told([garbage], "line 1")
    wrong = tmp_path / "wrong.prom"
    wrong.write_text("vllm:e2e_request_latency_seconds_sum many\n")
    told([wrong], "many")
    late = metrics(tmp_path / "late.prom", 10, 12.0, 1, 1)
    early = metrics(tmp_path / "early.prom", 20, 24.0, 2, 2)
    told([early, late], "swapped")
    told([late, late], "no request")
    told([tmp_path / "no.prom"], "no such file")


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ("", "no windows"),
        ("hello\n", "header"),
        ("rate_rps,latency_s\n3,fast\n", "latency_s"),
        ("rate_rps,latency_s\n3,-1\n", "latency_s"),
        ("rate_rps,latency_s\n3\n", "cells"),
        ("latency_s,requests\n3,4\n", "rate_rps"),
        ('{"latency_s": 1, "rate_rps": NaN}\n', "rate_rps"),
        ('{"latency_s": 1\n', "JSON"),
        ("rate_rps,latency_s,accepted_len\n3,1,0.5\n", "accepted_len"),
    ],
)
def test_rows_that_are_of_no_use(rows, word):
    from bayes_sd.decide.windows import read_windows
    from bayes_sd.errors import DataError

    with pytest.raises(DataError, match=word) as caught:
        list(read_windows(rows.splitlines()))
    assert str(caught.value).startswith("standard input")
    assert "\n" not in str(caught.value)


def test_a_garbage_row_ends_the_command_in_one_line(small_trace):
    refused(run(small_trace, *SERVED, given="hello\n"), "standard input", "header")


@pytest.mark.skipif(not SAMPLE.is_file(), reason="no recorded metrics of a real server beside the repository")
def test_a_real_servers_metrics_are_read():
    from bayes_sd.decide.windows import window_of
    from bayes_sd.measurements.readers.server_metrics import windows_between

    windows, note = windows_between([SAMPLE], 100.0)
    window = window_of(windows[0], "sample")
    assert note == ""
    assert window.requests == 120 and window.rate_rps == pytest.approx(1.2)
    assert window.accepted_len == pytest.approx(1 + 2967 / 996)
    assert window.queue_s < 1e-3 < window.ttft_s < window.latency_s
