"""Simulation-based calibration: tables that the model makes have its noise, and truths rank evenly among its draws."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scoring import ranks
from scoring.refits import LIKELIHOOD, Study, make_questions, run_simulation
from scoring.runner import Job, Store, run_jobs
from scoring.simulated import draw_truth, first_simulation, simulate
from scoring.splits import with_names

from bayes_sd.model.build import model_inputs
from bayes_sd.model.design import build_design
from bayes_sd.model.likelihood import expected
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample.settings import SamplerSettings

SPEC = ModelSpec(family="llama")
SIMULATIONS, RANKED = 20, 49


def open_and_closed(llama):
    open_loop = llama[llama["load_kind"] == "rate"].iloc[::3].copy()
    open_loop.iloc[::2, open_loop.columns.get_loc("arrivals")] = "poisson"
    return pd.concat([llama[llama["load_kind"] != "rate"].iloc[::12], open_loop], ignore_index=True)


@pytest.fixture(scope="module")
def simulated(llama, cards):
    design = build_design(open_and_closed(llama), cards)
    return design, *first_simulation(design, SPEC, 3)


def test_simulated_rows_have_the_noise_of_the_model(simulated):
    """Residuals of all that the likelihood sees, in units of their scale, are of its Student-t."""
    _, truth, made, _ = simulated
    found = expected(model_inputs(made, SPEC), truth)
    tails = SPEC.priors["noise"]["tails"]
    for name, (mean, scale, measured) in found.items():
        if len(measured):
            residual = (measured - mean[0]) / scale[0]
            assert stats.kstest(residual, "t", args=(tails,)).pvalue > 1e-3, name


def test_rows_that_are_not_new_keep_what_was_measured(simulated):
    design, truth, _, _ = simulated
    new = np.arange(len(design.frame)) % 2 == 0
    made = simulate(design, SPEC, truth, np.random.default_rng(1), new)
    for name in ("latency_s", "ttft_s", "committed"):
        known = np.isfinite(design.rows[name])
        assert (made.rows[name][known & ~new] == design.rows[name][known & ~new]).all()
        assert (np.isfinite(made.rows[name]) == known).all()
    assert (made.rows["latency_s"][new] != design.rows["latency_s"][new]).all()


def test_a_truth_without_a_steady_state_is_told(simulated):
    design, truth, _, _ = simulated
    slower = truth | {"log_cost": truth["log_cost"] + 5.0}
    assert simulate(design, SPEC, slower, np.random.default_rng(1)) is None


@pytest.fixture(scope="module")
def small_study(a100, cards):
    """Eleven rows of one server, with and without speculation: the structure of the other tests' small fit."""
    rows = a100[a100["precision"] == "w:fp16 kv:fp16"].iloc[::2].reset_index(drop=True)
    rows = with_names(rows, cards)
    settings = SamplerSettings(draws=120, tune=120, chains=2, cores=1, seed=5, thin=1)
    design = build_design(rows, cards)
    return Study(design, np.ones(len(rows), bool), SPEC, settings, cards, make_questions(rows), RANKED)


@pytest.mark.slow
@pytest.mark.simulation
def test_truths_rank_evenly_and_finished_simulations_are_kept(small_study, tmp_path):
    store = tmp_path / "simulations.jsonl"
    jobs = [Job({"simulation": i}, (small_study, 1000 * i)) for i in range(SIMULATIONS)]
    done = run_jobs(jobs, run_simulation, Store(store))
    assert len(done) == SIMULATIONS
    again = run_jobs(jobs, pytest.fail, Store(store))
    assert [r for _, r in again] == [r for _, r in done]
    inputs = model_inputs(small_study.design, SPEC)
    pit = ranks.collect([r for _, r in done], ranks.element_names(inputs), RANKED)
    assert {LIKELIHOOD, "log_misfit_scale"} < set(pit)
    asked = ("latency at", "speedup at zero load", "break-even", "best k")
    assert all(any(what in str(name) for name in pit) for what in asked)
    assert pit.to_numpy().min() >= 0.0
    assert pit.to_numpy().max() <= 1.0
    # Short chains and twenty simulations: what is wrong by a lot would show.
    assert ranks.judge_uniform(pit)["leaves"].mean() < 0.1
    ranks.draw(pit.iloc[:, :8], tmp_path / "ranks.png")
    assert (tmp_path / "ranks.png").stat().st_size > 10_000


def test_ranks_among_equal_draws_are_even():
    """A best draft length is a whole number: where truth and draws are all alike, any rank is as likely."""
    rng = np.random.default_rng(1)
    found = [int(ranks_of_equal(rng)) for _ in range(3000)]
    assert stats.chisquare(np.bincount(found, minlength=RANKED + 1)).pvalue > 1e-3


def ranks_of_equal(rng):
    from scoring.refits import rank

    return rank(np.array(3.0), np.full(RANKED, 3.0), rng)


@pytest.mark.parametrize(
    ("width", "shift", "leaves"), [(1.0, 0.0, False), (0.6, 0.0, True), (1.0, 0.5, True)]
)
def test_posteriors_too_narrow_or_off_leave_the_band(width, shift, leaves):
    rng = np.random.default_rng(7)
    centre = rng.normal(size=200)
    truth = centre + rng.normal(size=200)
    draws = centre[:, None] + shift + width * rng.normal(size=(200, 99))
    pit = ranks.as_pit((draws < truth[:, None]).sum(axis=1), 99, rng)
    assert ranks.judge_uniform(pd.DataFrame({"x": pit}))["leaves"].item() is leaves


def test_a_truth_of_the_prior_is_another_with_another_seed(simulated):
    inputs = model_inputs(simulated[0], SPEC)
    one, same, other = (draw_truth(inputs, seed) for seed in (1, 1, 2))
    assert (one["log_cost"] == same["log_cost"]).all()
    assert (one["log_cost"] != other["log_cost"]).all()
