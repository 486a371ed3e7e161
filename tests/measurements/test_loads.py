"""What the load of a run was, told from its figures alone."""

import pytest

from bayes_sd.measurements.loads import Load, judge, kept_up, waited


@pytest.mark.parametrize("cap", [8, 64, 500])
def test_a_cap_that_binds_makes_a_closed_loop(cap):
    latency = 4.0
    rate = 0.985 * cap / latency
    verdict = judge(Load("rate", 3 * rate, latency, rate, n_requests=100 * cap, client_cap=cap))
    assert (verdict.kind, verdict.clients) == ("closed", cap)
    assert "binding" in verdict.reason


def test_a_cap_that_a_few_waves_filled_counts_the_drain():
    # 100 requests through 25 clients: at the end half a latency's worth of them is missing.
    rate = 25 / (1 + 25 / 200) / 4.0
    verdict = judge(Load("rate", 16.0, 4.0, rate, n_requests=100, client_cap=25, random_arrivals=True))
    assert (verdict.kind, verdict.clients) == ("closed", 25)


def test_a_cap_far_above_what_is_in_flight_changes_nothing():
    verdict = judge(Load("rate", 2.0, 4.0, 1.99, n_requests=2000, client_cap=100, random_arrivals=True))
    assert (verdict.kind, verdict.doubt, verdict.reason) == ("sound", 0.0, "")


def test_a_cap_that_cuts_off_the_peaks_of_random_arrivals_is_doubted():
    near = Load("rate", 2.0, 4.0, 1.99, n_requests=2000, client_cap=11, random_arrivals=True)
    assert 0 < judge(near).doubt < 1
    assert "peaks" in judge(near).reason


def test_evenly_spaced_requests_just_below_the_cap_are_an_open_loop():
    assert judge(Load("rate", 2.0, 3.7, 2.0, n_requests=2000, client_cap=8)).kind == "sound"


def test_a_server_that_falls_behind():
    verdict = judge(Load("rate", 6.0, 102.0, 2.0, n_requests=600, random_arrivals=True))
    assert verdict.kind == "fell_behind"
    assert "2 of 6 requests/s" in verdict.reason


def test_refused_requests_are_no_falling_behind():
    kept_up_with = Load("rate", 10.0, 1.0, 5.7, n_requests=4000, succeeded_share=0.57)
    assert judge(kept_up_with).kind == "sound"
    assert judge(Load("rate", 10.0, 1.0, 5.7, n_requests=4000)).kind == "fell_behind"


def test_the_drain_of_a_short_run_is_not_falling_behind():
    # 100 requests at 2/s, 5 s each: 50 s of sending and 5 s of drain.
    load = Load("rate", 2.0, 5.0, 100 / 55, n_requests=100)
    assert kept_up(load) == pytest.approx(1.0)
    assert judge(load).kind == "sound"


def test_the_number_of_requests_follows_from_rate_and_length():
    stated = Load("rate", 2.0, 5.0, 100 / 55, n_requests=100)
    assert judge(Load("rate", 2.0, 5.0, 100 / 55, duration_s=55.0)) == judge(stated)


def test_a_client_that_cannot_send_as_asked_is_a_closed_loop():
    verdict = judge(Load("rate", 100.0, 6.0, 65.0, n_requests=6000, sent_rps=69.8))
    assert (verdict.kind, verdict.clients) == ("closed", 390)
    assert "69.8" in verdict.reason


@pytest.mark.parametrize(
    ("latencies", "kind"), [(0.5, "short"), (0.9, "short"), (2.1, "sound"), (6, "sound")]
)
def test_a_run_must_outlast_its_own_beginning(latencies, kind):
    latency, rate = 8.0, 2.0
    count = latencies * latency * rate
    achieved = rate / (1 + rate * latency / count)
    verdict = judge(Load("rate", rate, latency, achieved, n_requests=count))
    assert verdict.kind == kind
    assert (verdict.doubt > 0) == (latencies == 2.1)


def test_requests_one_at_a_time_need_no_time_to_build_up():
    assert judge(Load("rate", 0.5, 1.0, 0.45, n_requests=1.5)).kind == "sound"


def test_more_clients_than_requests_is_a_burst():
    assert judge(Load("concurrency", 512, 13.5, 11.1, n_requests=200)).kind == "burst"


def test_a_wave_that_drains_and_one_in_lockstep():
    assert judge(Load("concurrency", 64, 4.0, 8.0, n_requests=64)).kind == "wave"  # 32 of 64 in flight
    lockstep = judge(Load("concurrency", 64, 4.0, 15.5, n_requests=64))
    assert (lockstep.kind, lockstep.doubt) == ("sound", 0.0)
    assert "single wave" in lockstep.reason


def test_clients_that_pause_are_doubted_and_more_than_all_is_said():
    assert judge(Load("concurrency", 10, 1.0, 8.0, n_requests=900)).doubt > 0
    assert "more than there were clients" in judge(Load("concurrency", 10, 2.0, 8.0)).reason


def test_what_the_engine_cannot_run_at_once_has_queued():
    assert judge(Load("rate", 4.0, 2.0, 3.99, max_num_seqs=7)).kind == "fell_behind"


def test_the_tools_own_figure_of_requests_in_flight_is_used():
    load = Load("concurrency", 32, 4.4, 1.0, n_requests=400, in_flight=31.0)
    assert judge(load).reason == ""


@pytest.mark.parametrize(
    "load", [Load("rate", 2.0), Load("concurrency", 4, 2.0), Load("concurrency", 4, 0.0, 1.0)]
)
def test_nothing_is_claimed_without_a_second_figure(load):
    verdict = judge(load)
    assert verdict.kind == "unknown"
    assert not verdict.reason
    assert verdict.usable


def test_a_cap_counts_where_only_the_asked_rate_is_known():
    assert judge(Load("rate", 6.0, 3.94, client_cap=8)).clients == 8
    assert judge(Load("rate", 6.0, 3.94, client_cap=24)).kind == "sound"


def test_more_in_flight_than_the_cap_is_waiting_for_the_client():
    verdict = judge(Load("rate", 6.0, 13.9, 2.0, n_requests=200, client_cap=8))
    assert verdict.kind == "fell_behind"
    assert "waiting for the client" in verdict.reason


def test_random_gaps_that_were_longer_than_asked_are_chance():
    load = Load("rate", 1.0, 0.4, 0.85, n_requests=64, random_arrivals=True)
    assert waited(load) == pytest.approx((64 * (1 / 0.85 - 1) - 0.4) / 2)
    verdict = judge(load)
    assert (verdict.kind, verdict.doubt) == ("sound", 1.0)
    assert "by chance" in verdict.reason


def test_a_client_that_sent_less_is_not_called_a_pile():
    verdict = judge(Load("rate", 1000.0, 0.2, 300.0, n_requests=10_000, random_arrivals=True))
    assert verdict.kind == "fell_behind"
    assert "the client sent no more" in verdict.reason
    assert "piled up," not in verdict.reason


def test_length_of_a_run_without_a_count_of_requests():
    assert judge(Load("rate", 10.0, 5.0, duration_s=3.0)).kind == "short"
