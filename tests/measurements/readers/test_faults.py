"""Files with one fault each, made up for the project: what came of the run, not what the file says it was."""

import pytest
from benchmark_files import vllm_result

from bayes_sd.errors import DataError
from bayes_sd.measurements import apply_rules, read_table
from bayes_sd.measurements.readers import ingest, write_table

SGLANG = {"hardware": "H100-SXM-80GB"}


@pytest.fixture
def read(fixtures, served, tmp_path):
    """Read one of the files; give its rows, its notes, and the counts of a fit's rules."""

    def reader(name, **given):
        path = next(p for p in (fixtures / "faults").glob(f"{name}_*") if p.suffix != ".prom")
        values = SGLANG if path.suffix == ".jsonl" else {**served, "verifier": "Llama-3.1-8B-Instruct"}
        skip = given.pop("skip_failed", False)
        metrics = [fixtures / "faults" / m for m in given.pop("metrics", ())]
        report = ingest([path], {**values, **given}, skip_failed=skip, metrics=metrics)
        table = read_table(write_table(report.table, tmp_path / "table.csv"))
        _, rules = apply_rules(table)
        return report.table, " | ".join(report.notes), rules.counts()

    return reader


def said(row, *names):
    return tuple(row[name] for name in names)


def test_m01_a_rate_with_a_binding_cap_is_a_closed_loop(read):
    table, notes, rules = read("m01")
    assert said(table.iloc[0], "load_kind", "load_value") == ("concurrency", 8)
    assert "arrivals" not in table
    assert "client's cap of 8 was binding" in notes
    assert rules["past_saturation"] == 0


def test_m01_the_load_may_be_given(read):
    table, notes, _ = read("m01", load_kind="concurrency", load_value=8)
    assert said(table.iloc[0], "load_kind", "load_value") == ("concurrency", 8)
    assert "the file says 'rate'" in notes


def test_m02_an_open_loop_that_fell_behind_says_so_and_is_left_out(read):
    table, notes, rules = read("m02")
    assert said(table.iloc[0], "load_kind", "load_value", "achieved_rps") == ("rate", 6, 2)
    assert "kept up with 2 of 6 requests/s" in notes
    assert "no steady state" in table["notes"][0]
    assert rules["past_saturation"] == 1


def test_m04_a_sweeps_list(read):
    table, _, _ = read("m04")
    assert list(table["repeat"]) == ["0", "1"]
    assert list(table["max_num_seqs"]) == [16, 16]
    assert list(table["load_value"]) == [4, 4]
    assert list(table["mean_e2e_s"]) == [3.80, 3.76]


@pytest.mark.parametrize("name", ["m05", "m05b"])
def test_m05_both_versions_of_guidellms_report(read, name):
    table, _, _ = read(name)
    row = table.iloc[0]
    assert said(row, "load_kind", "load_value", "mean_e2e_s", "mean_ttft_ms", "n_requests") == (
        *("concurrency", 16, 2.9, 180, 320),
    )
    assert row["mean_tpot_ms"] == pytest.approx(21.417, abs=1e-3)
    assert row["achieved_rps"] == pytest.approx(5.333, abs=1e-3)
    assert "16 requests cut off" in row["notes"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("m06", "200 requests sent at once, never 512 clients"),
        ("m10", "mean_ttft_ms: 4290 ms is longer than mean_e2e_s 4.27 s, so one of them is not what it says"),
        ("m10b", "no end-to-end latency in the file, and TTFT 0 ms and TPOT 0 ms give none"),
        ("m16", "sent at once"),
        ("m17b", "compressed with gzip: unpack"),
        ("m39", "GuideLLM report from before 0.3"),
    ],
)
def test_files_that_give_no_row_say_why(read, name, says):
    with pytest.raises(DataError, match=says) as raised:
        read(name)
    assert "\n" not in str(raised.value)


