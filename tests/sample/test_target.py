"""What is sampled is the PyMC model; its coordinates lead back; and predictions are the same functions."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.model.build import assemble, build_model, model_inputs
from bayes_sd.model.design import build_design
from bayes_sd.model.latency import contribute, put_under_load, service
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample.fit import observations
from bayes_sd.sample.target import make_target


def mixed_rows(llama):
    """A few rows of each protocol, with and without speculation, some without a stated acceptance."""
    a100 = llama[llama["hardware"] == "A100-SXM4-80GB"].iloc[::9]
    open_loop = llama[llama["load_kind"] == "rate"].copy()
    low = open_loop["load_value"] < 45
    open_loop.loc[low, "arrivals"] = "poisson"
    rest = llama[llama["source"].str.startswith("inferencemax")].iloc[::40]
    return pd.concat([a100, open_loop, rest], ignore_index=True)


@pytest.fixture(scope="module", params=["dense", "experts"])
def case(request, llama, cards):
    frame = (
        mixed_rows(llama) if request.param == "dense" else observations("gpt-oss", cards=cards)[0].iloc[::12]
    )
    inputs = model_inputs(build_design(frame, cards), ModelSpec(family="llama"))
    return inputs, make_target(inputs)


def near_start(target, size, seed):
    return target.start() + size * np.random.default_rng(seed).normal(size=target.size)


def test_what_is_sampled_is_the_pymc_model(case):
    """Differences of the sampled density are those of PyMC's, plus the volume of the change of coordinates."""
    import pytensor

    inputs, target = case
    model = assemble(inputs).model
    mode = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    terms = model.compile_fn(model.logp(sum=False), mode=mode)
    names = {v.name for v in model.value_vars}

    def pymc(x):
        values = target.to_natural(x)
        return sum(float(np.sum(term)) for term in terms({n: v for n, v in values.items() if n in names}))

    x, y = (near_start(target, 0.1, seed) for seed in (0, 1))
    ours = target(x)[0] - target(y)[0]
    assert ours == pytest.approx(pymc(x) - pymc(y) + target.log_volume(x) - target.log_volume(y), rel=1e-9)


def test_gradient_is_the_slope_of_the_density(case):
    _, target = case
    x, step = near_start(target, 0.1, 1), 1e-5
    gradient = target(x)[1]
    for i in np.random.default_rng(2).choice(x.size, size=min(150, x.size), replace=False):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        slope = (target(above)[0] - target(below)[0]) / (2 * step)
        assert gradient[i] == pytest.approx(slope, rel=2e-4, abs=2e-4)


def test_coordinates_lead_back_and_their_volume_is_told(case):
    """What is sampled is the same posterior: the change of coordinates is one to one, and its determinant is right."""
    _, target = case
    x = near_start(target, 0.1, 2)
    assert target.to_coordinates(target.to_natural(x)) == pytest.approx(x, abs=1e-9)

    many = np.stack([x, near_start(target, 0.1, 3), near_start(target, 0.1, 4)])
    assert target.to_coordinates(target.to_natural(many)) == pytest.approx(many, abs=1e-9)

    def flat(at):
        values = target.to_natural(at)
        return np.concatenate([values[name].ravel() for name in target.spans])

    step, slopes = 1e-6, np.empty((x.size, x.size))
    for i in range(x.size):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        slopes[:, i] = (flat(up) - flat(down)) / (2.0 * step)
    assert target.log_volume(x) == pytest.approx(np.linalg.slogdet(slopes)[1], rel=1e-5, abs=1e-4)


def test_density_and_gradient_are_finite_at_the_start(case):
    value, gradient = case[1](case[1].start())
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_one_compiled_function_serves_other_tables_and_priors(case, llama, cards):
    """Another table of the same structure, another prior: no second compilation, and its own density."""
    inputs, target = case
    if "experts" in inputs.structure[0]:
        pytest.skip("the dense case says it")
    spec = ModelSpec(family="llama", acceptance="iid")
    other = model_inputs(build_design(mixed_rows(llama).iloc[::2], cards), spec)
    found = make_target(other)
    assert found.compiled is target.compiled
    assert np.isfinite(found(found.start())[0])


def test_terms_say_the_same_in_numpy(case):
    """Service latency and time to first token at every point: the terms on numpy arrays, and PyMC's graph."""
    import pytensor

    inputs, target = case
    built = assemble(inputs)
    values = target.to_natural(near_start(target, 0.1, 3))
    facts = target.facts
    looked_up = {}
    for piece in built.inputs.tables(values, facts):
        for i, name in enumerate(piece.names):
            looked_up[name] = piece.table[i][inputs.level_of[piece.dim]]
    q = contribute(inputs.terms, looked_up, values, facts, np)
    put_under_load(inputs.terms, q, values, facts, np)
    ours = service(q, values, facts, np)[:2]
    replaced = [(built.model[name], values[name]) for name in target.spans]
    mode = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    theirs = pytensor.function(
        [variable for variable, _ in replaced], built.service, mode=mode, on_unused_input="ignore"
    )(*[value for _, value in replaced])
    for a, b in zip(ours, theirs, strict=True):
        assert np.broadcast_to(a, b.shape) == pytest.approx(b, rel=1e-9)


def test_prior_predictive_latencies_are_plausible(llama, cards):
    """Before fitting: nine tenths of the prior's latencies lie within a factor 30 of what was measured."""
    import pymc as pm

    design = build_design(llama.iloc[::15], cards)
    with build_model(design, ModelSpec(family="llama")):
        prior = pm.sample_prior_predictive(draws=150, random_seed=4)
    drawn = prior["prior_predictive"]["latency"].to_numpy().reshape(150, -1)
    distance = np.abs(drawn - np.log(design.rows["latency_s"]))
    assert np.mean(distance < np.log(30.0)) > 0.9
