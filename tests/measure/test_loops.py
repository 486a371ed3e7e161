"""The loops against servers whose exact law is known, in virtual time."""

import asyncio

import numpy as np
import pytest

from bayes_sd.errors import TargetError
from bayes_sd.measure.client import Outcome, now_s
from bayes_sd.measure.loops import Budget, Length, OutOfBudget, Runner, gaps_s, relative_standard_error
from bayes_sd.measure.plan import Load, Point, Shape
from bayes_sd.measure.record import Served, UnfinishedError, reading

C1, C2 = 1.0, 0.1


class Sharing:
    """Processor sharing: with b in flight a request progresses at rate 1/S(b), S(b) = C1 + C2·b."""

    def __init__(self, work=lambda: 1.0):
        self.work, self.left, self.at = work, {}, 0.0
        self.changed = asyncio.Event()

    def _advance(self):
        if self.left:
            step = (now_s() - self.at) / (C1 + C2 * len(self.left))
            self.left = {key: left - step for key, left in self.left.items()}
        self.at = now_s()

    async def __call__(self, outcome):
        outcome.start_s = now_s()
        self._advance()
        key = id(outcome)
        self.left[key] = self.work()
        self.changed.set()
        self.changed = asyncio.Event()
        try:
            while self.left[key] > 1e-9:
                wait = self.left[key] * (C1 + C2 * len(self.left))
                try:
                    async with asyncio.timeout(wait):
                        await self.changed.wait()
                except TimeoutError:
                    pass
                self._advance()
        finally:
            del self.left[key]
            outcome.end_s = now_s()
            self.changed.set()
            self.changed = asyncio.Event()
        outcome.first_s = outcome.start_s + 0.01
        outcome.last_s, outcome.pieces, outcome.output_tokens, outcome.prompt_tokens = (
            outcome.end_s,
            2,
            10,
            10,
        )
        outcome.status = "done"
        return outcome


def closed(clients, length, send=None):
    async def main():
        runner = Runner(send or Sharing(), length, Budget(10**6, 1e9))
        return await runner.closed_loop(clients)

    return main()


def opened(rate, arrivals, length, send=None, seed=5, budget=(10**6, 1e9)):
    async def main():
        runner = Runner(send or Sharing(), length, Budget(*budget))
        try:
            return await runner.open_loop(rate, arrivals, [seed])
        finally:
            await runner.stop()

    return main()


def mean_latency(observed):
    return np.mean([o.latency_s for o in observed.done])


def row(observed, load):
    point = Point(Shape(10, 10), load, 1)
    return reading(point, observed, Served(), "test", "poisson")


@pytest.mark.parametrize("clients", [1, 2, 7])
def test_a_closed_loop_shows_the_service_curve(virtual, clients):
    observed = virtual(closed(clients, Length(least=40, most=80)))
    assert mean_latency(observed) == pytest.approx(C1 + C2 * clients, rel=1e-6)
    cell = row(observed, Load("concurrency", clients, ""))
    assert cell.columns["achieved_rps"] == pytest.approx(clients / (C1 + C2 * clients), rel=0.03)


def test_even_arrivals_give_the_exact_latency(virtual):
    # shared/model.md §3: for C1 = 1, C2 = 0.1 and 3 requests/s, X⁻¹ gives 4.3 in flight and 1.4333 s.
    observed = virtual(opened(3.0, "even", Length(warm_up=60, least=300, most=300, seconds=1e6)))
    assert mean_latency(observed) == pytest.approx(4.3 / 3.0, rel=0.01)


def test_poisson_arrivals_give_the_exact_latency(virtual):
    # The number in flight is negative binomial: L = (C1 + C2)/(1 - λ C2), whatever the law of the work.
    length = Length(standard_error=0.01, warm_up=100, least=200, most=2500, seconds=1e6)
    rng = np.random.default_rng(3)
    observed = virtual(opened(4.0, "poisson", length, Sharing(lambda: rng.gamma(4.0, 0.25))))
    expected = (C1 + C2) / (1 - 4.0 * C2)
    error = relative_standard_error([o.latency_s for o in observed.done])
    assert mean_latency(observed) == pytest.approx(expected, rel=4 * error)
    assert error < 0.04


def test_run_length_follows_from_the_wanted_error(virtual):
    rng = np.random.default_rng(3)

    def work():
        return rng.gamma(4.0, 0.25)

    sizes, errors = [], []
    for wanted in (0.1, 0.03):
        length = Length(standard_error=wanted, least=20, most=100_000, seconds=1e9)
        observed = virtual(closed(2, length, Sharing(work)))
        assert observed.stop == "standard error"
        sizes.append(len(observed.counted))
        errors.append(relative_standard_error([o.latency_s for o in observed.done]))
    assert sizes[1] > 3 * sizes[0]
    assert errors[1] < 2 * 0.03  # the error of an estimated error: ten batches give it to about a quarter


