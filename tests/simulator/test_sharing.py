"""The queue formulas against simulation of the model that they solve; tolerances are Monte Carlo errors."""

import numpy as np
import pytest

from bayes_sd.errors import ConditionError
from bayes_sd.latency import queue
from bayes_sd.simulator import LoadSpec, simulate_sharing

N = np.arange(1.0, 201)
CURVES = {
    "linear": 1.0 + 0.1 * N,
    "steep": 0.2 + 0.15 * N,
    "experts": 1.0 + 2.0 * (1 - 0.9**N) + 0.03 * N,
    "knee": 1.0 + 0.02 * N + 0.15 * np.maximum(N - 12, 0),
}
WORKS = [("deterministic", 1.0), ("exponential", 1.0), ("lognormal", 0.5), ("lognormal", 1.5)]


def errors_apart(result, predicted):
    return abs(result.mean_latency_s - predicted) / result.mean_latency_error_s


def moments(share):
    """Mean and variance of a number from its share of time per batch, each with its Monte Carlo error."""
    n = np.arange(share.shape[1])
    mean = share @ n
    square = share @ n**2
    variance = square.mean() - mean.mean() ** 2
    scale = np.sqrt(len(share))
    return (
        mean.mean(),
        mean.std(ddof=1) / scale,
        variance,
        (square - 2 * mean.mean() * mean).std(ddof=1) / scale,
    )


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("clients", [1, 5, 40])
@pytest.mark.parametrize("cap", [None, 8])
def test_closed_loop(curve, clients, cap):
    result = simulate_sharing(CURVES[curve], LoadSpec("closed", clients, 20_000), 11, n_max=cap)
    law = queue.in_flight_law(CURVES[curve], "closed", clients, n_max=cap)
    assert errors_apart(result, law.mean_latency_s) < 4.5
    running = result.running_share.mean(axis=0)
    assert running @ np.arange(len(running)) == pytest.approx(law.mean_running, rel=1e-6)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("load", [0.3, 0.75])
@pytest.mark.parametrize(("work", "cv"), WORKS)
def test_poisson_arrivals_whatever_the_law_of_the_work(curve, load, work, cv):
    service = CURVES[curve]
    rate = load * float(queue.stability_limit(service))
    result = simulate_sharing(service, LoadSpec("poisson", rate, 40_000), 7, work=work, work_cv=cv)
    law = queue.in_flight_law(service, "poisson", rate)
    assert errors_apart(result, law.mean_latency_s) < 4.5
    mean, mean_error, variance, variance_error = moments(result.in_flight_share)
    assert abs(mean - law.mean) < 4.5 * mean_error
    assert abs(variance - law.sd**2) < 4.5 * variance_error


@pytest.mark.parametrize("curve", CURVES)
def test_poisson_law_of_the_number_in_flight(curve):
    service = CURVES[curve]
    rate = 0.6 * float(queue.stability_limit(service))
    result = simulate_sharing(service, LoadSpec("poisson", rate, 100_000), 3)
    pmf, _ = queue.poisson_pmf(service, rate)
    reached = np.cumsum(result.in_flight_share, axis=1)
    expected = np.cumsum(pmf)[: reached.shape[1]]
    error = reached.std(axis=0, ddof=1) / np.sqrt(len(reached))
    # Batches say how uncertain a share is only where each has seen the event a good many times.
    common = (expected > 0.02) & (expected < 0.98)
    assert (np.abs(reached.mean(axis=0) - expected) < 4.5 * error)[common].all()


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("load", [0.2, 0.5, 0.88])
def test_even_arrivals_of_equal_requests_are_exact(curve, load):
    service = CURVES[curve]
    rate = load * float(queue.stability_limit(service, protocol="even"))
    result = simulate_sharing(service, LoadSpec("even", rate, 20_000), 1, work="deterministic")
    law = queue.in_flight_law(service, "even", rate)
    # What is left is the start's transient, which dies out geometrically.
    assert result.mean_latency_s == pytest.approx(law.mean_latency_s, rel=1e-3)
    share = result.in_flight_share.mean(axis=0)
    assert share @ np.arange(len(share)) == pytest.approx(law.mean, rel=1e-3)
    if law.mean > 1:
        assert set(np.flatnonzero(share > 0.002)) <= {int(law.mean), int(law.mean) + 1}


