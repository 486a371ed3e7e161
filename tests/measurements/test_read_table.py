"""What a table becomes, and what is said of one that is wrong."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_sd.errors import DataError
from bayes_sd.measurements import COLUMNS, read_conditions, read_table

SPECULATING = {"method": "eagle3", "k": "4", "drafter": "d"}
RATE = {"load_kind": "rate", "load_value": "4"}
POOLED = {
    "tp": "8",
    "n_gpu": "24",
    "prefill_gpus": "8",
    "decode_gpus": "16",
    "engine_options": "disaggregated",
}


def test_a_row_becomes_typed(write):
    table = read_table(write({}, SPECULATING | {"tp": "4", "n_experts": "64", "top_k_experts": "8"}))
    first, second = table.iloc[0], table.iloc[1]
    assert (first["tp"], first["n_gpu"], first["k"], bool(first["is_moe"])) == (1, 1, 0.0, False)
    assert (second["tp"], second["n_gpu"], second["k"], bool(second["is_moe"])) == (4, 4, 4.0, True)
    assert (first["latency_s"], first["latency_statistic"]) == (2.0, "mean")
    assert (first["arrivals"], first["drafter"]) == ("even", "")
    assert list(table["row"]) == [2, 3]
    assert set(table["file"]) == {str(write({}))}
    assert math.isnan(first["max_num_seqs"])


def test_dtypes_do_not_depend_on_what_is_blank(write):
    ones = dict.fromkeys([c.name for c in COLUMNS if c.kind == "count"], "1")
    full = read_table(write(ones | SPECULATING | {"verify_tokens": "5", "n_gpu": "2"}))
    bare = read_table(write({}, without=("tp", "k", "achieved_rps", "p50_e2e_s", "p99_e2e_s", "preemptions")))
    assert full.dtypes.to_dict() == bare.dtypes.to_dict()
    assert set(map(str, full.dtypes)) == {"str", "float64", "int64", "bool"}
    assert {column.name for column in COLUMNS} < set(full.columns)


def test_the_median_stands_in_for_a_missing_mean(write):
    table = read_table(write({"mean_e2e_s": ""}, {"mean_e2e_s": "", "p50_e2e_s": ""}))
    assert list(table["latency_statistic"]) == ["median", ""]
    assert table["latency_s"][0] == 1.9
    assert math.isnan(table["latency_s"][1])


def test_an_unknown_draft_length_stays_unknown(write):
    table = read_table(write(SPECULATING | {"k": ""}, {"k": ""}))
    assert math.isnan(table["k"][0])
    assert table["k"][1] == 0.0


def test_spelling_that_is_taken(write):
    path = write({"method": "EAGLE-3".replace("-", ""), "k": " 4 ", "load_kind": "Concurrency", "tp": "2.0"})
    path.write_text("\ufeff" + path.read_text() + "\n,,,\n".replace(",", ""), encoding="utf-8")
    table = read_table(path)
    assert (table["method"][0], table["k"][0], table["load_kind"][0], table["tp"][0]) == (
        "eagle3",
        4.0,
        "concurrency",
        2,
    )


def test_columns_of_no_known_name_are_named_and_left_out(write):
    table = read_table(write({"colour": "red"}))
    assert "colour" not in table
    assert table.attrs["ignored_columns"] == ("colour",)


@pytest.mark.parametrize(
    ("cells", "column", "says"),
    [
        ({"mean_e2e_s": "-1"}, "mean_e2e_s", "must be above 0"),
        ({"mean_e2e_s": "0"}, "mean_e2e_s", "must be above 0"),
        ({"mean_e2e_s": "nan"}, "mean_e2e_s", "leave the cell blank"),
        ({"mean_e2e_s": "inf"}, "mean_e2e_s", "leave the cell blank"),
        ({"mean_e2e_s": "1e999"}, "mean_e2e_s", "too large"),
        ({"prompt_tokens": "1,000"}, "prompt_tokens", "without commas"),
        ({"prompt_tokens": "1_000"}, "prompt_tokens", "not a number"),
        ({"prompt_tokens": "long"}, "prompt_tokens", "not a number"),
        ({"tp": "0"}, "tp", "at least 1"),
        ({"tp": "1.5"}, "tp", "not a whole number"),
        ({"load_kind": "burst"}, "load_kind", "concurrency, rate"),
        ({"load_kind": ""}, "load_kind", "blank: fill it in"),
        ({"hardware": ""}, "hardware", "blank: fill it in"),
        ({"load_value": ""}, "load_value", "blank: fill it in"),
        ({"load_value": "2.5"}, "load_value", "whole number of them"),
        ({"load_value": "-1", "load_kind": "rate"}, "load_value", "above 0"),
        ({"arrivals": "poisson"}, "arrivals", "closed loop"),
        ({"arrivals": "gamma 0.7"}, "arrivals", "gamma 0.7 in a closed loop"),
        (RATE | {"arrivals": "gamma"}, "arrivals", "as 'gamma 0.7'"),
        (RATE | {"arrivals": "gamma -1"}, "arrivals", "as 'gamma 0.7'"),
        ({"run_date": "25.7.2026"}, "run_date", "write it as 2026-05-31"),
        ({"run_date": "2026-13"}, "run_date", "write it as 2026-05-31"),
        ({"tp": "4", "ep": "8"}, "ep", "more than the deployment's 4 GPUs"),
        ({"tp": "4", "nodes": "8"}, "nodes", "more than the deployment's 4 GPUs"),
        ({"tp": "8", "dp": "3", "n_gpu": "8"}, "dp", "do not divide the 8 GPUs"),
        ({"tp": "4", "dp": "4", "n_gpu": "8"}, "n_gpu", "tp \\* pp = 4 or tp \\* pp \\* dp = 16"),
        ({"tp": "4", "pp": "2", "n_gpu": "4"}, "n_gpu", "tp \\* pp = 8"),
        (POOLED | {"n_gpu": "8"}, "n_gpu", "8 \\+ 16"),
        (POOLED | {"prefill_tp": "16"}, "prefill_tp", "more than prefill_gpus = 8"),
        (POOLED | {"decode_ep": "32"}, "decode_ep", "more than decode_gpus = 16"),
        (SPECULATING | {"verify_tokens": "4"}, "verify_tokens", "k \\+ 1 = 5"),
        (SPECULATING | {"draft_passes": "5"}, "draft_passes", "5 passes for 4 tokens"),
        ({"cached_prompt_tokens": "1001"}, "cached_prompt_tokens", "1001 cached of a prompt of 1000"),
        ({"method": "?"}, "method", "not one of none, eagle"),
        ({"p50_e2e_s": "3.1"}, "p50_e2e_s", "above p99_e2e_s"),
        ({"p95_e2e_s": "3.1"}, "p95_e2e_s", "above p99_e2e_s"),
        ({"mean_ttft_ms": "2001"}, "mean_ttft_ms", "are the units right"),
        ({"k": "3"}, "k", "method none"),
        (SPECULATING | {"k": "0"}, "k", "with method eagle3"),
        ({"drafter": "d"}, "drafter", "method none"),
        ({"acceptance": "0.5"}, "acceptance", "method none"),
        (SPECULATING | {"acceptance": "1.2"}, "acceptance", "at most 1"),
        (SPECULATING | {"acceptance": "70"}, "acceptance", "at most 1"),
        (SPECULATING | {"mean_accepted_len": "5.1"}, "mean_accepted_len", "more than k \\+ 1"),
        (SPECULATING | {"mean_accepted_len": "0.9"}, "mean_accepted_len", "at least 1"),
        (
            SPECULATING | {"n_draft_tokens": "9", "n_accepted_tokens": "10"},
            "n_accepted_tokens",
            "10 accepted of 9",
        ),
        (SPECULATING | {"accepted_per_position": "5;4"}, "accepted_per_position", "JSON list"),
        (SPECULATING | {"accepted_per_position": "[4, 5]"}, "accepted_per_position", "rises"),
        (SPECULATING | {"accepted_per_position": "[5, 4, 3, 2, 1]"}, "accepted_per_position", "5 positions"),
        (SPECULATING | {"accepted_per_position": "[5.5]"}, "accepted_per_position", "whole numbers"),
        (
            SPECULATING | {"accepted_per_position": "[9]", "n_drafts": "8"},
            "accepted_per_position",
            "in 8 drafts",
        ),
        ({"n_experts": "8", "top_k_experts": "9"}, "top_k_experts", "more than n_experts"),
        ({"n_experts": "8"}, "top_k_experts", "both or neither"),
        ({"top_k_experts": "8"}, "n_experts", "both or neither"),
        ({"is_moe": "0", "n_experts": "8", "top_k_experts": "2"}, "is_moe", "with 8 experts"),
        ({"is_moe": "maybe"}, "is_moe", "neither 0 nor 1"),
        (
            {"verifier_params_b": "8", "verifier_active_params_b": "9"},
            "verifier_active_params_b",
            "more than",
        ),
    ],
)
def test_a_wrong_cell_is_one_error_that_says_where(write, cells, column, says):
    path = write({}, {}, cells)
    with pytest.raises(DataError, match=says) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}, row 4, column {column}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: "", "the file is empty"),
        (lambda text: "\n  \n", "the file is empty"),
        (lambda text: text.splitlines()[0], "no rows"),
        (lambda text: text.replace("source,", "tp,"), "column 'tp' stands twice"),
        (lambda text: text.replace("hardware,", "gpu,"), "column 'hardware' is missing: add it"),
        (
            lambda text: text.replace("prompt_tokens,", "promt_tokens,"),
            r"is missing \(is it 'promt_tokens'\?\)",
        ),
        (lambda text: text.replace("achieved_rps,", "acheived_rps,"), "did you mean 'achieved_rps'"),
        (lambda text: text.replace("mean_e2e_s,p50_e2e_s,", "a,b,"), "no column mean_e2e_s or p50_e2e_s"),
        (lambda text: text + "just,three,cells\n", "row 3: 3 cells where the header has 18"),
        (lambda text: text.replace(",", ";"), "separated by semicolons"),
        (lambda text: text + '"never closed\n', "not a CSV table"),
    ],
)
def test_a_file_that_is_no_table(write, change, says):
    path = write({})
    path.write_text(change(path.read_text()), encoding="utf-8")
    with pytest.raises(DataError, match=says) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_places_that_are_no_file(write, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
    path = write({})
    path.write_bytes(path.read_bytes() + "Größe".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_file_is_anything_but_a_table_or_one_error(write, data):
    path = write({}, SPECULATING)
    content = path.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(start + 20, len(content))))
    put = data.draw(st.binary(max_size=4) | st.sampled_from([b",", b'"', b"\n", b"\r", b"\x00", b"-", b"e9"]))
    path.write_bytes(content[:start] + put + content[end:])
    for read in (read_table, read_conditions):
        assert "\n" not in complaint(read, path)


def complaint(read, path):
    """Give the DataError's message, or "" where the file was taken; let every other exception through."""
    try:
        read(path)
    except DataError as error:
        return str(error)
    return ""


