"""A folder at once: what is no benchmark in it is left out and counted, and notes alike are one line."""

import json

import pytest
from benchmark_files import vllm_result
from click.testing import CliRunner

from bayes_sd.cli.ingest import ingest as command
from bayes_sd.errors import DataError
from bayes_sd.measurements import read_table
from bayes_sd.measurements.readers import ingest


@pytest.fixture
def folder(tmp_path):
    """Six runs in two folders, with what stands beside them, and three files that give no row."""
    root = tmp_path / "runs"
    for number in range(6):
        place = root / ("a" if number < 3 else "b/deep")
        place.mkdir(parents=True, exist_ok=True)
        clients = 2 + number
        result = vllm_result(
            request_rate="inf", max_concurrency=clients, request_throughput=clients / 2.1, duration=None
        )
        (place / f"run{number}.json").write_text(json.dumps(result))
    (root / "README.md").write_text("what was run")
    (root / ".hidden.json").write_text("{}")
    (root / "a" / "config.yaml").write_text("a: 1\n")
    (root / "a" / "burst.json").write_text(json.dumps(vllm_result(request_rate="inf")))
    (root / "b" / "cut.json").write_text(json.dumps(vllm_result())[:-20])
    return root


def options(served):
    return [part for name, value in served.items() for part in (f"--{name}", str(value))]


def test_what_is_read_and_what_is_left_out_is_counted(folder, served):
    report = ingest([folder], served, recursive=True)
    assert sorted(report.table["load_value"]) == [2, 3, 4, 5, 6, 7]
    assert sum(report.left_out().values()) == 3
    assert {file.path.name for file in report.files if not file.rows} == {
        "config.yaml",
        "burst.json",
        "cut.json",
    }
    assert any("cut short" in reason for reason in report.left_out())


def test_notes_alike_are_one_line_with_all_their_places(folder, served):
    groups = ingest([folder], served, recursive=True).groups
    (full,) = [group for group in groups if "clients had a request in flight" in group.text]
    assert len(full.places) == 6
    assert str(full).count("\n") == 0
    assert "5 more alike" in str(full)


def test_the_command_on_a_folder(folder, served, tmp_path):
    output, notes = tmp_path / "t.csv", tmp_path / "notes.json"
    arguments = [str(folder), "--recursive", "-o", str(output), "--report", str(notes), *options(served)]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "6 rows from 9 files" in result.output
    assert "read         6  vllm-bench-serve: 6 rows" in result.output
    assert len(read_table(output)) == 6
    whole = json.loads(notes.read_text())
    assert len(whole["files"]) == 9
    assert sum(whole["left_out"].values()) == 3
    assert max(note["count"] for note in whole["notes"]) == 6


def test_a_folder_needs_recursive(folder, served):
    with pytest.raises(DataError, match=r"is a folder.*--recursive"):
        ingest([folder], served)


def test_a_folder_without_any_row_says_the_commonest_reason(folder):
    with pytest.raises(DataError, match=r"none of 9 files gives a row; 6: .*hardware \(--hardware\)"):
        ingest([folder], recursive=True)


def test_an_empty_folder(tmp_path, served):
    with pytest.raises(DataError, match="no file in this folder"):
        ingest([tmp_path], served, recursive=True)


def test_a_file_that_is_named_is_not_left_out_in_silence(folder, served):
    with pytest.raises(DataError, match="cut short"):
        ingest([folder / "a", folder / "b" / "cut.json"], served, recursive=True)


def test_the_report_never_replaces_an_input(folder, served, tmp_path):
    file = folder / "a" / "run0.json"
    before = file.read_text()
    result = CliRunner().invoke(
        command, [str(file), "-o", str(tmp_path / "t.csv"), "--report", str(file), *options(served)]
    )
    assert result.exit_code != 0
    assert file.read_text() == before


def test_the_table_never_replaces_a_file_found_in_a_folder(folder, served):
    file = folder / "a" / "run0.json"
    before = file.read_text()
    result = CliRunner().invoke(command, [str(folder), "-r", "-o", str(file), *options(served)])
    assert "one of the files to read" in str(result.exception)
    assert file.read_text() == before


def test_two_results_never_share_a_file(folder, served, tmp_path):
    output = str(tmp_path / "t.csv")
    arguments = [str(folder), "-r", "-o", output, "--report", output, *options(served)]
    assert "the same file" in str(CliRunner().invoke(command, arguments).exception)
