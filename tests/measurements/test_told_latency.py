"""Which latency a row tells where its source publishes no end-to-end one."""

import math

import pytest

from bayes_sd.measurements import apply_rules, read_table
from bayes_sd.measurements.rules import LENGTHS_NOISE, USUAL_TOKENS

NO_LATENCY = {"mean_e2e_s": "", "p50_e2e_s": "", "achieved_rps": ""}
TPOT = NO_LATENCY | {"mean_tpot_ms": "10"}  # 200 output tokens: 1.99 s after the first
THROUGHPUT = NO_LATENCY | {"output_tok_per_s": "400"}  # 8 clients, 200 tokens each: 4 s
SPECULATING = {"method": "eagle3", "k": "4", "drafter": "d"}


@pytest.mark.parametrize(
    ("cells", "latency_s", "statistic", "part"),
    [
        ({"p50_e2e_s": "1.8", "mean_tpot_ms": "10", "output_tok_per_s": "1"}, 2.0, "mean", "whole"),
        (TPOT | {"p50_e2e_s": "1.8"}, 1.8, "median", "whole"),
        (TPOT | {"mean_ttft_ms": "300", "output_tok_per_s": "1"}, 2.29, "parts", "whole"),
        (TPOT | {"p50_ttft_ms": "300", "load_kind": "rate", "load_value": "4"}, 2.29, "parts", "whole"),
        (TPOT | {"output_tok_per_s": "1"}, 1.99, "tokens", "decoding"),
        (THROUGHPUT, 4.0, "throughput", "whole"),
    ],
)
def test_the_best_that_a_row_tells_is_taken(write, cells, latency_s, statistic, part):
    row = read_table(write(cells)).iloc[0]
    assert row["latency_s"] == pytest.approx(latency_s)
    assert (row["latency_statistic"], row["latency_part"]) == (statistic, part)


@pytest.mark.parametrize(
    "cells",
    [
        TPOT | {"load_kind": "rate", "load_value": "4"},
        THROUGHPUT | {"load_kind": "rate", "load_value": "4"},
        THROUGHPUT | {"prefill_gpus": "8", "prefill_workers": "1", "decode_gpus": "8", "decode_workers": "1"},
        THROUGHPUT | {"output_tokens": ""},
        THROUGHPUT | {"p50_tpot_ms": "10"},  # a tunnel in the one and not in the other
        NO_LATENCY | {"p50_tpot_ms": "10"},
        TPOT | {"output_tokens": "2"},
    ],
)
def test_what_leaves_waiting_out_tells_no_latency(write, cells):
    row = read_table(write({"n_gpu": "16", "tp": "8"} | cells)).iloc[0]
    assert math.isnan(row["latency_s"])
    assert row["latency_statistic"] == ""


def test_a_table_of_throughput_alone_is_read(write):
    path = write(THROUGHPUT, without=("mean_e2e_s", "p50_e2e_s", "p99_e2e_s", "achieved_rps"))
    assert read_table(path)["latency_s"].tolist() == [4.0]


def test_blank_lengths_of_such_rows_are_usual_ones_with_more_noise(write):
    blank = {"prompt_tokens": "", "output_tokens": "", "workload": ""}
    path = write(
        THROUGHPUT | {"load_value": "2"},
        THROUGHPUT | blank,
        {} | blank,
        TPOT | {"prompt_tokens": "", "workload": ""},
    )
    kept, report = apply_rules(read_table(path))
    assert kept["row"].tolist() == [2, 3, 5]
    assert kept["load_noise"].tolist() == [1.0, LENGTHS_NOISE, LENGTHS_NOISE]
    lengths = kept[list(USUAL_TOKENS)]
    assert lengths.iloc[1].to_dict() == USUAL_TOKENS
    assert lengths.iloc[2].tolist() == [USUAL_TOKENS["prompt_tokens"], 200.0]
    assert kept["latency_s"][1] == pytest.approx(8 * USUAL_TOKENS["output_tokens"] / 400)
    counts = report.counts()
    assert (counts["usual_lengths"], counts["no_lengths"], counts["near_a_bound"]) == (2, 1, 0)


def test_tokens_a_second_need_something_to_be_read_against(write):
    told = SPECULATING | {"mean_accepted_len": "2.5"}
    other = {"hardware": "h200"}
    path = write(
        TPOT,  # this server was also measured drafting, with its acceptance: both stay
        TPOT | told,
        TPOT | SPECULATING,
        TPOT | other,  # this one at one load only
        TPOT | other | SPECULATING,
        SPECULATING,  # its latency was measured: acceptance may be latent
    )
    kept, report = apply_rules(read_table(path))
    assert kept["row"].tolist() == [2, 3, 7]
    counts = report.counts()
    assert (counts["tokens_without_acceptance"], counts["step_alone"]) == (2, 1)


def test_one_server_at_two_loads_stands_by_itself(write):
    kept, _ = apply_rules(read_table(write(TPOT, TPOT | {"load_value": "1"})))
    assert len(kept) == 2
