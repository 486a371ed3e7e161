"""Means over many loads at once agree with the law of one load at a time."""

import numpy as np
import pytest

from bayes_sd.errors import ConditionError
from bayes_sd.latency.queue import in_flight_law, mean_latency_poisson_linear, mean_over_loads

RNG = np.random.default_rng(4)
C1 = RNG.lognormal(0.0, 0.3, 60)[:, None]
C2 = 0.03 * RNG.lognormal(0.0, 0.5, 60)[:, None]
N = np.arange(1.0, 201.0)
CURVES = C1 + C2 * N + 0.2 * np.sin(N / 7.0) * C1  # not straight
CAPS = RNG.integers(1, 201, 60)
RATES = np.array([9.0, 1e-3, 0.5, 3.0, 40.0, 20.0])


@pytest.mark.parametrize("protocol", ["poisson", "even"])
@pytest.mark.parametrize("work_cv", [1.0, 0.3])
def test_agrees_with_the_law_under_each_rate(protocol, work_cv):
    found = mean_over_loads(CURVES, protocol, RATES, CAPS, work_cv)
    for i, rate in enumerate(RATES):
        law = in_flight_law(CURVES, protocol, rate, CAPS, work_cv)
        assert np.array_equal(np.isfinite(found.in_flight[:, i]), law.stable)
        held = law.stable
        assert np.allclose(found.in_flight[held, i], law.mean[held], rtol=1e-9)
        assert np.allclose(found.running[:, i], law.mean_running, rtol=1e-9)
        assert np.allclose(found.latency_s[held, i], law.mean_latency_s[held], rtol=1e-9)
        assert np.allclose(found.limit_rps, law.limit_rps)


def test_weights_far_out_of_a_doubles_range():
    """A thousand in flight: weights pass e^1000, and the closed form of a straight curve still comes out."""
    n = np.arange(1.0, 4097.0)
    rates = np.array([900.0, 950.0, 1e-6])
    found = mean_over_loads(50.0 + 1e-3 * n, "poisson", rates)
    closed = mean_latency_poisson_linear(50.0, 1e-3, rates[2])
    assert np.allclose(found.latency_s[2], closed, rtol=1e-12)
    found = mean_over_loads(1.0 + 1e-3 * n, "poisson", rates[:1] * 0.7)
    assert np.allclose(found.latency_s, mean_latency_poisson_linear(1.0, 1e-3, 630.0), rtol=1e-9)


def test_one_state_and_a_cap_of_one():
    """M/M/1: L = S/(1 − λS)."""
    found = mean_over_loads([[0.5]], "poisson", [1.0, 3.0])
    assert np.allclose(found.latency_s, [[1.0, np.inf]])


@pytest.mark.parametrize("rates", [[0.0], [-1.0], [np.nan]])
def test_a_rate_that_is_none(rates):
    with pytest.raises(ConditionError, match="above 0"):
        mean_over_loads(CURVES, "poisson", rates)


def test_a_closed_loop_has_no_rates():
    with pytest.raises(ConditionError, match="open loop"):
        mean_over_loads(CURVES, "closed", RATES)
