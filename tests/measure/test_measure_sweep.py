"""Sweeps of a server over HTTP: what is written, what is kept, and what is said when something goes wrong."""

import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from bayes_sd import cli, files
from bayes_sd.errors import DataError, OutputError, TargetError
from bayes_sd.measure import Length, Plan, Prompts, Shape, Sweep, measure
from bayes_sd.measure.client import checked_target
from bayes_sd.measure.prompts import parse_vocabulary, read_prompts
from bayes_sd.measurements import apply_rules, read_table
from bayes_sd.sample.fit import observations

QUICK = Length(standard_error=0.5, warm_up=1, least=8, most=12, seconds=3.0)
PLAN = Plan((Shape(16, 8),), clients=(1, 2, 4), shares=(0.5,), arrivals="even", repeats=1)


def sweep(server, about, **more):
    settings = {"plan": PLAN, "length": QUICK, "prompts": Prompts(vocabulary=range(5, 900)), "timeout_s": 5.0}
    return Sweep(target=server if isinstance(server, str) else server.url, about=about, **settings | more)


def run_cli(monkeypatch, capsys, *args):
    monkeypatch.setattr(sys, "argv", ["bayes_sd", "measure", *map(str, args)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def options(server, output, *more):
    said = "--hardware H100 --engine fake-1 --verifier Llama-3.1-8B-Instruct --precision bf16 --method none"
    quick = "--shape 16x8 --clients 1,2 --rates none --repeats 1 --standard-error 0.5 --point-requests 8,12"
    target = server if isinstance(server, str) else server.url
    bounds = "--point-seconds 3 --warm-up 1 --vocabulary 5-900 --timeout 5"
    return ["--target", target, "--output", output, *f"{said} {quick} {bounds}".split(), *more]


def refused(result, *words):
    code, _, err = result
    assert code == 2, err
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0], lines[0]


def test_a_sweep_writes_a_table_that_a_fit_takes(server, about, tmp_path):
    output = tmp_path / "t.csv"
    result = measure(sweep(server, about), output)
    assert result.complete
    assert result.measured == 4
    table = read_table(output)
    assert list(table["load_kind"]) == ["concurrency"] * 3 + ["rate"]
    # What the server is known to take is a lower limit: a busy machine only adds to it.
    assert (table["mean_e2e_s"] >= server.first_s + 7 * server.step_s).all()
    assert (table["mean_ttft_ms"] >= 1000 * server.first_s).all()
    assert (table["mean_tpot_ms"] >= 1000 * server.step_s).all()
    assert set(table["prompt_tokens"]) == {16.0}
    assert set(table["output_tokens"]) == {8.0}
    assert table["measured_by"].str.startswith("bayes_sd measure").all()
    assert table["notes"].str.contains("load average").all()
    best = table.loc[table["load_kind"] == "concurrency", "achieved_rps"].max()
    assert table["load_value"].iloc[3] == pytest.approx(0.5 * best, rel=1e-3)
    # On a busy machine the open loop may fall behind its rate, and the rules then leave it out.
    kept, report = apply_rules(table)
    assert len(kept) == 4 - report.counts()["past_saturation"] >= 3
    frame, _ = observations("all", [output])
    assert len(frame) == len(kept)


def test_only_completions_and_metrics_are_asked_for(server, about, tmp_path):
    measure(sweep(server, about, extra={"top_k": 1}, model="m"), tmp_path / "t.csv")
    body = server.bodies[-1]
    assert body["model"] == "m"
    assert body["top_k"] == 1
    assert body["stream"] is True
    assert all(5 <= token < 900 for token in body["prompt"])
    prompts = [tuple(b["prompt"]) for b in server.bodies]
    assert len(set(prompts)) == len(prompts)  # no prompt twice: a prefix cache would answer it


def test_acceptance_from_the_requests_own_counts(server, drafted, tmp_path):
    server.accepted_of = (4, 8)  # 8 tokens: one of the prompt, 4 accepted, so 3 cycles
    output = tmp_path / "t.csv"
    measure(sweep(server, drafted), output)
    table = read_table(output)
    assert set(table["mean_accepted_len"].round(6)) == {round(1 + 4 / 3, 6)}
    assert set(table["acceptance"]) == {0.5}
    assert (table["n_accepted_tokens"] == 4 * table["n_requests"]).all()


def prometheus(requests):
    counts = {
        "num_drafts": 3 * requests,
        "num_draft_tokens": 12 * requests,
        "num_accepted_tokens": 5 * requests,
    }
    lines = [f'vllm:spec_decode_{name}_total{{engine="0"}} {value}' for name, value in counts.items()]
    for position, share in enumerate((3, 1, 1, 0)):
        lines.append(
            f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{position="{position}"}} {share * requests}'
        )
    return "\n".join([*lines, ""])


