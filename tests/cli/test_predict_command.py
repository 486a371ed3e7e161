"""``predict`` from a file: blanks, rows that cannot be answered, and what is said of both."""

import sys

import pandas as pd
import pytest

from bayes_sd.cli import main

HEADER = "hardware,verifier,precision,engine,prompt_tokens,output_tokens,load_kind,load_value\n"
GOOD = "A100,Llama-3.1-8B-Instruct,fp16,vllm-0.24.0,200,340,concurrency,4\n"
BLANK = "A100,Llama-3.1-8B-Instruct,fp16,vllm-0.24.0,,340,concurrency,4\n"
BAD = (
    "A100,Llama-3.1-8B-Instruct,fp16,vllm-0.24.0,long,340,concurrency,4\n",
    "H9000,Llama-3.1-8B-Instruct,,,200,340,rate,4\n",
)


@pytest.fixture
def ask(monkeypatch, capsys, small_trace, tmp_path):
    def run(rows, *options):
        (tmp_path / "c.csv").write_text(HEADER + "".join(rows))
        args = [
            "predict",
            small_trace,
            "--conditions",
            tmp_path / "c.csv",
            "--output",
            tmp_path / "o.csv",
            *options,
        ]
        monkeypatch.setattr(sys, "argv", ["bayes_sd", *map(str, args)])
        with pytest.raises(SystemExit) as exit_:
            main()
        out = tmp_path / "o.csv"
        captured = capsys.readouterr()
        return exit_.value.code, pd.read_csv(out, keep_default_na=False) if out.exists() else None, captured

    return run


def test_blank_lengths_are_answered_and_counted(ask):
    code, table, said = ask([GOOD, BLANK])
    assert code == 0, said.err
    assert (
        table["assumed"].iloc[1].startswith("prompt_tokens") and table["assumed"].iloc[0].count("prompt") == 0
    )
    assert "1 with something assumed" in said.out
    assert float(table["latency_median_s"].iloc[1]) > 0


@pytest.mark.parametrize("bad", BAD)
def test_one_bad_row_stops_unless_told_to_go_on(ask, bad):
    code, table, said = ask([GOOD, bad])
    assert code == 2 and table is None and said.err.count("\n") == 1


def test_skipping_answers_the_others_and_lists_what_it_left(ask):
    code, table, said = ask([BAD[0], GOOD, BAD[1], GOOD, BAD[1]], "--on-error", "skip")
    assert code == 0, said.err
    assert table["line"].tolist() == [2, 3, 4, 5, 6]
    assert (table["left_out"] != "").tolist() == [True, False, True, False, True]
    assert (table["latency_median_s"] == "").tolist() == [True, False, True, False, True]
    assert "3 of 5 rows are left out" in said.err and "(and 1 more): no hardware card" in said.err
    assert "2 conditions" in said.out and "3 left out" in said.out


def test_nothing_to_answer_is_an_error(ask):
    code, table, said = ask(BAD, "--on-error", "skip")
    assert code == 2 and table is None
    assert "rows can be answered" in said.err


ASKED = (
    *(
        "--verifier",
        "Llama-3.1-8B-Instruct",
        "--hardware",
        "A100",
        "--precision",
        "fp16",
        "--engine",
        "vllm-0.24.0",
    ),
    *("--prompt-tokens", 200, "--output-tokens", 340, "--load-kind", "concurrency", "--load-value", 4),
)


def test_options_say_what_a_row_of_a_table_says(ask, call, small_trace, tmp_path):
    _, table, _ = ask([GOOD])
    code, _, err = call("predict", small_trace, *ASKED, "--output", tmp_path / "p.csv")
    assert code == 0, err
    said = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)
    assert said["latency_median_s"].tolist() == table["latency_median_s"].tolist()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ((), "nothing is asked"),
        (
            ("--verifier", "Llama-3.1-8B-Instruct", "--hardware", "A100", "--load-value", 4),
            "load_kind: blank",
        ),
        ((*ASKED, "--conditions", "c.csv"), "both given"),
        ((*ASKED, "--set", "tpp=2"), "no column 'tpp'"),
    ],
)
def test_options_that_ask_nothing_or_twice_are_refused(call, small_trace, options, word):
    code, _, err = call("predict", small_trace, *options)
    assert code == 2 and err.count("\n") == 1 and word in err
