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


def test_bad_input_is_one_line(call, small_trace, tmp_path):
    for options, words in (
        (("--vllm", tmp_path / "v.json"), "leave the other out"),
        (("--loads", "0"), "rate must be a number above 0"),
    ):
        code, _, err = call("tune", small_trace, "--policy", *options)
        assert code == 2 and words in err and err.count("\n") == 1, err
