"""The compiled density is the PyMC model's, and its gradient is right."""

import numpy as np
import pytest

from bayes_sd.model.build import build_model
from bayes_sd.model.design import build_design
from bayes_sd.model.parameters import parameters, start_vector
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample.chains import to_sampled
from bayes_sd.sample.density import density, informed_density, to_natural
from bayes_sd.sample.problem import flatten


def mixed_rows(llama):
    """A few rows of each protocol, with and without speculation, some without a stated acceptance."""
    a100 = llama[llama["hardware"] == "A100-SXM4-80GB"].iloc[::9]
    open_loop = llama[llama["load_kind"] == "rate"].copy()
    low = open_loop["load_value"] < 45
    open_loop.loc[low, "arrivals"] = "poisson"
    rest = llama[llama["source"].str.startswith("inferencemax")].iloc[::40]
    import pandas as pd

    return pd.concat([a100, open_loop, rest], ignore_index=True)


@pytest.fixture(scope="module", params=["dense", "experts"])
def case(request, llama, cards):
    if request.param == "dense":
        frame = mixed_rows(llama)
    else:
        from bayes_sd.sample.fit import observations

        frame = observations("gpt-oss", cards=cards)[0].iloc[::12]
    design, spec = build_design(frame, cards), ModelSpec(family="llama")
    return design, spec, flatten(design, spec)


def test_density_is_that_of_the_pymc_model(case):
    import pytensor

    design, spec, problem = case
    model = build_model(design, spec)
    mode = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    terms = model.compile_fn(model.logp(sum=False), mode=mode)

    def logp(at):
        return sum(float(np.sum(term)) for term in terms(at))

    listed = parameters(design, spec)
    names = {v.name for v in model.value_vars}

    def point(x):
        pieces = np.split(x, problem.offset[1:-1])
        return {p.name: v.reshape(p.shape) for p, v in zip(listed, pieces, strict=True) if p.name in names}

    rng = np.random.default_rng(0)
    start = start_vector(design, spec)
    x, y = (start + 0.15 * rng.normal(size=start.size) for _ in range(2))
    gradient = np.empty_like(x)
    ours = density(x, gradient, problem) - density(y, gradient, problem)
    theirs = logp(point(x)) - logp(point(y))
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_gradient_is_the_slope_of_the_density(case):
    design, spec, problem = case
    rng = np.random.default_rng(1)
    x = to_sampled(start_vector(design, spec), problem)
    x = x + 0.1 * rng.normal(size=x.size)
    gradient, other, natural = (np.empty_like(x) for _ in range(3))
    informed_density(x, gradient, natural, problem)
    step = 1e-5
    for i in rng.choice(x.size, size=min(150, x.size), replace=False):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        slope = (
            informed_density(above, other, natural, problem)
            - informed_density(below, other, natural, problem)
        ) / (2 * step)
        assert gradient[i] == pytest.approx(slope, rel=2e-4, abs=2e-4)


def test_coordinates_lead_back_and_their_volume_is_told(case):
    """What is sampled is the same posterior: the change of coordinates is one to one, and its determinant is right."""
    design, spec, problem = case
    rng = np.random.default_rng(2)
    natural = start_vector(design, spec)
    natural = natural + 0.1 * rng.normal(size=natural.size)
    x, back, up, down = to_sampled(natural, problem), *(np.empty_like(natural) for _ in range(3))
    volume = to_natural(x, back, problem)
    assert back == pytest.approx(natural, abs=1e-9)
    slopes, step = np.empty((x.size, x.size)), 1e-6
    for i in range(x.size):
        at = x.copy()
        at[i] += step
        to_natural(at, up, problem)
        at[i] = x[i] - step
        to_natural(at, down, problem)
        slopes[:, i] = (up - down) / (2.0 * step)
    assert volume == pytest.approx(np.linalg.slogdet(slopes)[1], rel=1e-5, abs=1e-4)


def test_gradient_is_finite_at_the_start(case):
    design, spec, problem = case
    x = to_sampled(start_vector(design, spec), problem)
    gradient, natural = np.empty_like(x), np.empty_like(x)
    assert np.isfinite(informed_density(x, gradient, natural, problem))
    assert np.isfinite(gradient).all()


def test_prior_predictive_latencies_are_plausible(llama, cards):
    """Before fitting: nine tenths of the prior's latencies lie within a factor 30 of what was measured."""
    import pymc as pm

    design = build_design(llama.iloc[::15], cards)
    with build_model(design, ModelSpec(family="llama")):
        prior = pm.sample_prior_predictive(draws=150, random_seed=4)
    drawn = prior["prior_predictive"]["latency"].to_numpy().reshape(150, -1)
    distance = np.abs(drawn - np.log(design.rows["latency_s"]))
    assert np.mean(distance < np.log(30.0)) > 0.9
