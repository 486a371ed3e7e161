"""The monitor's promises: the stated false-alarm rate, drifts found in time, honest refusals.

Good windows are drawn from the posterior predictive: a draw for the server, its run's own deviation, a noise scale of its
own, and noise per window. Gates, declared beforehand: false alarms within a factor 1.5 of the stated rate over 10,000
good windows (slow; over 1,200 within a factor 2 in the quick run), p-values uniform, and a 15 % longer step or 0.1 less
acceptance found within 5 windows in at least 95 % of streams.
"""

from dataclasses import replace

import numpy as np
import pytest

from bayes_sd.decide.alarm import survival, threshold_for
from bayes_sd.decide.learned import PRIOR_WINDOWS, LearnedServer, Noise
from bayes_sd.decide.monitor import ACCEPTANCE_CV, KNOWN_LENGTH_CV, Monitor
from bayes_sd.decide.windows import Window
from bayes_sd.latency.acceptance import expected_committed_iid

REQUESTS = 100.0


@pytest.fixture(scope="module")
def condition(a100):
    speculating = a100[(a100["method"] == "eagle3") & (a100["workload"] == "humaneval")]
    row = speculating.iloc[[0]].reset_index(drop=True)
    return row.assign(
        **dict.fromkeys(("mean_accepted_len", "acceptance", "n_accepted_tokens", "n_drafts"), np.nan)
    )


@pytest.fixture(scope="module")
def make(small_fit, condition, cards):
    """Make monitors that share one set of draws."""
    first = Monitor(small_fit, condition, cards)

    def fresh(rate=0.01, windows=100):
        watch = Monitor.__new__(Monitor)
        watch.__dict__.update(first.__dict__)
        watch._rate, watch._windows = rate, windows
        watch._server, watch._charts, watch._number, watch._alarm = (
            LearnedServer(len(first._run)),
            None,
            0,
            {},
        )
        return watch

    return fresh


def stream(watch, rng, n, bad_from=None, slower=1.0, drop=0.0):
    """Windows of one server at wandering loads; from `bad_from` on with longer steps or less acceptance."""
    server = rng.integers(len(watch._run))
    scale = {name: np.sqrt(PRIOR_WINDOWS / rng.chisquare(PRIOR_WINDOWS)) for name in ("acceptance", "steps")}
    windows = []
    for t in range(n):
        bad = bad_from is not None and t >= bad_from
        alpha = 1.0 / (1.0 + np.exp(-watch._logit[server])) - (drop if bad else 0.0)
        committed = float(expected_committed_iid(np.array(alpha), np.array(watch.k)))
        committed *= 1.0 + scale["acceptance"] * ACCEPTANCE_CV / np.sqrt(REQUESTS) * rng.normal()
        window = Window(
            latency_s=1.0,
            in_flight=rng.uniform(2, 48),
            accepted_len=float(np.clip(committed, 1.01, watch.k + 0.99)),
            requests=REQUESTS,
            prompt_tokens=207.0,
            output_tokens=340.0,
        )
        noise = scale["steps"] * np.hypot(watch._jitter, KNOWN_LENGTH_CV / np.sqrt(REQUESTS)) * rng.normal()
        log_latency = np.log(watch.service_s(window)[server]) + watch._run[server] + noise
        windows.append(replace(window, latency_s=float(np.exp(log_latency)) * (slower if bad else 1.0)))
    return windows


def good_streams(make, n_streams, length, rate, seed):
    rng = np.random.default_rng(seed)
    alarms, p_values = 0, []
    for _ in range(n_streams):
        watch = make(rate, length)
        for window in stream(watch, rng, length):
            verdict = watch.see(window)
            if not verdict.alarm:
                p_values.append(verdict.p_value)
        alarms += verdict.alarm
    return alarms / n_streams, np.array(p_values)


