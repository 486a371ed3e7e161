"""Conditions that a program makes: only what the question needs, and one clear error for anything else."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.condition import as_conditions
from bayes_sd.errors import ConditionError
from bayes_sd.measurements import read_conditions
from bayes_sd.measurements.schema import COLUMNS

NEEDED = {
    "hardware": "H100-SXM", "verifier": "Llama-3.1-8B-Instruct", "prompt_tokens": 200, "output_tokens": 300,
    "load_kind": "rate", "load_value": 2.0,
}  # fmt: skip


def test_the_needed_columns_are_enough():
    frame = as_conditions(pd.DataFrame([NEEDED]))
    assert {c.name for c in COLUMNS if c.condition != "result"} <= set(frame.columns)
    row = frame.iloc[0]
    assert (row["tp"], row["n_gpu"], row["k"], row["method"], row["drafter"]) == (1, 1, 0, "none", "")
    assert (row["precision"], row["engine"], row["arrivals"]) == ("", "unknown", "poisson")
    assert np.isnan(row["max_num_seqs"])


def test_defaults_are_those_of_a_file(tmp_path):
    """A DataFrame and a file with the same columns are the same conditions."""
    path = tmp_path / "c.csv"
    pd.DataFrame([NEEDED]).to_csv(path, index=False)
    from_file, from_frame = read_conditions(path), as_conditions(NEEDED)
    for column in COLUMNS:
        if column.condition == "result" or column.name == "source":
            continue
        one, other = from_file[column.name].iloc[0], from_frame[column.name].iloc[0]
        assert one == other or (pd.isna(one) and pd.isna(other)), column.name


@pytest.mark.parametrize(
    "given", [NEEDED, [NEEDED], {name: [value] for name, value in NEEDED.items()}, pd.DataFrame([NEEDED])]
)
def test_a_dict_or_a_list_of_them_is_a_table_too(given):
    assert len(as_conditions(given)) == 1


def test_lists_in_a_dict_are_rows():
    assert as_conditions(NEEDED | {"load_value": [1.0, 2.0, 3.0]})["load_value"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", NEEDED)
def test_a_needed_column_that_is_missing_is_named(name):
    with pytest.raises(ConditionError, match=f"column '{name}' is missing"):
        as_conditions({k: v for k, v in NEEDED.items() if k != name})


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("blank", [None, np.nan, ""])
def test_a_needed_cell_that_is_blank_is_named(name, blank):
    with pytest.raises(ConditionError, match=f"row 2, column {name}"):
        as_conditions([NEEDED, NEEDED | {name: blank}])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tp": "two"}, "column tp: 'two' is not a number"),
        ({"tp": 1.5}, "column tp: '1.5' is not a whole number"),
        ({"prompt_tokens": -3}, "column prompt_tokens: -3 is out of range"),
        ({"output_tokens": 0}, "column output_tokens: 0 is out of range"),
        ({"load_value": float("inf")}, "column load_value"),
        ({"load_kind": "both"}, "column load_kind: 'both' is not one of"),
        ({"method": "magic"}, "column method: 'magic' is not one of"),
        ({"acceptance": 1.5}, "column acceptance: 1.5 is out of range"),
        ({"k": 3}, "no method is named"),
        ({"k": 3, "drafter": "d"}, "no method is named"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_place(changes, words):
    with pytest.raises(ConditionError, match=words) as raised:
        as_conditions([NEEDED | changes])
    assert "row 1" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_choices_are_read_as_in_a_file():
    row = as_conditions(NEEDED | {"method": "Draft-Model", "k": 2, "load_kind": "Rate"}).iloc[0]
    assert (row["method"], row["load_kind"]) == ("draft_model", "rate")


def test_blank_cells_take_the_default():
    row = as_conditions(NEEDED | {"tp": np.nan, "precision": None, "arrivals": ""}).iloc[0]
    assert (row["tp"], row["n_gpu"], row["precision"], row["arrivals"]) == (1, 1, "", "poisson")


def test_other_columns_stay():
    frame = as_conditions(NEEDED | {"latency_s": 1.25, "mine": "x"})
    assert frame[["latency_s", "mine"]].iloc[0].tolist() == [1.25, "x"]


def test_the_load_may_be_left_out_where_it_is_replaced():
    given = {k: v for k, v in NEEDED.items() if not k.startswith("load")}
    assert as_conditions(given, load_needed=False)[["load_kind", "load_value"]].iloc[0].tolist() == [
        "rate",
        1.0,
    ]


def test_columns_of_any_dtype_are_read():
    """Categories, nullable numbers and numbers written as text, as pandas reads them from elsewhere."""
    frame = pd.DataFrame([NEEDED | {"tp": 2, "engine": "vllm-0.24.0", "arrivals": "poisson"}] * 2)
    same = frame.astype({"tp": "Int64", "engine": "category", "arrivals": "category", "prompt_tokens": "str"})
    same.loc[1, "tp"] = pd.NA
    one, other = as_conditions(frame), as_conditions(same)
    assert other["tp"].tolist() == [2, 1]
    assert other["prompt_tokens"].tolist() == one["prompt_tokens"].tolist()
    assert other[["engine", "arrivals"]].equals(
        one[["engine", "arrivals"]].astype(other[["engine", "arrivals"]].dtypes)
    )


def test_a_row_of_a_table_is_a_condition():
    assert as_conditions(pd.DataFrame([NEEDED] * 3).iloc[1])["load_value"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "a NoneType is no table"),
        ("conditions.csv", "a str is no table"),
        (3, "a int is no table"),
        ([1, 2], "a list is no table"),
        (pd.DataFrame([NEEDED]).iloc[:0], "has no row"),
        ([], "has no row"),
        (
            pd.DataFrame([NEEDED], columns=[*NEEDED, "tp"]).assign(tp=1).iloc[:, [*range(7), 6]],
            "'tp' is there twice",
        ),
        (NEEDED | {"max_num_seq": 8}, "unknown column 'max_num_seq': did you mean 'max_num_seqs'"),
    ],
)
def test_what_is_no_table_of_conditions_is_told(given, words):
    with pytest.raises(ConditionError, match=words):
        as_conditions(given)


def test_checking_twice_changes_nothing():
    once = as_conditions(NEEDED | {"method": "eagle3", "k": 3})
    pd.testing.assert_frame_equal(once, as_conditions(once))
