"""The engine simulator against what can be worked out exactly, and against the service curve."""

from dataclasses import replace

import numpy as np
import pytest

from bayes_sd.errors import ConditionError
from bayes_sd.latency import queue
from bayes_sd.latency.acceptance import expected_committed, expected_cycles
from bayes_sd.latency.coverage import coverage, coverage_skewed, effective_tokens
from bayes_sd.latency.service import StageCosts, Work, service_latency_s, step_s
from bayes_sd.simulator import Experts, LoadSpec, ServerSpec, TokenLaw, simulate_ladder, simulate_server

COSTS = StageCosts(
    prefill_fixed_s=0.01,
    prefill_token_s=2e-5,
    verify_fixed_s=0.008,
    verify_expert_s=0.0,
    sequence_s=2e-5,
    token_s=1e-5,
    kv_token_s=1e-8,
    draft_fixed_s=0.0008,
    draft_token_s=2e-6,
    draft_extra_steps=0.5,
)
CURVE = (0.8, 0.7, 0.6)
DRAFTING = ServerSpec(COSTS, TokenLaw(500), TokenLaw(200), acceptance=CURVE)
PLAIN = replace(DRAFTING, acceptance=())


def test_one_request_at_a_time_without_speculation_is_exact():
    result = simulate_server(PLAIN, LoadSpec("closed", 1, 50), 0)
    c, p, g = COSTS, 500, 200
    decode_steps = g - 1
    cached = decode_steps * p + decode_steps * (decode_steps + 1) / 2
    expected = (
        c.prefill_fixed_s
        + (c.verify_fixed_s + p * c.prefill_token_s)
        + decode_steps * (c.verify_fixed_s + c.sequence_s + c.token_s)
        + cached * c.kv_token_s
    )
    np.testing.assert_allclose(result.latency_s, expected, rtol=1e-9)
    first = c.prefill_fixed_s + c.verify_fixed_s + p * c.prefill_token_s
    np.testing.assert_allclose(result.time_to_first_token_s, first, rtol=1e-9)
    assert (result.n_cycles == decode_steps).all()


def test_one_request_at_a_time_with_speculation_has_the_renewal_count_of_cycles():
    result = simulate_server(DRAFTING, LoadSpec("closed", 1, 20_000), 0)
    cycles = expected_cycles(CURVE, 199)
    error = result.n_cycles.std(ddof=1) / np.sqrt(len(result.n_cycles))
    assert abs(result.n_cycles.mean() - cycles) < 4.5 * error
    per_position = result.accepted_per_position / result.n_cycles.sum()
    survival = np.cumprod(CURVE)
    error = np.sqrt(survival * (1 - survival) / result.n_cycles.sum())
    assert (np.abs(per_position - survival) < 4.5 * error).all()
    assert result.mean_committed == pytest.approx(float(expected_committed(CURVE)), rel=5e-3)


def test_full_acceptance_commits_every_draft():
    server = replace(DRAFTING, acceptance=(1.0, 1.0), output=TokenLaw(31))
    result = simulate_server(server, LoadSpec("closed", 2, 20), 0)
    assert (result.n_cycles == 10).all()
    assert result.row()["acceptance"] == 1.0
    assert result.row()["mean_accepted_len"] == 3.0


@pytest.mark.parametrize(("protocol", "value"), [("closed", 24), ("poisson", 18.0), ("even", 18.0)])
@pytest.mark.parametrize("server", [PLAIN, DRAFTING], ids=["plain", "drafting"])
def test_engine_follows_service_curve_and_queue(server, protocol, value):
    result = simulate_server(server, LoadSpec(protocol, value, 6000), 5)
    work = server.work
    cycles = 1.0 + expected_cycles(server.acceptance, 199)
    cut = Work(work.prompt_tokens, work.output_tokens, work.draft_length, work.output_tokens / cycles)
    in_flight = np.arange(1.0, 200)
    service = service_latency_s(COSTS, cut, in_flight, step_s(COSTS, cut, in_flight, 0.0))
    law = queue.in_flight_law(service, protocol, value)
    # An open loop's requests also wait for the step that runs when they come: half a step of this many.
    wait = 0.0 if protocol == "closed" else 0.5 * float(service[int(law.mean)]) / cycles
    predicted = float(law.mean_latency_s) + wait
    # The curve lets a request progress continuously, the engine in steps of a request's 75 or 200.
    assert abs(result.latency_s.mean() - predicted) < 0.012 * predicted + 4.5 * result.mean_latency_error_s


def test_cap_holds_and_littles_law_holds():
    server = replace(DRAFTING, n_max=8, output=TokenLaw(100, 40))
    result = simulate_server(server, LoadSpec("poisson", 9.0, 4000), 2)
    assert result.running_share.shape[1] <= 9
    running = result.running_share.mean(axis=0) @ np.arange(result.running_share.shape[1])
    held = (result.departure_s - result.admitted_s).mean()
    rate = result.row()["achieved_rps"]
    assert running == pytest.approx(rate * held, rel=0.03)
    present = result.in_flight_share.mean(axis=0) @ np.arange(result.in_flight_share.shape[1])
    assert present == pytest.approx(rate * result.latency_s.mean(), rel=0.05)
    assert (result.admitted_s >= result.arrival_s).all()
    assert (np.diff(result.admitted_s) >= 0).all()


