"""What a file does not say: options, TOML beside it, and what happens when they disagree with the file."""

import json

import pytest
from benchmark_files import (
    SPECULATION,
    guidellm_benchmark,
    guidellm_report,
    inferencex_csv,
    inferencex_row,
    steady,
    vllm_result,
)

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import ingest


def test_everything_missing_is_asked_for_by_name_and_option(save):
    with pytest.raises(DataError) as raised:
        ingest([save(vllm_result())])
    text = str(raised.value)
    for name in ("hardware", "tp", "engine", "precision", "method"):
        assert f"{name} (--{name})" in text
    assert "verifier" not in text  # the file says it
    assert "\n" not in text


def test_a_file_with_acceptance_asks_for_the_drafter_at_once(save):
    with pytest.raises(DataError, match=r"method \(--method\).*drafter \(--drafter\)") as raised:
        ingest([save(vllm_result(**SPECULATION))])
    assert "--k" not in str(raised.value)  # its counts say it


def test_methods_without_a_drafter_of_their_own(save, served):
    given = {**served, "method": "ngram", "k": 3}
    assert ingest([save(vllm_result())], given).table["method"][0] == "ngram"


def test_an_unknown_draft_length_may_be_said_to_be(save, drafted):
    table = ingest([save(vllm_result())], {**drafted, "k": "unknown"}).table
    assert "k" not in table


def test_toml_beside_the_file(save, served):
    path = save(vllm_result())
    path.with_name(path.name + ".toml").write_text(
        "\n".join(f"{k} = {json.dumps(v)}" for k, v in served.items())
    )
    row = ingest([path]).table.iloc[0]
    assert (row["hardware"], row["tp"]) == ("H100-SXM-80GB", 1)


def test_options_go_before_the_toml_beside_and_that_before_the_shared_one(save, served):
    path = save(vllm_result())
    path.with_name(path.name + ".toml").write_text('hardware = "beside"\nengine = "beside"\n')
    shared = save('hardware = "shared"\nengine = "shared"\nprecision = "fp8"\n', "shared.toml")
    given = {"hardware": "option", "tp": 1, "method": "none"}
    row = ingest([path], given, meta_file=shared).table.iloc[0]
    assert (row["hardware"], row["engine"], row["precision"]) == ("option", "beside", "fp8")


def test_tables_for_single_benchmarks(save, served):
    path = save(
        guidellm_report(guidellm_benchmark(steady()), guidellm_benchmark(steady())), "benchmarks.json"
    )
    beside = path.with_name("benchmarks.json.toml")
    beside.write_text('repeat = "a"\n[[benchmark]]\n[[benchmark]]\nrepeat = "b"\nnotes = "warm"\n')
    table = ingest([path], served).table
    assert list(table["repeat"]) == ["a", "b"]
    assert table["notes"][1].startswith("warm; ")


def test_a_name_of_ones_own_replaces_the_files_with_a_note(save, served):
    report = ingest([save(vllm_result())], {**served, "verifier": "Llama-3.1-8B"})
    assert report.table["verifier"][0] == "Llama-3.1-8B"
    assert any("the file calls it 'meta-llama/Llama-3.1-8B-Instruct'" in note for note in report.notes)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"k": 3}, "k is 2 in the file but 3 in the options"),
        ({"prompt_tokens": 500}, "prompt_tokens is 100 in the file but 500"),
        ({"arrivals": "even"}, "arrivals is 'poisson' in the file"),
    ],
)
def test_a_number_that_the_file_has_otherwise(save, drafted, given, says):
    with pytest.raises(DataError, match=says):
        ingest([save(vllm_result(**SPECULATION))], {**drafted, **given})


def test_a_load_that_is_given_goes_before_the_files_with_a_note(save, served):
    report = ingest([save(vllm_result())], {**served, "load_kind": "concurrency", "load_value": 2})
    row = report.table.iloc[0]
    assert (row["load_kind"], row["load_value"]) == ("concurrency", 2)
    assert "arrivals" not in report.table
    assert any("load_kind is 'concurrency' by the options; the file says 'rate'" in n for n in report.notes)
    assert "load_value as given, 1 in the file" in row["notes"]


def test_another_kind_of_load_needs_its_value(save, served):
    with pytest.raises(DataError, match=r"load_value \(--load-value\)"):
        ingest([save(vllm_result())], {**served, "load_kind": "concurrency"})


def test_a_burst_is_read_where_its_load_is_given(save, served):
    burst = save(vllm_result(request_rate="inf"))
    report = ingest([burst], {**served, "load_kind": "concurrency", "load_value": 2})
    assert report.table["load_value"][0] == 2
    assert any("the file itself says: no rate and no number of clients" in note for note in report.notes)


def test_a_method_of_tomorrow_is_a_level_of_its_own(save, served):
    table = ingest([save(vllm_result())], {**served, "method": "Hydra-Draft", "k": 3}).table
    assert table["method"][0] == "hydra_draft"


def test_a_nominal_length_near_the_measured_one_gives_way(save, served):
    table = ingest([save(vllm_result())], {**served, "prompt_tokens": 102}).table
    assert table["prompt_tokens"][0] == 100


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"hardwere": "x"}, "did you mean 'hardware'"),
        ({"mean_e2e_s": 1}, "it cannot be given"),
        ({"method": "3 eagles"}, "method: '3 eagles' is not one of"),
        ({"tp": "two"}, "tp: 'two' is not a number"),
        ({"tp": 0}, "tp: "),
        ({"hardware": " "}, "hardware is blank"),
        ({"k": 4}, "4 tokens drafted with method none"),
    ],
)
def test_values_that_no_column_holds(save, served, given, says):
    with pytest.raises(DataError, match=says) as raised:
        ingest([save(vllm_result())], {**served, **given})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hardware = ", "not valid TOML"),
        ("metrics = 3\n", "metrics must be"),
        ("benchmark = 1\n", "benchmark must be"),
        ("[served]\nhardware = 'x'\n", "'served' is not a column"),
        ("[hardware]\nname = 'x'\n", "must be a value"),
    ],
)
def test_toml_that_is_something_else(save, text, says):
    path = save(vllm_result())
    path.with_name(path.name + ".toml").write_text(text)
    with pytest.raises(DataError, match=says) as raised:
        ingest([path])
    assert "\n" not in str(raised.value)
    assert ".toml" in str(raised.value)


def test_a_missing_shared_toml(save, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        ingest([save(vllm_result())], meta_file=tmp_path / "none.toml")


def test_numbers_given_for_a_file_do_not_reach_its_baselines(save):
    rows = [inferencex_row(), inferencex_row(**{"Spec Decoding": "eagle3"})]
    table = ingest([save(inferencex_csv(rows))], {"k": 2, "drafter": "d", "mean_accepted_len": 1.9}).table
    assert list(table["drafter"]) == ["", "d"]
    assert table["mean_accepted_len"].isna()[0]
