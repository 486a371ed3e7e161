"""The worth of a measurement against closed forms and against nonparametric regression."""

import numpy as np
import pytest
from scipy.stats import norm

from bayes_sd.learn.decision import Decision
from bayes_sd.learn.next_runs import Sought, choose
from bayes_sd.learn.runs import LOG_ODDS, Runs
from bayes_sd.learn.value import log_likelihood, simulated, value_of

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
        run_sd=np.ones(n), committed_table=np.zeros((len(LOG_ODDS), m)), tails=NORMAL, seconds=seconds,
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
    found = value_of(decision, log_likelihood(runs, 0, *simulated(runs, 0, rng)))
    assert abs(found.fall - closed_form(mean, 1.0, noise)) < 4.0 * found.error + 0.01
    narrower = 1.0 - noise / np.hypot(1.0, noise)
    assert abs(found.width - narrower) < 0.04


def test_two_measurements_are_worth_as_much_as_one_of_less_noise():
    """Two runs of noise s are one of s/sqrt(2)."""
    theta = 0.3 + np.random.default_rng(3).permutation(norm.ppf((np.arange(N) + 0.5) / N))
    runs, decision = measuring(theta, theta, noise=0.8), two_choices(theta)
    rng = np.random.default_rng(4)
    both = sum(log_likelihood(runs, i, *simulated(runs, i, rng)) for i in (0, 1))
    found = value_of(decision, both)
    assert abs(found.fall - closed_form(0.3, 1.0, 0.8 / np.sqrt(2))) < 4.0 * found.error + 0.01


def test_a_value_agrees_with_nonparametric_regression():
    """Three choices with losses that bend, two things measured: a regression of each loss on the measurements (Strong et al.
    2015) says the same, within the errors of both."""
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 2000))
    benefit = np.stack([0.0 * a, 0.6 * a + 0.2 * a * b, 0.5 * b - 0.1 * a**2], axis=1)
    loss = (benefit.max(axis=1, keepdims=True) - benefit)[:, :, None]
    decision = Decision("k", list("ABC"), loss, np.ones(1), ["1"], a[:, None], None)
    runs = measuring(a, b, noise=0.7)
    measured = [simulated(runs, i, rng) for i in (0, 1)]
    found = value_of(decision, sum(log_likelihood(runs, i, *measured[i]) for i in (0, 1)))
    y = np.stack([m[0] for m in measured])
    powers = [y[0] ** i * y[1] ** j for i in range(5) for j in range(5 - i)]
    design = np.stack(powers, axis=1)
    fitted = design @ np.linalg.lstsq(design, loss[:, :, 0], rcond=None)[0]
    regression = loss[:, :, 0].mean(axis=0).min() - fitted.min(axis=1).mean()
    assert abs(found.fall - regression) < 4.0 * np.sqrt(2.0) * found.error


def test_a_run_that_says_nothing_is_worth_nothing():
    rng = np.random.default_rng(6)
    theta, other = rng.normal(size=(2, N))
    runs = measuring(other, noise=0.1)
    found = value_of(two_choices(theta), log_likelihood(runs, 0, *simulated(runs, 0, rng)))
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


def test_a_decision_that_is_made_already():
    theta = 5.0 + 0.5 * np.random.default_rng(8).normal(size=N)
    found = choose(two_choices(theta), measuring(theta, noise=0.1), Sought(restart_s=0.0))
    assert found.sizes["step"] == 0
    assert "no decision is left" in found.attrs["verdict"]


def test_a_run_past_saturation_tells_that_it_is():
    """Half of the draws have no steady state, and that is all that the choice depends on: the run is worth all of the regret."""
    theta = np.where(np.arange(N) % 2, 1.0, -1.0)
    runs = measuring(np.where(theta > 0, np.inf, 0.0), noise=0.1)
    found = value_of(
        two_choices(theta), log_likelihood(runs, 0, *simulated(runs, 0, np.random.default_rng(9)))
    )
    assert abs(found.fall - 0.5) < 1e-6
