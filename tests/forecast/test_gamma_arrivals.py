"""Questions about bursty and nearly even arrivals: latencies lie in order, whoever answers, and shapes without a law are refused."""

import numpy as np
import pytest

from bayes_sd.decide.speedup import speedup
from bayes_sd.errors import ConditionError
from bayes_sd.forecast import predict

FROM_EVEN = ("even", "gamma 4", "poisson", "gamma 0.7", "gamma 0.25")


@pytest.fixture(scope="module")
def asked(a100):
    """A busy open loop without speculation, once for each spacing of its requests."""
    row = a100[a100["k"] == 0].iloc[[0]].drop(columns=["latency_s", "mean_ttft_ms", "mean_tpot_ms"])
    row = row.assign(load_kind="rate", load_value=6.0, output_tokens_std=0.0)
    frame = row.loc[row.index.repeat(len(FROM_EVEN))].reset_index(drop=True)
    return frame.assign(arrivals=FROM_EVEN)


def test_burstier_requests_take_longer(small_fit, asked, cards):
    drawn = predict(small_fit, asked, cards, thin=4)
    assert np.isfinite(drawn.latency_s).all()
    # By the median: a draw's curve may rise in steps, as kernels do, and a wider spread may then help.
    assert (np.diff(np.median(drawn.latency_s, axis=0)) > 0.0).all()
    assert (np.diff(np.median(drawn.tails_s[..., -1], axis=0)) > 0.0).all()


def test_a_sweep_over_the_load_says_the_same(small_fit, a100, cards):
    base = a100[a100["k"] > 0].iloc[[0]].drop(columns="latency_s")
    told = [
        float(
            speedup(small_fit, base, [4.0], "rate", arrivals=a, cards=cards, thin=8)["latency_band"]
            .sel(alternative="none", quantile=0.5)
            .item()
        )
        for a in FROM_EVEN
    ]
    assert (np.diff(told) > 0.0).all()


def test_shapes_without_a_law_are_refused(small_fit, a100, asked, cards):
    base = a100[a100["k"] > 0].iloc[[0]].drop(columns="latency_s")
    with pytest.raises(ConditionError, match=r"arrivals: gamma 0\.1: .* shapes from 0\.25"):
        speedup(small_fit, base, [4.0], "rate", arrivals="gamma 0.1", cards=cards, thin=8)
    with pytest.raises(ConditionError, match="unknown arrivals"):
        speedup(small_fit, base, [4.0], "rate", arrivals="now and then", cards=cards, thin=8)
    with pytest.raises(ConditionError, match=r"gamma 0\.1"):
        predict(small_fit, asked.assign(arrivals="gamma 0.1"), cards, thin=8)