CONDITION = ("hardware", "verifier", "prompt_tokens", "output_tokens", "load_kind", "load_value")


def conditions(tmp_path, *rows):
    path = tmp_path / "conditions.csv"
    path.write_text("\n".join([",".join(CONDITION), *rows]), encoding="utf-8")
    return path


def test_conditions_need_six_columns_and_default_the_rest(tmp_path):
    row = read_conditions(conditions(tmp_path, "h200,Llama-3.3-70B,1000,300,rate,2.5")).iloc[0]
    assert (row["tp"], row["n_gpu"], row["engine"], row["precision"]) == (1, 1, "unknown", "")
    assert (row["method"], row["k"], row["arrivals"]) == ("none", 0.0, "poisson")
    assert "mean_e2e_s" not in row
    assert "latency_s" not in row


@pytest.mark.parametrize("column", CONDITION)
def test_conditions_may_not_be_blank(tmp_path, column):
    cells = ["" if name == column else value for name, value in zip(CONDITION, GOOD, strict=True)]
    with pytest.raises(DataError, match=rf"row 3, column {column}: blank"):
        read_conditions(conditions(tmp_path, ",".join(GOOD), ",".join(cells)))


GOOD = ("h200", "Llama-3.3-70B", "1000", "300", "rate", "2.5")


