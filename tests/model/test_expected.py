"""What the model expects of its rows is one function: PyMC's graph and numpy give the same densities, under every protocol."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.model.build import assemble, model_inputs
from bayes_sd.model.design import build_design
from bayes_sd.model.likelihood import log_prior, row_log_density
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample.fit import observations


def rows_of_every_protocol(llama):
    open_loop = llama[llama["load_kind"] == "rate"].iloc[::2].copy()
    open_loop.iloc[::2, open_loop.columns.get_loc("arrivals")] = "poisson"
    return pd.concat([llama[llama["load_kind"] != "rate"].iloc[::60], open_loop], ignore_index=True)


def rows_of_two_pools(cards):
    frame, _ = observations("deepseek", cards=cards)
    pooled = frame["prefill_gpus"].notna()
    return pd.concat([frame[pooled].iloc[::9], frame[~pooled].iloc[::60]], ignore_index=True)


def rows_of_tokens(llama):
    """Closed loops of which every other row tells the time after the first token alone."""
    closed = llama[llama["load_kind"] != "rate"].iloc[::40].copy()
    closed["latency_part"] = ["decoding" if i % 2 else "whole" for i in range(len(closed))]
    return closed.reset_index(drop=True)


@pytest.fixture(params=["every protocol", "two pools", "tokens"])
def case(request, llama, cards):
    frame = {
        "every protocol": lambda: rows_of_every_protocol(llama),
        "two pools": lambda: rows_of_two_pools(cards),
        "tokens": lambda: rows_of_tokens(llama),
    }[request.param]()
    design = build_design(frame, cards)
    inputs = model_inputs(design, ModelSpec(family="llama"))
    expected = {
        "every protocol": {"closed", "even", "poisson"},
        "two pools": {"closed", "pools"},
        "tokens": {"closed", "decoding"},
    }
    assert expected[request.param] <= set(inputs.structure)
    return inputs, design


def test_numpy_says_what_pymc_says(case):
    import pytensor

    inputs, design = case
    model = assemble(inputs).model
    rng = np.random.default_rng(5)
    point = {
        name: value + 0.1 * rng.normal(size=value.shape) for name, value in model.initial_point().items()
    }
    mode = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    terms = [model.logp(vars=variables, sum=False) for variables in (model.observed_RVs, model.free_RVs)]
    compiled = model.compile_fn(
        [*terms[0], *terms[1]], inputs=model.value_vars, mode=mode, on_unused_input="ignore"
    )
    theirs = [float(np.sum(term)) for term in compiled(point)]
    observed, prior = sum(theirs[: len(terms[0])]), sum(theirs[len(terms[0]) :])
    draw = {name: value[None] for name, value in point.items()}
    assert row_log_density(inputs, design, draw).sum() == pytest.approx(observed, rel=1e-9)
    assert sum(part[0] for part in log_prior(inputs, draw).values()) == pytest.approx(prior, rel=1e-9)
