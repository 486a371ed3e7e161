"""What a fit fills in and leaves out."""

import pytest

from bayes_sd.measurements import apply_rules, load_family, read_table
from bayes_sd.measurements.exclusions import EXCLUSIONS

RATE = {"load_kind": "rate", "load_value": "4"}
SPECULATING = {"method": "eagle3", "k": "4", "drafter": "d"}


def left_out(path):
    """Give the lines of a table that rules leave out, with the rule of each."""
    table = read_table(path)
    kept, report = apply_rules(table)
    counts = {name: count for name, _, count in report.excluded if count}
    return sorted(set(table["row"]) - set(kept["row"])), counts


def test_sound_rows_stay(write):
    closed = {"load_value": "256", "max_num_seqs": "128"}  # queueing behind the cap is the model's business
    assert left_out(write({}, RATE, SPECULATING, closed)) == ([], {})


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"mean_e2e_s": "", "p50_e2e_s": ""}, "no_latency"),
        ({"output_tokens": ""}, "no_lengths"),
        ({"prompt_tokens": "", "workload": ""}, "no_lengths"),
        ({"engine": "dynamo-trtllm (disaggregated)"}, "disaggregated"),
        ({"prefill_gpus": "8", "decode_gpus": "8", "n_gpu": "16"}, "disaggregated"),
        (RATE | {"arrivals": "gamma 0.05"}, "gamma_arrivals"),
        (SPECULATING | {"k": ""}, "draft_length_unknown"),
        (RATE | {"achieved_rps": "3.8"}, "past_saturation"),
        (
            RATE | {"achieved_rps": "3.95", "max_num_seqs": "7"},
            "past_saturation",
        ),  # 3.95 x 2 s = 7.9 in flight
        (RATE | {"achieved_rps": "", "max_num_seqs": "7"}, "past_saturation"),
        (
            RATE | {"achieved_rps": "3.9", "n_requests": "7"},
            "too_short",
        ),  # 7 / 4 / 2 s: under one latency
        ({"load_value": "64", "n_requests": "60"}, "burst"),
        ({"load_value": "16", "n_requests": "30"}, "single_wave"),  # 4 x 2 s = 8 of 16 in flight
        ({"preemptions": "1", "load_value": "16"}, "preempted"),
    ],
)
def test_each_rule_takes_its_row_and_no_other(write, cells, rule):
    assert left_out(write({}, cells, RATE)) == ([3], {rule: 1})


def test_a_row_counts_once_under_the_first_rule(write):
    both = {"engine": "disaggregated", "preemptions": "3", "mean_e2e_s": "", "p50_e2e_s": ""}
    assert left_out(write({}, both)) == ([3], {"no_latency": 1})


def test_preemption_seen_at_a_load_speaks_for_rows_that_do_not_say(write):
    path = write(
        {"load_value": "64", "preemptions": "0"},
        {"load_value": "128", "preemptions": "5"},
        {"load_value": "128"},  # does not say
        {"load_value": "256"},  # above it, does not say
        {"load_value": "64"},  # below it
        {"load_value": "256", "preemptions": "0"},  # says that there were none
        {"load_value": "256", "hardware": "h200"},  # another deployment
        SPECULATING | {"load_value": "256"},  # another pair
    )
    assert left_out(path) == ([3, 4, 5], {"preempted": 3})


def test_prompt_lengths_come_from_the_same_workload(write):
    path = write(
        {"prompt_tokens": "100"},
        {"prompt_tokens": "300"},
        {"prompt_tokens": ""},
        {"prompt_tokens": "9000", "hardware": "h200"},
        {"prompt_tokens": "", "workload": "other"},
    )
    table = read_table(path)
    kept, report = apply_rules(table)
    assert kept.set_index("row")["prompt_tokens"].to_dict() == {2: 100, 3: 300, 4: 200, 5: 9000}
    assert report.counts()["prompt_tokens_from_workload"] == 1
    assert report.counts()["no_lengths"] == 1
    assert table["prompt_tokens"].isna().sum() == 2  # what was read stays as it was


