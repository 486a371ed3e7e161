import pytest

from bayes_sd.errors import DataError
from bayes_sd.files import shipped
from bayes_sd.measurements import apply_rules, known_families, load_family

FAMILIES = ("deepseek", "gpt-oss", "llama", "llamacpp-cpu", "minimax", "others", "qwen")


def test_the_shipped_tables_hold_every_published_row():
    assert known_families() == FAMILIES
    counts = {family: len(load_family(family)) for family in (*known_families(), "all")}
    # What is measured on a processor core is not pooled with GPUs.
    assert counts == {
        "llama": 1205,
        "gpt-oss": 470,
        "deepseek": 877,
        "qwen": 317,
        "minimax": 160,
        "others": 30,
        "llamacpp-cpu": 444,
        "all": 3059,
    }


def test_every_shipped_row_has_a_source_that_is_described():
    sources = {s for family in known_families() for s in load_family(family)["source"]}
    described = (shipped("data") / "SOURCES.md").read_text(encoding="utf-8")
    assert len(sources) == 23
    assert all(f"## {source}\n" in described for source in sources)


def test_rows_say_where_they_stand():
    table = load_family("all")
    assert not table.duplicated(["file", "row"]).any()
    assert list(table.index) == list(range(len(table)))
    some = table[table["file"].str.endswith("gpt-oss.csv")].iloc[5]
    line = (shipped("data") / "gpt-oss.csv").read_text(encoding="utf-8").splitlines()[some["row"] - 1]
    assert line.split(",")[0] == some["source"]
    assert f"{some['p50_e2e_s']:g}" in line


def test_the_known_caps_are_in_the_table():
    table = load_family("llama")
    caps = table[table["load_kind"] == "rate"]
    caps = caps[caps["source"] == "inference-perf_kubecon"]
    assert set(caps["max_num_seqs"]) == {128.0, 192.0}
    assert set(caps["client_cap"]) == {440.0}
    assert set(caps["arrivals"]) == {"even"}


def test_an_unknown_family_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"'phi'.*deepseek, gpt-oss, llama, llamacpp-cpu, .*, all.*--data"):
        load_family("phi")


def test_given_files_stand_in_for_the_shipped_ones(write):
    first = write({}, {"verifier": "Qwen3-32B"}, name="a.csv")
    second = write({"verifier": "llama-3.3-70b"}, name="b.csv")
    table = load_family("Llama", data=[first, second])
    assert list(table["verifier"]) == ["Llama-3.1-8B-Instruct", "llama-3.3-70b"]
    assert list(table["file"]) == [str(first), str(second)]
    assert table.attrs["other_families"] == 1
    assert len(load_family("all", data=[first, second])) == 3


def test_a_family_without_a_card_is_known_by_name_column_or_file(write):
    by_name = write({"verifier": "Qwen3-32B"}, {}, name="a.csv")
    assert list(load_family("qwen3", data=[by_name])["verifier"]) == ["Qwen3-32B"]
    by_column = write(
        {"verifier": "M", "family": "Ours"}, {"verifier": "N", "family": "theirs"}, name="b.csv"
    )
    assert list(load_family("ours", data=[by_column])["verifier"]) == ["M"]
    by_file = write({"verifier": "M"}, {}, name="ours.csv")
    assert list(load_family("ours", data=[by_file])["verifier"]) == ["M"]


def test_a_family_takes_all_its_generations(write):
    file = write({"verifier": "Qwen3-32B"}, {"verifier": "Qwen3.5-2B"}, {}, name="a.csv")
    assert list(load_family("qwen", data=[file])["verifier"]) == ["Qwen3-32B", "Qwen3.5-2B"]
    assert list(load_family("qwen3", data=[file])["verifier"]) == ["Qwen3-32B"]
    with pytest.raises(DataError, match="no row of family"):
        load_family("qw", data=[file])


def test_a_blank_precision_is_that_of_the_published_checkpoint(write):
    file = write(
        {"verifier": "gpt-oss-120b", "precision": ""}, {"precision": ""}, {"precision": "fp8"}, name="a.csv"
    )
    table = load_family("all", data=[file])
    assert list(table["precision"]) == ["mxfp4", "fp16", "fp8"]
    assert list(table["precision_assumed"]) == [True, True, False]
    assert apply_rules(table)[1].counts()["precision_from_card"] == 2


def test_files_without_a_row_of_the_family(write):
    with pytest.raises(DataError, match=r"no row of family 'gpt-oss'.*Llama-3.1-8B-Instruct.*all"):
        load_family("gpt-oss", data=[write({})])


def test_another_folder_of_tables(write, tmp_path):
    write({"verifier": "M"}, name="mine.csv")
    assert known_families(tmp_path) == ("mine",)
    assert len(load_family("mine", data_dir=tmp_path)) == 1
    with pytest.raises(DataError, match="no such folder"):
        known_families(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no measurement table"):
        load_family("all", data_dir=tmp_path / "empty")
