"""Which directions of a pilot's draws are wide, and which by chance."""

import numpy as np
import pytest

from bayes_sd.sample.frame import beyond_chance


def principal(draws):
    values, vectors = np.linalg.eigh(draws.T @ draws / len(draws))
    return values[::-1], vectors[:, ::-1]


def test_round_draws_have_no_wide_direction():
    """800 standard normal draws in 800 dims: the widest direction has a variance near 4, all of it chance."""
    values, _ = principal(np.random.default_rng(1).normal(size=(800, 800)))
    assert values[0] > 3.5
    # The edge fluctuates by its -2/3 power of the size, about 0.06 here.
    assert beyond_chance(0.98 * values[:5], 1.0) == pytest.approx(np.ones(5))


@pytest.mark.parametrize("variance", [6.0, 20.0])
def test_a_wide_directions_variance_is_what_lies_beyond_chance(variance):
    """Along the direction that is found, which is a little off the true one; standard error sqrt(2/n) of it, 5 %."""
    draws = np.random.default_rng(2).normal(size=(800, 800))
    draws[:, 0] *= np.sqrt(variance)
    values, vectors = principal(draws)
    along = 1.0 + (variance - 1.0) * vectors[0, 0] ** 2
    assert beyond_chance(values[:1], 1.0)[0] == pytest.approx(along, rel=0.15)
