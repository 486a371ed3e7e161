"""What the model says of each load protocol is the exact law, and does not look at what was measured."""

import numpy as np
import pytest

from bayes_sd.latency.between import places_between
from bayes_sd.latency.queue import in_flight_law
from bayes_sd.model.latency import even_means, poisson_means
from bayes_sd.model.points import EVEN_STEPS, place_points

C1, C2 = 1.0, 0.05
MOST = 4000


def curve(n):
    return C1 + C2 * n


def rows(load, latency, poisson):
    load, latency = np.asarray(load, dtype=float), np.asarray(latency, dtype=float)
    n = len(load)
    return {
        "load": load,
        "latency_s": latency,
        "open_loop": np.ones(n, dtype=bool),
        "poisson": np.full(n, poisson),
    }


def even(load, measured):
    points = place_points(rows(load, measured, False))
    at = points.even_points
    facts = {
        "n_closed": 0,
        "even_point": at,
        "even_log_number": np.log(points.in_flight[at]),
        "log_load": np.log(load),
    }
    return even_means(curve(points.in_flight), facts, np)


@pytest.mark.parametrize("off", [0.7, 1.0, 1.4])
def test_even_arrivals_follow_the_exact_law_wherever_the_measured_latency_lies(off):
    """Rates of 0.2 to 17 per second of a limit of 20, measured 30 % too low, right and 40 % too high."""
    rate = np.array([0.2, 2.0, 8.0, 14.0, 17.0])
    exact = in_flight_law(
        curve(np.arange(1.0, MOST))[None, :].repeat(5, axis=0), "even", rate, np.full(5, MOST - 1)
    )
    found, _ = even(rate, exact.mean_latency_s * off)
    # Nine points stand for the curve: half a per cent between them where the measured latency is a third off.
    assert np.exp(found) == pytest.approx(exact.mean_latency_s, rel=0.01)


@pytest.mark.parametrize("gain", [-0.3, -0.1, -0.099, 0.0, 0.05])
def test_where_throughput_falls_with_the_number_in_flight_latency_stays_finite(gain):
    """A curve whose throughput n/S(n) falls or hardly rises is a corner that a sampler visits; nothing there may have no bound."""
    log_number = np.log([[8.0, 10.0, 12.5]])
    service = np.exp(
        log_number[0] - gain * (log_number[0] - np.log(10.0))
    )  # n/S(n) is n^gain, and 1 at n = 10
    for rate in (0.5, 1.0, 2.0):
        facts = {
            "n_closed": 0,
            "even_point": np.array([[0, 1, 2]]),
            "even_log_number": log_number,
            "log_load": np.log([rate]),
        }
        found, noise = even_means(service, facts, np)
        # The least gains that are taken are a twentieth at the middle and a tenth at the solution.
        assert abs(found[0] - np.log(10.0 / rate)) <= 2.0 / 0.15 * abs(np.log(rate)) + 1e-9
        assert np.isfinite(noise).all()


def test_noise_grows_with_the_models_own_load():
    """L = C1/(1 − ρ): a step slower by a per cent makes 1/(1 − ρ) per cent, of which the square root is taken."""
    rate = np.array([2.0, 10.0, 16.0])
    _, noise = even(rate, 1.0 / (1.0 - rate * C2))
    # Throughput is a power of the number in flight between points a tenth apart.
    assert noise == pytest.approx(1.0 / np.sqrt(1.0 - rate * C2), rel=0.03)


def poisson_facts(points, rate, spread=1.0):
    number = np.tile(np.arange(1.0, points.reach + 1), (len(rate), 1))
    left, weight = places_between(points.poisson_numbers, points.reach)
    return {
        "poisson_log_rate": np.log(rate),
        "poisson_spread": np.full(len(rate), spread),
        "poisson_number": number,
        "poisson_left": points.poisson_points[:, left],
        "poisson_right": points.poisson_points[:, left + 1],
        "poisson_weight": weight,
    }


def test_poisson_noise_is_that_of_the_law():
    """For a straight curve the number met is negative binomial; its variance over mean is 1/(1 − ρ)."""
    rate = np.array([2.0, 10.0])
    mean_s = (C1 + C2) / (1.0 - rate * C2)
    points = place_points(rows(rate, mean_s, True))
    log_mean, noise = poisson_means(curve(points.in_flight), poisson_facts(points, rate), np)
    assert np.exp(log_mean) == pytest.approx(mean_s, rel=1e-3)
    assert noise == pytest.approx(1.0 / np.sqrt(1.0 - rate * C2), rel=1e-2)


@pytest.mark.parametrize("scv", [0.25, 1 / 0.7, 4.0])
def test_gamma_gaps_are_fitted_as_they_are_predicted(scv):
    """A row's mean under gamma gaps is what a question about it is answered by."""
    rate = np.array([2.0, 10.0])
    service = curve(np.arange(1.0, 1025.0))
    asked = in_flight_law(service, "poisson", rate, work_cv=0.0, gap_scv=scv)
    points = place_points(rows(rate, asked.mean_latency_s, True))
    log_mean, noise = poisson_means(curve(points.in_flight), poisson_facts(points, rate, scv), np)
    assert np.exp(log_mean) == pytest.approx(asked.mean_latency_s, rel=2e-3)
    assert (np.diff(noise) > 0).all()


def test_points_are_in_order_below_one_request_in_flight():
    points = place_points(rows([0.1], [1.0], False))
    steps = points.in_flight[points.even_points][0]
    assert len(steps) == len(EVEN_STEPS)
    assert np.all(np.diff(steps) > 0)
    assert steps[0] == 1.0
