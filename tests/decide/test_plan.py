"""Capacity plans: what is promised is kept as often as was said."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from bayes_sd.decide.objective import read_objective
from bayes_sd.decide.plan import plan
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.latency import predict


@pytest.fixture(scope="module")
def base(a100):
    """One speculative row as an open loop."""
    row = a100[(a100["method"] == "eagle3") & (a100["workload"] == "humaneval") & (a100["load_value"] == 8)]
    dropped = [c for c in row if c in ("n_requests", "file", "row")]
    frame = row.iloc[[0]].drop(columns=dropped).reset_index(drop=True)
    return frame.assign(load_kind="rate", load_value=1.0, arrivals="poisson")


@pytest.fixture(scope="module")
def planned(small_fit, base, cards):
    return plan(small_fit, base, "p95<4s", 40.0, price_per_gpu_hour=2.0, cards=cards)


def halves(posterior):
    """The posterior's two chains, each as a posterior of its own."""
    return [replace(posterior, tree=posterior.tree.isel(chain=[c])) for c in range(2)]


@pytest.mark.parametrize("slo", ["p95<4s", "mean<3s", "p99 < 5000 ms", "ttft<100ms"])
def test_at_the_promised_rate_the_objective_is_held_as_often_as_promised(small_fit, base, cards, slo):
    """`predict` at the promised rate: with probability 0.8, and not with much more, since the rate is the highest."""
    objective = read_objective(slo)
    result = plan(small_fit, base, slo, probability=0.8, cards=cards)
    rate = float(result["promised_rate"][1])
    assert rate > 0
    drawn = predict(small_fit, base.assign(load_value=rate), cards)
    held = objective.of(drawn.latency_s[:, 0], drawn.ttft_s[:, 0], drawn.tails_s[:, 0]) <= 1.0
    # The rate is a draw's own: up to one draw in 400 either way, and the search's 1 in 16,000.
    assert 0.8 - 0.01 <= held.mean() <= 0.8 + 0.01


def test_a_promise_from_one_chain_holds_in_a_world_from_another(small_fit, base, cards):
    """Each draw of one chain is a truth; the promise is made from the other chain."""
    mine, truth = halves(small_fit)
    for made, world in ((mine, truth), (truth, mine)):
        promise = plan(made, base, "p95<4s", probability=0.8, cards=cards)["promised_rate"].to_numpy()
        real = plan(world, base, "p95<4s", probability=0.8, cards=cards)["highest_rate"].to_numpy()
        kept = (real >= promise).mean(axis=0)
        # Two chains of 200 draws, a few dozen of them independent: sd of a share about 0.4/sqrt(40).
        assert np.all(kept > 0.8 - 3 * 0.4 / np.sqrt(40))


def test_replicas_and_cost_follow_from_the_rates(planned):
    rates, replicas = planned["highest_rate"].to_numpy(), planned["replicas"].to_numpy()
    held = rates > 0
    assert np.all(replicas[held] * rates[held] >= 40.0 * (1 - 1e-6))
    assert np.all((replicas[held] - 1) * rates[held] < 40.0)
    assert np.all(np.isinf(replicas[~held]))
    for i in range(2):
        promised = float(planned["promised_replicas"][i])
        if np.isfinite(promised):
            assert (rates[:, i] * promised >= 40.0 * (1 - 1e-6)).mean() >= 0.9
            cost = float(planned["cost_per_hour"][i])
            assert cost == pytest.approx(promised * planned.attrs["gpus_per_replica"] * 2.0)


def test_a_tighter_objective_and_a_higher_probability_promise_less(small_fit, base, cards):
    loose = plan(small_fit, base, "p95<5s", cards=cards)["promised_rate"]
    tight = plan(small_fit, base, "p95<3s", cards=cards)["promised_rate"]
    both = plan(small_fit, base, ["p95<5s", "mean<2s"], cards=cards)["promised_rate"]
    sure = plan(small_fit, base, "p95<5s", probability=0.99, cards=cards)["promised_rate"]
    assert (tight <= loose).all() and float(tight[1]) < float(loose[1])
    assert (both <= loose).all()
    assert (sure <= loose).all()


def test_an_objective_below_an_idle_servers_latency_is_infeasible(small_fit, base, cards):
    result = plan(small_fit, base, "p95<10ms", 5.0, cards=cards)
    assert (result["p_infeasible"] == 1).all()
    assert (result["promised_rate"] == 0).all()
    assert np.isinf(result["promised_replicas"]).all()
    assert any(words.startswith("Infeasible") for words in result.attrs["words"])


def test_an_objective_that_never_binds_leaves_saturation(small_fit, base, cards):
    capped = base.assign(max_num_seqs=8.0)
    result = plan(small_fit, capped, "mean<1000s", cards=cards)
    limit = result["limit_band"].sel(quantile=0.5)
    assert (result["p_saturation"] > 0.9).all()
    assert (result["highest_rate_band"].sel(quantile=0.5) < limit * 1.0001).all()
    assert any("saturation binds" in words for words in result.attrs["words"])


def test_without_speculation_there_is_one_alternative(small_fit, base, cards):
    plain = base.assign(method="none", drafter="", k=0.0, mean_accepted_len=np.nan, acceptance=np.nan)
    result = plan(small_fit, plain, "p95<10s", cards=cards)
    assert result["alternative"].to_numpy().tolist() == ["none"]
    assert "p_more" not in result


@pytest.mark.parametrize(
    ("text", "statistic", "limit_s"),
    [
        ("p95<2s", "p95", 2.0),
        ("P99 <= 1500 ms", "p99", 1.5),
        ("ttft<.3s", "ttft", 0.3),
        ("mean≤1e1s", "mean", 10),
    ],
)
def test_objectives_are_read(text, statistic, limit_s):
    found = read_objective(text)
    assert (found.statistic, found.limit_s) == (statistic, pytest.approx(limit_s))


@pytest.mark.parametrize(
    "text", ["p95", "p95<2", "p95>2s", "p90<2s", "<2s", "p95<0s", "p95<-1s", "mean<nans", ""]
)
def test_other_objectives_are_refused(text):
    with pytest.raises(ConditionError, match="objective") as caught:
        read_objective(text)
    assert "\n" not in str(caught.value)


def test_command(small_trace):
    from bayes_sd.cli.plan import plan as command

    asked = [str(small_trace), "--slo", "p95<4s", "--rate", "40", "--price", "2", "--workload", "humaneval"]
    result = CliRunner().invoke(command, [*asked, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["alternative"][0] == "none"
    assert len(told["promised_replicas"]) == len(told["alternative"])
    shown = CliRunner().invoke(command, asked)
    assert "promised with 90%" in " ".join(shown.output.split())
    for wrong in (["--rate", "0"], ["--slo", "p95<2"], ["--probability", "1"], ["--price", "-1"]):
        refused = CliRunner().invoke(command, [*asked, *wrong])
        assert isinstance(refused.exception, ConditionError), wrong
