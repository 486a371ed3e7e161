"""Lists of columns are derived from the schema's flags, so one place says what a column is for."""

import numpy as np
import pandas as pd

from bayes_sd.cli.condition import COLUMNS as CONDITION_OPTIONS
from bayes_sd.cli.ingest import OPTIONS
from bayes_sd.forecast.alternatives import Alternative
from bayes_sd.measurements import schema


def test_all_that_a_fit_depends_on_is_kept_with_its_posterior():
    assert set(schema.ENTERING) <= set(schema.OBSERVED)
    assert set(schema.CELL) | set(schema.AVERAGED) <= set(schema.ENTERING)


def test_what_a_condition_takes_over_is_no_result_and_no_load():
    results = {c.name for c in schema.COLUMNS if c.condition == "result"}
    assert not results & set(schema.CARRIED)
    assert not set(schema.of_role("load", "acceptance")) & set(schema.CARRIED)


def test_a_deployment_is_told_apart_by_these_columns():
    named = {"hardware", "tp", "engine", "engine_options", "verifier", "precision", "run_date"}
    split = {"dp", "pp", "ep", "nodes", *schema.POOLS}
    assert set(schema.of_role("deployment")) == named | split
    # Runs of an engine without a version are averaged within a month.
    assert (named | split) - {"run_date"} <= set(schema.CELL)


def test_options_name_columns_of_the_schema():
    assert {column.name for column in CONDITION_OPTIONS} <= set(schema.BY_NAME)
    assert {name for name, _ in OPTIONS} <= set(schema.BY_NAME)


def test_a_measured_acceptance_stays_with_its_draft_length():
    """Counts are an acceptance too: another draft length has not those of the row it is compared with."""
    stated = {"acceptance": 0.6, "mean_accepted_len": 2.8, "n_drafts": 100.0, "n_accepted_tokens": 180.0}
    base = pd.Series({"method": "eagle3", "drafter": "d", "k": 3.0, **stated})
    assert Alternative(3).row(base)[list(stated)].to_dict() == stated
    for k in (0, 5):
        assert np.isnan(Alternative(k).row(base)[list(stated)].astype(float)).all()
