"""Priors of a family's own: they say only what is believed otherwise, and a slip in them is told."""

import pytest

from bayes_sd.errors import ModelError
from bayes_sd.model.spec import ModelSpec, family_priors, read_priors


def test_a_family_without_a_file_has_the_common_priors():
    assert family_priors("llama") == read_priors()


def test_a_familys_file_changes_what_it_names_and_nothing_else():
    common, own = read_priors(), family_priors("llamacpp-cpu")
    assert own["noise"]["latency_median"] > common["noise"]["latency_median"]
    assert own["noise"]["tails"] == common["noise"]["tails"]
    assert own["part"]["kv"] == common["part"]["kv"]
    changed = {name for name in common["spread"] if own["spread"][name] != common["spread"][name]}
    assert changed == {"verify"}
    assert own["spread"].keys() == common["spread"].keys()


def test_a_spec_has_its_familys_priors():
    assert ModelSpec(family="llamacpp-cpu").priors == family_priors("llamacpp-cpu")
    assert ModelSpec.from_json(ModelSpec(family="llama").to_json()) == ModelSpec(family="llama")


def test_a_users_file_goes_before_the_shipped_one(tmp_path):
    (tmp_path / "priors-llamacpp-cpu.toml").write_text("[noise]\nlatency_median = 0.2\n")
    own = family_priors("llamacpp-cpu", tmp_path)
    assert own["noise"]["latency_median"] == 0.2
    assert own["part"] == read_priors()["part"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[noise]\nlatency_medan = 0.2\n", r"priors-mine\.toml: no prior is named noise\.latency_medan"),
        ("[part]\nkv = 2.0\n", r"no prior is named part\.kv"),
        ("noise =\n", r"priors-mine\.toml: priors cannot be read"),
    ],
)
def test_a_slip_is_told_with_its_place(tmp_path, text, words):
    (tmp_path / "priors-mine.toml").write_text(text)
    with pytest.raises(ModelError, match=words):
        family_priors("mine", tmp_path)
