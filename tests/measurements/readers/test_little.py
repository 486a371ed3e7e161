import numpy as np
import pytest

from bayes_sd.measurements.readers import little
from bayes_sd.measurements.readers.reading import Reading


def test_in_flight_is_the_integral_over_the_window():
    # Over 0-4, over 1-2, and one that begins after the window: in 0-3 they take 3 + 1 + 0 request-seconds.
    starts, ends = np.array([0.0, 1.0, 5.0]), np.array([4.0, 2.0, 6.0])
    assert little.in_flight(starts, ends, 0.0, 3.0) == pytest.approx(4 / 3)


def steady_run(rng, count=4000, rate=5.0, latency=2.0):
    starts = np.cumsum(rng.exponential(1 / rate, count))
    return starts, starts + rng.exponential(latency, count)


def test_a_steady_run_agrees():
    starts, ends = steady_run(np.random.default_rng(1))
    cell = Reading("x", "t")
    little.check(cell, starts, ends, np.ones(len(starts), bool))
    apart = float(cell.remarks[0].split()[1].rstrip("%")) / 100
    # 10 in flight and 800 s: the requests at the window's ends bring about sqrt(2/10) * 2/640 = 0.0014.
    assert abs(apart) < 5 * 0.0014
    assert "not steady" not in cell.notes[0]


def test_latency_that_leaves_out_part_of_each_request_does_not():
    """A client that starts its clock late reports a latency that does not explain what is in flight."""
    starts, ends = steady_run(np.random.default_rng(2))
    done = np.arange(len(starts)) % 2 == 0
    slow = np.where(done, ends, ends + 4.0)  # every other request hangs and is not counted
    cell = Reading("x", "t")
    little.check(cell, starts, slow, done)
    assert "not steady" in cell.notes[0]


def test_few_requests_are_not_judged():
    cell = Reading("x", "t")
    little.check(cell, [0.0, 1.0], [1.0, 2.0], [True, True])
    little.check(cell, [], [], [])
    assert all("not checked" in note for note in cell.notes)
