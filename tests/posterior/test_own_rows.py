"""A posterior's own rows are questions to it, and tell the same deployments, of every family that is shipped."""

import pytest

from bayes_sd.condition import as_conditions
from bayes_sd.model.design import build_design
from bayes_sd.posterior.posterior import observed_set
from bayes_sd.sample.fit import observations


@pytest.mark.parametrize(
    "family", ["llama", "gpt-oss", "deepseek", "qwen", "minimax", "others", "llamacpp-cpu"]
)
def test_rows_that_were_kept_are_the_rows_that_were_fitted(family, cards):
    frame = build_design(observations(family, cards=cards)[0], cards).frame
    asked = as_conditions(observed_set(frame).to_dataframe().reset_index(drop=True))
    assert asked["n_gpu"].tolist() == frame["n_gpu"].tolist()
    deployments = [build_design(rows, cards).levels.deployments for rows in (frame, asked)]
    assert deployments[0] == deployments[1]
