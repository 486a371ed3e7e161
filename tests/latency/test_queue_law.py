import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_sd.errors import ConditionError
from bayes_sd.latency import queue

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.9, 0.95, 0.999)


def quantiles_of(probability, levels):
    reached = np.cumsum(probability)
    return [int(np.argmax(reached >= level)) for level in levels]


def long_law(service, rate, cap, length=20_000):
    """State by state, the capped curve written out far past the cap."""
    n = np.arange(1, length + 1)
    running = np.minimum(n, cap)
    log_weight = np.concatenate([[0.0], np.cumsum(np.log(rate * service[running - 1] / running))])
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum()


@pytest.mark.parametrize("c2", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("load", [0.1, 0.6, 0.9])
def test_linear_curve_gives_the_negative_binomial(c2, load):
    scipy_stats = pytest.importorskip("scipy.stats")
    rate = load / c2
    service = queue.adaptive_grid(lambda b: 1.0 + c2 * b, rate)
    law = queue.in_flight_law(service, "poisson", rate, levels=LEVELS)
    exact = scipy_stats.nbinom(1 + 1 / c2, 1 - load)
    assert law.mean == pytest.approx(exact.mean(), rel=1e-8)
    assert law.sd == pytest.approx(exact.std(), rel=1e-8)
    assert law.quantiles.tolist() == exact.ppf(LEVELS).tolist()
    assert law.idle_probability == pytest.approx(exact.pmf(0), rel=1e-6)
    assert law.mean_latency_s == pytest.approx(law.mean / rate)


@given(
    st.integers(1, 90), st.integers(1, 100), st.floats(0.01, 0.9), st.floats(0.0, 0.5), st.floats(0.0, 2.0)
)
def test_law_equals_summing_state_by_state(cap, length, load, slope, step):
    n = np.arange(1.0, length + 1)
    service = 1.0 + slope * n + step * (1 - 0.9**n)
    cap = min(cap, length)
    rate = load * cap / service[cap - 1]
    probability = long_law(service, rate, cap)
    states = np.arange(len(probability))
    law = queue.in_flight_law(service, "poisson", rate, n_max=cap, levels=LEVELS)
    assert law.mean == pytest.approx(probability @ states, rel=1e-8)
    assert law.sd**2 == pytest.approx(probability @ states**2 - (probability @ states) ** 2, rel=1e-6)
    assert law.mean_running == pytest.approx(probability @ np.minimum(states, cap), rel=1e-8)
    assert law.quantiles.tolist() == quantiles_of(probability, LEVELS)
    assert law.quantiles_running.tolist() == np.minimum(law.quantiles, cap).tolist()
    assert law.utilisation == pytest.approx(load)
    pmf, beyond = queue.poisson_pmf(service, rate, n_max=cap)
    np.testing.assert_allclose(pmf, probability[: length + 1], rtol=1e-7, atol=1e-12)
    assert pmf.sum() + beyond == pytest.approx(1.0)


def test_batches_of_curves_equal_one_by_one():
    rng = np.random.default_rng(3)
    service = np.cumsum(rng.uniform(0.005, 0.1, (40, 3, 130)), axis=-1) + 0.5
    rate = np.array([0.5, 4.0, 30.0])
    cap = rng.integers(1, 131, (40, 1))
    law = queue.in_flight_law(service, "poisson", rate, n_max=cap)
    assert law.quantiles.shape == (40, 3, 3)
    for i, j in ((0, 0), (7, 1), (39, 2), (20, 0)):
        one = queue.in_flight_law(service[i, j], "poisson", rate[j], n_max=cap[i, 0])
        for name in ("mean_latency_s", "sd", "mean_running", "limit_rps", "idle_probability"):
            assert getattr(law, name)[i, j] == pytest.approx(float(getattr(one, name)), rel=1e-12)
        assert law.quantiles[i, j].tolist() == one.quantiles.tolist()
    stable = law.stable
    assert stable.any()
    assert not stable.all()
    mean = queue.mean_latency_open_poisson(service, np.broadcast_to(rate, (40, 3)), n_max=cap)
    np.testing.assert_allclose(law.mean_latency_s[stable], mean[stable], rtol=1e-9)


def test_many_small_chunks_change_nothing(monkeypatch):
    service = 1.0 + np.linspace(0.01, 0.03, 300)[:, None] * np.arange(1.0, 200)
    whole = queue.in_flight_law(service, "poisson", 20.0)
    monkeypatch.setattr(queue.law, "_CHUNK_ELEMENTS", 4000)
    split = queue.in_flight_law(service, "poisson", 20.0)
    np.testing.assert_allclose(split.mean, whole.mean, rtol=1e-13)
    np.testing.assert_array_equal(split.quantiles, whole.quantiles)
    # Strided and broadcast inputs are read without being copied whole.
    strided = queue.in_flight_law(np.asfortranarray(service), "poisson", np.full((2, 1), 20.0))
    np.testing.assert_allclose(strided.mean, np.tile(whole.mean, (2, 1)), rtol=1e-13)


def test_states_left_out_for_speed_have_no_weight():
    # A curve whose throughput dips at 100 and recovers: mass returns far out.
    n = np.arange(1.0, 513)
    service = (1.0 + 0.02 * n) * (1 + 2.0 * np.exp(-((n - 120) ** 2) / 200))
    rate = 14.0
    law = queue.in_flight_law(service, "poisson", rate)
    probability = long_law(service, rate, 512)
    assert law.mean == pytest.approx(probability @ np.arange(len(probability)), rel=1e-9)


@given(st.floats(0.02, 0.98), st.floats(0.01, 0.4))
def test_even_law_has_the_mean_of_the_formula_on_two_points(load, c2):
    rate = load / c2
    service = 1.0 + c2 * np.arange(1.0, 6000)
    law = queue.in_flight_law(service, "even", rate, levels=(0.001, 0.999))
    assert law.mean == pytest.approx(float(queue.in_flight_even_linear(1.0, c2, rate)), rel=1e-8)
    below = np.floor(law.mean)
    above = law.mean - below
    assert law.sd**2 == pytest.approx(above * (1 - above), abs=1e-9)
    assert below <= law.quantiles[0] <= law.quantiles[1] <= below + 1


def test_closed_loop_law_is_a_point():
    service = 1.0 + 0.1 * np.arange(1.0, 33)
    law = queue.in_flight_law(service, "closed", np.array([1, 16, 100]), n_max=16)
    np.testing.assert_allclose(law.mean_latency_s, [1.1, 2.6, 100 * 2.6 / 16])
    assert law.mean.tolist() == [1, 16, 100]
    assert law.mean_running.tolist() == [1, 16, 16]
    assert law.sd.tolist() == [0, 0, 0]
    np.testing.assert_allclose(law.throughput_rps * law.mean_latency_s, [1, 16, 100])
    with pytest.raises(ConditionError, match="needs a service curve that long"):
        queue.in_flight_law(service, "closed", 33)


@pytest.mark.parametrize("protocol", ["poisson", "even"])
def test_an_unstable_rate_is_flagged_and_not_given_a_number(protocol):
    service = 1.0 + 0.1 * np.arange(1.0, 17)
    law = queue.in_flight_law(service, protocol, np.array([5.0, 7.0]))
    assert law.stable.tolist() == [True, False]
    assert np.isinf(law.mean_latency_s[1])
    assert np.isinf(law.quantiles[1]).all()
    assert law.mean_running[1] == 16
    assert law.utilisation[1] == 1
    assert law.throughput_rps[1] == pytest.approx(16 / 2.6)
    assert np.isfinite(law.mean_latency_s[0])


def test_extreme_but_possible_inputs_stay_finite():
    tiny = queue.in_flight_law(1e-3 * np.ones(512), "poisson", 1e-9)
    assert tiny.mean == pytest.approx(1e-12, rel=1e-6)
    close = queue.in_flight_law(1.0 + 0.001 * np.arange(1.0, 4097), "poisson", 803.0)
    assert close.stable
    assert np.isfinite(close.mean_latency_s)


def test_bad_input_is_refused_in_one_line():
    service = 1.0 + 0.1 * np.arange(1.0, 9)
    bad = [
        (service, "bursty", 1.0, {}),
        (service, "poisson", 0.0, {}),
        (service, "poisson", np.nan, {}),
        (service, "poisson", 1.0, {"n_max": 0}),
        (service, "poisson", 1.0, {"levels": (0.0, 0.5)}),
        (service, "closed", 2.5, {}),
        (service, "poisson", 1.0, {"work_cv": -0.5}),
        (np.array([]), "poisson", 1.0, {}),
        (np.array([1.0, np.nan]), "poisson", 1.0, {}),
        (np.array([1.0, np.inf, 1.0]), "poisson", 1.0, {}),
        (np.array([1.0, -1.0]), "even", 1.0, {}),
    ]
    for curve, protocol, load, more in bad:
        with pytest.raises(ConditionError) as caught:
            queue.in_flight_law(curve, protocol, load, **more)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConditionError, match="no steady state"):
        queue.poisson_pmf(service, 99.0)


