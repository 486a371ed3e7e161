import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_sd.errors import ConditionError
from bayes_sd.latency import coverage as cov
from bayes_sd.latency.expert_load import busiest_expert_load, busiest_expert_load_exact

SIZES = [(8, 2), (16, 2), (128, 4), (256, 8)]
tokens = st.floats(1.0, 5000.0)
size = st.sampled_from(SIZES)
skew = st.floats(0.0, 1.5)


def route(n_experts, n_active, skew, n_tokens, rng):
    """Top-m routing by popularity plus noise, token by token: the law that the formulas stand for."""
    scores = skew * rng.normal(size=n_experts) + rng.normal(size=(n_tokens, n_experts))
    chosen = np.argpartition(-scores, n_active - 1, axis=1)[:, :n_active]
    return np.bincount(chosen.ravel(), minlength=n_experts)


@given(size, st.floats(0.0, 5000.0))
def test_uniform_coverage_is_the_published_form(experts, n_tokens):
    m_experts, m_active = experts
    expected = 1 - (1 - m_active / m_experts) ** n_tokens
    assert cov.coverage(n_tokens, m_experts, m_active) == pytest.approx(expected, rel=1e-9, abs=1e-13)


def test_coverage_keeps_its_digits_for_huge_layers_and_is_full_when_dense():
    assert cov.coverage(0.5, 10**12, 1) == pytest.approx(0.5e-12, rel=1e-12)
    np.testing.assert_allclose(cov.coverage(np.array([0.0, 1.0, 9.0]), 8, 8), [0.0, 1.0, 1.0], atol=1e-15)


def test_impossible_routing_is_refused():
    for n_experts, n_active in ((4, 8), (8, 0)):
        with pytest.raises(ConditionError, match="routed per token"):
            cov.coverage(10.0, n_experts, n_active)


@given(size, tokens)
def test_no_skew_is_uniform(experts, n_tokens):
    assert cov.coverage_skewed(n_tokens, *experts, 0.0) == pytest.approx(cov.coverage(n_tokens, *experts))


@given(size, skew)
def test_one_token_always_touches_its_share(experts, s):
    assert cov.coverage_skewed(1.0, *experts, s) == pytest.approx(experts[1] / experts[0], rel=1e-5)


@given(size, tokens, st.floats(0.1, 1.0))
def test_skew_lowers_coverage_and_more_tokens_raise_it(experts, n_tokens, s):
    here = cov.coverage_skewed(n_tokens, *experts, s)
    assert here <= cov.coverage(n_tokens, *experts) + 1e-12
    assert here <= cov.coverage_skewed(n_tokens * 1.5, *experts, s) + 1e-12
    assert 0 <= here <= 1


@pytest.mark.parametrize("experts", SIZES)
@pytest.mark.parametrize(("s", "tolerance"), [(0.5, 1e-6), (1.0, 1e-4), (2.0, 1e-2)])
def test_quadrature_reaches_its_stated_accuracy(experts, s, tolerance):
    n_tokens = np.geomspace(1, 4096, 40)
    coarse = cov.coverage_skewed(n_tokens, *experts, s)
    fine = cov.coverage_skewed(n_tokens, *experts, s, n_nodes=1001)
    np.testing.assert_allclose(coarse, fine, atol=tolerance)


@pytest.mark.parametrize("s", [0.0, 0.3, 0.6])
def test_coverage_and_busiest_load_match_simulated_routing(s):
    rng = np.random.default_rng(5)
    n_experts, n_active = 128, 4
    for n_tokens in (8, 64, 256):
        loads = np.array([route(n_experts, n_active, s, n_tokens, rng) for _ in range(60)])
        touched = (loads > 0).mean(axis=1)
        error = touched.std(ddof=1) / np.sqrt(len(touched))
        predicted = cov.coverage_skewed(n_tokens, n_experts, n_active, s)
        # 0.01: the law of infinitely many experts stands for 128 with a fixed number routed.
        assert abs(predicted - touched.mean()) < 4 * error + 0.01
        busiest = loads.max(axis=1) / (n_tokens * n_active / n_experts)
        error = busiest.std(ddof=1) / np.sqrt(len(busiest))
        ratio = busiest_expert_load(n_tokens, n_experts, n_active, s)
        assert abs(ratio - busiest.mean()) < 4 * error + 0.1 * busiest.mean()


