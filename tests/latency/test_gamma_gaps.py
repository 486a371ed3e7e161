"""Open loops with gamma gaps: exact at Poisson arrivals, and between simulated means for bursty and nearly even ones."""

import numpy as np
import pytest

from bayes_sd.errors import ConditionError
from bayes_sd.latency import queue
from bayes_sd.latency.queue.renewal import met_mean
from bayes_sd.simulator import LoadSpec, simulate_sharing

N = np.arange(1.0, 201)
CURVES = {
    "linear": 1.0 + 0.1 * N,
    "steep": 0.2 + 0.15 * N,
    "experts": 1.0 + 2.0 * (1 - 0.9**N) + 0.03 * N,
    "knee": 1.0 + 0.02 * N + 0.15 * np.maximum(N - 12, 0),
}
WORKS = {"deterministic": 0.0, "lognormal": 0.7}


def simulated(service, rate, shape, work, cap=None):
    load = LoadSpec("poisson", rate, 60_000, shape)
    return simulate_sharing(service, load, 5, n_max=cap, work=work, work_cv=WORKS[work] or 1.0)


@pytest.mark.parametrize("cap", [3, 40, 200])
@pytest.mark.parametrize("load", [0.05, 0.6, 0.95])
def test_at_poisson_arrivals_it_is_their_law(cap, load):
    service = np.stack(list(CURVES.values()))
    rate = load * queue.stability_limit(service, cap)
    law = queue.in_flight_law(service, "poisson", rate, cap, work_cv=0.4)
    caps, ones = np.full(len(service), cap), np.ones(len(service))
    latency, running = met_mean(service, rate, caps, ones, 0.58 * ones)
    assert latency == pytest.approx(law.mean_latency_s, rel=1e-9)
    assert rate * running == pytest.approx(law.mean_running, rel=1e-9)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("load", [0.15, 0.4, 0.7])
@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize(
    ("shape", "within"), [(0.25, 0.06), (0.5, 0.035), (0.7, 0.02), (2.0, 0.03), (4.0, 0.05), (10.0, 0.08)]
)
def test_mean_latency_is_the_simulated_one(curve, load, work, shape, within):
    """Beyond Monte Carlo errors: shapes that benchmarks use within 2 to 3.5 per cent, the bursts of 0.25 within 6."""
    service = CURVES[curve]
    rate = load * float(queue.stability_limit(service))
    result = simulated(service, rate, shape, work)
    law = queue.in_flight_law(service, "poisson", rate, work_cv=WORKS[work], gap_scv=1.0 / shape)
    allowed = within * result.mean_latency_s + 3.0 * result.mean_latency_error_s
    assert abs(float(law.mean_latency_s) - result.mean_latency_s) < allowed


@pytest.mark.parametrize("shape", [0.5, 2.0])
@pytest.mark.parametrize("work", WORKS)
def test_behind_a_cap_too(shape, work):
    """Requests that wait for a place: burstier arrivals wait longer, as Allen and Cunneen's rule has it."""
    service, cap = CURVES["linear"], 8
    rate = 0.8 * float(queue.stability_limit(service, cap))
    result = simulated(service, rate, shape, work, cap)
    law = queue.in_flight_law(service, "poisson", rate, cap, work_cv=WORKS[work], gap_scv=1.0 / shape)
    allowed = 0.06 * result.mean_latency_s + 3.0 * result.mean_latency_error_s
    assert abs(float(law.mean_latency_s) - result.mean_latency_s) < allowed


def test_a_ladder_of_loads_says_the_same():
    service = np.stack(list(CURVES.values()))
    limits = queue.stability_limit(service, 50)
    rates = np.array([0.2, 0.5, 0.9, 1.5]) * float(limits.min())
    means = queue.mean_over_loads(service, "poisson", rates, 50, 0.5, gap_scv=1 / 0.7)
    for i, rate in enumerate(rates):
        law = queue.in_flight_law(service, "poisson", rate, 50, work_cv=0.5, gap_scv=1 / 0.7)
        assert means.latency_s[:, i] == pytest.approx(law.mean_latency_s)
        assert means.running[:, i] == pytest.approx(law.mean_running)
    assert np.isinf(means.latency_s[:, -1]).any()


def test_only_random_arrivals_have_a_shape():
    with pytest.raises(ConditionError, match="only random ones have a shape"):
        LoadSpec("even", 1.0, 100, 0.5)
    with pytest.raises(ConditionError, match="gap_scv"):
        queue.in_flight_law(CURVES["linear"], "poisson", 1.0, gap_scv=-1.0)
