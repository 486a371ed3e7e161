"""Names that a spreadsheet would run stay names: guarded where a table is written, whole again where it is read."""

import csv

import pandas as pd
import pytest

from bayes_sd.measurements.csvfile import guarded, read_rows, unguarded, write_csv
from bayes_sd.measurements.readers.pipeline import write_table

NAMES = (
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "@cf/meta/llama-3",
    "'=1",
    "''+2",
    "\t=1",
    "plain",
    "it's",
    "'quoted'",
    "",
)


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name):
    assert not guarded(name).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unguarded(guarded(name)) == name


@pytest.mark.parametrize("write", [write_csv, write_table])
def test_a_table_that_is_written_and_read(tmp_path, write):
    names = [name.strip() for name in NAMES if name.strip()]
    table = pd.DataFrame({"verifier": pd.Series(names, dtype="str"), "latency_s": [-1.5] * len(names)})
    for _ in range(2):
        write(table, tmp_path / "t.csv")
        with (tmp_path / "t.csv").open(newline="") as file:
            cells = [row[0] for row in csv.reader(file)]
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
        header, rows = read_rows(tmp_path / "t.csv")
        table = pd.DataFrame([row for _, row in rows], columns=header, dtype="str")
        assert table["verifier"].tolist() == names


@pytest.mark.parametrize("write", [write_csv, write_table])
def test_a_column_whose_name_a_spreadsheet_would_run(tmp_path, write):
    names = ["=cmd|'/c calc'!A1", "+1", "-1", "@A1", "plain"]
    write(pd.DataFrame([["x"] * len(names)], columns=names, dtype="str"), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in next(csv.reader(file)))
    assert read_rows(tmp_path / "t.csv")[0] == names
