"""Acceptance that is stated for one draft length speaks for all."""

import numpy as np
import pytest

from bayes_sd.forecast.alternatives import Alternative, prepare
from bayes_sd.model.stated import measured_committed


@pytest.fixture
def told(small_fit, a100, cards):
    """Tokens per cycle at several draft lengths where 1.6 are stated at five, far below what was fitted, shape (draw, k)."""
    base = a100[a100["mean_accepted_len"].notna()].iloc[[0]].assign(mean_accepted_len=1.6, n_drafts=np.nan)
    return prepare(small_fit, base, [Alternative(k) for k in (1, 3, 5, 8)], cards).costs.committed


def test_the_stated_length_commits_what_was_stated(told):
    assert np.all(told[:, 2] == 1.6)


def test_other_lengths_follow_from_its_level(told):
    """An acceptance of about .4: 1.3 to 1.5 tokens at one draft token, and about 1.6 beyond five."""
    one, three, _, eight = np.median(told, axis=0)
    assert 1.25 < one < three < 1.6
    assert 1.57 < eight < 1.8


def test_what_is_told_leaves_little_open(told):
    assert np.all(np.std(told, axis=0) < 0.06)


def test_a_broken_drafter_commits_what_it_says(a100):
    rows = a100[a100["mean_accepted_len"].notna()].iloc[[0]].assign(mean_accepted_len=1.0003)
    assert measured_committed(rows)[0] == pytest.approx(1.0003)
