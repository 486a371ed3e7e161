import pytest

from bayes_sd.errors import DataError
from bayes_sd.files import shipped
from bayes_sd.measurements import read_acceptance

HEADER = "verifier,method,dataset,n_requests,position,n_reached,n_accepted,source"


def test_the_shipped_counts_are_chains_of_ten():
    table = read_acceptance()
    assert len(table) == 80
    assert table.groupby(["method", "dataset"])["position"].max().eq(10).all()
    per_dataset = table.drop_duplicates(["method", "dataset"]).groupby("method")["n_requests"].sum()
    assert per_dataset.to_dict() == {"eagle": 1410, "ngram": 1410}
    assert (table["n_accepted"] <= table["n_reached"]).all()
    # A chain goes on exactly where it was accepted.
    later = table[table["position"] > 1]["n_reached"].to_numpy()
    assert (later == table[table["position"] < 10]["n_accepted"].to_numpy()).all()


def test_counts_are_whole_numbers():
    table = read_acceptance()
    assert {str(table[c].dtype) for c in ("n_requests", "position", "n_reached", "n_accepted")} == {"int64"}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["v,eagle,d,10,1,100,101,s"], "row 2, column n_accepted: 101 is more than n_reached 100"),
        (["v,eagle,d,10,1,100,50,s", "v,eagle,d,10,2,51,5,s"], "row 3, column n_reached: 51, but only 50"),
        (["v,eagle,d,10,2,100,50,s"], "position: 2 follows 0"),
        (["v,eagle,d,10,1,100,50,s", "v,eagle,d,10,1,100,50,s"], "position: 1 follows 1"),
        (["v,eagle,d,10,1,-3,50,s"], "row 2, column n_reached: -3 is out of range"),
        (["v,eagle,d,10,1,,50,s"], "row 2, column n_reached: blank"),
        (["v,none,d,10,1,100,50,s"], "column method: 'none' is not one of"),
    ],
)
def test_wrong_counts(tmp_path, rows, says):
    path = tmp_path / "counts.csv"
    path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    with pytest.raises(DataError, match=says):
        read_acceptance(path)


def test_a_missing_column():
    with pytest.raises(DataError, match="column 'dataset' is missing"):
        read_acceptance(shipped("data") / "llama.csv")
