import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_sd.errors import ConditionError
from bayes_sd.latency import acceptance as acc

probability = st.floats(0.0, 1.0)
curve = st.lists(probability, min_size=1, max_size=12)


@given(probability, st.integers(0, 20))
def test_iid_form_is_the_geometric_sum(alpha, k):
    assert acc.expected_committed_iid(alpha, k) == pytest.approx(sum(alpha**j for j in range(k + 1)))


def test_iid_form_is_k_plus_one_at_full_acceptance_and_smooth_beside_it():
    k = np.arange(0, 9)
    np.testing.assert_array_equal(acc.expected_committed_iid(1.0, k), k + 1)
    just_below = acc.expected_committed_iid(1.0 - 1e-12, k)
    np.testing.assert_allclose(just_below, k + 1 - 1e-12 * k * (k + 1) / 2, rtol=1e-15)


def test_iid_form_broadcasts_draws_against_draft_lengths():
    alpha = np.array([[0.2], [0.9]])
    k = np.array([0, 1, 4])
    expected = np.array([[sum(a**j for j in range(n + 1)) for n in k] for a in alpha[:, 0]])
    np.testing.assert_allclose(acc.expected_committed_iid(alpha, k), expected)


@given(curve)
def test_per_position_form_is_one_plus_the_sum_of_survivals(alphas):
    assert acc.expected_committed(alphas) == pytest.approx(1 + np.cumprod(alphas).sum())


@given(curve, st.data())
def test_shorter_draft_uses_only_the_first_positions(alphas, data):
    k = data.draw(st.integers(0, len(alphas)))
    assert acc.expected_committed(np.array(alphas), k) == pytest.approx(acc.expected_committed(alphas[:k]))


def test_no_draft_commits_one_token():
    assert acc.expected_committed(np.zeros((3, 0))).tolist() == [1.0, 1.0, 1.0]
    assert acc.expected_committed_iid(0.7, 0) == 1.0


def test_draft_longer_than_the_curve_is_refused():
    with pytest.raises(ConditionError, match="longer than the acceptance curve"):
        acc.expected_committed([0.5, 0.4], 3)
    with pytest.raises(ConditionError, match="whole number"):
        acc.expected_committed_iid(0.5, -1)


@given(st.floats(0.0, 1.0), st.integers(1, 15))
def test_inverse_returns_the_alpha(alpha, k):
    committed = acc.expected_committed_iid(alpha, k)
    assert acc.alpha_iid_from_committed(committed, k) == pytest.approx(alpha, abs=1e-7)


def test_inverse_refuses_lengths_that_no_acceptance_gives():
    for committed in (0.9, 5.1):
        with pytest.raises(ConditionError, match="between 1 and k"):
            acc.alpha_iid_from_committed(committed, 4)


@given(probability, st.integers(1, 10), st.sampled_from(acc.ACCEPTANCE_MEANINGS))
def test_conversion_there_and_back(alpha, k, meaning):
    value = acc.convert_acceptance(alpha, k, "per_token", meaning)
    assert acc.convert_acceptance(value, k, meaning, "per_token") == pytest.approx(alpha, abs=1e-7)


def test_the_three_meanings_of_one_acceptance():
    assert acc.convert_acceptance(0.5, 3, "per_token", "mean_length") == pytest.approx(1.875)
    assert acc.convert_acceptance(0.5, 3, "per_token", "accepted_share") == pytest.approx(0.875 / 3)
    assert acc.convert_acceptance(1.875, 3, "mean_length", "accepted_share") == pytest.approx(0.875 / 3)
    with pytest.raises(ConditionError, match="unknown meaning"):
        acc.convert_acceptance(0.5, 3, "rate", "mean_length")
    with pytest.raises(ConditionError, match="per cent"):
        acc.convert_acceptance(63.0, 3, "accepted_share", "mean_length")


def test_conditional_curve_from_shares_per_position():
    shares = np.array([0.6, 0.3, 0.0, 0.0])
    np.testing.assert_allclose(acc.conditional_from_survival(shares), [0.6, 0.5, 0.0, np.nan])
    with pytest.raises(ConditionError, match="never rise"):
        acc.conditional_from_survival([0.3, 0.6])


@given(st.lists(st.floats(0.05, 0.95), min_size=1, max_size=6))
def test_variance_of_committed_tokens(alphas):
    survival = np.concatenate([[1.0], np.cumprod(alphas), [0.0]])
    mass, tokens = survival[:-1] - survival[1:], np.arange(1, len(alphas) + 2)
    variance = mass @ tokens**2 - (mass @ tokens) ** 2
    assert acc.committed_variance(alphas) == pytest.approx(variance)


def test_expected_cycles_counts_the_cut_off_cycle():
    assert acc.expected_cycles([], 7) == 7
    assert acc.expected_cycles([1.0, 1.0], 7) == 3
    assert acc.expected_cycles([0.5], 0) == 0
    # Two tokens at k = 1: one cycle if the draft is accepted, else two.
    assert acc.expected_cycles([0.3], 2) == pytest.approx(0.3 * 1 + 0.7 * 2)
    # Renewal theory: the excess over n/E tends to (E[X²]/E[X] + 1)/2/E − 1/E of a cycle.
    alphas = [0.8, 0.7, 0.6]
    mean, variance = acc.expected_committed(alphas), acc.committed_variance(alphas)
    excess = ((variance + mean**2) / mean - 1) / (2 * mean)
    assert acc.expected_cycles(alphas, 400) == pytest.approx(400 / mean + excess, rel=1e-9)


def test_symbolic_forms_agree_and_have_finite_gradients_at_the_ends():
    pt = pytest.importorskip("pytensor.tensor")
    import pytensor

    alpha, curve_ = pt.vector("alpha", shape=(3,)), pt.matrix("curve", shape=(2, 4))
    k = np.array([0, 3, 5])
    iid = acc.expected_committed_iid(alpha, k, xp=pt)
    general = acc.expected_committed(curve_, np.array([2, 4]), xp=pt)
    run = pytensor.function(
        [alpha, curve_],
        [iid, general, pt.grad(iid.sum(), alpha), pt.grad(general.sum(), curve_)],
        mode="FAST_COMPILE",
    )
    alphas, curves = np.array([0.0, 1.0, 0.6]), np.array([[0.0, 0.5, 0.2, 0.1], [1.0, 0.0, 0.3, 1.0]])
    value, value_general, gradient, gradient_general = run(alphas, curves)
    np.testing.assert_allclose(value, acc.expected_committed_iid(alphas, k))
    np.testing.assert_allclose(value_general, acc.expected_committed(curves, np.array([2, 4])))
    np.testing.assert_allclose(gradient[:2], [0.0, 6.0])
    assert np.isfinite(gradient_general).all()
