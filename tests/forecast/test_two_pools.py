"""Predictions for separate pools of prefill and decode."""

import numpy as np
import pytest

from bayes_sd.errors import ConditionError
from bayes_sd.forecast.latency import predict

POOLS = {"prefill_gpus": 2, "prefill_workers": 2, "decode_gpus": 4, "decode_workers": 4}


@pytest.fixture
def asked(a100):
    """An A100 server without speculation, at two pools of single GPUs."""
    plain = a100[(a100["k"] == 0) & (a100["load_kind"] == "concurrency")].iloc[[0, 0]].reset_index(drop=True)
    return plain.assign(load_value=[4.0, 512.0], n_gpu=6.0, **POOLS)


def test_more_prefill_workers_shorten_what_waits_for_them(small_fit, asked):
    few, many = (
        predict(small_fit, asked.assign(prefill_workers=n, prefill_gpus=n, n_gpu=n + 4.0)).ttft_s
        for n in (1, 8)
    )
    assert np.median(few[:, 1]) > 2.0 * np.median(many[:, 1])
    assert np.median(few[:, 0]) == pytest.approx(np.median(many[:, 0]), rel=0.35)


def test_more_decode_workers_shorten_decoding(small_fit, asked):
    few, many = (
        predict(small_fit, asked.assign(decode_workers=n, decode_gpus=n, n_gpu=n + 2.0)) for n in (1, 8)
    )
    decode = [np.median((p.latency_s - p.ttft_s)[:, 1]) for p in (few, many)]
    assert decode[0] > 2.0 * decode[1]


def test_what_is_missing_is_named(small_fit, asked):
    with pytest.raises(ConditionError, match="prefill_workers, decode_gpus"):
        predict(small_fit, asked.assign(engine_options="disaggregated").drop(columns=list(POOLS)))
    with pytest.raises(ConditionError, match="closed loops"):
        predict(small_fit, asked.assign(load_kind="rate"))
    with pytest.raises(ConditionError, match="split evenly"):
        predict(small_fit, asked.assign(decode_gpus=5, n_gpu=7.0))