def test_an_open_loop_whose_cap_binds_is_used_as_the_closed_loop_it_was(write):
    capped = RATE | {"load_value": "6", "client_cap": "8", "achieved_rps": "2", "mean_e2e_s": "3.94"}
    kept, report = apply_rules(read_table(write(capped | {"arrivals": "poisson"}, {})))
    assert list(kept["load_kind"]) == ["concurrency", "concurrency"]
    assert list(kept["load_value"]) == [8, 8]
    assert list(kept["arrivals"]) == ["even", "even"]
    assert report.counts()["closed_in_truth"] == 1
    assert "closed_in_truth" in str(report)


def test_a_row_near_a_bound_is_kept_with_more_noise(write):
    def noise(**cells):
        kept, _ = apply_rules(read_table(write(RATE | {"n_requests": "4000"} | cells)))
        return kept["load_noise"][0] if len(kept) else None

    assert noise(achieved_rps="3.96") == 1.0
    assert 1.0 < noise(achieved_rps="3.92") < noise(achieved_rps="3.89") < 3.0
    assert noise(achieved_rps="3.8") is None
    assert 1.0 < noise(achieved_rps="3.9", n_requests="30") < noise(achieved_rps="3.9", n_requests="20") < 3.0


def test_the_shipped_tables_lose_what_their_sources_warn_of():
    kept, report = apply_rules(load_family("all"))
    assert report.counts() == {
        "precision_from_card": 257,
        "prompt_tokens_from_workload": 92,
        "closed_in_truth": 0,
        "first_tokens_of_a_wave": 10,
        "near_a_bound": 62,
        "source_in_doubt": 156,
        "usual_lengths": 51,
        "no_latency": 27,
        "no_lengths": 8,
        "disaggregated": 52,
        "remote_drafter": 0,
        "draft_length_unknown": 94,
        "tokens_without_acceptance": 7,
        "step_alone": 13,
        "acceptance_nowhere": 0,
        "gamma_arrivals": 0,
        "past_saturation": 16,
        "burst": 0,
        "too_short": 0,
        "single_wave": 0,
        "preempted": 16,
    }
    assert len(kept) == report.kept == 3059 - 389
    assert set(kept.loc[kept["hardware"] == "H200-SXM-141GB", "load_value"]) == {1, 2, 4, 8, 16, 32, 64, 128}
    assert kept[["latency_s", "prompt_tokens", "output_tokens", "k"]].notna().all(axis=None)


def test_the_report_reads(write):
    _, report = apply_rules(read_table(write({}, {"preemptions": "2", "load_value": "16"})))
    text = str(report)
    assert text.startswith("1 of 2 rows used\n")
    assert "preempted: requests put back" in text
    assert "no_latency" not in text  # only rules that took something are printed
    assert [name for name, _, _ in report.excluded] == [rule.name for rule in EXCLUSIONS]


def test_nothing_left_is_a_report_too(write):
    kept, report = apply_rules(read_table(write({"preemptions": "2"})))
    assert (len(kept), report.kept, report.total) == (0, 0, 1)


def test_a_single_wave_tells_its_latency_and_not_its_first_token(write):
    # 16 requests of 16 clients, all busy for 2.1 s: 16 / 2.1 x 2 s = 15.2 of 16 in flight.
    wave = {
        "load_value": "16",
        "n_requests": "16",
        "achieved_rps": "7.6",
        "mean_ttft_ms": "300",
        "mean_tpot_ms": "8.5",
    }
    steady = wave | {"n_requests": "320"}
    table = read_table(write(wave, steady))
    kept, report = apply_rules(table)
    assert kept["latency_s"].notna().all() and report.counts()["first_tokens_of_a_wave"] == 1
    for name in ("mean_ttft_ms", "mean_tpot_ms"):
        assert table[name].notna().all() and list(kept[name].notna()) == [False, True]
