"""``advise`` as a user meets it: scrapes of a server, rows, and streams that stop, reset or go back in time."""

import io
import json
import sys

import pytest

from bayes_sd.decide.streams import from_scrapes
from bayes_sd.measurements.readers.server_metrics import scrape_of


def scrape(requests, latency=1.5, drafts=None, k=4, accepted=2.8):
    drafts = requests * 85 if drafts is None else drafts
    return "\n".join(
        [
            f"vllm:e2e_request_latency_seconds_sum {requests * latency}",
            f"vllm:e2e_request_latency_seconds_count {requests}",
            f"vllm:request_generation_tokens_sum {requests * 300}",
            f"vllm:request_generation_tokens_count {requests}",
            f"vllm:spec_decode_num_drafts_total {drafts}",
            f"vllm:spec_decode_num_draft_tokens_total {drafts * k}",
            f"vllm:spec_decode_num_accepted_tokens_total {drafts * accepted}",
        ]
    )


@pytest.fixture
def scrapes(tmp_path):
    paths = []
    for i, n in enumerate((100, 340, 600)):
        paths.append(tmp_path / f"{i}.prom")
        paths[-1].write_text(scrape(n) + "\n")
    return paths


def metrics(paths):
    return [word for path in paths for word in ("--metrics", path)]


def test_advice_from_scrapes_and_its_files(call, small_trace, scrapes, tmp_path):
    prom, vllm, sglang = tmp_path / "a.prom", tmp_path / "v.json", tmp_path / "s.json"
    code, out, err = call(
        "advise", small_trace, *metrics(scrapes), "--interval", "60s", "--longest", "5", "--prometheus", prom, "--vllm", vllm,
        "--sglang", sglang,
    )  # fmt: skip
    assert code == 0, err
    lines = [line for line in out.splitlines() if line[:2] in ("1:", "2:")]
    assert len(lines) == 2 and all(
        "k = " in line and "P(best)" in line and "gives away" in line for line in lines
    )
    assert "bayes_sd_advised_draft_length" in prom.read_text()
    assert json.loads(vllm.read_text())["num_speculative_tokens_per_batch_size"][0][0] == 1
    assert json.loads(sglang.read_text())["candidate_steps"]


def test_rows_as_json_and_a_command_at_each_switch(call, small_trace, tmp_path, monkeypatch):
    rows = "latency_s,rate_rps,accepted_len,requests\n" + "1.5,4,1.9,240\n" * 3
    monkeypatch.setattr(sys, "stdin", io.StringIO(rows))
    mark = tmp_path / "switched"
    code, out, err = call(
        "advise", small_trace, "--interval", "60s", "--longest", "4", "--current", "1", "--run", f"touch {mark}-{{k}}", "--json"
    )  # fmt: skip
    assert code == 0, err
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == 3 and found[0]["current"] == 1
    switched = [f"{mark.name}-{row['k']}" for row in found if row["switch"]]
    assert sorted(p.name for p in tmp_path.glob("switched-*")) == sorted(set(switched))


def test_a_restart_is_noted_and_advice_goes_on(call, small_trace, scrapes, tmp_path):
    low = tmp_path / "low.prom"
    low.write_text(scrape(10) + "\n")
    later = tmp_path / "later.prom"
    later.write_text(scrape(250) + "\n")
    code, out, err = call(
        "advise", small_trace, *metrics([*scrapes[:2], low, later]), "--interval", "60s", "--longest", "5"
    )
    assert code == 0
    assert "counts are lower" in err and err.count("\n") == 1
    assert "1: " in out and "2: " in out


def test_streams_that_stop_or_go_back_in_time():
    one, two = (scrape_of(scrape(n).splitlines(), "s") for n in (10, 100))
    silence = [(t, "no answer") for t in (90.0, 95.0, 99.0)]
    found = list(from_scrapes([(0.0, one), (60.0, two), (30.0, two), *silence, (120.0, two)], "s"))
    assert found[0].window.requests == 90 and found[0].k == 4 and found[0].seconds == 60.0
    assert "time went back by 30 s" in found[1].note
    assert found[2].note == "no answer" and "the last advice stands" in found[3].note
    assert found[4].seconds == 90.0 and found[4].window.requests == 0


def test_bad_input_is_one_line(call, small_trace, scrapes, tmp_path, monkeypatch):
    for options, words in (
        (metrics(scrapes[:1]), "two scrapes make one"),
        ((*metrics(scrapes), "--interval", "0s"), "above 0"),
        ((*metrics(scrapes), "--run", "'"), "--run"),
        ((*metrics(scrapes), "--run", " "), "empty"),
        ((*metrics(scrapes), "--prometheus", "x.json", "--sglang", "x.json"), "give each its own"),
        (("--metrics", "http://127.0.0.1:9", *metrics(scrapes)), "by itself"),
        (("--metrics", "http://127.0.0.1:9"), "does the server run"),
        ((*metrics(scrapes), "--interval", "60s", "--longest", "2"), "beyond the longest"),
        (metrics([tmp_path / "none.prom"]), "none.prom"),
    ):
        code, _, err = call("advise", small_trace, *options)
        assert code == 2 and words in err and err.strip().count("\n") == 0, (options, err)
    monkeypatch.setattr(sys, "stdin", io.StringIO("nonsense\n"))
    code, _, err = call("advise", small_trace)
    assert code == 2 and err.count("\n") == 1
