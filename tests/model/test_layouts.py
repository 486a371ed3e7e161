"""A model spread over GPUs in other ways than a tensor-parallel group: who meets whom, who reads what."""

import pandas as pd
import pytest

from bayes_sd.errors import ConditionError
from bayes_sd.latency.roofline import Layout, roofline
from bayes_sd.latency.service import StageCosts, Work, linear_coefficients, service_latency_s, step_s
from bayes_sd.model.deployments import deployment_of


def deployed(cards, **columns):
    row = {"verifier": "DeepSeek-R1-0528", "hardware": "H200", "precision": "fp8", "engine": "sglang-0.5.9"}
    return deployment_of(pd.Series(row | columns), cards)


def test_ranks_are_part_of_the_group_where_the_gpus_say_so(cards):
    within = deployed(cards, tp=8, dp=8, n_gpu=8)
    beside = deployed(cards, tp=8, dp=2, n_gpu=16)
    assert within.spread == Layout(tp=1, dp=8)
    assert beside.spread == Layout(tp=8, dp=2)


def test_where_no_number_of_gpus_is_stated_the_engine_says_what_its_words_mean(cards):
    assert deployed(cards, tp=8, dp=8).spread == Layout(tp=1, dp=8)
    assert deployed(cards, tp=8, dp=8, engine="vllm-0.22.0").spread == Layout(tp=8, dp=8)


def test_a_plain_group_is_the_deployment_that_it_was(cards):
    plain, stated = deployed(cards, tp=8), deployed(cards, tp=8, dp=1, pp=1, ep=1, nodes=1)
    assert plain.key == stated.key == "DeepSeek-R1-0528 | 8x H200-SXM | sglang-0.5.9 | w:fp8 kv:fp8"


@pytest.mark.parametrize("wrong", [{"tp": 8, "ep": 16}, {"tp": 8, "dp": 3, "n_gpu": 8}])
def test_sizes_that_contradict_each_other_are_told(cards, wrong):
    with pytest.raises(ConditionError, match=r"ep is 16|dp 3"):
        deployed(cards, **wrong)


def costs():
    return StageCosts(0.01, 1e-5, 0.01, 0.0, 1e-4, 1e-4, 1e-8, 0.0, 0.0, 0.0)


def test_a_request_alone_is_as_fast_on_many_ranks_and_many_are_faster():
    """One request uses one rank; of many it meets its share."""

    def latency(n, ranks):
        work = Work(1000.0, 200.0, 0.0, 1.0, ranks=ranks)
        return service_latency_s(costs(), work, n, step_s(costs(), work, n, 0.0))

    assert latency(1.0, 4.0) == latency(1.0, 1.0)
    assert latency(61.0, 4.0) == pytest.approx(latency(16.0, 1.0))


def test_the_straight_line_of_many_ranks_is_their_curve():
    work = Work(1000.0, 200.0, 3.0, 2.0, ranks=4.0)
    c1, c2 = linear_coefficients(costs(), work)
    for n in (1.0, 10.0):
        assert service_latency_s(costs(), work, n, step_s(costs(), work, n, 0.0)) == pytest.approx(
            c1 + c2 * n
        )


def test_attention_by_ranks_caches_a_latent_vector_once_instead_of_eight_times(cards):
    """DeepSeek's latent cache cannot be cut by heads: eight ranks of one GPU hold eight times as many tokens as a group of eight."""
    card, gpu, fp8 = (
        cards.verifier("DeepSeek-R1-0528"),
        cards.hardware("H200-SXM"),
        cards.precision("fp8"),
    )
    group, ranks = roofline(card, gpu, fp8, Layout(tp=8)), roofline(card, gpu, fp8, Layout(tp=1, dp=8))
    # Its dense weights stand on every rank then, which takes some of it.
    assert 4.0 < ranks.cache_tokens / group.cache_tokens < 8.0
    assert ranks.experts_s == pytest.approx(group.experts_s)
    assert ranks.weights_s == pytest.approx(8 * group.weights_s)


def test_a_dense_model_in_replicas_is_each_by_itself(cards):
    card, gpu, fp8 = cards.verifier("Llama-3.1-8B-Instruct"), cards.hardware("H100"), cards.precision("fp8")
    one, four = (roofline(card, gpu, fp8, Layout(tp=1, dp=n)) for n in (1, 4))
    assert four.weights_s == one.weights_s
    assert four.link_token_s == 0.0
    assert four.cache_tokens == 4 * one.cache_tokens


def test_between_machines_the_link_is_slower(cards):
    gpu = cards.hardware("H100-SXM")
    assert gpu.link_bytes_per_s(16, nodes=2) == pytest.approx(50e9)
    assert gpu.link_bytes_per_s(8) == pytest.approx(450e9)
