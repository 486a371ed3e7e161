"""``plan --split`` as a user meets it."""

import json

import pandas as pd


def test_splits_are_printed_written_and_drawn(call, small_trace, tmp_path):
    out_file, figure = tmp_path / "s.csv", tmp_path / "s.svg"
    args = ("plan", small_trace, "--slo", "mean<30s", "--rate", "5", "--split", "--most-gpus", "4")
    code, out, err = call(*args, "--output", out_file, "--figure", figure)
    assert code == 0, err
    assert "Best split over GPUs" in out and "Replicas that do both" in out
    assert all(
        len(line) <= 80 for line in out.splitlines() if str(tmp_path) not in line
    )  # a path stays whole
    assert len(pd.read_csv(out_file)) == 6 and figure.stat().st_size > 1000
    code, out, err = call(*args, "--json")
    assert code == 0 and json.loads(out)["most_gpus"] == 4, err


def test_options_that_do_not_go_together_are_one_line(call, small_trace):
    for options, words in (
        (("--split",), "give --rate"),
        (("--split", "--rate", "3", "--price", "2"), "leave --price out"),
        (("--prefill-worker", "2"), "give --split"),
        (("--split", "--rate", "3", "--most-gpus", "2", "--decode-worker", "4"), "at most 2 GPUs"),
    ):
        code, _, err = call("plan", small_trace, "--slo", "mean<30s", *options)
        assert code == 2 and words in err and err.count("\n") == 1, err
