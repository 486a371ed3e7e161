"""Bands over load: they hold the measured rows, stages add up, the collapse is the paper's curve."""

import numpy as np
import pytest

from bayes_sd.decide.bands import bands_table, latency_bands
from bayes_sd.decide.collapse import collapse
from bayes_sd.decide.configurations import measured_configurations, select
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.mixture import thinned
from bayes_sd.forecast.stages import STAGES, stage_latency_s


@pytest.fixture(scope="module")
def posterior(small_fit):
    return thinned(small_fit, 200)


@pytest.fixture(scope="module")
def chosen(posterior, cards):
    return select(measured_configurations(posterior, cards), None)


@pytest.fixture(scope="module")
def speculating(chosen):
    return next(c for c in chosen if c.condition["k"].iloc[0] > 0)


@pytest.fixture(scope="module")
def bands(posterior, speculating, cards):
    return latency_bands(posterior, speculating, cards)


@pytest.mark.parametrize(
    ("kind", "arrivals", "load"),
    [("concurrency", "even", 24.0), ("rate", "poisson", 4.0), ("rate", "even", 4.0), ("rate", "even", 0.05)],
)
def test_stages_add_up_to_the_latency(posterior, speculating, cards, kind, arrivals, load):
    """Little's law, per stage: exact for every protocol, so the tolerance is that of floating point."""
    frame = speculating.condition.assign(load_kind=kind, arrivals=arrivals, load_value=load)
    conditions = resolve(frame, posterior, cards)
    found = costs_for(posterior, conditions, cards)
    split, running = stage_latency_s(found, conditions, 0)
    latency = predict(posterior, frame, cards).latency_s[:, 0]
    stable = np.isfinite(latency)
    assert stable.mean() > 0.9
    assert np.allclose(split.sum(axis=1)[stable], latency[stable], rtol=2e-3)
    assert np.all(split[stable] >= 0.0)
    assert np.all(running[stable] <= load * latency[stable] / np.exp(found.misfit[stable, 0]) * 1.01 + load)


def test_bands_hold_most_measured_rows(posterior, chosen, cards):
    """Of the deployment's rows at least 3 in 4 lie in their 90 % interval (24 rows: 90 % ± 6 points)."""
    tails = np.concatenate([latency_bands(posterior, c, cards)["tail"].to_numpy() for c in chosen])
    assert np.mean((tails > 0.05) & (tails < 0.95)) >= 0.75


def test_bands_are_in_order_and_rise(bands):
    assert (bands["predictive_lower"] <= bands["latency_median"]).all()
    assert (bands["latency_median"] <= bands["predictive_upper"]).all()
    assert (bands["latency_lower"] <= bands["latency_upper"]).all()
    median = bands["latency_median"].to_numpy()
    assert median[-1] > 1.5 * median[0]


def test_the_operators_table_names_units_and_shares_add_up(bands):
    table = bands_table(bands)
    shares = [c for c in table if c.endswith("_share")]
    assert len(shares) == len(STAGES)
    assert np.allclose(table[shares].sum(axis=1), 1.0)
    assert np.allclose(table["effective_batch"], table["load"], rtol=0.02)  # closed loop, nothing queued


def test_past_saturation_there_are_no_latencies(posterior, speculating, cards):
    from dataclasses import replace

    condition = speculating.condition.assign(load_kind="rate", arrivals="poisson")
    rate = replace(speculating, condition=condition)
    bands = latency_bands(posterior, rate, cards, loads=np.array([1.0, 900.0]))
    assert np.isfinite(bands["latency_median"][0])
    assert np.isnan(bands["latency_median"][1]) and np.isnan(bands["stage_s"][1]).all()


def test_measurements_collapse(posterior, chosen, cards):
    """y·(1 − x) is 1 on the curve; kernels' deviations and noise move it by a few per cent."""
    placed = collapse(posterior, chosen, cards)
    assert np.all((placed["x"] > 0) & (placed["x"] < 1))
    assert np.median(np.abs(placed["deviation"])) < 0.06


def test_rows_of_unlike_lengths_are_not_one_configuration(posterior, cards):
    for c in measured_configurations(posterior, cards):
        prompts = c.rows["prompt_tokens"]
        assert prompts.max() / prompts.min() < 1.45


def test_words_that_no_configuration_has(posterior, cards):
    with pytest.raises(ConditionError, match="nonesuch"):
        select(measured_configurations(posterior, cards), "eagle3 nonesuch")
