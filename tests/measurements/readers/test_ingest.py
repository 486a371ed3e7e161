"""The whole way: files in, a table that the rest of the package reads out."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

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
from click.testing import CliRunner

from bayes_sd.cli.ingest import ingest as command
from bayes_sd.errors import DataError, OutputError
from bayes_sd.measurements import read_table
from bayes_sd.measurements.readers import ingest, write_table

METRICS = """vllm:spec_decode_num_drafts_total{engine="0"} 100.0
vllm:spec_decode_num_draft_tokens_total{engine="0"} 200.0
vllm:spec_decode_num_accepted_tokens_total{engine="0"} 90.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="0"} 60.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="1"} 30.0
vllm:num_preemptions_total{engine="0"} 2.0
"""


@pytest.fixture
def mixture(save, fixtures):
    """Files of all six tools."""
    return [
        save(guidellm_report(guidellm_benchmark(steady()), guidellm_benchmark(steady())), "guidellm.json"),
        save(vllm_result(k="4"), "vllm.json"),
        save(inferencex_csv([inferencex_row(**{"Spec Decoding": "eagle3"})]), "export.csv"),
        fixtures / "sglang.jsonl",
        fixtures / "aiperf_concurrency.json",
        fixtures / "inference_perf_rate.json",
    ]


def test_a_mixture_of_tools_makes_tables_that_can_be_read(mixture, tmp_path):
    save_toml(mixture[0], "verifier = 'Llama-3.1-8B-Instruct'\n")
    save_toml(mixture[5], "verifier = 'Llama-3.1-8B-Instruct'\narrivals = 'poisson'\n", tmp_path)
    shared = tmp_path / "shared.toml"
    shared.write_text("hardware = 'h100'\nprecision = 'bf16'\nmethod = 'eagle3'\ndrafter = 'd'\nk = 4\n")
    # What the SGLang and InferenceX files say of engine and tp differs, so nothing is given for them there.
    reports = [
        ingest(paths, options, meta_file=shared)
        for paths, options in (
            ([mixture[0], mixture[1], mixture[4]], {"engine": "vllm-0.24.0", "tp": 1}),
            ([tmp_path / mixture[5].name], {"engine": "vllm-0.24.0", "tp": 1}),
            ([mixture[2], mixture[3]], {}),
        )
    ]
    assert [len(report.table) for report in reports] == [4, 1, 3]
    for number, report in enumerate(reports):
        back = read_table(write_table(report.table, tmp_path / f"t{number}.csv"))
        assert back.attrs["ignored_columns"] == ()
        for column in report.table.columns:
            written, read = report.table[column].to_list(), back[column].to_list()
            if report.table[column].dtype == float:
                known = [
                    (r, w) for r, w in zip(read, written, strict=True) if w == w
                ]  # a default may fill the rest
                assert [float(r) for r, _ in known] == pytest.approx([w for _, w in known], rel=1e-9)
            elif column in (
                "verifier",
                "hardware",
                "engine",
                "drafter",
                "accepted_per_position",
                "config_id",
            ):
                assert read == written


def save_toml(path, text, folder=None):
    """Write FILE.toml beside a file, or beside a copy of it."""
    if folder is not None:
        path = Path(shutil.copy(path, folder))
    path.with_name(path.name + ".toml").write_text(text)


def test_several_files_at_once_and_their_order(save, served):
    paths = [save(vllm_result(request_rate=rate), f"r{rate}.json") for rate in (1.0, 2.0, 3.0)]
    report = ingest(paths, served)
    assert list(report.table["load_value"]) == [1, 2, 3]
    assert [name.rpartition("/")[2] for name in report.table["config_id"]] == [
        "r1.0.json",
        "r2.0.json",
        "r3.0.json",
    ]


def test_server_metrics_supply_counts(save, drafted):
    report = ingest([save(vllm_result())], drafted, metrics=[save(METRICS, "m.prom")])
    row = report.table.iloc[0]
    assert (row["n_drafts"], row["n_accepted_tokens"], row["k"]) == (100, 90, 2)
    assert json.loads(row["accepted_per_position"]) == [60, 30]
    assert row["preemptions"] == 2
    assert any("since the server started" in note for note in report.notes)


def test_server_metrics_named_in_toml(save, drafted):
    path = save(vllm_result())
    save(METRICS, "m.prom")
    path.with_name(path.name + ".toml").write_text('metrics = "m.prom"\n')
    assert ingest([path], drafted).table["n_drafts"][0] == 100


def test_counts_of_several_benchmarks_together_are_stored_once(save, drafted):
    path = save(guidellm_report(guidellm_benchmark(steady()), guidellm_benchmark(steady())))
    table = ingest([path], drafted, metrics=[save(METRICS, "m.prom")]).table
    assert list(table["mean_accepted_len"]) == pytest.approx([1.9, 1.9])
    assert table["n_drafts"].sum() == 100
    assert "preemptions" not in table


def test_counts_of_the_file_itself_are_kept(save, drafted):
    report = ingest([save(vllm_result(**SPECULATION))], drafted, metrics=[save(METRICS, "m.prom")])
    assert report.table["n_drafts"][0] == 800
    assert any("the metrics are not used" in note for note in report.notes)


def test_metrics_and_k_that_disagree(save, drafted):
    with pytest.raises(DataError, match=r"k is 5, but .* counts 2 draft positions"):
        ingest([save(vllm_result())], {**drafted, "k": 5}, metrics=[save(METRICS, "m.prom")])


def test_metrics_go_with_one_file(save, served):
    path = save(vllm_result())
    with pytest.raises(DataError, match="with one benchmark file"):
        ingest([path, path], served, metrics=[save(METRICS, "m.prom")])
    with pytest.raises(DataError, match="with one benchmark file"):
        ingest([path, path], served, meta_file=save('metrics = "m.prom"', "shared.toml"))


def test_no_file():
    with pytest.raises(DataError, match="no benchmark file"):
        ingest([])


def options(given):
    return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def test_the_command(save, served, tmp_path):
    output = tmp_path / "new" / "table.csv"
    files = [str(save(vllm_result(failed=2, completed=38)))]
    result = CliRunner().invoke(command, [*files, "-o", str(output), *options(served)])
    assert result.exit_code == 0, result.output
    assert "1 row from 1 file" in result.output
    assert "2 of 40 requests failed" in result.output
    assert read_table(output)["latency_s"][0] == pytest.approx(2.1)


def test_the_command_as_json_with_columns_that_have_no_option(save, served, tmp_path):
    output = tmp_path / "table.csv"
    more = ["--set", "verifier_params_b=8.03", "--set", "engine_options=eager", "--json"]
    files = [str(save(vllm_result(failed=2, completed=38)))]
    result = CliRunner().invoke(command, [*files, "-o", str(output), *options(served), *more])
    summary = json.loads(result.output)
    assert summary["rows"] == 1
    assert "2 of 40 requests failed" in summary["notes"][0]
    table = read_table(output)
    assert (table["verifier_params_b"][0], table["engine_options"][0]) == (8.03, "eager")


@pytest.mark.parametrize(
    "more",
    [["--set", "x"], ["--set", "repeat=1", "--set", "repeat=2"], ["--set", "mean_e2e_s=1"], ["--k", "4"]],
)
def test_what_went_before_survives_a_failure(save, served, tmp_path, more):
    output = tmp_path / "table.csv"
    output.write_text("as it was")
    result = CliRunner().invoke(
        command, [str(save(vllm_result())), "-o", str(output), *options(served), *more]
    )
    assert isinstance(result.exception, DataError)
    assert output.read_text() == "as it was"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["result.json", "table.csv"]


def test_a_truncated_second_file_leaves_the_output_alone(save, served, tmp_path):
    output = tmp_path / "table.csv"
    output.write_text("as it was")
    good, bad = save(vllm_result(), "a.json"), save(json.dumps(vllm_result())[:-30], "b.json")
    result = CliRunner().invoke(command, [str(good), str(bad), "-o", str(output), *options(served)])
    assert isinstance(result.exception, DataError)
    assert output.read_text() == "as it was"


def test_an_input_is_never_overwritten(save, served):
    path = save(vllm_result())
    before = path.read_text()
    result = CliRunner().invoke(command, [str(path), "-o", str(path), *options(served)])
    assert isinstance(result.exception, OutputError)
    assert path.read_text() == before


def test_output_that_cannot_be_written(save, served, tmp_path):
    result = CliRunner().invoke(command, [str(save(vllm_result())), "-o", str(tmp_path), *options(served)])
    assert isinstance(result.exception, OutputError)


def test_importing_the_command_imports_nothing_heavy():
    heavy = "{'pandas', 'numpy', 'orjson', 'ijson', 'scipy', 'pymc'}"
    code = f"import sys, bayes_sd.cli.ingest; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["guidellm", "vllm"])
def test_memory_does_not_grow_with_the_file(tmp_path, tool):
    """A file of 150 MB in a process that may take 100 MiB more than its imports do."""
    bench = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "ingest.py"))
    path = tmp_path / "large.json"
    bench[f"write_{tool}"](path, 150_000_000, 200)
    figures = bench["measure"]("ingest", path, repeats=1)
    assert figures["peak_mib"] - figures["imports_mib"] < 100
