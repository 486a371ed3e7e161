"""Conditions that the model has no structure for are refused, in one line that says what to do."""

import pytest

from bayes_sd.errors import ConditionError
from bayes_sd.forecast.latency import predict


@pytest.mark.parametrize(
    ("engine", "options"), [("dynamo-trtllm (disaggregated)", ""), ("sglang-0.5.6", "disaggregated 1+2")]
)
def test_separate_pools_of_prefill_and_decode_are_refused(small_fit, a100, engine, options):
    asked = a100.iloc[[0, 1]].reset_index(drop=True).assign(engine_options="")
    asked.loc[1, ["engine", "engine_options"]] = engine, options
    with pytest.raises(ConditionError, match="separate GPUs"):
        predict(small_fit, asked)
