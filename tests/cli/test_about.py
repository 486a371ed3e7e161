"""``about``: what a trace is for."""

import json


def test_it_says_what_was_measured_and_what_was_not(call, small_trace, a100):
    code, out, err = call("about", small_trace)
    assert code == 0, err
    flat = " ".join(out.split())
    for words in (
        "family llama",
        "Llama-3.1-8B-Instruct",
        "A100-SXM-80GB",
        "humaneval",
        "Draft lengths: 5",
        "clients",
        "Gate: R-hat at most",
        "of its own rows lie within the 90% intervals",
    ):
        assert words in flat
    assert "No mixture of experts was measured" in flat and "No open loop was measured" in flat
    assert max(map(len, out.splitlines())) <= 80


def test_json_adds_up(call, small_trace):
    code, out, _ = call("about", small_trace, "--json")
    said = json.loads(out)
    assert code == 0
    assert sum(one["rows"] for one in said["measured"]) == said["rows"] == sum(said["verifiers"].values())
    assert said["mixtures"] == [] and said["converged"]
    assert said["gate_numbers"]["max_rhat"] >= 1.0 and said["gate_numbers"]["divergences"] == 0
    assert 0.5 < said["calibration"]["inside"] <= 1 and said["calibration"]["median_error"] < 0.2


def test_a_file_that_is_no_trace_is_refused(call, tmp_path):
    (tmp_path / "x.nc").write_text("no")
    code, _, err = call("about", tmp_path / "x.nc")
    assert code == 2 and err.count("\n") == 1
