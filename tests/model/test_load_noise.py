"""Rows whose load is near a bound of the load check weigh less."""

import numpy as np

from bayes_sd.cards import load_cards
from bayes_sd.measurements.rules import NOISE
from bayes_sd.model.design import build_design
from bayes_sd.model.observed import noise_factor
from bayes_sd.sample.fit import observations


def test_a_doubted_load_widens_the_noise_of_its_row_alone():
    frame, _ = observations("deepseek")
    cards = load_cards()
    doubted = build_design(frame, cards)
    plain = build_design(frame.drop(columns=NOISE), cards)
    ratio = noise_factor(doubted) / noise_factor(plain)
    np.testing.assert_allclose(ratio, doubted.frame[NOISE])
    assert (ratio > 1).sum() == 15
