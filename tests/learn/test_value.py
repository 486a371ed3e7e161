"""The worth of a measurement against closed forms, against weights of draws, and where weights fail."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from bayes_sd.learn.decision import Decision
from bayes_sd.learn.next_runs import choose
from bayes_sd.learn.runs import LOG_ODDS, Runs
from bayes_sd.learn.search import Sought
from bayes_sd.learn.value import simulated, value_of

N = 1000
NORMAL = 1e7
"""Degrees of freedom with which a Student-t is a normal."""


def two_choices(theta):
    """Choice B is better by `theta`: regret of A is its positive part, of B its negative one."""
    loss = np.stack([np.maximum(theta, 0.0), np.maximum(-theta, 0.0)], axis=1)[:, :, None]
    return Decision("k", ["A", "B"], loss, np.ones(1), ["1"], theta[:, None], None)


def measuring(*columns, noise, seconds=None):
    """Runs that measure quantities with normal noise, without acceptance."""
    quantity = np.stack(columns, axis=1)
    n, m = quantity.shape
    nothing = np.zeros((n, m))
    seconds = np.ones(m) if seconds is None else np.asarray(seconds, float)
    return Runs(
        frame=None, server=["s"] * m, names=[f"r{i}" for i in range(m)], log_latency=quantity, elasticity=nothing,
        noise=np.broadcast_to(np.asarray(noise, float), (n, m)), level=np.full((n, m), np.nan), log_committed=nothing,
        run_sd=np.ones((n, m)), committed_table=np.zeros((len(LOG_ODDS), m)), tails=NORMAL, seconds=seconds,
    )  # fmt: skip


def closed_form(mean, sd, noise):
    """Expected value of a normal measurement of a normal quantity, for a choice by its sign."""
    reach = sd**2 / np.hypot(sd, noise)
    return mean * norm.cdf(mean / reach) + reach * norm.pdf(mean / reach) - max(mean, 0.0)


@pytest.mark.parametrize(("mean", "noise"), [(0.0, 0.5), (0.5, 0.5), (0.5, 2.0), (-1.0, 0.2)])
def test_two_choices_of_a_normal_difference(mean, noise):
    """Linear-normal case: value in closed form, within 4 standard errors and a hundredth of the spread for draws from few."""
    theta = mean + np.random.default_rng(1).permutation(norm.ppf((np.arange(N) + 0.5) / N))
    runs, decision = measuring(theta, noise=noise), two_choices(theta)
    rng = np.random.default_rng(2)
    found = value_of(decision, [simulated(runs, 0, rng)])
    assert abs(found.fall - closed_form(mean, 1.0, noise)) < 4.0 * found.error + 0.01
    narrower = 1.0 - noise / np.hypot(1.0, noise)
    assert abs(found.width - narrower) < 0.04


def test_two_measurements_are_worth_as_much_as_one_of_less_noise():
    """Two runs of noise s are one of s/sqrt(2)."""
    theta = 0.3 + np.random.default_rng(3).permutation(norm.ppf((np.arange(N) + 0.5) / N))
    runs, decision = measuring(theta, theta, noise=0.8), two_choices(theta)
    rng = np.random.default_rng(4)
    found = value_of(decision, [simulated(runs, i, rng) for i in (0, 1)])
    assert abs(found.fall - closed_form(0.3, 1.0, 0.8 / np.sqrt(2))) < 4.0 * found.error + 0.01


def by_weights(decision, quantities, noise, measured):
    """Fall of the loss by another estimator: draws weighted by how well they explain the measurements, the truth left out."""
    log = np.zeros((len(decision.loss),) * 2)
    for quantity, (seen, _) in zip(quantities, measured, strict=True):
        log -= 0.5 * np.square((seen[:, None] - quantity[None, :]) / noise)
    np.fill_diagonal(log, -np.inf)
    weight = np.exp(log - log.max(axis=1, keepdims=True))
    chosen = (weight @ decision.loss[:, :, 0]).argmin(axis=1)
    return decision.regret - decision.loss[np.arange(len(chosen)), chosen, 0].mean()


def test_a_value_agrees_with_weights_where_many_draws_explain_a_measurement():
    """Three choices with losses that bend, two things measured: within the errors of both."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 2000))
    benefit = np.stack([0.0 * a, 0.6 * a + 0.2 * a * b, 0.5 * b - 0.1 * a**2], axis=1)
    loss = (benefit.max(axis=1, keepdims=True) - benefit)[:, :, None]
    decision = Decision("k", list("ABC"), loss, np.ones(1), ["1"], a[:, None], None)
    runs = measuring(a, b, noise=0.7)
    measured = [simulated(runs, i, rng) for i in (0, 1)]
    found = value_of(decision, measured)
    assert abs(found.fall - by_weights(decision, (a, b), 0.7, measured)) < 4.0 * np.sqrt(2.0) * found.error


