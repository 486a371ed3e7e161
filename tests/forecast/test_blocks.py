"""Long tables are answered a block at a time: the same answers, in order, and errors that name the row of the table."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.condition.equal import equal_rows
from bayes_sd.errors import ConditionError
from bayes_sd.forecast import answerable as rows_answered
from bayes_sd.forecast import blocks
from bayes_sd.forecast.answerable import answerable
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.summary import summarise

ASKED = pd.DataFrame(
    {
        "hardware": "A100", "verifier": "Llama-3.1-8B-Instruct", "engine": "vllm-0.24.0", "precision": "fp16",
        "prompt_tokens": [200, 300, 400, 500, 600], "output_tokens": 300, "load_kind": ["rate", "concurrency"] * 2 + ["rate"],
        "load_value": [1, 2, 3, 4, 5],
    }
)  # fmt: skip
DRAWN_FOR_EACH_ROW = ["predictive_lower_s", "predictive_upper_s"]


@pytest.fixture
def short_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 2)
    monkeypatch.setattr(rows_answered, "BLOCK", 2)


def test_blocks_give_the_answers_of_the_whole(small_fit, cards, short_blocks):
    parts = blocks.predict_summary(small_fit, ASKED, cards)
    whole = summarise(predict(small_fit, ASKED, cards))
    pd.testing.assert_frame_equal(
        parts.drop(columns=DRAWN_FOR_EACH_ROW), whole.drop(columns=DRAWN_FOR_EACH_ROW), check_dtype=False
    )
    pd.testing.assert_frame_equal(parts[DRAWN_FOR_EACH_ROW], whole[DRAWN_FOR_EACH_ROW], rtol=0.2)


def test_equal_rows_of_different_blocks_have_luck_of_their_own(small_fit, cards, short_blocks):
    same = blocks.predict_summary(small_fit, pd.concat([ASKED.iloc[[0]]] * 4, ignore_index=True), cards)
    assert len(set(same["latency_median_s"])) == 1
    assert len(set(same["predictive_lower_s"])) == 4


def test_repeated_rows_are_computed_once_and_answered_alike(small_fit, cards, short_blocks, monkeypatch):
    table = pd.concat([ASKED] * 3, ignore_index=True)
    plain = pd.concat(
        [
            summarise(predict(small_fit, table.iloc[at : at + 2], cards, first=at))
            for at in range(0, len(table), 2)
        ],
        ignore_index=True,
    )
    computed, shown = [], []
    inner = blocks.predict_assumed

    def counted(posterior, assumed, *rest):
        computed.append(len(assumed.frames[0]))
        return inner(posterior, assumed, *rest)

    monkeypatch.setattr(blocks, "predict_assumed", counted)
    answers = blocks.predict_summary(small_fit, table, cards, progress=lambda *where: shown.append(where))
    pd.testing.assert_frame_equal(answers, plain, check_dtype=False, rtol=1e-9)
    assert sum(computed) == len(ASKED)
    assert shown[-1] == (15, 15)


def test_what_is_kept_for_repeated_rows_is_bounded(small_fit, cards, short_blocks, monkeypatch):
    monkeypatch.setattr(blocks, "MOST_KEPT", 1)
    table = pd.concat([ASKED] * 2, ignore_index=True)
    monkeypatch.setattr(blocks, "BLOCK", 10)
    whole = blocks.predict_summary(small_fit, table, cards)
    monkeypatch.setattr(blocks, "BLOCK", 2)
    parts = blocks.predict_summary(small_fit, table, cards)
    for name in ("latency_median_s", "latency_p99_s", "ttft_median_s"):
        pd.testing.assert_series_equal(parts[name], whole[name], rtol=1e-9)


def test_a_curve_that_loads_share_gives_what_each_load_alone_gets(small_fit, cards):
    loads = ASKED.iloc[[0] * 4].assign(load_value=[1, 2, 3, 60])
    together = predict(small_fit, loads, cards)
    for i in range(len(loads)):
        alone = predict(small_fit, loads.iloc[[i]], cards)
        np.testing.assert_allclose(together.latency_s[:, i], alone.latency_s[:, 0], rtol=1e-9)
        np.testing.assert_allclose(together.tails_s[:, i], alone.tails_s[:, 0], rtol=1e-9)


def test_rows_are_told_apart_by_what_they_ask():
    table = pd.DataFrame(
        {"row": [2, 3, 4, 5, 6], "k": [1.0, 1.0, np.nan, np.nan, 2.0], "name": ["a", "a", "b", "b", None]}
    )
    assert equal_rows(table).tolist() == [0, 0, 1, 1, 2]
    assert equal_rows(table, but=("row", "k")).tolist() == [0, 0, 1, 1, 2]
    assert equal_rows(table.assign(name=[[], [], [], [], []])).tolist() == [0, 1, 2, 3, 4]


def test_an_error_in_a_later_block_names_the_row_of_the_table(small_fit, cards, short_blocks):
    asked = ASKED.assign(prompt_tokens=[200, 300, 400, 500, -1])
    with pytest.raises(ConditionError, match="row 5, column prompt_tokens"):
        blocks.predict_summary(small_fit, asked, cards)


def test_each_row_that_cannot_be_answered_is_found(small_fit, cards, short_blocks):
    asked = ASKED.assign(row=[2, 3, 4, 5, 6], hardware=["A100", "H9000", "A100", "A100", "H9001"])
    kept, left = answerable(small_fit, asked, cards)
    assert list(kept["row"]) == [2, 4, 5]
    assert [(one.row, name in one.why) for one, name in zip(left, ("H9000", "H9001"), strict=True)] == [
        (3, True),
        (6, True),
    ]