def test_threshold_gives_its_rate():
    """50,000 simulated sums: the Monte Carlo error of a rate of 0.05 is 0.001; three of those, and the chain's own error."""
    h = threshold_for(0.05, 50)
    assert survival(h, 50) == pytest.approx(0.95, abs=1e-4)
    z = np.random.default_rng(5).normal(size=(50, 50_000))
    total, top = np.zeros(50_000), np.zeros(50_000)
    for row in z:
        total = np.maximum(0.0, total + row - 0.5)
        top = np.maximum(top, total)
    assert np.mean(top > h) == pytest.approx(0.05, abs=0.004)


def test_scores_are_standard_normal_where_windows_share_an_unknown():
    """Deviations of 400 servers share an offset each: scored given the windows before, they are independent and normal."""
    rng = np.random.default_rng(2)
    scores = []
    for _ in range(400):
        draws = 0.05 * rng.normal(size=300)
        server = LearnedServer(300)
        offset = draws[0]
        tau = np.sqrt(PRIOR_WINDOWS / rng.chisquare(PRIOR_WINDOWS))
        own = [server.score("x", offset + 0.02 * tau * rng.normal(), draws, 0.02, True)[0] for _ in range(8)]
        scores.append(own)
    scores = np.array(scores)
    assert abs(scores.mean()) < 0.06 and 0.93 < scores.std() < 1.07
    lag = np.corrcoef(scores[:, 3], scores[:, 4])[0, 1]
    assert abs(lag) < 3 / np.sqrt(len(scores)) + 0.05


def test_noise_learns_its_scale():
    noise = Noise()
    rng = np.random.default_rng(3)
    for value in 2.0 * rng.normal(size=2000):
        noise.learn(float(value))
    assert np.sqrt(noise.scale2) == pytest.approx(2.0, rel=0.06)


def test_false_alarms_are_as_stated(make):
    """1,200 good windows, stated 0.3 in 12: of 100 streams 30 ± 4.6 alarm; a factor 2 is three of those."""
    share, p_values = good_streams(make, 100, 12, 0.3, 11)
    assert 0.3 / 2 <= share <= 0.3 * 2
    assert 0.02 <= np.mean(p_values < 0.05) <= 0.08
    assert 0.42 <= np.mean(p_values < 0.5) <= 0.58


@pytest.mark.slow
def test_false_alarms_are_as_stated_over_ten_thousand_windows(make):
    share, p_values = good_streams(make, 500, 20, 0.2, 12)
    assert 0.2 / 1.5 <= share <= 0.2 * 1.5
    assert 0.01 / 1.5 <= np.mean(p_values < 0.01) <= 0.01 * 1.5


@pytest.mark.parametrize("drift", [{"slower": 1.15}, {"drop": 0.1}])
def test_a_drift_is_found_within_five_windows_and_named(make, drift):
    rng = np.random.default_rng(7)
    found, named, streams, good = 0, 0, 40, 10
    for _ in range(streams):
        watch = make(0.01, 100)
        for window in stream(watch, rng, good + 5, bad_from=good, **drift):
            verdict = watch.see(window)
            if verdict.alarm:
                break
        found += verdict.alarm and verdict.number > good
        named += ("acceptance fell" if "drop" in drift else "slower") in verdict.drift
    assert found >= 0.95 * streams
    assert named >= 0.95 * streams


def test_waiting_is_named_as_the_queue(make):
    """Requests that wait half their time at a light load are told apart from slow steps."""
    watch = make()
    rng = np.random.default_rng(9)
    for n, window in enumerate(stream(watch, rng, 12)):
        wait = 0.0 if n < 8 else window.latency_s
        verdict = watch.see(replace(window, rate_rps=0.5, queue_s=wait, latency_s=window.latency_s + wait))
    assert verdict.alarm
    assert "queue" in verdict.drift and "slower" not in verdict.drift


def test_a_window_without_acceptance_says_so(make):
    watch = make()
    window = Window(latency_s=50.0, in_flight=8.0, requests=200.0)
    assert "does not state" in watch.see(window).drift