@pytest.mark.parametrize("cap", [1, 15, 16, 17, 40])
@pytest.mark.parametrize("cv", [0.0, 0.6, 2.0])
def test_spread_of_the_work_stretches_the_wait_alone(cap, cv):
    service = 1.0 + 0.1 * np.arange(1.0, 41)
    rate = 0.85 * cap / service[cap - 1]
    plain = queue.in_flight_law(service, "poisson", rate, n_max=cap)
    law = queue.in_flight_law(service, "poisson", rate, n_max=cap, work_cv=cv, levels=LEVELS)
    assert law.mean_running == pytest.approx(float(plain.mean_running))
    assert law.idle_probability == pytest.approx(float(plain.idle_probability))
    factor = (1 + cv**2) / 2
    waiting = plain.mean - plain.mean_running
    assert law.mean - law.mean_running == pytest.approx(factor * waiting, rel=1e-9)
    mean = queue.mean_latency_open_poisson(service, rate, n_max=cap, work_cv=cv)
    assert law.mean_latency_s == pytest.approx(float(mean), rel=1e-9)
    # The law itself: the same below the cap, a geometric tail of the same mass from it on.
    exponential = long_law(service, rate, cap)
    ratio = factor * 0.85 / (0.15 + factor * 0.85)
    tail = exponential[cap:].sum() * (1 - ratio) * ratio ** np.arange(len(exponential) - cap)
    probability = np.concatenate([exponential[:cap], tail])
    states = np.arange(len(probability))
    assert law.quantiles.tolist() == quantiles_of(probability, LEVELS)
    variance = probability @ states**2 - (probability @ states) ** 2
    assert law.sd**2 == pytest.approx(variance, rel=1e-6)
