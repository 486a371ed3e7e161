"""Measurement tables and conditions with bad values in every column, and damaged ones."""

import contextlib
import csv

import pytest
from bad_cases import VALUES, contents, faults, mutated, replaced_numbers, run, seeds

from bayes_sd.errors import DataError
from bayes_sd.measurements import read_conditions, read_table
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.schema import COLUMNS

ROW = {
    "hardware": "A100-SXM4-80GB", "verifier": "Llama-3.1-8B-Instruct", "prompt_tokens": "500", "output_tokens": "200",
    "load_kind": "concurrency", "load_value": "8",
}  # fmt: skip
SLOW = pytest.mark.slow


def write(row, path):
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file).writerows([row.keys(), row.values()])


@pytest.mark.parametrize(("read", "more"), [(read_table, {"mean_e2e_s": "3"}), (read_conditions, {})])
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=SLOW)])
@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_bad_values_of_every_column(tmp_path, read, more, column, step):
    """A table of one bad cell; another value in each column where not all are tried."""
    path = tmp_path / "table.csv"
    for value in VALUES[COLUMNS.index(column) % step :: step]:
        write(ROW | more | {column.name: value}, path)
        frame, words = told(read, path)
        assert words.isprintable() and len(words) < 900, value
        if frame is not None and column.name in frame:
            found = frame[column.name].iloc[0]
            assert not isinstance(found, float) or found != found or abs(found) <= column.high, value


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_every_bad_cell_of_every_column(column):
    """What reads a cell, for all values: a whole table takes thousands of times as long."""
    for value in VALUES:
        with contextlib.suppress(CellError):
            found = parse_cell(value, column)
            assert not isinstance(found, float) or found != found or column.low <= found <= column.high, value


def told(read, path):
    """Read a table; None and the words of the error if it is refused."""
    try:
        return read(path), ""
    except DataError as error:
        return None, str(error)


@pytest.mark.parametrize(("first", "step"), [(0, 150), pytest.param(1, 2, marks=SLOW)])
def test_predictions_for_bad_conditions(tmp_path, small_trace, first, step):
    cases = [(column.name, value) for column in COLUMNS for value in VALUES][first::step]

    def ran():
        for name, value in cases:
            write(
                ROW | ({"method": "eagle3"} if name in ("k", "drafter") else {}) | {name: value},
                tmp_path / "c.csv",
            )
            yield (
                (name, value),
                run(
                    [
                        "predict",
                        small_trace,
                        "--conditions",
                        tmp_path / "c.csv",
                        "--output",
                        tmp_path / "o.csv",
                    ]
                ),
            )

    assert faults(ran(), tmp_path / "o.csv") == []


@pytest.mark.parametrize("total", [150, pytest.param(3000, marks=SLOW)])
def test_damaged_tables(tmp_path, monkeypatch, llama_lines, total):
    """Both commands that fit read them; neither has a fit to make."""
    path = tmp_path / "table.csv"

    def enough(*_, **__):
        raise DataError("read to its end")

    monkeypatch.setattr("bayes_sd.acceptance.fit_acceptance", enough)

    def ran():
        for seed in seeds(total):
            content = (
                replaced_numbers(llama_lines, seed).encode("utf-8", "surrogatepass") if seed % 2 else None
            )
            path.write_bytes(content or mutated(llama_lines.encode(), seed))
            yield seed, run(["fit", "--family", "nosuch", "--data", path, "--output", tmp_path / "fit.nc"])
            yield seed, run(["acceptance", "--data", path, "--output", tmp_path / "fit.nc"])

    assert faults(ran(), tmp_path / "fit.nc") == []


@pytest.fixture(scope="module")
def llama_lines():
    from bayes_sd.files import shipped

    return "\n".join((shipped("data") / "llama.csv").read_text().splitlines()[:25]) + "\n"


@pytest.mark.parametrize(
    "content",
    [
        ",".join(f"x{i}" for i in range(20_000)) + "\n" + "," * 19_999 + "\n", "," * 5_000_000, "\n" * 1000, '"' + "a" * 2_000_000,
        "a" * 3_000_000, "hardware\n" + "x\n" * 10, ("x" * 4000 + ",") * 500, "\0" * 1000,
    ],
    ids=["columns", "commas", "blank", "quote", "line", "short", "names", "nul"],
)  # fmt: skip
def test_tables_without_measure(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_text(content)
    kept = contents(tmp_path)
    done = run(["fit", "--family", "llama", "--data", path, "--output", tmp_path / "fit.nc"])
    assert done.code == 2
    assert faults([("table", done)], tmp_path / "fit.nc", kept) == []


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/null", "/", "/proc/self/mem"])
def test_inputs_that_are_no_plain_files(tmp_path, small_trace, place):
    for arguments in (
        ["predict", small_trace, "--conditions", place, "--output", tmp_path / "o.csv"],
        ["predict", place, "--conditions", place, "--output", tmp_path / "o.csv"],
        ["monitor", small_trace, "--metrics", place],
        ["ingest", place, "--output", tmp_path / "o.csv"],
        ["simulate", place, "--output", tmp_path / "o.csv"],
    ):
        done = run(arguments)
        assert done.code == 2, arguments
        assert done.fault() == ""