def test_precise_runs_of_what_was_never_measured_keep_their_worth():
    """Eight quantities, measured a hundred times as precisely as they were known: no draw explains all; the choice is found."""
    rng = np.random.default_rng(12)
    quantities = rng.normal(size=(8, N))
    theta = quantities.sum(axis=0)
    runs, decision = measuring(*quantities, noise=0.01), two_choices(theta)
    measured = [simulated(runs, i, rng) for i in range(8)]
    assert by_weights(decision, quantities, 0.01, measured) < 0.9 * decision.regret
    assert value_of(decision, measured).fall > 0.98 * decision.regret


def test_many_useless_measurements_take_nothing_from_a_good_one():
    """Each draw is left out of its own regression: chance is not taken for knowledge, and costs little."""
    rng = np.random.default_rng(13)
    theta, *others = rng.normal(size=(25, N))
    runs, decision = measuring(theta, *others, noise=0.3), two_choices(theta)
    one = value_of(decision, [simulated(runs, 0, rng)])
    useless = value_of(decision, [simulated(runs, i, rng) for i in range(1, 25)])
    assert useless.fall < 3.0 * useless.error + 0.02
    both = value_of(decision, [simulated(runs, i, np.random.default_rng(14)) for i in range(25)])
    assert both.fall > 0.93 * one.fall


def test_a_run_that_says_nothing_is_worth_nothing():
    rng = np.random.default_rng(6)
    theta, other = rng.normal(size=(2, N))
    runs = measuring(other, noise=0.1)
    found = value_of(two_choices(theta), [simulated(runs, 0, rng)])
    assert found.fall < 3.0 * found.error + 0.02


def test_the_best_set_within_a_budget():
    """One run is dear, one as good and cheap, one says nothing: the cheap one comes first, the useless one never."""
    rng = np.random.default_rng(7)
    theta, other = rng.normal(size=(2, N))
    runs = measuring(theta, theta, other, noise=[0.3, 0.3, 0.1], seconds=[100.0, 20.0, 10.0])
    found = choose(two_choices(theta), runs, Sought(budget_s=300.0, restart_s=0.0))
    assert found["chosen"].to_numpy()[0] == 1
    assert 2 not in found["chosen"].to_numpy()
    assert np.all(np.diff(found["elapsed_s"]) > 0) and found["elapsed_s"].to_numpy()[-1] <= 300.0
    assert np.all(np.diff(found["regret"]) < 0)
    assert "expected to be" in found.attrs["verdict"]


def test_a_server_is_started_for_what_its_runs_tell_together():
    """Two runs of a server settle the choice between them, neither tells much alone; another server's one run tells a little."""
    rng = np.random.default_rng(15)
    theta, luck, other = rng.normal(size=(3, N))
    runs = measuring(
        theta + 3.0 * luck, 3.0 * luck, theta + 3.0 * other, noise=0.05, seconds=[10.0, 10.0, 10.0]
    )
    runs = replace(runs, server=["pair", "pair", "single"])
    found = choose(two_choices(theta), runs, Sought(budget_s=600.0, restart_s=200.0))
    assert found["chosen"].to_numpy()[:2].tolist() in ([0, 1], [1, 0])
    assert found["regret"].to_numpy()[1] < 0.1 * found.attrs["regret"]
    assert found["elapsed_s"].to_numpy()[1] == 220.0


def test_a_decision_that_is_made_already():
    theta = 5.0 + 0.5 * np.random.default_rng(8).normal(size=N)
    found = choose(two_choices(theta), measuring(theta, noise=0.1), Sought(restart_s=0.0))
    assert found.sizes["step"] == 0
    assert "no decision is left" in found.attrs["verdict"]


def test_a_run_past_saturation_tells_that_it_is():
    """Half of the draws have no steady state, and that is all that the choice depends on: the run is worth all of the regret."""
    theta = np.where(np.arange(N) % 2, 1.0, -1.0)
    runs = measuring(np.where(theta > 0, np.inf, 0.0), noise=0.1)
    found = value_of(two_choices(theta), [simulated(runs, 0, np.random.default_rng(9))])
    assert abs(found.fall - 0.5) < 1e-6