@given(size, skew, tokens)
def test_busiest_load_lies_between_the_mean_and_the_whole_step(experts, s, n_tokens):
    ratio = busiest_expert_load(n_tokens, *experts, s)
    assert 1.0 <= ratio <= experts[0] / experts[1] * (1 + 1e-12)


def test_busiest_load_grows_with_skew_and_evens_out_with_tokens():
    by_skew = busiest_expert_load(256.0, 128, 4, np.array([0.0, 0.2, 0.4, 0.8]))
    assert (np.diff(by_skew) > 0).all()
    assert (np.diff(busiest_expert_load(np.array([16.0, 64, 256, 4096]), 128, 4, 0.0)) < 0).all()
    assert busiest_expert_load(50.0, 8, 8) == pytest.approx(1.0)


@given(size, skew)
def test_inclusion_probabilities_sum_to_the_experts_routed(experts, s):
    q = cov.inclusion_probabilities(*experts, s)
    assert q.sum() == pytest.approx(experts[1], rel=1e-9)
    assert (np.diff(q) > -1e-12).all()
    assert q[-1] <= 1


def test_effective_tokens_between_one_and_all():
    assert cov.effective_tokens(8, 4, 0.0) == 8
    assert cov.effective_tokens(8, 4, 1.0) == 40
    assert cov.effective_tokens(8, 0, 0.3) == 8


@pytest.mark.parametrize("experts", SIZES)
def test_busiest_load_surface_reaches_its_stated_accuracy(experts):
    skews = np.array([0.0, 0.12, 0.35, 0.8, 1.4])
    for n_tokens, tolerance in ((2.0, 0.08), (8.0, 0.02), (45.0, 0.02), (700.0, 0.02), (4096.0, 0.02)):
        exact = [busiest_expert_load_exact(n_tokens, *experts, s) for s in skews]
        np.testing.assert_allclose(busiest_expert_load(n_tokens, *experts, skews), exact, rtol=tolerance)


def test_symbolic_forms_agree_and_have_finite_gradients():
    pt = pytest.importorskip("pytensor.tensor")
    import pytensor

    n_tokens, s = pt.vector("tokens"), pt.scalar("skew")
    outputs = [
        cov.coverage(n_tokens, 128, 4, xp=pt),
        cov.coverage_skewed(n_tokens, 128, 4, s, xp=pt),
        busiest_expert_load(n_tokens, 128, 4, s, xp=pt),
    ]
    gradients = [
        pt.grad(outputs[1].sum(), s),
        pt.grad(outputs[2].sum(), s),
        pt.grad(outputs[2].sum(), n_tokens),
    ]
    run = pytensor.function([n_tokens, s], outputs + gradients, mode="FAST_COMPILE")
    x = np.array([1.0, 7.5, 300.0])
    for value in (0.0, 0.4):
        results = run(x, value)
        np.testing.assert_allclose(results[0], cov.coverage(x, 128, 4), rtol=1e-12)
        np.testing.assert_allclose(results[1], cov.coverage_skewed(x, 128, 4, value), rtol=1e-10)
        np.testing.assert_allclose(results[2], busiest_expert_load(x, 128, 4, value), rtol=1e-8)
        assert all(np.isfinite(g).all() for g in results[3:])
    step = 1e-6
    difference = (
        cov.coverage_skewed(x, 128, 4, 0.4 + step).sum() - cov.coverage_skewed(x, 128, 4, 0.4 - step).sum()
    ) / (2 * step)
    assert run(x, 0.4)[3] == pytest.approx(difference, rel=1e-6)