@pytest.mark.parametrize("curve", ["linear", "experts"])
@pytest.mark.parametrize("cap", [1, 4, 32])
@pytest.mark.parametrize("load", [0.4, 0.8])
def test_cap_is_exact_for_exponential_work(curve, cap, load):
    service = CURVES[curve]
    rate = load * float(queue.stability_limit(service, cap))
    result = simulate_sharing(service, LoadSpec("poisson", rate, 60_000), 23, n_max=cap)
    law = queue.in_flight_law(service, "poisson", rate, n_max=cap)
    assert errors_apart(result, law.mean_latency_s) < 4.5
    for share, mean in ((result.in_flight_share, law.mean), (result.running_share, law.mean_running)):
        found, error, _, _ = moments(share)
        assert abs(found - mean) < 4.5 * error


@pytest.mark.parametrize("curve", ["linear", "experts"])
@pytest.mark.parametrize("cap", [4, 32])
@pytest.mark.parametrize(("work", "cv"), [("deterministic", 0.0), ("lognormal", 0.5), ("lognormal", 1.5)])
def test_cap_with_other_work_is_close_by_its_spread(curve, cap, work, cv):
    service = CURVES[curve]
    rate = 0.85 * float(queue.stability_limit(service, cap))
    load = LoadSpec("poisson", rate, 100_000)
    result = simulate_sharing(service, load, 5, n_max=cap, work=work, work_cv=cv or 1.0)
    law = queue.in_flight_law(service, "poisson", rate, n_max=cap, work_cv=cv)
    tolerance = 0.03 * law.mean_latency_s + 4.5 * result.mean_latency_error_s
    assert abs(result.mean_latency_s - law.mean_latency_s) < tolerance
    running, error, _, _ = moments(result.running_share)
    assert abs(running - law.mean_running) < 0.01 * law.mean_running + 4.5 * error


def test_ignoring_the_spread_of_the_work_behind_a_cap_would_be_far_off():
    service = CURVES["linear"]
    rate = 0.9 * float(queue.stability_limit(service, 4))
    load = LoadSpec("poisson", rate, 50_000)
    result = simulate_sharing(service, load, 5, n_max=4, work="deterministic")
    assert queue.in_flight_law(service, "poisson", rate, n_max=4).mean_latency_s > 1.4 * result.mean_latency_s


def test_no_draw_of_work_changes_even_closed_loops_of_equal_requests():
    result = simulate_sharing(CURVES["linear"], LoadSpec("closed", 6, 500), 0, work="deterministic")
    np.testing.assert_allclose(result.latency_s, 1.6, rtol=1e-9)


def test_same_seed_same_run():
    load = LoadSpec("poisson", 3.0, 500)
    runs = [simulate_sharing(CURVES["linear"], load, seed).latency_s for seed in (1, 1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_a_curve_shorter_than_the_run_goes_on_straight():
    load = LoadSpec("poisson", 6.0, 3000)
    short = simulate_sharing(CURVES["linear"][:5], load, 4)
    np.testing.assert_allclose(short.latency_s, simulate_sharing(CURVES["linear"], load, 4).latency_s)


def test_an_unstable_run_ends_and_shows_it():
    load = LoadSpec("poisson", 20.0, 2000)
    result = simulate_sharing(CURVES["linear"], load, 4, n_max=8)
    assert result.latency_s[-200:].mean() > 3 * result.latency_s[:200].mean()
    assert np.isfinite(result.latency_s).all()


def test_impossible_runs_are_refused():
    service = CURVES["linear"]
    for call in (
        lambda: simulate_sharing(service, LoadSpec("poisson", 1.0), 0, work="pareto"),
        lambda: simulate_sharing(service, LoadSpec("poisson", 1.0), 0, n_max=0),
        lambda: simulate_sharing(service, LoadSpec("poisson", 1.0), 0, work="lognormal", work_cv=-1.0),
        lambda: simulate_sharing(np.ones((2, 3)), LoadSpec("poisson", 1.0), 0),
        lambda: LoadSpec("bursty", 1.0),
        lambda: LoadSpec("closed", 2.5),
        lambda: LoadSpec("poisson", 0.0),
        lambda: LoadSpec("poisson", 1.0, 0),
    ):
        with pytest.raises(ConditionError) as caught:
            call()
        assert "\n" not in str(caught.value)