def test_chunked_prefill_spreads_a_prompt_over_steps():
    whole = simulate_server(PLAIN, LoadSpec("closed", 1, 5), 0)
    chunked = simulate_server(replace(PLAIN, prefill_budget=100), LoadSpec("closed", 1, 5), 0)
    more_steps = 4 * COSTS.verify_fixed_s
    np.testing.assert_allclose(
        chunked.time_to_first_token_s, whole.time_to_first_token_s + more_steps, rtol=1e-9
    )
    # A budget bounds how long others wait for a prompt: the longest step is shorter.
    load = LoadSpec("poisson", 8.0, 1500)
    long_prompts = replace(PLAIN, prompt=TokenLaw(8000), output=TokenLaw(20))
    unbounded = simulate_server(long_prompts, load, 0)
    bounded = simulate_server(replace(long_prompts, prefill_budget=1024), load, 0)
    assert bounded.time_per_output_token_s.max() < unbounded.time_per_output_token_s.max()


@pytest.mark.parametrize("skew", [0.0, 0.5])
def test_drawn_experts_average_to_the_coverage_formula(skew):
    experts = Experts(total=64, active=4, independence=0.4, skew=skew, draws=True)
    server = replace(DRAFTING, costs=replace(COSTS, verify_expert_s=0.01), experts=experts)
    drawn = simulate_server(server, LoadSpec("closed", 6, 300), 1)
    formula = simulate_server(
        replace(server, experts=replace(experts, draws=False)), LoadSpec("closed", 6, 300), 1
    )
    tokens = effective_tokens(6.0, 3, 0.4)
    assert formula.mean_coverage == pytest.approx(float(coverage_skewed(tokens, 64, 4, skew)), rel=0.02)
    # Fewer, randomly many tokens routed anew instead of their mean: a concave function's average is lower.
    assert drawn.mean_coverage == pytest.approx(formula.mean_coverage, rel=0.03)
    assert drawn.latency_s.mean() == pytest.approx(formula.latency_s.mean(), rel=0.02)


def test_single_tokens_drawn_touch_exactly_their_share():
    experts = Experts(total=16, active=2, draws=True)
    server = replace(PLAIN, costs=replace(COSTS, verify_expert_s=0.01), experts=experts)
    result = simulate_server(server, LoadSpec("closed", 1, 20), 3)
    assert result.mean_coverage == pytest.approx(float(coverage(1.0, 16, 2)))


def test_more_load_means_more_latency_and_past_the_limit_the_row_shows_it():
    server = replace(DRAFTING, n_max=16)
    loads = [LoadSpec("poisson", rate, 2000) for rate in (1.0, 8.0, 14.0, 40.0)]
    results = simulate_ladder(server, loads, 0)
    means = [result.latency_s.mean() for result in results]
    assert (np.diff(means) > 0).all()
    assert [result.saturated for result in results] == [False, False, False, True]
    assert results[-1].row()["achieved_rps"] < 20


def test_a_load_keeps_its_run_in_any_ladder():
    alone = simulate_server(DRAFTING, LoadSpec("poisson", 8.0, 200), 3)
    among = simulate_ladder(DRAFTING, [LoadSpec("even", 8.0, 200), LoadSpec("poisson", 8.0, 200)], 3)[1]
    np.testing.assert_array_equal(alone.latency_s, among.latency_s)
    other = simulate_server(DRAFTING, LoadSpec("poisson", 8.0, 200), 4)
    assert not np.array_equal(alone.latency_s, other.latency_s)


@pytest.mark.parametrize(
    ("law", "tolerance"),
    [(TokenLaw(200.5), 0.2), (TokenLaw(200, 60), 1.5), (TokenLaw(200, 60, "normal"), 1.5)],
)
def test_lengths_have_the_mean_and_spread_asked_for(law, tolerance):
    lengths = law.draw(50_000, np.random.default_rng(0))
    assert lengths.mean() == pytest.approx(law.mean, abs=tolerance)
    assert lengths.std() == pytest.approx(law.std, abs=1.5)
    assert lengths.min() >= 1


def test_one_token_outputs_end_with_the_prefill():
    result = simulate_server(replace(DRAFTING, output=TokenLaw(1)), LoadSpec("poisson", 5.0, 200), 0)
    np.testing.assert_array_equal(result.first_token_s, result.departure_s)
    row = result.row()
    assert "mean_tpot_ms" not in row
    assert "acceptance" not in row


def test_impossible_servers_are_refused():
    for call in (
        lambda: replace(DRAFTING, n_max=0),
        lambda: replace(DRAFTING, acceptance=(1.2,)),
        lambda: replace(DRAFTING, prefill_budget=0),
        lambda: replace(DRAFTING, costs=replace(COSTS, token_s=-1.0)),
        lambda: replace(DRAFTING, costs=replace(COSTS, token_s=np.ones(3))),
        lambda: replace(DRAFTING, costs=replace(COSTS, verify_expert_s=0.1)),
        lambda: replace(DRAFTING, costs=replace(COSTS, verify_fixed_s=0.0, sequence_s=0.0, token_s=0.0)),
        lambda: Experts(4, 8),
        lambda: Experts(8, 2, independence=1.5),
        lambda: Experts(8, 2, skew=-0.1),
        lambda: TokenLaw(0.5),
        lambda: TokenLaw(10, 2, "fixed"),
        lambda: TokenLaw(10, 2, "gamma"),
        lambda: simulate_server(DRAFTING, LoadSpec("closed", 1, 1), -1),
    ):
        with pytest.raises(ConditionError) as caught:
            call()
        assert "\n" not in str(caught.value)
