"""What a question leaves open is drawn, widens the answer and is said."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.condition.assume import FILLINGS, assume
from bayes_sd.condition.typos import mistyped
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.summary import summarise

MEASURED = {
    "hardware": "A100", "verifier": "Llama-3.1-8B-Instruct", "engine": "vllm-0.24.0", "precision": "w:fp16 kv:fp16",
    "workload": "humaneval", "load_kind": "concurrency", "load_value": 4,
}  # fmt: skip
LENGTHS = {"prompt_tokens": 200, "output_tokens": 340}
EAGLE3 = {"method": "eagle3", "drafter": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "k": 5}


def only(small_fit, **columns):
    prediction = predict(small_fit, MEASURED | LENGTHS | columns)
    return prediction, prediction.conditions.assumed[0]


def log_sd(prediction):
    return np.log(prediction.latency_s[:, 0]).std()


def test_a_complete_condition_assumes_nothing(small_fit):
    prediction, words = only(small_fit)
    assert words == ""
    assert prediction.latency_s.shape == (small_fit.n_draws, 1)


def test_blank_lengths_are_those_of_the_workload(small_fit, cards):
    observed = small_fit.observed
    own = observed[observed["workload"] == "humaneval"]
    found = assume([MEASURED], small_fit, cards)
    assert len(found.frames) == FILLINGS
    prompts = [frame["prompt_tokens"].iloc[0] for frame in found.frames]
    assert set(prompts) <= set(own["prompt_tokens"])
    assert "as humaneval was measured" in found.words[0]


def test_lengths_that_nothing_tells_widen_the_band_and_are_named(small_fit):
    known, _ = only(small_fit, workload="")
    blank, words = only(small_fit, workload="", output_tokens=np.nan)
    assert "output_tokens" in words and "prompt_tokens" not in words
    # Latency goes with output length, whose log sd is 0.7.
    assert log_sd(blank) == pytest.approx(np.hypot(log_sd(known), 0.7), rel=0.15)
    assert np.isnan(blank.conditions.frame["output_tokens"].iloc[0])


def test_the_middle_of_a_mixture_is_about_that_of_its_middle(small_fit):
    blank, _ = only(small_fit, workload="", output_tokens=np.nan)
    middle, _ = only(small_fit, workload="", output_tokens=200)
    assert np.median(blank.latency_s) == pytest.approx(np.median(middle.latency_s), rel=0.15)


def test_other_rows_are_answered_as_by_themselves(small_fit):
    rows = [MEASURED | LENGTHS, MEASURED | {"workload": "unheard of"}]
    both = predict(small_fit, pd.DataFrame(rows), seed=4)
    alone = predict(small_fit, rows[0], seed=4)
    assert np.array_equal(both.latency_s[:, 0], alone.latency_s[:, 0])
    assert both.conditions.assumed[0] == "" and both.conditions.assumed[1]


def test_a_blank_draft_length_is_one_that_was_measured(small_fit):
    prediction, words = only(small_fit, **EAGLE3 | {"k": np.nan})
    assert "k 5 (as measured)" in words
    assert prediction.conditions.k[0] == 5


def test_an_unmeasured_method_has_the_draft_lengths_of_recipes(small_fit):
    prediction, words = only(small_fit, method="mtp")
    assert "k 1, 2, 3 (as recipes have it)" in words and "acceptance (from its prior)" in words
    assert np.isnan(prediction.conditions.frame["k"].iloc[0])


def test_an_accepted_length_bounds_the_draft_length(small_fit, cards):
    row = MEASURED | LENGTHS | {"method": "mtp", "mean_accepted_len": 2.6}
    assert {frame["k"].iloc[0] for frame in assume([row], small_fit, cards).frames} == {2, 3}


def test_a_version_that_is_not_said_is_one_that_was_measured(small_fit):
    prediction, words = only(small_fit, engine="vllm")
    assert words == "engine vllm-0.24.0 (as measured)"
    assert prediction.conditions.extrapolates[0] == ""


def test_a_version_or_method_that_nobody_measured_is_a_level_of_its_own(small_fit):
    newer, _ = only(small_fit, engine="vllm-0.99.0")
    assert newer.conditions.extrapolates[0] == "engine version"
    known, _ = only(small_fit, **EAGLE3)
    method, _ = only(small_fit, method="telepathy", k=3)
    assert "method" in method.conditions.extrapolates[0].split("; ")
    assert log_sd(newer) > log_sd(only(small_fit)[0]) and log_sd(method) > log_sd(known)


def test_a_draft_model_of_unknown_size(small_fit):
    _, words = only(small_fit, method="draft_model", drafter="mine", k=3, engine="vllm-0.24.0")
    assert "drafter_params_b" in words and "a usual share of the verifier's" in words


def test_blank_formats_are_those_of_the_checkpoint(small_fit, cards):
    found = assume([MEASURED | {"verifier": "gpt-oss-120b", "precision": ""} | LENGTHS], small_fit, cards)
    assert found.frames[0]["precision"].iloc[0] == "mxfp4" and "mxfp4 (as published)" in found.words[0]


@pytest.mark.parametrize("column", ["prompt_tokens", "k", "output_tokens"])
def test_text_where_a_number_belongs_is_refused(small_fit, column):
    with pytest.raises(ConditionError, match=f"column {column}"):
        only(small_fit, **EAGLE3 | {column: "a few"})


def test_a_mistyped_method_is_asked_back(small_fit):
    with pytest.raises(ConditionError, match="did you mean draft_model"):
        only(small_fit, method="draft_modle", k=3)


def test_names_that_differ_in_a_number_are_not_mistyped():
    assert mistyped("gsm8k", ["gsm8k"]) is None
    assert mistyped("vllm2", ["vllm"]) is None


def test_the_summary_says_it(small_fit):
    table = summarise(predict(small_fit, [MEASURED, MEASURED | LENGTHS]))
    assert "prompt_tokens" in table["assumed"].iloc[0] and table["assumed"].iloc[1] == ""


def test_an_engine_of_a_stated_day_is_that_days_version_not_another_that_was_measured(small_fit, cards):
    row = MEASURED | LENGTHS | {"engine": "vllm", "run_date": "2025-10-24"}
    assert assume([row], small_fit, cards).words == [""]
    dated, words = only(small_fit, engine="vllm", run_date="2025-10-24")
    assert words == "" and dated.conditions.extrapolates[0] == "engine version"
    assert log_sd(dated) > log_sd(only(small_fit)[0])
