"""Questions about a drafter on hardware of its own."""

import numpy as np
import pytest

from bayes_sd.errors import BayesSdError, ConditionError
from bayes_sd.forecast.latency import predict
from bayes_sd.measurements.exclusions import EXCLUSIONS
from bayes_sd.measurements.schema import REMOTE

CPU = {"drafter_hardware": "EPYC-core", "drafter_tp": 16}


@pytest.fixture
def asked(a100):
    rows = a100[(a100["k"] > 0) & (a100["load_kind"] == "concurrency")].iloc[[0]].reset_index(drop=True)
    return rows.assign(load_value=4.0, mean_accepted_len=2.5)


@pytest.fixture
def model(asked):
    """The same server with a small draft model, which reads tokens only."""
    return asked.assign(method="draft_model", drafter="Llama-3.2-1B-Instruct")


def latency(fit, frame, **columns):
    return predict(fit, frame.assign(**columns)).latency_s[:, 0]


def test_blank_columns_change_nothing(small_fit, asked):
    blank = {
        name: np.nan if name in ("drafter_tp", "drafter_link_us", "drafter_link_gb_per_s") else ""
        for name in REMOTE
    }
    assert np.array_equal(latency(small_fit, asked), latency(small_fit, asked, **blank))


def test_links_and_processors_cost_what_they_should(small_fit, asked):
    beside = latency(small_fit, asked)
    gpu = latency(small_fit, asked, drafter_hardware="A100-SXM4-80GB", drafter_tp=1)
    slow = latency(small_fit, asked, drafter_hardware="A100-SXM4-80GB", drafter_tp=1, drafter_link_us=2000.0)
    thin = latency(
        small_fit, asked, drafter_hardware="A100-SXM4-80GB", drafter_tp=1, drafter_link_gb_per_s=0.1
    )
    processor = latency(small_fit, asked, **CPU)
    middle = [np.median(v) for v in (beside, gpu, slow, processor)]
    assert middle == sorted(middle)
    cycles = asked["output_tokens"][0] / 2.5
    misfit = np.median((slow - gpu) / (cycles * 2 * 2e-3))
    assert misfit == pytest.approx(1.0, rel=0.1)
    assert np.all(thin > gpu)
    # Where nothing was measured the answer is wider.
    assert np.std(np.log(gpu)) > np.std(np.log(beside))


def test_a_tensor_parallel_size_of_its_own_has_no_link(small_fit, model):
    same, other = latency(small_fit, model, drafter_tp=1), latency(small_fit, model)
    assert np.median(same / other) == pytest.approx(1.0, rel=0.1)
    assert np.all(latency(small_fit, model, drafter_tp=1, drafter_link_us=100.0) > same)


def test_drafting_ahead_is_for_drafters_of_tokens(small_fit, asked, model):
    waits, ahead = (latency(small_fit, model, **CPU, draft_overlap=o) for o in ("", "ahead"))
    assert np.all(ahead < waits)
    one = model.assign(load_value=1.0)
    assert np.median(ahead / waits) > np.median(
        latency(small_fit, one, **CPU, draft_overlap="ahead") / latency(small_fit, one, **CPU)
    )
    with pytest.raises(ConditionError, match="hidden states") as caught:
        latency(small_fit, asked, draft_overlap="ahead")
    assert "\n" not in str(caught.value)


def test_what_is_new_is_named(small_fit, asked):
    assert "hardware of its own" in predict(small_fit, asked.assign(**CPU)).conditions.extrapolates[0]
    with pytest.raises(BayesSdError, match="nonesuch"):
        latency(small_fit, asked, drafter_hardware="nonesuch")


def test_no_fit_takes_such_rows(a100):
    rule = next(r for r in EXCLUSIONS if r.name == "remote_drafter")
    left_out = next(v for v in vars(rule).values() if callable(v))
    frame = a100.assign(drafter_hardware=["L4"] * 5 + [""] * (len(a100) - 5))
    assert left_out(frame).sum() == (a100["k"][:5] > 0).sum()
    assert not left_out(a100).any()
