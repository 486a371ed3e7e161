"""Simulated counts give back the curves that made them.

Gates, declared beforehand. A 90 % interval holds the truth with probability 0.9; of n intervals at least as many as
the 1 % quantile of Binomial(n, 0.9) must. Those of one workload share draws, so n counts workloads, not draft lengths.
"""

import numpy as np
import pytest
from acceptance_truth import COUNTED, PROFILE, SLOPE_SD, K
from scipy.stats import binom

from bayes_sd.acceptance import Workload, expected_committed, position_acceptance
from bayes_sd.latency.acceptance import expected_committed as committed_by_curve


def workload(key):
    return Workload("V", key[0], key[1])


def inside(draws, value, ci=0.9):
    low, high = np.quantile(draws, [(1 - ci) / 2, (1 + ci) / 2], axis=0)
    return (low <= value) & (value <= high)


def least(n):
    return int(binom.ppf(0.01, n, 0.9))


def test_it_converges(fitted):
    assert fitted.passed, fitted.about["gate"]["failures"]
    assert fitted.about["gate"]["divergences"] == 0


def test_committed_tokens_at_measured_draft_lengths(fitted, truth):
    hits = [
        inside(expected_committed(fitted, workload(key), COUNTED)[:, 0], committed_by_curve(alpha[:COUNTED]))
        for key, alpha in truth.items()
    ]
    assert sum(hits) >= least(len(hits))


def test_committed_tokens_at_draft_lengths_that_were_not_measured(fitted, truth):
    cut = [key for key in truth if key[1] in ("w3", "w4")]
    hits, widths = [], []
    for key in cut:
        draws = expected_committed(fitted, workload(key), [COUNTED, K])
        hits.append(inside(draws[:, 1], committed_by_curve(truth[key])))
        widths.append(draws.std(axis=0))
    assert sum(hits) >= least(len(hits))
    assert all(beyond > within for within, beyond in widths)


def test_profiles(fitted):
    """Three z at most: the profile is learned up to the mean of the workloads' own slopes."""
    from bayes_sd.acceptance.profiles import profiles_of

    found = profiles_of(fitted, tuple(PROFILE))
    for method, true in PROFILE.items():
        profile = found.methods[method]
        z = (profile.mean[1:K] - true[1:]) / profile.sd[1:K]
        assert np.abs(z).max() < 3.0
        # Beyond what was measured it is a random walk: every further position less certain than the one before.
        assert np.all(np.diff(profile.sd[K:]) > 0)
    assert found.slope_sd == pytest.approx(SLOPE_SD, rel=0.8)


def test_a_workload_that_was_not_measured_is_less_certain(fitted):
    known = expected_committed(fitted, Workload("V", "eagle3", "w0"), [4, 8])
    new = expected_committed(fitted, Workload("V", "eagle3", "another"), [4, 8])
    other_pair = expected_committed(fitted, Workload("W", "eagle3", "another"), [4, 8])
    assert np.all(new.std(axis=0) > 2.0 * known.std(axis=0))
    assert np.all(other_pair.std(axis=0) > new.std(axis=0))


def test_one_measured_length_says_the_rest(fitted):
    """A new workload of which E at k = 4 is known: that E comes back, and others get closer to the truth."""
    odds = 1.5 + PROFILE["eagle3"]
    alpha = 1.0 / (1.0 + np.exp(-odds))
    e4, e8 = committed_by_curve(alpha[:4]), committed_by_curve(alpha)
    new = Workload("V", "eagle3", "another")
    draws = expected_committed(fitted, new, [4, 8], measured=(4, float(e4)))
    blind = expected_committed(fitted, new, [4, 8])
    assert np.median(draws[:, 0]) == pytest.approx(e4, rel=0.02)
    assert inside(draws[:, 1], e8, 0.99)
    assert draws[:, 1].std() < 0.5 * blind[:, 1].std()


def test_curves_are_what_an_engine_counts(fitted):
    curves = position_acceptance(fitted, Workload("V", "eagle3", "w0"), K)
    by_curve = committed_by_curve(curves.at_draft_length(K))
    assert np.allclose(curves.committed(K)[:, 0], by_curve)