def test_m15_bursts_are_neither_even_nor_poisson(read):
    table, notes, rules = read("m15")
    assert table["arrivals"][0] == "gamma 0.5"
    assert (
        "burstiness 0.5 is burstier than Poisson (gaps of a gamma with shape 0.5), so neither even nor poisson"
        in notes
    )
    assert rules["gamma_arrivals"] == 0


def test_m07_disaggregated_servers_are_marked_and_left_out(read):
    table, _, rules = read("m07")
    row = table.iloc[0]
    assert said(row, "verifier", "tp", "engine", "precision", "method") == (
        *("Qwen/Qwen2.5-7B-Instruct", 2, "sglang-0.5.6", "bf16", "none"),
    )
    assert row["engine_options"].startswith("disaggregated")
    assert rules["disaggregated"] == 1


def test_m08_tokens_counted_and_tokens_made(read):
    table, notes, _ = read("m08")
    assert "256 output tokens a request as counted, 101 by the other count (73.9 ms a token" in notes
    assert "in doubt" in table["notes"][0]


def test_m11_a_time_below_zero_is_left_blank_and_said(read):
    table, notes, _ = read("m11")
    assert "mean_ttft_ms" not in table
    assert "mean_ttft_ms is -1.61e+12 in the file, which is not a time" in notes


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("m12", {"mean_e2e_s": 0.59, "mean_ttft_ms": 590}),
        ("m17", {"load_value": 8, "mean_e2e_s": 3.94}),
        ("m40", {"load_value": 8, "p50_e2e_s": 3.9}),
    ],
)
def test_files_that_are_fine(read, name, values):
    table, _, _ = read(name)
    assert {column: table[column][0] for column in values} == values
    assert not {"p95_e2e_s"} & set(table.columns)


def test_m13_answers_that_were_not_streamed(read):
    table, _, _ = read("m13", arrivals="poisson")
    assert table["mean_e2e_s"][0] == 1.9
    assert not {"mean_ttft_ms", "mean_tpot_ms"} & set(table.columns)


def test_m13b_a_client_that_cannot_keep_to_its_schedule(read):
    table, notes, _ = read("m13b", arrivals="poisson")
    assert said(table.iloc[0], "load_kind", "load_value") == ("concurrency", 390)
    assert "69.8 of the asked 100 requests/s" in notes
    assert "10.9 s after their time" in notes


def test_m14_a_file_without_a_count_of_requests(read):
    table, notes, _ = read("m14")
    assert table["load_value"][0] == 16
    assert "n_requests" not in table
    assert "does not say how many requests succeeded" in notes


def test_m18_a_line_without_success_is_left_out(read):
    table, notes, _ = read("m18", skip_failed=True)
    assert list(table["load_value"]) == [16, 32]
    assert "line 2: no request succeeded" in notes


@pytest.mark.parametrize("given", [{}, {"method": "mtp"}])
def test_m20_a_models_own_head_is_mtp_whatever_the_server_calls_it(read, given):
    table, _, _ = read("m20", **given)
    assert said(table.iloc[0], "method", "k") == ("mtp", 3)
    assert "drafter" not in table


def test_m25_counters_of_vllms_first_engine(read):
    table, notes, _ = read("m25", method="eagle", drafter="d", metrics=["m25_vllm_v0_metrics.prom"])
    row = table.iloc[0]
    assert said(row, "n_drafts", "k") == (900, 4)
    assert row["mean_accepted_len"] == pytest.approx(1 + 2300 / 900)
    assert "before 0.9" in notes


def test_m33_latency_is_exact_where_the_requests_times_are_there(read):
    table, _, _ = read("m33")
    row = table.iloc[0]
    assert row["mean_e2e_s"] == pytest.approx(5.31)
    assert row["mean_tpot_ms"] == pytest.approx(21.72, abs=0.005)


def test_m36_genai_perf(read):
    table, _, _ = read("m36")
    row = table.iloc[0]
    assert said(row, "load_kind", "load_value", "mean_e2e_s") == ("concurrency", 8, 3.9)
    assert row["mean_tpot_ms"] == pytest.approx(29.53, abs=0.005)
    assert row["measured_by"] == "genai-perf"


