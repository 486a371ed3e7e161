import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bayes_sd.errors import ConditionError
from bayes_sd.latency import queue

cost = st.floats(0.01, 10.0)
share = st.floats(0.02, 0.95)


def linear(c1, c2, n):
    return c1 + c2 * np.arange(1.0, n + 1)


@given(cost, st.floats(0.001, 0.5), share)
def test_poisson_mean_of_a_linear_curve(c1, relative, load):
    c2 = c1 * relative
    rate = load / c2
    service = queue.adaptive_grid(lambda b: c1 + c2 * b, rate)
    assume(service.shape[-1] < queue.curve.LARGEST_GRID)
    expected = (c1 + c2) / (1 - load)
    assert queue.mean_latency_poisson_linear(c1, c2, rate) == pytest.approx(expected)
    assert queue.mean_latency_open_poisson(service, rate) == pytest.approx(expected, rel=1e-8)


def test_even_arrivals_alternate_between_two_neighbours():
    # Worked by hand: S(1) = 1.1, S(2) = 1.2; at λ = 1.2 between X(1) = 0.909 and X(2) = 1.667.
    in_flight = 1 + (1.2 - 1 / 1.1) / (2 / 1.2 - 1 / 1.1)
    assert queue.in_flight_even_linear(1.0, 0.1, 1.2) == pytest.approx(in_flight)
    service = linear(1.0, 0.1, 50)
    assert queue.mean_latency_open_even(service, 1.2) == pytest.approx(in_flight / 1.2)


def test_published_checks_of_the_three_formulas():
    assert queue.mean_latency_even_linear(1.0, 0.1, 3.0) == pytest.approx(1.4333333333)
    assert queue.mean_latency_fluid_linear(1.0, 0.1, 3.0) == pytest.approx(1.4285714286)
    assert queue.mean_latency_poisson_linear(1.0, 0.1, 7.0) == pytest.approx(3.6666666667)


@given(cost, st.floats(0.001, 1.0), share)
def test_even_closed_form_equals_the_grid(c1, relative, load):
    c2 = c1 * relative
    rate = load / c2
    service = linear(c1, c2, int(load / (1 - load) / relative) + 5)
    assert queue.mean_latency_open_even(service, rate) == pytest.approx(
        queue.mean_latency_even_linear(c1, c2, rate), rel=1e-9
    )


@given(cost, st.floats(1e-4, 0.5), st.floats(0.05, 0.99))
def test_requests_that_never_meet_have_the_latency_of_one(c1, relative, load):
    c2 = c1 * relative
    assert queue.mean_latency_even_linear(c1, c2, load / (c1 + c2)) == pytest.approx(c1 + c2)


@given(cost, share)
def test_even_arrivals_tend_to_the_fluid_limit(c1, load):
    c2 = c1 * 1e-4
    rate = load / c2
    fluid = queue.mean_latency_fluid_linear(c1, c2, rate)
    in_flight = rate * fluid
    # The chord of X between neighbours is off the curve by at most a quarter of a request.
    assert queue.mean_latency_even_linear(c1, c2, rate) == pytest.approx(fluid, rel=0.26 / in_flight)


@given(st.floats(0.0, 0.5), share)
def test_poisson_waits_at_least_as_long_as_even(relative, load):
    c1, c2 = 1.0, max(relative, 1e-3)
    rate = load / c2
    even = queue.mean_latency_even_linear(c1, c2, rate)
    assert queue.mean_latency_poisson_linear(c1, c2, rate) >= even * (1 - 1e-12)


def test_no_slope_means_no_limit():
    for mean in (
        queue.mean_latency_fluid_linear,
        queue.mean_latency_poisson_linear,
        queue.mean_latency_even_linear,
    ):
        assert mean(2.0, 0.0, 1e6) == pytest.approx(2.0)


def test_closed_loop_queues_behind_the_cap():
    assert queue.mean_latency_closed(1.8, 8) == 1.8
    assert queue.mean_latency_closed(1.8, 8, n_max=8) == 1.8
    assert queue.mean_latency_closed(1.8, 20, n_max=8) == pytest.approx(20 * 1.8 / 8)


def test_capped_poisson_is_a_server_bank_when_latency_does_not_grow():
    # S constant and a cap c is the M/M/c queue: Erlang C.
    servers, latency, rate = 4, 2.0, 1.7
    offered = rate * latency
    states = np.cumprod(np.concatenate([[1.0], offered / np.arange(1, servers + 1)]))
    waiting = states[-1] / (1 - offered / servers)
    wait = waiting / (states[:-1].sum() + waiting) * latency / (servers - offered)
    service = np.full(32, latency)
    assert queue.mean_latency_open_poisson(service, rate, n_max=servers) == pytest.approx(latency + wait)
    assert queue.mean_latency_open_poisson(service[:servers], rate) == pytest.approx(latency + wait)