def test_acceptance_from_vllms_counters(server, drafted, tmp_path):
    server.metrics = prometheus
    output = tmp_path / "t.csv"
    measure(sweep(server, drafted), output)
    table = read_table(output)
    assert table["acceptance"].to_numpy() == pytest.approx(5 / 12)
    assert table["mean_accepted_len"].to_numpy() == pytest.approx(1 + 5 / 3)
    first = json.loads(table["accepted_per_position"].iloc[0])
    assert first[0] == 3 * first[1]


def test_a_server_that_speculates_unasked_is_told(server, about, drafted, tmp_path):
    server.accepted_of = (4, 8)
    with pytest.raises(DataError, match=r"speculates.*--method"):
        measure(sweep(server, about), tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"correct --k"):
        measure(sweep(server, drafted | {"k": 1}), tmp_path / "t.csv")


def test_a_later_run_measures_only_what_is_missing(server, about, drafted, tmp_path):
    output = tmp_path / "t.csv"
    few = measure(sweep(server, about, max_requests=30), output)
    assert not few.complete
    assert few.stopped_by == "requests"
    assert 0 < few.measured < 4
    before = pd.read_csv(output, dtype=str)
    rest = measure(sweep(server, about), output)
    assert rest.complete
    assert rest.already_there == few.measured
    assert rest.measured == 4 - few.measured
    after = pd.read_csv(output, dtype=str)[before.columns].iloc[: len(before)]
    pd.testing.assert_frame_equal(after, before)  # not a digit of what was there has changed
    asked = server.requests
    assert measure(sweep(server, about), output).measured == 0
    assert server.requests == asked
    # Another configuration of the server goes into the same table.
    server.accepted_of = (4, 8)
    assert measure(sweep(server, drafted), output).measured == 4
    table = read_table(output)
    assert len(table) == 8
    assert set(table["method"]) == {"none", "eagle3"}


def test_a_table_of_ones_own_is_added_to_and_never_replaced(server, about, tmp_path):
    output = tmp_path / "t.csv"
    output.write_text("verifier,k\na,b\n")
    with pytest.raises(DataError, match="another --output"):
        measure(sweep(server, about), output)
    assert output.read_text() == "verifier,k\na,b\n"


def test_made_up_words_get_the_length_asked_for(server, about, tmp_path):
    output = tmp_path / "t.csv"
    plan = Plan((Shape(60, 8),), clients=(1,), shares=(), repeats=1)
    measure(sweep(server, about, prompts=Prompts(), plan=plan), output)
    table = read_table(output)
    assert (
        table["prompt_tokens"].iloc[0] == 60
    )  # this server counts two tokens a word, the first guess is three
    assert table["workload"].iloc[0] == "random-words"


def test_ones_own_prompts(server, about, tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "one two"}\nplain words here\n\n"a text"\n')
    texts = read_prompts(file)
    assert texts == ("one two", "plain words here", "a text")
    measure(sweep(server, about, prompts=Prompts(texts=texts)), tmp_path / "t.csv")
    assert {b["prompt"] for b in server.bodies} <= set(texts)
    file.write_text('{"text": "x"}\n')
    with pytest.raises(DataError, match="line 1"):
        read_prompts(file)
    with pytest.raises(DataError, match=r"no\.txt"):
        read_prompts(tmp_path / "no.txt")


def test_a_server_without_token_counts(server, about, drafted, tmp_path):
    server.usage = False
    output = tmp_path / "t.csv"
    measure(sweep(server, about), output)
    table = read_table(output)
    assert set(table["output_tokens"]) == {8.0}
    assert table["derived"].str.contains("pieces of the stream").all()
    with pytest.raises(TargetError, match="usage"):
        measure(sweep(server, drafted), tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("status", "status 503 (the queue is full)"),
        ("page", "not a stream of completions"),
        ("broken", "not JSON"),
        ("error", "context too long"),
        ("stops", "the connection broke off within the answer"),
        ("hangs", "within 0.5 s"),
    ],
)
def test_a_server_that_goes_wrong_in_the_middle(server, about, tmp_path, monkeypatch, capsys, fault, words):
    output = tmp_path / "t.csv"
    server.fault, server.after = fault, 14  # the first point and its probe are through by then
    result = run_cli(
        monkeypatch, capsys, *options(server, output, "--timeout", "0.5", "--point-requests", "8,8")
    )
    refused(result, "16+8 tokens, 2 clients", words, "1 finished point in", "same command")
    assert len(read_table(output)) == 1