def test_m43_the_later_name_of_the_spacing(read):
    table, _, _ = read("m43")
    assert said(table.iloc[0], "load_kind", "load_value", "arrivals") == ("rate", 2, "even")


def test_m44_replicas_are_so_many_gpus(read):
    table, _, _ = read("m44")
    assert said(table.iloc[0], "tp", "n_gpu", "dp", "engine_options") == (1, 4, 4, "dp4")


def test_m45_more_than_a_token_a_chunk_is_no_baseline(read):
    table, notes, _ = read("m45")
    assert "about 2.3 tokens came per chunk (ITL 45 ms, TPOT 19.2 ms)" in notes
    assert "2.3 tokens a chunk" in table["notes"][0]


RUN = {"request_rate": "inf", "max_concurrency": 2}
"""40 requests of 2.1 s and 51 tokens by two clients, 42 s in all."""


def notes_of(save, served, metrics=(), **changes):
    report = ingest([save(vllm_result(**RUN, **changes))], served, metrics=metrics)
    return " | ".join(report.notes)


def test_a_sound_run_has_nothing_to_say_but_how_full_it_was(save, served):
    assert "|" not in notes_of(save, served)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"output_throughput": 90.0}, "tokens a request, but 51 are stated"),
        ({"request_throughput": 1.5}, "63 requests, but 40 succeeded"),
        ({"mean_e2el_ms": 900.0}, "less than half of the median 2.1 s, which no times can give"),
        ({"mean_e2el_ms": 3400.0}, "the slowest hundredth would have taken 112.3 s each"),
        ({"mean_itl_ms": 90.0}, "about 2.2 tokens came per chunk"),
        (
            {"output_lens": [51] * 37 + [0] * 3},
            "3 of the 40 requests counted as success have an answer without",
        ),
        ({"ttfts": [0.1] * 39 + [-5.0]}, "time to the first token of 1 requests is below zero"),
        ({"mean_ttft_ms": 0.0}, "mean_ttft_ms is 0 in the file: it was not taken"),
    ],
)
def test_figures_that_contradict_each_other_are_said(save, served, changes, says):
    assert says in notes_of(save, served, **changes)


def metrics_text(drafts=0, accepted=0, generated=None, hits=None):
    lines = [f'vllm:generation_tokens_total{{engine="0"}} {generated}'] if generated is not None else []
    if drafts:
        lines += [f"vllm:spec_decode_num_drafts_total {drafts}"]
        lines += [f"vllm:spec_decode_num_draft_tokens_total {4 * drafts}"]
        lines += [f"vllm:spec_decode_num_accepted_tokens_total {accepted}"]
    if hits is not None:
        lines += [f"vllm:prefix_cache_queries_total 4000.0\nvllm:prefix_cache_hits_total {hits}"]
    return "\n".join(lines)


def test_counters_larger_than_the_run_hold_something_else(save, drafted):
    # The run has 2040 tokens; the counters committed 1000 + 2000.
    path = save(metrics_text(drafts=1000, accepted=2000), "m.prom")
    assert "the counters hold 3000 committed tokens, the run 2040" in notes_of(save, drafted, [path])
    path = save(metrics_text(drafts=700, accepted=1290), "m.prom")
    assert "counters hold" not in notes_of(save, drafted, [path])


def test_tokens_that_the_server_did_not_make(save, drafted):
    path = save(metrics_text(drafts=400, accepted=500, generated=1000), "m.prom")
    assert "the server counts 1000 output tokens, the file 2040" in notes_of(save, drafted, [path])


def test_prefix_cache_hits_of_a_baseline(save, served):
    path = save(metrics_text(hits=1000.0), "m.prom")
    report = ingest([save(vllm_result(**RUN))], served, metrics=[path])
    assert report.table["cached_prompt_tokens"][0] == pytest.approx(25)


def test_a_baseline_on_a_server_that_drafts(save, served):
    path = save(metrics_text(drafts=700, accepted=1290), "m.prom")
    assert "the server counts 700 drafts, but the method given is none" in notes_of(save, served, [path])
