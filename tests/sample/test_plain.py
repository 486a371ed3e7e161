"""A small model as it stands: its density is PyMC's, with data as inputs, and its draws have the model's names."""

import numpy as np
import pymc as pm
import pytest

from bayes_sd.sample.plain import PlainModel
from bayes_sd.sample.settings import SamplerSettings

MEASURED = np.array([1.0, 2.0, 4.0])


@pytest.fixture(scope="module")
def model():
    """A number, a vector and a table of normals, one row that may be left out, and what is computed of them."""
    with pm.Model(coords={"group": ["a", "b"], "place": [1, 2, 3]}) as model:
        kept = pm.Data("kept", np.ones(3))
        middle = pm.Normal("middle", 1.0, 2.0)
        group = pm.Normal("group_mean", middle, 0.5, dims="group")
        table = pm.Normal("table", group[:, None], 2.0, dims=("group", "place"))
        total = pm.Deterministic("total", table.sum(axis=0), dims="place")
        pm.Potential("rows", (kept * pm.logp(pm.Normal.dist(total, 0.1), MEASURED)).sum())
    return model


@pytest.fixture(scope="module")
def plain(model):
    return PlainModel(model)


@pytest.mark.parametrize("kept", [np.ones(3), np.array([1.0, 0.0, 1.0])])
def test_density_and_gradient_are_pymcs(model, plain, kept):
    x = np.random.default_rng(1).normal(size=plain.size)
    point = {"middle": x[0], "group_mean": x[1:3], "table": x[3:].reshape(2, 3)}
    value, gradient = plain.density(x, kept=kept)
    with model:
        pm.set_data({"kept": kept})
        assert value == pytest.approx(float(model.compile_logp()(point)), rel=1e-10)
        np.testing.assert_allclose(gradient, model.compile_dlogp()(point), rtol=1e-9, atol=1e-9)
        pm.set_data({"kept": np.ones(3)})


def test_draws_have_the_models_names_and_what_it_computes(plain):
    settings = SamplerSettings(draws=300, tune=300, chains=2, cores=1, seed=3, target_accept=0.9)
    tree = plain.sample(settings, {})
    draws = tree["posterior"].to_dataset()
    assert draws["table"].dims == ("chain", "draw", "group", "place")
    assert draws["group"].to_numpy().tolist() == ["a", "b"]
    np.testing.assert_allclose(draws["total"], draws["table"].sum("group"), rtol=1e-5)
    assert tree["sample_stats"]["diverging"].sum() == 0
    assert np.all(np.abs(draws["total"].mean(("chain", "draw")) - MEASURED) < 0.3)
    again = plain.sample(settings, {})
    np.testing.assert_array_equal(again["posterior"]["table"], draws["table"])


def test_rows_that_are_left_out_teach_nothing(plain):
    settings = SamplerSettings(draws=400, tune=300, chains=2, cores=1, seed=4, target_accept=0.9)
    without = plain.sample(settings, {"kept": np.array([1.0, 1.0, 0.0])})
    whole = plain.sample(settings, {})
    spread = [tree["posterior"]["total"].std(("chain", "draw")).to_numpy()[2] for tree in (without, whole)]
    assert spread[0] > 1.2 * spread[1]