def test_a_server_that_dies_in_the_middle(server, about, tmp_path, monkeypatch, capsys):
    output = tmp_path / "t.csv"
    server.fault, server.after = "dies", 14
    result = run_cli(monkeypatch, capsys, *options(server, output, "--point-requests", "8,8"))
    refused(result, "2 clients", "1 finished point")
    assert len(read_table(output)) == 1


def test_nobody_there(server, tmp_path, monkeypatch, capsys):
    url = server.url
    server.close()
    result = run_cli(monkeypatch, capsys, *options(url, tmp_path / "t.csv"))
    refused(result, url, "is the server up?")
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize("target", ["ftp://h", "http://", "http://h:99999", "http://h?q=1", "http://h:port"])
def test_addresses_that_are_none(target):
    with pytest.raises(TargetError, match="http://HOST:PORT"):
        checked_target(target)


def test_addresses_as_people_write_them():
    for text in ("127.0.0.1:8000", "http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"):
        assert checked_target(text) == "http://127.0.0.1:8000"


def test_a_full_disk_keeps_what_is_finished(server, about, tmp_path, monkeypatch):
    output = tmp_path / "t.csv"
    measure(sweep(server, about, plan=Plan((Shape(16, 8),), clients=(1,), shares=(), repeats=1)), output)
    before = output.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_flush", full)
    with pytest.raises(OutputError, match=r"t\.csv.*No space left"):
        measure(sweep(server, about), output)
    assert output.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_what_only_the_user_knows_is_asked_for_first(server, tmp_path, monkeypatch, capsys):
    result = run_cli(
        monkeypatch, capsys, "--target", server.url, "--output", tmp_path / "t.csv", "--method", "eagle3"
    )
    refused(result, "--hardware", "--engine", "--verifier", "--precision", "--drafter", "--k")
    given = options(server, tmp_path / "t.csv", "--k", "4")
    refused(run_cli(monkeypatch, capsys, *given), "method none")
    given = options(server, tmp_path / "t.csv", "--set", "mean_e2e_s=1")
    refused(run_cli(monkeypatch, capsys, *given), "mean_e2e_s")
    given = options(server, tmp_path / "t.csv", "--set", "load_value=1")
    refused(run_cli(monkeypatch, capsys, *given), "load_value")
    assert server.requests == 0


@pytest.mark.parametrize(
    "wrong",
    [
        ("--shape", "16"),
        ("--clients", "two"),
        ("--rates", "150%"),
        ("--point-requests", "9,3"),
        ("--vocabulary", "7-7"),
        ("--extra-body", "[1]"),
        ("--extra-body", "{"),
        ("--output", "/proc/none/t.csv"),
    ],
)
def test_options_that_cannot_be(server, tmp_path, monkeypatch, capsys, wrong):
    refused(run_cli(monkeypatch, capsys, *options(server, tmp_path / "t.csv", *wrong)))
    assert server.requests == 0


def test_lines_and_json(server, tmp_path, monkeypatch, capsys):
    output = tmp_path / "t.csv"
    code, out, err = run_cli(monkeypatch, capsys, *options(server, output))
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("16+8 tokens, 1 client, repeat 1: ")
    assert lines[-1] == f"{output}: 2 points measured"
    code, out, _ = run_cli(monkeypatch, capsys, *options(server, output, "--json"))
    assert code == 0
    summary = json.loads(out)
    assert (summary["measured"], summary["already_there"], summary["complete"]) == (0, 2, True)
    assert np.isfinite(pd.read_csv(output)["mean_e2e_s"]).all()


def test_vocabularies():
    assert parse_vocabulary("100") == range(100)
    assert parse_vocabulary("5-9") == range(5, 10)


def test_an_interrupt_keeps_what_is_finished(server, tmp_path):
    output = tmp_path / "t.csv"
    command = [
        sys.executable,
        "-m",
        "bayes_sd",
        "measure",
        *map(str, options(server, output, "--repeats", "500")),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    for _ in process.stdout:  # a line for each finished point
        break
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    assert b"the same command goes on" in errors
    assert len(read_table(output)) >= 1
