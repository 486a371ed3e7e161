"""What drafters and prompts cost beside the plain case: passes, wider verification, prompts found in a cache, prefill's overhead."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.latency import predict
from bayes_sd.model.deployments import deployment_of, rooflines
from bayes_sd.model.spec import read_priors
from bayes_sd.model.stated import draft_passes, verify_tokens
from bayes_sd.model.terms.prompts import overhead_unit


@pytest.fixture
def asked(a100):
    return a100[a100["mean_accepted_len"].notna()].iloc[[0, 0]].reset_index(drop=True).assign(load_value=8.0)


def test_a_method_tells_its_passes(asked):
    rows = asked.assign(method=["dflash", "ngram"], k=7.0)
    assert draft_passes(rows).tolist() == [1.0, 0.0]
    assert draft_passes(rows.assign(draft_passes=[np.nan, 2.0])).tolist() == [1.0, 2.0]
    assert draft_passes(asked).tolist() == asked["k"].tolist()
    assert verify_tokens(rows).tolist() == [8.0, 8.0]


def test_one_pass_is_cheaper_than_a_chain_of_them(small_fit, asked):
    """Four passes of five less, of the same drafter."""
    chain, block = np.median(predict(small_fit, asked.assign(draft_passes=[np.nan, 1.0])).latency_s, axis=0)
    assert block < 0.97 * chain


def test_a_wider_verification_costs_more(small_fit, asked):
    narrow, wide = np.median(
        predict(small_fit, asked.assign(load_value=64.0, verify_tokens=[np.nan, 32.0])).latency_s, axis=0
    )
    assert wide > 1.1 * narrow


def test_a_prompt_in_the_cache_is_not_read_again(small_fit, asked):
    long = asked.assign(prompt_tokens=8000.0, cached_prompt_tokens=[np.nan, 7000.0])
    read, cached = np.median(predict(small_fit, long).ttft_s, axis=0)
    assert cached < 0.4 * read


def test_an_unseen_engine_has_an_overhead_as_uncertain_as_engines_are_different(small_fit, asked, cards):
    both = asked.assign(engine=[asked["engine"][0], "elsewhere-1.0"])
    overhead = costs_for(small_fit, resolve(both, small_fit, cards), cards).costs.prefill_overhead_tokens
    known, unseen = np.std(overhead, axis=0)
    assert unseen > known


def test_a_prefill_of_a_mixture_costs_as_many_tokens_as_its_experts_take_to_read():
    """Of two models with the same dense part one reads 10 ms of experts besides, of which half are counted."""
    priors = read_priors()
    dense = {name: np.array([value]) for name, value in {
        "read_weights_s": 5e-3, "read_launches": 40.0, "read_experts_s": 0.0,
        "read_compute_token_s": 1e-5, "read_link_token_s": 0.0,
    }.items()}  # fmt: skip
    mixture = dense | {"read_experts_s": np.array([1e-2])}
    part, share = priors["part"], priors["prompts"]["overhead_share"]
    token_s = part["prefill_compute"]["median"] * 1e-5
    step_s = part["weights"]["median"] * 5e-3 + part["launch"]["median"] * 40
    assert overhead_unit(dense, priors) * token_s == pytest.approx(share * step_s)
    more = (overhead_unit(mixture, priors) - overhead_unit(dense, priors)) * token_s
    assert more == pytest.approx(share * 0.5 * part["experts"]["median"] * 1e-2)


def test_a_prefill_pool_pays_the_overhead_of_its_own_layout(cards):
    """Deployed is a decode worker of 16 data-parallel ranks; its prompts are read by a tensor-parallel group of 8."""
    row = pd.Series({
        "verifier": "DeepSeek-R1-0528", "hardware": "MI355X", "precision": "fp8", "engine": "sglang", "tp": 8, "k": 0,
        "prefill_gpus": 8, "prefill_workers": 1, "prefill_tp": 8, "decode_gpus": 16, "decode_workers": 1,
        "decode_tp": 8, "decode_dp": 16, "decode_ep": 8,
    })  # fmt: skip
    alone = row.drop([name for name in row.index if name.startswith(("prefill", "decode"))])
    pools, plain = (
        rooflines(pd.DataFrame([one]), [deployment_of(one, cards)], cards) for one in (row, alone)
    )
    priors = read_priors()
    assert overhead_unit(pools, priors) == pytest.approx(overhead_unit(plain, priors))
    assert pools["compute_token_s"] > 2 * plain["compute_token_s"]


def test_tokens_and_share_of_an_overhead_add_up():
    priors = read_priors()
    known = {
        name: np.ones(2)
        for name in (
            "read_weights_s",
            "read_launches",
            "read_experts_s",
            "read_compute_token_s",
            "read_link_token_s",
        )
    }
    own = priors["prompts"]
    both = priors | {"prompts": own | {"overhead_unit_tokens": 150.0}}
    assert overhead_unit(known, both) == pytest.approx(overhead_unit(known, priors) + 150.0)
    alone = priors | {"prompts": own | {"overhead_unit_tokens": 150.0, "overhead_share": 0.0}}
    assert overhead_unit(known | {"launches": np.ones(2)}, alone).tolist() == [150.0, 150.0]


def test_a_posterior_of_an_earlier_version_keeps_its_overhead_in_tokens():
    priors = {"prompts": {"overhead_unit_tokens": 150.0}}
    assert overhead_unit({"launches": np.ones(2)}, priors).tolist() == [150.0, 150.0]
