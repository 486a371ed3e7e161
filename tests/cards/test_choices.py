"""Methods, kinds of load and blanks as people and engines write them."""

import pytest

from bayes_sd.cards.choices import read_load_kind, read_method
from bayes_sd.cards.record import canonical
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.schema import BY_NAME


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("NEXTN", "mtp"), ("deepseek_mtp", "mtp"), ("qwen3_next_mtp", "mtp"), ("Native MTP", "mtp"), ("off", "none"), ("-", "none"),
        ("No", "none"), ("baseline", "none"), ("no-spec", "none"), ("STANDALONE", "draft_model"), ("Draft Model", "draft_model"),
        ("prompt lookup", "ngram"), ("EAGLE (MTP)", "mtp"), ("Suffix Decoding", "suffix"), ("EAGLE-3", "eagle3"),
        ("my_tree_method", "my_tree_method"),
    ],
)  # fmt: skip
def test_methods_in_tables_and_options(text, method):
    assert parse_cell(text, BY_NAME["method"]) == method


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("closed loop", "concurrency"), ("max_concurrency", "concurrency"), ("Concurrent", "concurrency"), ("clients", "concurrency"),
        ("QPS", "rate"), ("request_rate", "rate"), ("open-loop", "rate"), ("req/s", "rate"), ("rate", "rate"),
    ],
)  # fmt: skip
def test_kinds_of_load(text, kind):
    assert parse_cell(text, BY_NAME["load_kind"]) == kind


def test_what_is_no_such_word_stays_and_is_judged_by_its_column():
    assert read_method("eagle3") == "eagle3"
    assert read_load_kind("tokens/s") == "tokens/s"
    with pytest.raises(CellError, match="is not one of concurrency, rate"):
        parse_cell("tokens/s", BY_NAME["load_kind"])


def test_a_drafter_that_is_none_is_blank():
    values, words = canonical({"method": "none", "drafter": "N/A"})
    assert values["drafter"] == ""
    assert any("drafter" in one for one in words)
    assert canonical({"drafter": "ngram"})[0]["drafter"] == "ngram"