def test_conditions_from_a_measurement_table_ignore_its_results(write):
    path = write({"mean_e2e_s": "not measured yet"})
    assert "mean_e2e_s" not in read_conditions(path)
    with pytest.raises(DataError, match="mean_e2e_s"):
        read_table(path)


def test_gamma_arrivals_are_read_and_those_without_a_law_not_asked_for(write, tmp_path):
    table = read_table(
        write(*[RATE | {"arrivals": a} for a in ("gamma 0.7", "gamma burstiness 0.70", "Gamma 1.0")])
    )
    assert list(table["arrivals"]) == ["gamma 0.7", "gamma 0.7", "poisson"]
    file = tmp_path / "ask.csv"
    file.write_text(
        "hardware,verifier,prompt_tokens,output_tokens,load_kind,load_value,arrivals\nh100,m,9,9,rate,1,gamma 0.7\n"
    )
    assert read_conditions(file)["arrivals"][0] == "gamma 0.7"
    file.write_text(file.read_text().replace("0.7", "0.05"))
    with pytest.raises(DataError, match=r"row 2, column arrivals: gamma 0.05: .* shapes from 0.25"):
        read_conditions(file)


def test_how_a_deployment_is_spread(write):
    """Some engines count attention ranks in their tensor-parallel size, others multiply it; two pools have their own sizes."""
    table = read_table(
        write(
            {"tp": "8", "dp": "8", "ep": "8", "engine": "sglang-0.5.9"},
            {"tp": "4", "dp": "2", "ep": "8", "engine": "vllm"},
            {"tp": "4", "dp": "4", "ep": "4", "engine": "vllm", "n_gpu": "4"},
            {"tp": "4", "pp": "2"},
            POOLED | {"decode_tp": "8", "decode_dp": "8", "prefill_workers": "1", "decode_workers": "2"},
        )
    )
    assert list(table["n_gpu"]) == [8, 8, 4, 8, 24]


def test_a_run_has_a_day_or_a_month(write):
    table = read_table(write({"run_date": "2026-05-31"}, {"run_date": "2026-05"}, {}))
    assert list(table["run_date"]) == ["2026-05-31", "2026-05", ""]
