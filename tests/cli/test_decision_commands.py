"""``speedup`` and ``tune`` as a user meets them: what they say, what they write, and bad input in one line."""

import json
import re
import sys

import pandas as pd
import pytest
import xarray as xr

from bayes_sd.cli import main


def run(monkeypatch, capsys, *args):
    """Run a command in this process; give its exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["bayes_sd", *map(str, args)])
    with pytest.raises(SystemExit) as exit_:
        main()
    captured = capsys.readouterr()
    return exit_.value.code, captured.out, captured.err


@pytest.fixture
def call(monkeypatch, capsys):
    return lambda *args: run(monkeypatch, capsys, *args)


@pytest.fixture(scope="module")
def plain_trace(small_fit, tmp_path_factory):
    """A trace whose measurements do not speculate."""
    from dataclasses import replace

    from bayes_sd.posterior.posterior import save_posterior

    tree = small_fit.tree.copy()
    observed = tree["observed"].to_dataset()
    tree["observed"] = xr.DataTree(observed.isel(observation=(observed["k"] == 0).to_numpy()))
    path = tmp_path_factory.mktemp("trace") / "plain.nc"
    return save_posterior(replace(small_fit, tree=tree), path)


def test_speedup_without_options_says_what_it_chose(call, small_trace):
    code, out, _ = call("speedup", small_trace)
    assert code == 0
    for words in ("Deployment: Llama-3.1-8B-Instruct | 1x A100", "P(faster)", "Mind:", "Poisson", "±", "k ="):
        assert words in out
    assert "C1_R" not in out
    code, out, _ = call("speedup", small_trace, "--explain")
    for words in ("reak-even", "C1_R", "Regime"):
        assert words in out


@pytest.mark.parametrize("command", [("speedup",), ("tune",), ("plan", "--slo", "p95<8s", "--rate", "20")])
def test_a_decision_comes_first_and_fits_a_terminal(call, small_trace, command):
    """The decision in the first line, what it rests on in the first paragraph, what was assumed before the numbers."""
    code, out, err = call(command[0], small_trace, *command[1:])
    assert code == 0, err
    lines = out.splitlines()
    paragraph = " ".join(lines[: lines.index("")])
    assert lines[0].split()[0] in ("Speculate", "Draft", "Speculation")
    assert "measured rows of this server" in paragraph
    assert out.index("Chosen for you:") < out.index("[90% interval]")
    assert "±" in out and "gsm8k" in out
    assert len(lines) <= 40
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in out and "…" not in out


def test_colour_is_for_terminals_and_does_nothing_else(call, small_trace, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    options = ("speedup", small_trace, "--loads", "1,2")
    _, styled, _ = call(*options)
    monkeypatch.setenv("NO_COLOR", "1")
    _, plain, _ = call(*options)
    bare = re.sub(r"\x1b\[[0-9;]*m", "", styled)
    assert "\x1b[" in styled and not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain)
    assert bare == re.sub(r"\x1b\[[0-9;]*m", "", plain)


def test_speedup_writes_what_it_prints(call, small_trace, tmp_path):
    options = ("--loads", "1:12:5", "--workload", "humaneval")
    for suffix in ("csv", "json", "nc"):
        code, _, err = call("speedup", small_trace, *options, "--output", tmp_path / f"s.{suffix}")
        assert code == 0, err
    table = pd.read_csv(tmp_path / "s.csv")
    assert list(table["load"]) == [1.0, 3.75, 6.5, 9.25, 12.0]
    written = json.loads((tmp_path / "s.json").read_text())
    assert [row["speedup_median"] for row in written["loads"]] == pytest.approx(list(table["speedup_median"]))
    with xr.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as draws:
        assert draws["speedup"].dims == ("sample", "load")
        assert "Poisson" not in draws.attrs["arrivals"]
    code, out, _ = call("speedup", small_trace, *options, "--json")
    assert json.loads(out) == written


def test_tune_writes_vllms_table_with_its_evidence(call, small_trace, tmp_path):
    target = tmp_path / "spec.json"
    code, out, err = call("tune", small_trace, "--loads", "1,8,64", "--max-num-seqs", 64, "--vllm", target)
    assert code == 0, err
    assert "--speculative-config" in out and "gives away" in out
    config = json.loads(target.read_text())
    rows = pd.read_csv(tmp_path / "spec.csv")
    assert rows[["start", "end", "k"]].to_numpy().tolist() == config["num_speculative_tokens_per_batch_size"]
    assert {"p_best", "relative_regret", "regret_ms"} <= set(rows.columns)
    assert rows["end"].iloc[-1] == 64


def test_tune_compares_drafters(call, small_trace):
    names = ("--drafter", "EAGLE3-Llama-3.1-8B", "--drafter", "EAGLE-Llama-3.1-8B")
    code, out, err = call("tune", small_trace, *names, "--loads", "1,64", "--longest", 4)
    assert code == 0, err
    assert "A = EAGLE3-Llama-3.1-8B, B = EAGLE-Llama-3.1-8B" in out
    assert " with EAGLE" in out.split("\n\n")[0].replace("\n", " ")
    code, out, err = call("tune", small_trace, *names, "--loads", "1,64", "--longest", 4, "--explain")
    assert code == 0 and "best one drafts with" in out, err


def test_a_row_of_a_file(call, small_trace, tmp_path):
    file = tmp_path / "c.csv"
    file.write_text(
        "hardware,verifier,engine,method,drafter,k,prompt_tokens,output_tokens,load_kind,load_value\n"
        "A100-SXM4-80GB,Llama-3.1-8B-Instruct,vllm-0.24.0,none,,,200,340,concurrency,4\n"
        "A100-SXM4-80GB,Llama-3.1-8B-Instruct,vllm-0.24.0,eagle3,EAGLE3-Llama-3.1-8B,3,200,340,concurrency,4\n"
    )
    code, out, err = call("speedup", small_trace, "--conditions", file, "--row", 2, "--loads", "2,4")
    assert code == 0, err
    assert "k = 3" in out and "Row 2 of the 2" in out
    code, out, err = call("speedup", small_trace, "--conditions", file, "--loads", "2,4")
    assert code == 0, err
    assert "Drafting: eagle3" in out


def test_an_unmeasured_gpu_is_answered_and_named(call, small_trace):
    code, out, err = call(
        "speedup", small_trace, "--verifier", "Llama-3.1-8B-Instruct", "--hardware", "H200", "--loads", "1,5"
    )
    assert code == 0, err
    assert "The trace has no such deployment" in out and "This GPU was never measured" in out
    assert "No row of this server was measured" in out and "Requests: chat, 1000 prompt + 200 ±" in out


def test_no_speculation_in_the_trace(call, plain_trace):
    code, _, err = call("speedup", plain_trace)
    assert code == 2
    assert err.startswith("error: the trace has no speculative rows") and err.count("\n") == 1
    code, out, _ = call("speedup", plain_trace, "--drafter", "EAGLE-Llama-3.1-8B", "--k", 3, "--loads", "1,5")
    assert code == 0
    assert "EAGLE-Llama-3.1-8B was never measured" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("speedup", "--deployment", "A1000 llama-9"), ("A1000 llama-9", "A100")),
        (("speedup", "--loads", "0,1"), ("0", "above 0")),
        (("speedup", "--loads=-2:3:4"), ("-2", "above 0")),
        (("speedup", "--loads", "5:1:4"), ("5:1:4", "FROM:TO:HOW-MANY")),
        (("speedup", "--loads", "many"), ("many",)),
        (("speedup", "--load-axis", "speed"), ("speed", "in-flight")),
        (("speedup", "--load-axis", "in-flight", "--loads", "0.5"), ("0.5", "at least 1")),
        (("speedup", "--method", "none"), ("does not speculate",)),
        (("speedup", "--drafter", "EAGLE3-Lama-3.1"), ("EAGLE3-Lama-3.1", "did you mean")),
        (("speedup", "--drafter", "ngram", "--drafter", "suffix"), ("tune",)),
        (("speedup", "--set", "acceptance=2"), ("acceptance", "2")),
        (("speedup", "--set", "acceptence=0.5"), ("acceptence", "acceptance")),
        (("speedup", "--set", "acceptance"), ("NAME=VALUE",)),
        (("speedup", "--hardware", "H9000"), ("H9000",)),
        (("speedup", "--hardware", "H200"), ("--verifier",)),
        (("speedup", "--output", "s.xls"), ("s.xls", ".csv")),
        (("speedup", "--conditions", "no.csv"), ("no.csv",)),
        (("tune", "--load-axis", "batch"), ("batch", "in-flight")),
        (("tune", "--loads", "0"), ("0", "at least 1")),
        (("tune", "--vllm", "spec.yaml"), ("spec.yaml", ".json")),
        (("tune", "--vllm", "a.json", "--output", "a.csv"), ("a.csv",)),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_bad_input_in_one_line(call, small_trace, tmp_path, monkeypatch, args, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(args[0], small_trace, *args[1:])
    assert code == 2
    assert err.startswith("error: ") and err.count("\n") == 1, err
    for word in words:
        assert word in err
    assert not list(tmp_path.iterdir())
    assert out == ""
