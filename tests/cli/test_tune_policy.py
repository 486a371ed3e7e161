"""``tune --policy`` as a user meets it."""

import json

import pandas as pd


def test_policies_by_rate(call, small_trace, tmp_path):
    out_file, figure = tmp_path / "p.csv", tmp_path / "p.svg"
    code, out, err = call(
        "tune", small_trace, "--policy", "--loads", "2,12", "--longest", "5", "--output", out_file, "--figure", figure
    )  # fmt: skip
    assert code == 0, err
    assert "by batch: k = " in out and "Best policy over load" in out
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith("wrote"))
    table = pd.read_csv(out_file)
    assert set(table["kind"]) == {"none", "fixed", "table", "confidence"} and figure.stat().st_size > 1000


def test_as_json_and_netcdf(call, small_trace, tmp_path):
    args = ("tune", small_trace, "--policy", "--loads", "2", "--longest", "3")
    code, out, err = call(*args, "--json", "--output", tmp_path / "p.nc")
    assert code == 0, err
    assert json.loads(out)["tables"]["by batch"][0][0] == 1


def test_classes_of_prompts(call, small_trace, tmp_path):
    """In short, and as a table of which the rest may be blank."""
    args = ("tune", small_trace, "--policy", "--loads", "2", "--longest", "2")
    code, out, err = call(*args, "--classes", "200:0.7,2000+100:0.3", "--figure", tmp_path / "c.svg")
    assert code == 0, err
    assert "by class, 200 tokens: k = " in out and "70% 200 tokens" in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith("wrote"))
    table = tmp_path / "classes.csv"
    table.write_text("class,share,prompt_tokens,workload\nchat,0.5,200,\ncode,0.5,,gsm8k\n")
    code, out, err = call(*args, "--classes", table, "--json")
    assert code == 0, err
    assert {"by class, chat", "by class and batch, code"} < set(json.loads(out)["tables"])


def test_bad_classes_are_one_line(call, small_trace, tmp_path):
    table = tmp_path / "classes.csv"
    table.write_text("class,prompt_tokens\nchat,200\n")
    for text, words in (
        ("300", "write PROMPT:SHARE"),
        ("300:x,4:0.5", "share 'x'"),
        ("300:0.5,400:0.4", "sum to 0.9"),
        ("300:0.5,-4:0.5", "prompt_tokens"),
        (table, "columns class and share"),
        (tmp_path / "none.csv", "none.csv"),
    ):
        code, _, err = call("tune", small_trace, "--policy", "--classes", text)
        assert code == 2 and words in err and err.count("\n") == 1, err
    code, _, err = call("tune", small_trace, "--classes", "300:0.5,400:0.5")
    assert code == 2 and "give --policy" in err


def test_bad_input_is_one_line(call, small_trace, tmp_path):
    for options, words in (
        (("--vllm", tmp_path / "v.json"), "leave the other out"),
        (("--loads", "0"), "rate must be a number above 0"),
    ):
        code, _, err = call("tune", small_trace, "--policy", *options)
        assert code == 2 and words in err and err.count("\n") == 1, err
