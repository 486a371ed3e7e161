import numpy as np
import pytest

from bayes_sd.simulator.statistics import batch_means_error, time_in_state


def test_batch_means_see_correlation_that_a_plain_error_misses():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=200_000)
    correlated = np.empty_like(noise)
    correlated[0] = 0.0
    for i in range(1, len(noise)):
        correlated[i] = 0.9 * correlated[i - 1] + noise[i]
    exact = 1 / (1 - 0.9) / np.sqrt(len(noise))
    # The estimate from 40 batches is itself uncertain by about 1/√78.
    assert batch_means_error(correlated) == pytest.approx(exact, rel=4 / np.sqrt(78))
    assert correlated.std() / np.sqrt(len(correlated)) < 0.3 * exact


def test_too_few_values_have_no_error():
    assert np.isnan(batch_means_error(np.array([1.0])))
    assert batch_means_error(np.array([1.0, 3.0])) == pytest.approx(1.0)


def test_time_in_state_by_hand():
    start, end = np.array([0.0, 1.0, 5.0]), np.array([3.0, 2.0, np.inf])
    share = time_in_state(start, end, (0.0, 8.0), n_batches=2)
    # 0-4: one open for 0-1 and 2-3, two for 1-2, none for 3-4; 4-8: none for 4-5, one from then on.
    np.testing.assert_allclose(share, [[0.25, 0.5, 0.25], [0.25, 0.75, 0.0]])


def test_time_in_state_counts_what_was_open_before_the_window():
    share = time_in_state(np.array([-5.0, -5.0]), np.array([1.0, -1.0]), (0.0, 2.0), n_batches=1)
    np.testing.assert_allclose(share, [[0.5, 0.5]])
