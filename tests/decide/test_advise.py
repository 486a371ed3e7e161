"""Advice while load and acceptance drift: what is learned, what it loses against an oracle, and that it does not flap.

The long comparison, with a bandit, is ``benchmarks/advise.py``.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from bayes_sd.baseline.bandit import DraftLengthBandit
from bayes_sd.decide.advice_export import adaptive_steps, advice_line, prometheus_text
from bayes_sd.decide.advise import Advisor
from bayes_sd.decide.forgetting import LEVELS, AcceptanceLevel, ArrivalRate
from bayes_sd.decide.windows import Window
from bayes_sd.errors import ConditionError

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import advise as bench


def window(rate=4.0, latency=1.6, committed=4.0, requests=None, **more):
    return Window(
        latency, rate, requests=rate * 60.0 if requests is None else requests, accepted_len=committed, **more
    )


@pytest.fixture
def advisor(small_fit, base, cards):
    return Advisor(small_fit, base, cards, longest=6, current=4)


@pytest.mark.parametrize("name", ["day curve and switch", "workload switch, 3.3 to 1.9"])
def test_regret_against_an_oracle(small_fit, base, cards, name):
    """Below 3 % of the speed, and below the best fixed draft length and a bandit."""
    scenario = next(s for s in bench.scenarios(72) if s.name == name)
    found = bench.compare(small_fit, base, cards, scenario, 40, 3)
    regret, fixed = found.mean("advise"), found.mean(bench.FIXED)
    assert regret < 0.03 or regret < 0.4 * fixed
    assert regret < fixed
    assert regret <= min(found.mean(name) for name in bench.BANDITS)
    assert found.switches < 24


def test_acceptance_is_learned_and_forgotten_as_fast_as_it_drifts():
    level = AcceptanceLevel(1.0, 0.2, np.zeros(8), np.zeros(9))
    rng = np.random.default_rng(0)

    def seen(at, n):
        for _ in range(n):
            p = 1 / (1 + np.exp(-at))
            level.see(1 + sum(p**j for j in (1, 2, 3, 4)) + 0.02 * rng.normal(), 4, 2000, 100)

    seen(1.6, 40)
    slow = level.models.memory
    assert level.quantiles(np.array([0.5]))[0] == pytest.approx(1.6, abs=0.15)
    seen(0.0, 3)
    assert level.quantiles(np.array([0.5]))[0] == pytest.approx(0.0, abs=0.2)
    assert level.models.memory < slow
    wide = np.diff(level.quantiles(np.array([0.05, 0.95])))
    for _ in range(50):
        level.pass_window()
    assert np.diff(level.quantiles(np.array([0.05, 0.95]))) > wide
    assert np.isclose(level.probability().sum(), 1.0) and len(level.probability()) == len(LEVELS)


def test_arrivals_are_learned_within_a_window_of_a_burst():
    rate, rng, luck = ArrivalRate(), np.random.default_rng(1), np.linspace(0.005, 0.995, 100)
    for _ in range(30):
        rate.see(rng.poisson(120), 60.0)
    low, middle, high = np.quantile(rate.quantiles(luck), (0.05, 0.5, 0.95))
    assert low < 2.0 < high and middle == pytest.approx(2.0, rel=0.1)
    rate.see(600, 60.0)
    rate.see(600, 60.0)
    assert np.median(rate.quantiles(luck)) == pytest.approx(10.0, rel=0.15)
    stated = ArrivalRate(0.5)
    stated.see(60, 60.0)
    assert stated.models.memory == pytest.approx(2.0)


def test_bursts_that_came_are_known_to_come_again():
    """Three windows of ten are bursts: in a calm the next window is one with a probability of about one in seven."""
    rate, rng, luck = ArrivalRate(), np.random.default_rng(2), (np.arange(200) + 0.5) / 200
    for i in range(98):
        rate.see(rng.poisson(900 if i % 10 >= 7 else 120), 60.0)
    calm = rate.quantiles(luck)
    # The last window was a burst: the next is one with probability 2/3, and in the middle of a calm with less than 1/4.
    for _ in range(4):
        rate.see(rng.poisson(120), 60.0)
    later = rate.quantiles(luck)
    assert (later < 5.0).mean() > 0.1 and 0.01 < (later > 8.0).mean() < 0.25
    assert (calm > 8.0).mean() > 0.5
    assert 0.1 < rate.jump < 0.6


def test_a_steady_stream_has_hardly_a_jump():
    rate, rng = ArrivalRate(), np.random.default_rng(3)
    for _ in range(100):
        rate.see(rng.poisson(300), 60.0)
    assert rate.jump < 0.15


def test_longer_drafts_at_light_load_and_shorter_ones_at_heavy_load(advisor):
    for _ in range(4):
        advisor.see(window(1.5, 1.3), advisor.current, 60.0)
        light = advisor.advise()
    for _ in range(4):
        advisor.see(window(14.0, 4.0, 3.2), advisor.current, 60.0)
        heavy = advisor.advise()
    assert heavy.k < light.k
    assert np.isclose(heavy.p_best.sum(), 1.0) and np.all(heavy.regret >= 0)
    assert heavy.rate_rps[0] < 14.0 < heavy.rate_rps[2] * 1.1


def test_what_runs_stays_unless_another_is_clearly_better(small_fit, base, cards):
    stubborn = Advisor(small_fit, base, cards, longest=6, current=1, margin=0.9)
    stubborn.see(window(), 1, 60.0)
    kept = stubborn.advise()
    assert kept.k == 1 and not kept.switch and kept.regret_chosen > 0.05
    stubborn._margin = 0.0
    moved = stubborn.advise()
    assert moved.switch and moved.k > 1 and moved.current == 1


def test_slower_steps_are_told_from_lower_acceptance(advisor):
    for _ in range(6):
        advisor.see(window(4.0, 1.5, 3.8), 4, 60.0)
    before = np.median(advisor.offset.mean)
    for _ in range(6):
        advisor.see(window(4.0, 2.0, 3.8), 4, 60.0)
    assert np.median(advisor.offset.mean) > before + 0.1
    assert 3.0 < advisor._committed()[:, advisor.lengths.index(4)].mean() < 4.2


def test_idle_and_saturated_windows(advisor):
    advisor.see(Window(float("nan"), 0.0, requests=0.0), 4, 60.0)
    assert advisor.advise().k in advisor.lengths
    for _ in range(8):
        advisor.see(window(80.0, 60.0, 3.0), advisor.current, 60.0)
        beyond = advisor.advise()
    assert beyond.saturated > 0.9 and np.isinf(beyond.latency_s[1])
    assert "no steady state" in advice_line(beyond)


def test_a_server_that_says_what_it_runs_is_believed(small_fit, base, cards):
    quiet = Advisor(small_fit, base, cards, longest=6, current=1)
    quiet.see(window(), None, 60.0)
    first = quiet.advise()
    quiet.see(window(), None, 60.0)
    assert quiet.current == first.k
    quiet.see(window(), 2, 60.0)
    quiet.advise()
    quiet.see(window(), None, 60.0)
    assert quiet.current == 2


def test_exports(advisor):
    advisor.see(window(), 4, 60.0)
    advice, table = advisor.advise(), advisor.table()
    text = prometheus_text(advice)
    assert f"bayes_sd_advised_draft_length {advice.k}\n" in text
    for line in text.splitlines():
        assert line.startswith("# ") or len(line.split()) == 2
    steps = adaptive_steps(advice, table)["candidate_steps"]
    assert min(steps) >= 1 and max(advice.k, 1) in steps and steps == sorted(set(steps))
    assert table["start"].iloc[0] == 1 and set(table["k"]) <= set(advisor.lengths)
    assert ("switch to" in advice_line(advice)) == advice.switch


def test_what_cannot_be(small_fit, base, cards, advisor):
    for call in (
        lambda: Advisor(small_fit, base, cards, longest=2, current=5),
        lambda: Advisor(small_fit, base, cards, longest=2, forget=1.0),
        lambda: Advisor(small_fit, base, cards, longest=2, margin=1.0),
        lambda: advisor.see(window(), 4, 0.0),
        lambda: advisor.see(window(), 9, 60.0),
        lambda: DraftLengthBandit(0),
        lambda: DraftLengthBandit(3, discount=0.0),
    ):
        with pytest.raises(ConditionError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_the_bandit_finds_the_best_arm_and_notices_a_change():
    rng, bandit = np.random.default_rng(2), DraftLengthBandit(4, discount=0.95, bound=0.05)
    worth, played = np.array([0.3, 0.6, 0.9, 0.5]), []
    for t in range(400):
        if t == 200:
            worth = worth[::-1]
        arm = bandit.choose(3.0)
        played.append(arm)
        bandit.learn(3.0, arm, worth[arm] + 0.02 * rng.normal())
    assert np.mean(np.array(played[50:200]) == 2) > 0.8
    assert np.mean(np.array(played[300:]) == 1) > 0.8
