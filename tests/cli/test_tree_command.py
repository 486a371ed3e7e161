"""``tree`` as a user meets it."""

import json

import pandas as pd


def test_a_tree_for_each_load(call, small_trace, tmp_path):
    out_file, figure = tmp_path / "trees.csv", tmp_path / "trees.svg"
    code, out, err = call(
        "tree", small_trace, "--loads", "1,64", "--deepest", "4", "--most-tokens", "16", "--output", out_file, "--figure", figure
    )  # fmt: skip
    assert code == 0, err
    assert out.startswith("Draft a tree of 16 tokens") and "SGLang at 1: --speculative-num-steps" in out
    assert "Acceptance by rank was not given" in out
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith(("SGLang", "wrote")))
    table = pd.read_csv(out_file)
    assert list(table["load"]) == [1, 64] and table["verify_tokens"].is_monotonic_decreasing
    assert figure.stat().st_size > 1000


def test_as_json_with_measured_ranks(call, small_trace):
    code, out, err = call(
        "tree", small_trace, "--loads", "2", "--deepest", "2", "--most-tokens", "6", "--ranks", "0.6,0.15", "--json"
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert "as given" in found["ranks"] and found["loads"][0]["tree"].startswith("[(0,)")


def test_bad_input_is_one_line(call, small_trace):
    for options, words in (
        (("--ranks", "0.6"), "at least two"),
        (("--ranks", "0.6,x"), "--ranks"),
        (("--rank-positions", "10"), "give --ranks"),
        (("--method", "none"), "no way of drafting"),
    ):
        code, _, err = call("tree", small_trace, "--loads", "1", *options)
        assert code == 2 and words in err and err.count("\n") == 1, err