def test_littles_law_is_a_check_and_not_an_identity(virtual):
    steady = virtual(opened(4.0, "poisson", Length(warm_up=100, least=500, most=500, seconds=1e6)))
    words = " ".join(row(steady, Load("rate", 4.0, "")).remarks)
    assert "not steady" not in words
    assert "(+0.0%)" not in words  # warm-up reaches into the window, and the window out of it
    # Past saturation (1/C2 = 10 requests/s) the number in flight grows without end.
    growing = virtual(opened(14.0, "even", Length(warm_up=2, least=60, most=60, seconds=1e6)))
    cell = row(growing, Load("rate", 14.0, ""))
    assert any("not steady" in remark for remark in cell.remarks)
    assert any("Little's law fails" in note for note in cell.notes)
    assert cell.columns["achieved_rps"] < 0.9 * 14.0


def test_what_is_cut_off_is_counted_and_not_averaged(virtual):
    async def stuck(outcome):
        outcome.start_s = now_s()
        if len(calls) % 10 == 9:
            calls.append(outcome)
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                outcome.status, outcome.end_s = "cut", now_s()
                raise
        calls.append(outcome)
        await asyncio.sleep(1.0)
        outcome.first_s = outcome.last_s = outcome.end_s = now_s()
        outcome.status, outcome.pieces, outcome.output_tokens, outcome.prompt_tokens = "done", 1, 10, 10
        return outcome

    calls = []
    observed = virtual(opened(2.0, "even", Length(warm_up=4, least=40, most=40, seconds=1e6), stuck))
    cut = [o for o in observed.counted if o.status == "cut"]
    assert len(cut) == 4
    assert len(observed.counted) == 40
    assert mean_latency(observed) == pytest.approx(1.0)
    cell = row(observed, Load("rate", 2.0, ""))
    assert "4 requests cut off" in cell.remarks
    assert cell.columns["n_requests"] == 36
    # Those four stay in flight to the end; the integral sees them.
    assert any("in flight 4" in remark or "in flight 3" in remark for remark in cell.remarks)


def test_the_load_is_kept_until_the_last_counted_request_has_ended(virtual):
    observed = virtual(opened(3.0, "even", Length(warm_up=10, least=60, most=60, seconds=1e6)))
    last = max(o.end_s for o in observed.counted)
    sent_after = [o for o in observed.outcomes if o.start_s > observed.closed_s]
    assert sent_after
    assert not any(o.counted for o in sent_after)
    assert {o.status for o in observed.counted} == {"done"}
    assert max(o.start_s for o in observed.outcomes) > last - 2 / 3.0


def test_gaps_meet_the_rate_exactly():
    rng = np.random.default_rng(1)
    for arrivals in ("even", "poisson"):
        assert gaps_s(2.0, arrivals, 50, rng).sum() == pytest.approx(25.0)
    spread = gaps_s(2.0, "poisson", 5000, rng)
    assert spread.std() == pytest.approx(0.5, rel=0.1)  # exponential: as wide as its mean


def test_the_sweeps_bounds_hold(virtual):
    with pytest.raises(OutOfBudget, match="requests"):
        virtual(opened(2.0, "even", Length(), budget=(7, 1e9)))
    with pytest.raises(OutOfBudget, match="seconds"):
        virtual(opened(0.001, "even", Length(seconds=1e6), budget=(100, 50.0)))


def test_a_server_that_fails_again_and_again_ends_the_point(virtual):
    async def failing(outcome):
        outcome.start_s = outcome.end_s = now_s()
        await asyncio.sleep(0.1)
        outcome.status, outcome.reason = "failed", "status 503"
        return outcome

    with pytest.raises(TargetError, match="503"):
        virtual(closed(2, Length(), failing))


def test_a_load_that_nothing_survives_is_left_out(virtual):
    async def endless(outcome):
        outcome.start_s = now_s()
        try:
            await asyncio.sleep(1e9)
        finally:
            outcome.status, outcome.end_s = "cut", now_s()

    observed = virtual(opened(2.0, "even", Length(least=5, most=5, seconds=10.0), endless))
    with pytest.raises(UnfinishedError, match="none of 5"):
        row(observed, Load("rate", 2.0, ""))


def test_too_few_requests_give_no_error_estimate():
    assert np.isnan(relative_standard_error([1.0] * 7))
    assert relative_standard_error([1.0] * 8) == 0.0
    assert Outcome().status == "running"
