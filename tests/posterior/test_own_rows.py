"""A posterior's own rows are questions to it, and tell the same deployments, of every family that is shipped."""

import pytest

from bayes_sd.condition import as_conditions
from bayes_sd.condition.rows import observed_keys
from bayes_sd.model.design import build_design
from bayes_sd.posterior.posterior import observed_set
from bayes_sd.sample.fit import observations


@pytest.mark.parametrize(
    "family", ["llama", "gpt-oss", "deepseek", "qwen", "minimax", "others", "llamacpp-cpu"]
)
def test_rows_that_were_kept_are_the_rows_that_were_fitted(family, cards):
    frame = build_design(observations(family, cards=cards)[0], cards).frame
    kept = observed_set(frame).to_dataframe().reset_index(drop=True)
    asked = as_conditions(kept)
    assert asked["n_gpu"].tolist() == frame["n_gpu"].tolist()
    deployments = [build_design(rows, cards).levels.deployments for rows in (frame, asked)]
    assert deployments[0] == deployments[1]
    # Layouts, pools and quarters are part of the name, so that a row of such a server counts as one of it.
    design = build_design(frame, cards)
    named = [deployments[0][i].key for i in design.rows["deployment"]]
    assert observed_keys(kept, cards).tolist() == named
