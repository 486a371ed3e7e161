"""Comparison of fits by rows left out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from bayes_sd.check.compare import check_same_rows, compare, verdict
from bayes_sd.check.pointwise import row_log_likelihood
from bayes_sd.errors import TraceError
from bayes_sd.posterior.posterior import save_posterior


@pytest.fixture(scope="module")
def straight_fit(a100, cards):
    """The A100 rows without the kernels' deviation from a straight line."""
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.sample.fit import fit_frame
    from bayes_sd.sample.settings import SamplerSettings

    settings = SamplerSettings(draws=200, tune=400, chains=2, seed=3)
    posterior, gate = fit_frame(a100, ModelSpec(family="llama", kernel=False), settings, cards)
    posterior.about["gate"] = gate.to_dict() | {"passed": True, "failures": []}
    return posterior


@pytest.fixture(scope="module")
def compared(small_fit, straight_fit, cards):
    return compare({"straight": straight_fit, "full": small_fit}, cards, draws=200)


def fewer_rows(posterior):
    tree = posterior.tree.copy()
    tree["observed"] = tree["observed"].isel(observation=slice(0, 50))
    return replace(posterior, tree=tree)


def test_rows_make_up_the_whole_likelihood(small_fit, cards):
    """Terms by row add up to what the model's own log density gives, draw by draw."""
    from bayes_sd.model.build import build_model
    from bayes_sd.model.design import build_design

    found = row_log_likelihood(small_fit, cards, most_draws=100)
    model = build_model(build_design(small_fit.observed, cards), small_fit.spec)
    whole = model.compile_fn(
        model.observedlogp, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore"
    )
    drawn = small_fit.tree["posterior"]
    for place in (0, 7):
        step = drawn.sizes["draw"] // found.sizes["draw"]
        values = {v.name: drawn[v.name].to_numpy()[1, place * step].astype(float) for v in model.value_vars}
        mine = float(found["log_likelihood"][1, place].sum())
        assert mine == pytest.approx(float(whole(values)), rel=1e-6)
    assert found["terms"].to_numpy().min() >= 1
    assert found.sizes["observation"] == len(small_fit.observed)


def test_a_rows_terms_depend_on_its_own_measurements_only(small_fit, cards):
    tree = small_fit.tree.copy()
    observed = tree["observed"].to_dataset()
    moved = 17
    for name in ("latency_s", "mean_ttft_ms", "mean_tpot_ms"):
        values = observed[name].to_numpy().copy()
        values[moved] *= 1.1
        observed = observed.assign({name: (("observation",), values)})
    tree["observed"] = type(tree)(observed)
    before, after = (
        row_log_likelihood(p, cards, most_draws=20)["log_likelihood"]
        for p in (small_fit, replace(small_fit, tree=tree))
    )
    changed = (before != after).any(["chain", "draw"]).to_numpy()
    assert np.flatnonzero(changed).tolist() == [moved]


def test_the_better_model_is_named_with_its_margin(compared):
    assert compared["model"].values.tolist() == ["full", "straight"]
    gap, error = -float(compared["difference"][1]), float(compared["difference_se"][1])
    assert gap > 4 * error
    assert compared.attrs["verdict"].startswith("full predicts better than straight")
    assert float(compared["weight"].sum()) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(compared["elpd_row"].sum("observation"), compared["elpd_loo"])
    assert compared["high_k"].values.max() < compared.attrs["n_rows"]


def test_a_model_is_not_better_than_itself(small_fit, cards):
    same = compare(
        {"one": small_fit, "other": replace(small_fit, tree=small_fit.tree.copy())}, cards, draws=200
    )
    assert float(same["difference"][1]) == pytest.approx(0.0, abs=1e-6)
    assert "cannot be told apart" in same.attrs["verdict"]


def test_a_margin_that_rests_on_unreliable_rows_says_so(compared):
    doubtful = compared.copy()
    doubtful["high_k"] = ("model", [3.0, 0.0])
    doubtful["difference_safe"] = ("model", [0.0, -1.0])
    assert "not beyond it over the rows" in verdict(doubtful)


def test_other_rows_are_refused(small_fit, cards):
    with pytest.raises(TraceError, match=r"rows against 50"):
        compare({"all": small_fit, "some": fewer_rows(small_fit)}, cards)
    tree = small_fit.tree.copy()
    observed = tree["observed"].to_dataset()
    tree["observed"] = type(tree)(observed.assign(latency_s=observed["latency_s"] * 1.01))
    with pytest.raises(TraceError, match="differ in latency_s"):
        check_same_rows({"all": small_fit, "moved": replace(small_fit, tree=tree)})


def test_command(small_fit, straight_fit, small_trace, tmp_path):
    from bayes_sd.cli.compare import compare as command

    other = save_posterior(straight_fit, tmp_path / "straight.nc")
    result = CliRunner().invoke(command, [str(small_trace), str(other), "--draws", "200", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["models"][0]["model"] == "a100"
    assert "predicts better" in told["verdict"]
    some = save_posterior(fewer_rows(small_fit), tmp_path / "some.nc")
    for arguments in ([str(small_trace)], [str(small_trace), str(some)]):
        refused = CliRunner().invoke(command, arguments)
        assert isinstance(refused.exception, TraceError)
        assert "\n" not in str(refused.exception)
