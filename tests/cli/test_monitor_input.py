"""``monitor`` on the command line: what it accepts, and one line and exit 2 for what it cannot use."""

import io
import json
import os
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from bayes_sd.cli import main

SAMPLE = Path(__file__).parents[3] / "shared" / "samples" / "vllm-metrics.prom"
SERVED = ("--deployment", "fp16 kv:fp16", "--workload", "humaneval")
ROWS = "rate_rps,latency_s,accepted_len,requests,prompt_tokens,output_tokens\n3,1.3,3.9,400,207,340\n"


def run(trace, *args, given=""):
    """Run the command as a terminal does, but in this process, which has everything imported already."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(errors):
        patched.setattr(sys, "argv", ["bayes_sd", "monitor", str(trace), *map(str, args)])
        patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        with pytest.raises(SystemExit) as exit_:
            main()
    return SimpleNamespace(returncode=exit_.value.code, stdout=out.getvalue(), stderr=errors.getvalue())


def refused(done, *words):
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def metrics(path, requests, seconds, drafts, accepted, more=""):
    path.write_text(
        more + f'vllm:e2e_request_latency_seconds_count{{engine="0"}} {requests}\n'
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

    def told(files, *words):
        given = [word for file in files for word in ("--metrics", file)]
        refused(run(small_trace, *given, "--interval", 60), *words)

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
    told([tmp_path / "no.prom"], "no such file")


def test_windows_that_are_of_no_use_are_left_out_and_the_others_are_judged(small_trace, tmp_path):
    """A server that stops, restarts with lower or higher counts, or a scrape that was cut short."""
    start = "process_start_time_seconds {}\n"
    good = [
        metrics(tmp_path / f"{n}.prom", n, 1.3 * n, 80 * n, 232 * n, start.format(1000)) for n in (100, 400)
    ]
    low = metrics(tmp_path / "low.prom", 20, 26.0, 1600, 4640)
    anew = metrics(tmp_path / "anew.prom", 700, 910.0, 56000, 162400, start.format(2000))
    (tmp_path / "cut.prom").write_text(low.read_text()[:70])
    for odd, words in (
        (low, "counts are lower"),
        (anew, "restarted since"),
        (tmp_path / "cut.prom", "line 2"),
    ):
        given = [word for file in (*good, odd) for word in ("--metrics", file)]
        done = run(small_trace, *SERVED, *given, "--interval", 100, "--json")
        assert done.returncode in (0, 4), done.stderr
        assert len(done.stdout.splitlines()) == 1
        assert words in done.stderr and len(done.stderr.splitlines()) == 1
    done = run(small_trace, *SERVED, "--metrics", good[1], "--metrics", good[1], "--interval", 60, "--json")
    assert json.loads(done.stdout)["effective_batch"] == 0.0


def test_files_that_were_copied_at_once_are_no_windows(small_trace, tmp_path):
    files = [metrics(tmp_path / f"{n}.prom", n, 1.3 * n, 80 * n, 232 * n) for n in (100, 400)]
    for apart, words in ((0.0, "--interval SECONDS"), (-600.0, "time went back by 600 s")):
        for i, file in enumerate(files):
            os.utime(file, (1000.0 + i * apart,) * 2)
        refused(run(small_trace, "--metrics", files[0], "--metrics", files[1]), words)


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
    from bayes_sd.decide.streams import from_scrapes
    from bayes_sd.measurements.readers.server_metrics import file_scrapes

    (seen,) = from_scrapes(file_scrapes([SAMPLE], 100.0, since_start=True), "sample")
    window = seen.window
    assert seen.note == ""
    assert window.requests == 120 and window.rate_rps == pytest.approx(1.2)
    assert window.accepted_len == pytest.approx(1 + 2967 / 996)
    assert window.queue_s < 1e-3 < window.ttft_s < window.latency_s


def verdict(done):
    """The first paragraph of what was printed, on one line."""
    return " ".join(done.stdout.split("\n\n")[0].split())


def test_slow_steps_are_an_alarm_in_the_first_sentence(small_trace, tmp_path):
    before = metrics(tmp_path / "a.prom", 100, 120.0, 8000, 24000)
    after = metrics(tmp_path / "b.prom", 500, 120.0 + 400 * 10.0, 40000, 117000)
    args = ("--metrics", before, "--metrics", after, "--interval", 400)
    done = run(small_trace, *SERVED, *args)
    assert done.returncode == 4, done.stderr
    assert verdict(done).startswith("ALARM in window 1: ") and "slower" in verdict(done)
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_an_idle_server_is_nothing_to_judge(small_trace, tmp_path):
    before = metrics(tmp_path / "a.prom", 100, 120.0, 8000, 24000)
    after = metrics(tmp_path / "b.prom", 103, 150.0, 8200, 24600)
    for last in (after, before):
        done = run(small_trace, *SERVED, "--metrics", before, "--metrics", last, "--interval", 86_400)
        assert done.returncode == 0, done.stderr
        assert verdict(done).startswith("Nothing to judge in 1 window")
    shown = run(small_trace, *SERVED, "--json", given="rate_rps,latency_s\n0,\n0.0001,2\n")
    assert [json.loads(line)["p_value"] for line in shown.stdout.splitlines()] == [None, None]


def test_another_model_and_another_draft_length_are_named(small_trace, tmp_path):
    other = (
        "".join(
            f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{engine="0",position="{n}"}} 9\n'
            for n in range(3)
        )
        + 'vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="meta-llama/Llama-3.3-70B-Instruct"} 9\n'
    )
    scrape = metrics(tmp_path / "a.prom", 400, 520.0, 32000, 60000, other)
    done = run(small_trace, *SERVED, "--metrics", scrape, "--interval", 133)
    assert "not of the server that is watched" in verdict(done)
    assert "Llama-3.3-70B-Instruct" in verdict(done) and "3 tokens are drafted" in verdict(done)


def test_a_server_is_polled_and_forgiven_a_failure(small_trace, tmp_path):
    texts = [
        metrics(
            tmp_path / f"{n}.prom", 100 + 4 * n, 120.0 + 5 * n, 8000 + 320 * n, 24000 + 930 * n
        ).read_bytes()
        for n in range(5)
    ]
    asked = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(503 if len(asked) == 2 else 200)
            self.end_headers()
            self.wfile.write(texts[min(len(asked), len(texts)) - 1])

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        table = tmp_path / "seen.csv"
        done = run(
            small_trace,
            *SERVED,
            "--metrics",
            address,
            "--interval",
            0.2,
            "--stop-after",
            2,
            "--output",
            table,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode in (0, 4), done.stderr
    assert set(asked) == {"/metrics"}
    assert "503" in done.stderr
    assert len(table.read_text().splitlines()) == 3
    assert "2 windows" in done.stdout or "ALARM in window" in done.stdout


def test_an_address_that_does_not_answer(small_trace):
    refused(
        run(small_trace, *SERVED, "--metrics", "http://127.0.0.1:9"), "127.0.0.1:9", "does the server run"
    )


def test_lines_that_arrive_together_and_apart():
    from bayes_sd.decide.windows import MOST_TOGETHER, read_blocks

    text = (
        ROWS.splitlines()[0]
        + "\r\n"
        + "3,1.3,3.9,400,207,340\n" * (MOST_TOGETHER + 5)
        + "3,1.3,3.9,400,207,340"
    )
    blocks = list(read_blocks(io.TextIOWrapper(io.BytesIO(text.encode()))))
    assert sum(map(len, blocks)) == MOST_TOGETHER + 6
    assert max(map(len, blocks)) <= MOST_TOGETHER
    assert blocks == [b for b in blocks if b] and blocks[0][0].rate_rps == 3.0


def test_learning_follows_acceptance_arrivals_and_steps(small_trace):
    """Eight windows of 3.9 tokens a cycle, then eight of 2.4: what is known is of the last ones, and of a drift."""
    header, row = ROWS.splitlines()
    fallen = row.replace("1.3,3.9", "1.9,2.4")
    given = "\n".join([header, *[row] * 8, *[fallen] * 8]) + "\n"
    done = run(small_trace, *SERVED, "--learn", "--json", given=given)
    learned = [json.loads(text)["learned"] for text in done.stdout.splitlines()]
    assert [round(learned[i]["tokens_per_cycle"][1], 1) for i in (7, 15)] == [3.9, 2.4]
    assert learned[15]["rate_rps"][0] < 3.0 < learned[15]["rate_rps"][2]
    assert learned[8]["memory_windows"]["acceptance"] < learned[7]["memory_windows"]["acceptance"]
    low, middle, high = learned[15]["step_time_ratio"]
    assert 0.5 < low < middle < high < 2.0
    told = run(small_trace, *SERVED, "--learn", given=given).stdout
    assert (
        "Learned, for the next window" in told and "tokens a cycle" in told and "steady, remembered" in told
    )


def test_a_server_that_drafts_nothing_has_nothing_to_follow(small_trace):
    refused(
        run(small_trace, *SERVED, "--set", "method=none", "--set", "k=0", "--learn", given=ROWS),
        "--learn",
        "drafts",
    )
