"""What `speedup` prints of a configuration that was fitted agrees with what was measured of it."""

import numpy as np

from bayes_sd.decide.measured import measured_speedups


def test_measured_speedups_lie_in_the_intervals_that_are_told(small_fit):
    """Of 90 % intervals at least 85 %, less what chance takes: one standard error of a share of so many."""
    table = measured_speedups(small_fit)
    n = len(table)
    assert n >= 30
    assert table["inside"].mean() >= 0.85 - np.sqrt(0.85 * 0.15 / n)


def test_medians_are_near_the_measured_speedups(small_fit):
    table = measured_speedups(small_fit)
    assert np.median(np.abs(np.log(table["median"] / table["measured"]))) < 0.02
