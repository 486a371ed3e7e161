"""What is offered for a name that has no card."""

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.cards.fits import check_fits
from bayes_sd.cards.nearest import family_in, nearest, size_in
from bayes_sd.cards.search import nearest_verifiers, search
from bayes_sd.errors import CardError


@pytest.fixture(scope="module")
def cards():
    return load_cards()


@pytest.mark.parametrize(
    ("name", "size", "family"),
    [
        ("Qwen3-30B-A3B-Instruct-2507", 30, "qwen3"),
        ("Llama-4-Scout-17B-16E", 17, "llama-4-scout"),
        ("Mixtral-8x7B-v0.1", 56, "mixtral"),
        ("gpt-oss-120b", 120, "gpt-oss"),
        ("SmolLM2-135M", 0.135, "smollm2"),
        ("Kimi-K2-1T", 1000, "kimi-k2"),
        ("MiniMax-M3", None, "minimax-m3"),
    ],
)
def test_family_and_size_of_a_name(name, size, family):
    assert size_in(name) == (None if size is None else pytest.approx(size))
    assert family_in(name) == family


@pytest.mark.parametrize(
    ("name", "offered", "never"),
    [
        ("Llama-4-Behemoth-2T", "Llama-4-Maverick-17B-128E-Instruct", "Llama-3.2-1B-Instruct"),
        ("Qwen3-40B", "Qwen3-32B", "Qwen3-4B"),
        ("Qwen4-7B", "Qwen3-8B", "Llama-3.1-8B-Instruct"),
        ("Llama-3.3-71B", "Llama-3.3-70B-Instruct", "Llama-3.2-1B-Instruct"),
        ("DeepSeek-V5", "DeepSeek-V3", "DeepSeek-V2-Lite-Chat"),
        ("gemma-5-30b-it", "gemma-4-31B-it", "gemma-3-1b-it"),
        ("GLM-5.7", "GLM-5", "GLM-4-9B-0414"),
    ],
)
def test_nearest_by_family_and_size(cards, name, offered, never):
    near = [card.name for card in nearest(name, cards.by_section["verifier"].values())]
    assert offered in near
    assert never not in near
    with pytest.raises(CardError, match=offered):
        cards.verifier(name)


@pytest.mark.parametrize("name", ["Jamba-34B", "Baichuan-34B", "Wolpertinger-34B"])
def test_a_family_that_nobody_knows_is_answered_by_size(cards, name):
    assert not nearest(name, cards.by_section["verifier"].values())
    by_size = nearest_verifiers(cards, name)
    assert all(25 < card.params_b < 45 for card in by_size)


def test_search(cards):
    assert search(cards, "verifier", "Qwen/Qwen3-8B-FP8")[0].name == "Qwen3-8B"
    assert {c.family for c in search(cards, "verifier", "gemma")} == {"gemma"}
    assert {c.method for c in search(cards, "drafter", "dflash")} >= {"dflash"}
    assert any(c.name == "DeepSeek-MTP" for c in search(cards, "drafter", "DeepSeek-R1-0528"))
    assert [c.name for c in search(cards, "hardware", "NVIDIA H200")] == ["H200-SXM", "H200-NVL"]
    assert len(search(cards, "verifier", "")) >= 80
    assert search(cards, "verifier", "nothing like it") == []


def test_weights_that_do_not_fit_are_refused_with_the_bytes(cards):
    kimi, h100, fp8 = cards.verifier("Kimi-K2-Instruct"), cards.hardware("H100"), cards.precision("fp8")
    with pytest.raises(
        CardError, match=r"1,02\d\.\d GB of weights, and 8 x H100-SXM hold 640\.0 GB: use at least 13"
    ):
        check_fits(kimi, h100, fp8, 8)
    check_fits(kimi, h100, fp8, 16)


def test_a_name_of_ten_thousand_letters_is_not_compared_letter_by_letter(cards):
    for look_up in (cards.verifier, cards.drafter, cards.hardware):
        with pytest.raises(CardError):
            look_up("a" * 10_000)
