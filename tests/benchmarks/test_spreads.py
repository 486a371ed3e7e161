"""How far levels lie apart, told by posteriors of which the true spread is known."""

import numpy as np
import pytest
from spreads import spread_ratio


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_the_true_spread_is_found_within_its_error(true):
    """A normal model has its posterior in closed form; rows tell 5 to 95 % of an effect."""
    rng = np.random.default_rng(3)
    told = rng.uniform(0.05, 0.95, 20_000)
    measured = rng.normal(0.0, true, told.size) + rng.normal(size=told.size) * np.sqrt(1.0 / told - 1.0)
    found = spread_ratio(told * measured, 1.0 - told)
    assert found["told"] == pytest.approx(told.sum())
    assert abs(found["ratio"] - true) < 4 * found["error"] < 0.1


def test_levels_of_which_rows_tell_nothing_have_no_ratio():
    assert np.isnan(spread_ratio(np.zeros(3), np.ones(3))["ratio"])
