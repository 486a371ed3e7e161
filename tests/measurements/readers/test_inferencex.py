import pytest
from benchmark_files import inferencex_csv, inferencex_row

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers import ingest

LATENCY_S = 0.5 + 449 * 0.010


def check(row):
    assert row["mean_e2e_s"] == pytest.approx(LATENCY_S)
    assert row["mean_ttft_ms"] == pytest.approx(500)
    assert row["mean_tpot_ms"] == pytest.approx(10)


def test_a_row_needs_no_options(save):
    report = ingest([save(inferencex_csv([inferencex_row()]))])
    row = report.table.iloc[0]
    check(row)
    assert (row["hardware"], row["engine"], row["precision"]) == ("b200", "vllm", "fp8")
    assert (row["tp"], row["n_gpu"], row["method"]) == (4, 4, "none")
    assert (row["load_kind"], row["load_value"]) == ("concurrency", 8)
    assert row["config_id"] == "inferencex|b200_vllm|fp8|tp4|conc8|2026-09-01"


def test_lengths_are_the_mean_ones_not_the_nominal(save):
    row = ingest([save(inferencex_csv([inferencex_row()]))]).table.iloc[0]
    assert row["output_tokens"] == pytest.approx(450)
    assert row["prompt_tokens"] == pytest.approx(900)
    assert row["achieved_rps"] == pytest.approx(8 / LATENCY_S)
    assert row["workload"] == "random 1000/500"


def test_headers_in_ms_over_values_in_s(save):
    rows = [gpu_columns(inferencex_row()), gpu_columns(inferencex_row(16))]
    report = ingest([save(inferencex_csv(rows, unit="ms", chips="GPU"))])
    assert report.table["mean_e2e_s"][0] == pytest.approx(LATENCY_S)
    assert sum("issue 2405" in note for note in report.notes) == 1


def gpu_columns(row):
    return {name.replace("/Chip", "/GPU"): value for name, value in row.items()}


def test_values_really_in_ms(save):
    row = gpu_columns(inferencex_row())
    row = {name: value * 1000 if name.endswith("(s)") else value for name, value in row.items()}
    report = ingest([save(inferencex_csv([row], unit="ms", chips="GPU"))])
    check(report.table.iloc[0])
    assert not any("issue 2405" in note for note in report.notes)


def test_without_interactivity_littles_law_shows_the_unit(save):
    drop = ("Mean Interactivity (tok/s/user)", "Median Interactivity (tok/s/user)")
    row = gpu_columns(inferencex_row())
    report = ingest([save(inferencex_csv([row], unit="ms", chips="GPU", drop=drop))])
    check(report.table.iloc[0])
    with pytest.raises(DataError, match="nothing shows whether times are in s or ms"):
        ingest([save(inferencex_csv([{**row, "OSL": ""}], unit="ms", chips="GPU", drop=drop))])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Mean Interactivity (tok/s/user)": 7}, "units contradict each other"),
        ({"Mean TPOT (s)": "fast"}, "'fast' is not a number"),
        ({"Concurrency": ""}, r"load_value"),
        ({"Mean E2E Latency (s)": 0.4}, "are the units right"),
    ],
)
def test_rows_that_cannot_be_right(save, changes, says):
    with pytest.raises(DataError, match=says):
        ingest([save(inferencex_csv([inferencex_row(**changes)]))])


def test_a_row_without_latency_is_left_out(save):
    empty = {"Mean E2E Latency (s)": "", "Median E2E Latency (s)": ""}
    report = ingest([save(inferencex_csv([inferencex_row(), inferencex_row(**empty)]))])
    assert len(report.table) == 1
    assert any("no end-to-end latency" in note for note in report.notes)


def test_speculating_rows_take_k_and_drafter_and_baselines_do_not(save):
    rows = [inferencex_row(), inferencex_row(**{"Spec Decoding": "mtp"})]
    path = save(inferencex_csv(rows))
    with pytest.raises(DataError, match=r"k \(--k\)"):
        ingest([path])
    table = ingest([path], {"k": 3}).table
    assert list(table["method"]) == ["none", "mtp"]
    assert table["k"].isna()[0]
    assert table["k"][1] == 3


def test_disaggregated_rows_are_called_that(save):
    rate = 8 / LATENCY_S
    row = inferencex_row(
        **{
            "Disaggregated": "true",
            "Num Prefill Chips": 4,
            "Num Decode Chips": 8,
            "Throughput/Chip (tok/s)": rate * 1350 / 12,
            "Input Throughput/Chip (tok/s)": rate * 900 / 4,
            "Output Throughput/Chip (tok/s)": rate * 450 / 8,
        }
    )
    out = ingest([save(inferencex_csv([row]))]).table.iloc[0]
    assert out["engine_options"] == "disaggregated 4+8"
    assert out["n_gpu"] == 12
    assert out["prompt_tokens"] == pytest.approx(900)


def test_throughputs_that_do_not_add_up_are_not_used(save):
    path = save(inferencex_csv([inferencex_row(**{"Throughput/Chip (tok/s)": 1.0})]))
    with pytest.raises(DataError, match=r"prompt_tokens \(--prompt-tokens\).*nominal lengths only"):
        ingest([path])
    table = ingest([path], {"prompt_tokens": 900}).table
    assert "output_tok_per_s" not in table


def test_a_line_cut_short(save):
    text = inferencex_csv([inferencex_row(), inferencex_row()])
    with pytest.raises(DataError, match=r"line 4: .* cells"):
        ingest([save(text[:-60])])


def test_only_a_header(save):
    with pytest.raises(DataError, match="no rows"):
        ingest([save(inferencex_csv([]))])


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "nan", "Infinity", '"a,b"'])
def test_every_cell_with_a_wrong_value(save, value):
    for name in inferencex_row():
        try:
            ingest([save(inferencex_csv([inferencex_row(**{name: value})]))], {"precision": "fp8"})
        except DataError as error:
            message = str(error)
        else:
            message = ""
        assert "\n" not in message, name