def test_cap_is_the_end_of_a_shorter_grid():
    service = linear(1.0, 0.1, 64)
    cap = np.array([4, 16, 64])
    together = queue.mean_latency_open_poisson(np.tile(service, (3, 1)), 2.0, n_max=cap)
    alone = [queue.mean_latency_open_poisson(service[:c], 2.0) for c in cap]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def test_stability_limit_and_what_lies_past_it():
    service = linear(1.0, 0.1, 20)
    limit = 20 / 3.0
    assert queue.stability_limit(service) == pytest.approx(limit)
    assert queue.stability_limit(service, n_max=10) == pytest.approx(5.0)
    assert queue.stability_limit(service, protocol="closed") == np.inf
    rates = np.array([0.9, 1.0, 1.5]) * limit
    assert queue.is_stable(service, rates).tolist() == [True, False, False]
    for mean in (queue.mean_latency_open_poisson, queue.mean_latency_open_even):
        assert np.isinf(mean(np.tile(service, (3, 1)), rates)).tolist() == [False, True, True]
        held = mean(np.tile(service, (3, 1)), rates, beyond="hold")
        assert np.isfinite(held).all()
    for mean in (queue.mean_latency_poisson_linear, queue.mean_latency_even_linear):
        assert np.isinf(mean(1.0, 0.1, np.array([9.9, 10.0, 11.0]))).tolist() == [False, True, True]


def test_falling_throughput_gives_the_two_arrivals_different_limits():
    # A cache that overflows past 5 in flight: throughput climbs to 5/1.5 and falls to 10/6.
    service = np.concatenate([linear(1.0, 0.1, 5), 1.5 + 0.9 * np.arange(1, 6)])
    assert queue.stability_limit(service, protocol="even") == pytest.approx(5 / 1.5)
    assert queue.stability_limit(service, protocol="poisson") == pytest.approx(10 / 6.0)
    # From an empty server even arrivals come to rest on the rising side.
    assert queue.mean_latency_open_even(service, 3.0) == pytest.approx(
        queue.mean_latency_open_even(service[:5], 3.0)
    )


def test_weights_far_beyond_double_precision():
    # n! overflows at 170; at 4,096 states and this load the weights span e^±10,000.
    c1, c2 = 1.0, 0.001
    service = linear(c1, c2, 4096)
    rate = 0.7 / c2
    expected = queue.mean_latency_poisson_linear(c1, c2, rate)
    assert queue.mean_latency_open_poisson(service, rate) == pytest.approx(expected, rel=1e-9)
    assert queue.in_flight_law(service, "poisson", rate).mean_latency_s == pytest.approx(expected, rel=1e-9)


def test_symbolic_means_agree_and_have_finite_gradients_past_the_limit():
    pt = pytest.importorskip("pytensor.tensor")
    import pytensor

    n = np.arange(1.0, 33)
    c1, c2, rate = pt.vector("c1"), pt.vector("c2"), pt.vector("rate")
    service = c1[:, None] + c2[:, None] * n
    service = pt.specify_shape(service, (None, 32))
    cap = np.array([8, 32, 16, 32, 16, 8])
    means = [
        queue.mean_latency_open_poisson(service, rate, cap, xp=pt, beyond="hold"),
        queue.mean_latency_open_even(service, rate, cap, xp=pt, beyond="hold"),
        queue.mean_latency_poisson_linear(c1, c2, rate, xp=pt, beyond="hold"),
        queue.mean_latency_even_linear(c1, c2, rate, xp=pt, beyond="hold"),
    ]
    gradients = [g for mean in means for g in pt.grad(pt.log(mean).sum(), [c1, c2, rate])]
    run = pytensor.function([c1, c2, rate], means + gradients, mode="FAST_COMPILE")
    x = np.array([1.0, 0.5, 1.0, 0.3, 1.0, 1.0]), np.array([0.1, 0.02, 0.05, 0.0, 0.1, 0.2])
    rates = np.array([0.5, 8.0, 3.0, 60.0, 16 / 2.6 * (1 - 1e-9), 50.0])
    results = run(*x, rates)
    curve = x[0][:, None] + x[1][:, None] * n
    plain = [
        queue.mean_latency_open_poisson(curve, rates, cap, beyond="hold"),
        queue.mean_latency_open_even(curve, rates, cap, beyond="hold"),
        queue.mean_latency_poisson_linear(*x, rates, beyond="hold"),
        queue.mean_latency_even_linear(*x, rates, beyond="hold"),
    ]
    for symbolic, value in zip(results[:4], plain, strict=True):
        np.testing.assert_allclose(symbolic, value, rtol=1e-9)
    assert all(np.isfinite(gradient).all() for gradient in results[4:])


def test_gradient_of_the_poisson_mean_is_right():
    pt = pytest.importorskip("pytensor.tensor")
    import pytensor

    c2 = pt.dscalar("c2")
    mean = queue.mean_latency_open_poisson(
        pt.specify_shape(1.0 + c2 * np.arange(1.0, 301), (300,)), np.array(6.0), xp=pt
    )
    run = pytensor.function([c2], pt.grad(mean, c2), mode="FAST_COMPILE")
    # d/dC2 (C1 + C2)/(1 − λC2)
    assert run(0.1) == pytest.approx((1 + 6.0 * 1.0) / (1 - 0.6) ** 2, rel=1e-6)


def test_bad_loads_and_caps_are_refused_in_one_line():
    service = linear(1.0, 0.1, 8)
    bad = [
        lambda: queue.stability_limit(service, n_max=0),
        lambda: queue.mean_latency_closed(1.0, 4, n_max=2.5),
        lambda: queue.stability_limit(service, protocol="bursty"),
        lambda: queue.protocol_of("rate", "bursty"),
        lambda: queue.protocol_of("speed"),
        lambda: queue.adaptive_grid(lambda b: 1 + b, -1.0),
    ]
    for call in bad:
        with pytest.raises(ConditionError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_protocol_of_a_table_row():
    assert queue.protocol_of("concurrency") == "closed"
    assert queue.protocol_of("rate", "poisson") == "poisson"
    assert queue.protocol_of("rate", "even") == "even"
