"""Long tables are answered a block at a time: the same answers, in order, and errors that name the row of the table."""

import pandas as pd
import pytest

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
