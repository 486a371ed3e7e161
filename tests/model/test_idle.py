"""A server with speculation configured that drafts nothing: slower than one without, more so under load."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.forecast.latency import predict
from bayes_sd.model.spec import read_priors
from bayes_sd.model.terms.idle import CONFIGURED

PLAIN = {
    "hardware": "A100-SXM4-80GB", "engine": "vllm-0.24.0", "verifier": "Llama-3.1-8B-Instruct", "precision": "w:fp16 kv:fp16",
    "workload": "humaneval", "prompt_tokens": 50.0, "output_tokens": 600.0, "load_kind": "concurrency", "method": "none",
}  # fmt: skip


def latencies(posterior, load, **more):
    asked = predict(posterior, pd.DataFrame([PLAIN | {"load_value": load} | more]))
    return asked.latency_s[:, 0], asked.conditions.extrapolates[0]


def test_it_costs_what_one_server_paid(small_fit):
    """6.6 % at 2 requests in flight, 21.6 % at 189: inside of what is believed, and more under load than alone."""
    middle = []
    for load, measured in ((2.0, 1.066), (189.0, 1.216)):
        ratio = latencies(small_fit, load, **{CONFIGURED: 1.0})[0] / latencies(small_fit, load)[0]
        assert (ratio > 1.0).all()
        lower, median, upper = np.quantile(ratio, (0.05, 0.5, 0.95))
        assert lower < measured < upper
        middle.append(median)
    assert middle[0] < middle[1]


def test_a_server_that_drafts_pays_it_not_again(small_fit):
    drafting = {"method": "eagle3", "drafter": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "k": 3.0}
    told, untold = (latencies(small_fit, 8.0, **drafting, **more)[0] for more in ({CONFIGURED: 1.0}, {}))
    assert np.array_equal(told, untold)


def test_it_is_said_to_be_unmeasured(small_fit):
    assert "speculation configured and off" in latencies(small_fit, 2.0, **{CONFIGURED: 1.0})[1]
    assert "configured" not in latencies(small_fit, 2.0)[1]


def test_a_fit_learns_it_from_rows_that_say_so(small_fit):
    from bayes_sd.model.build import model_inputs
    from bayes_sd.model.design import build_design

    rows = small_fit.observed.copy()
    rows[CONFIGURED] = 0.0
    first = rows.index[rows["k"] == 0][:3]
    rows.loc[first, CONFIGURED] = 1.0
    inputs = model_inputs(build_design(rows, small_fit.cards()), small_fit.spec)
    assert inputs.coords["idle"] == ["vllm"]
    assert inputs.arrays["idles"].sum() >= 3
    declared = {unknown.name: unknown for unknown in inputs.unknowns}
    prior = read_priors()["idle"]
    assert declared["log_idle_load"].mean == pytest.approx(np.log(prior["load_median"]))
