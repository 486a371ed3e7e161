"""How much noise a row has in the likelihood."""

import pytest

from bayes_sd.model.design import build_design
from bayes_sd.model.observed import noise_factor
from bayes_sd.model.points import place_points


def test_a_row_near_a_bound_of_the_load_rules_is_trusted_less(a100, cards):
    rows = a100.iloc[:6].reset_index(drop=True)
    plain, flagged = (
        build_design(rows.assign(load_noise=[factor, *[1.0] * 5]), cards) for factor in (1.0, 3.0)
    )
    usual, more = (noise_factor(d, place_points(d.rows)) for d in (plain, flagged))
    assert sorted(more / usual) == pytest.approx([1.0] * 5 + [3.0])
