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


def test_a_largest_batch_of_tensorrt_that_is_not_stated_is_drawn(small_fit, asked):
    """What is not admitted waits for its first token, decodes faster, and a request takes longer; a stated one leaves nothing open."""
    trtllm = asked.assign(
        engine="dynamo-trtllm-1.0.0", load_value=[12.0, 64.0], prefill_workers=8, prefill_gpus=8
    )
    admitted = trtllm.assign(max_num_seqs=[3.0, 16.0])
    drawn, stated = (predict(small_fit, frame.assign(n_gpu=12.0)) for frame in (trtllm, admitted))
    assert (np.median(drawn.ttft_s, axis=0) > 1.2 * np.median(stated.ttft_s, axis=0)).all()
    assert (drawn.latency_s > 0.999 * stated.latency_s).all()
    decoding = [p.latency_s - p.ttft_s for p in (drawn, stated)]
    # With three clients a worker the kernels' curve may outweigh the smaller batch.
    assert np.median(decoding[0][:, 1]) < np.median(decoding[1][:, 1])


def test_half_the_largest_batch_is_half_in_flight(small_fit, asked):
    """Little's law: with 16 of 64 clients a worker admitted, 4·8 decode where 8 are the limit."""
    half = asked.iloc[[1]].assign(
        load_value=64.0, max_num_seqs=8.0, prefill_workers=8, prefill_gpus=8, n_gpu=12.0
    )
    found = predict(small_fit, half)
    decoding = (found.latency_s - found.ttft_s) / found.latency_s * 64.0
    assert np.median(decoding) == pytest.approx(32.0, rel=0.08)


def test_runs_of_one_server_that_were_not_measured_share_what_is_admitted(small_fit, asked):
    """Draws of neighbouring loads go together: the curve over clients of each draw has no noise in it."""
    near = asked.assign(engine="dynamo-trtllm-1.0.0", load_value=[60.0, 61.0])
    latency = predict(small_fit, near).latency_s
    assert latency[:, 1] == pytest.approx(latency[:, 0], rel=0.03)
