"""Tables of acceptance: what is read, and what is refused in one line."""

import subprocess
import sys

import numpy as np
import pytest

from bayes_sd.acceptance import read_acceptance_data
from bayes_sd.errors import DataError

COUNTS = "verifier,method,dataset,n_requests,position,n_reached,n_accepted,draft_length,source"
LENGTHS = "verifier,method,drafter,dataset,k,mean_accepted_len,source"
MEASURED = (
    "source,hardware,tp,engine,verifier,method,drafter,k,mean_accepted_len,n_drafts,accepted_per_position,"
    "prompt_tokens,output_tokens,load_kind,load_value,mean_e2e_s,workload"
)


def table(path, header, *rows):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def run(*args):
    return subprocess.run(
        [sys.executable, "-m", "bayes_sd", "acceptance", *map(str, args)], capture_output=True, text=True
    )


def test_the_shipped_tables():
    data = read_acceptance_data()
    assert set(data.methods) == {"eagle", "eagle3", "mtp", "ngram"}
    assert (len(data.counts), len(data.lengths), len(data.cells)) == (99, 77, 21)
    assert data.n_positions == 10
    assert (data.counts["position"] <= data.counts["draft_length"]).all()
    assert (data.lengths["mean_accepted_len"] < data.lengths["k"] + 1).all()


def test_counts_in_a_measurement_table(tmp_path):
    """What the ingest readers write: accepted per position of n_drafts; rows without counts give their length."""
    rows = [
        'mine,H100,1,vllm,V,eagle3,D,3,2.19,1000,"[640, 370, 180]",512,128,concurrency,1,1.0,chat',
        "mine,H100,1,vllm,V,eagle3,D,5,2.6,,,512,128,concurrency,1,1.0,chat",
        "mine,H100,1,vllm,V,none,,,,,,512,128,concurrency,1,1.0,chat",
    ]
    data = read_acceptance_data(table(tmp_path / "m.csv", MEASURED, *rows))
    assert data.counts["n_reached"].tolist() == [1000, 640, 370]
    assert data.counts["n_accepted"].tolist() == [640, 370, 180]
    assert set(data.counts["draft_length"]) == {3}
    assert data.lengths[["k", "mean_accepted_len"]].to_numpy().tolist() == [[5.0, 2.6]]
    assert data.cells == ["V | D | chat"]


def test_rows_left_out_leave_the_rest():
    data = read_acceptance_data()
    gone = data.without(counts=np.arange(len(data.counts)) >= 10)
    assert len(gone.counts) == 10
    assert len(gone.lengths) == len(data.lengths)


@pytest.mark.parametrize(
    ("header", "rows", "says"),
    [
        (COUNTS, ["v,eagle,d,10,1,100,101,5,s"], "row 2, column n_accepted: 101 is more than n_reached 100"),
        (
            COUNTS,
            ["v,eagle,d,10,1,100,50,5,s", "v,eagle,d,10,2,51,5,5,s"],
            "row 3, column n_reached: 51, but only 50",
        ),
        (
            COUNTS,
            ["v,eagle,d,10,1,100,50,5,s", "v,eagle,d,10,3,50,5,5,s"],
            "row 3, column position: 3 follows 1",
        ),
        (COUNTS, ["v,eagle,d,10,1,100,50,5,s", "v,eagle,d,10,2,50,5,1,s"], "row 3.*beyond draft_length 1"),
        (COUNTS, ["v,eagle,d,10,1,100,50,0,s"], "row 2, column draft_length: 0 is out of range"),
        (COUNTS.replace(",n_accepted", ""), ["v,eagle,d,10,1,100,5,s"], "column 'n_accepted' is missing"),
        (LENGTHS, ["v,eagle,,d,3,4.2,s"], "row 2, column mean_accepted_len: 4.2 at k = 3"),
        (LENGTHS, ["v,eagle,,d,3,1,s"], "row 2, column mean_accepted_len: 1 at k = 3"),
        (LENGTHS, ["v,eagle,,d,,2.0,s"], "row 2, column k: blank"),
        (LENGTHS.replace(",source", ""), ["v,eagle,,d,3,2.0"], "column 'source' is missing"),
        (
            MEASURED,
            ["m,H100,1,vllm,V,none,,,,,,512,128,concurrency,1,1.0,chat"],
            "no row states an acceptance",
        ),
        (
            MEASURED,
            ['m,H100,1,vllm,V,eagle3,D,3,,500,"[640, 370, 180]",512,128,concurrency,1,1.0,chat'],
            "row 2, column accepted_per_position: 640 acceptances in 500 drafts",
        ),
    ],
)
def test_wrong_tables(tmp_path, header, rows, says):
    with pytest.raises(DataError, match=says):
        read_acceptance_data(table(tmp_path / "t.csv", header, *rows))


def test_the_command_refuses_in_one_line(tmp_path):
    out = tmp_path / "out.nc"
    wrong = table(tmp_path / "t.csv", COUNTS, "v,eagle,d,10,1,100,101,5,s")
    for args, word in [
        (["--data", wrong, "--output", out], "n_accepted"),
        (["--data", tmp_path / "no.csv", "--output", out], "no.csv"),
        (["--iid", "--profiles", tmp_path / "p.toml", "--output", out], "--iid"),
        (["--output", tmp_path], "folder"),
    ]:
        done = run(*args)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stderr.startswith("error: ")
        assert word in done.stderr
    assert not out.exists()
