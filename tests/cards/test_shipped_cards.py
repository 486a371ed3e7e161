"""What the shipped cards say, against figures published elsewhere than in the cards."""

import pytest

from bayes_sd.cards import load_cards
from bayes_sd.files import shipped


@pytest.fixture(scope="module")
def cards():
    return load_cards()


def test_every_name_in_the_shipped_tables_has_a_card(cards):
    import pandas as pd

    measured = [family for family in cards.families if (shipped("data") / f"{family}.csv").is_file()]
    assert {"llama", "gpt-oss", "deepseek", "llamacpp-cpu"} <= set(measured)
    for family in measured:
        table = pd.read_csv(shipped("data") / f"{family}.csv", dtype=str, keep_default_na=False)
        for name in table["hardware"].unique():
            cards.hardware(name)
        for verifier, precision in set(zip(table["verifier"], table["precision"], strict=True)):
            assert (
                family in ("others", cards.verifier(verifier).family)
                or family in cards.verifier(verifier).family
            )
            cards.precision(cards.stated_or_native(precision, verifier), verifier=verifier)
        for name in set(table.get("drafter", ())) - {""}:
            cards.drafter(name)


def test_one_chip_under_two_names_is_one_card(cards):
    assert cards.hardware("h100") is cards.hardware("H100-SXM-80GB")
    assert cards.hardware("h200") is cards.hardware("H200_SXM_141GB")
    a40, a80 = cards.hardware("A100-SXM4-40GB"), cards.hardware("A100-SXM4-80GB")
    assert a80.bandwidth_bytes_per_s > a40.bandwidth_bytes_per_s
    assert a80.flop_rate("fp16") == a40.flop_rate("fp16")


@pytest.mark.parametrize("name", ["L40S", "L4", "A10G", "RTX 4090", "H20", "B300", "MI350X", "GB300"])
def test_common_gpus_are_listed(cards, name):
    gpu = cards.hardware(name)
    assert gpu.memory_bytes > 10e9
    assert (
        gpu.flop_rate("fp16") < 3e15
    )  # no listed chip is denser: a larger figure would be one with sparsity
    assert gpu.link_bytes_per_s(8) < gpu.bandwidth_bytes_per_s


def test_a_chip_without_the_unit_computes_at_its_16_bit_rate(cards):
    a100, h100, b200 = (cards.hardware(n) for n in ("A100", "H100", "B200"))
    assert not a100.native("fp8")
    assert a100.flop_rate("fp8") == a100.flop_rate("fp16") == 312e12
    assert h100.flop_rate("fp8") == pytest.approx(2 * h100.flop_rate("fp16"), rel=1e-3)
    assert h100.flop_rate("fp4") == h100.flop_rate("fp16")
    assert b200.flop_rate("fp4") == 9e15


@pytest.mark.parametrize(
    ("verifier", "precision", "gigabytes", "within"),
    [
        # Published sizes of checkpoints: Llama at 16 bits; gpt-oss, 60.8 and 12.8 GiB by its model card.
        ("Llama-3.1-8B-Instruct", "bf16", 16.06, 0.01),
        ("Llama-3.3-70B-Instruct", "bf16", 141.1, 0.01),
        ("Llama-3.1-405B", "bf16", 811.7, 0.01),
        ("Llama-3.1-8B-Instruct", "w:w4a16 kv:fp16", 5.74, 0.03),
        ("gpt-oss-120b", "fp4", 65.3, 0.01),
        ("gpt-oss-20b", "mxfp4", 13.7, 0.01),
    ],
)
def test_weight_bytes_are_those_of_the_published_checkpoint(cards, verifier, precision, gigabytes, within):
    card = cards.verifier(verifier)
    assert card.weight_bytes(cards.precision(precision, verifier)) == pytest.approx(
        gigabytes * 1e9, rel=within
    )


@pytest.mark.parametrize(
    ("verifier", "bytes_per_token"),
    [
        ("Llama-3.1-8B-Instruct", 2 * 32 * 8 * 128 * 2),
        ("Llama-3.3-70B-Instruct", 2 * 80 * 8 * 128 * 2),
        ("gpt-oss-120b", 2 * 18 * 8 * 64 * 2),  # half of its 36 layers attend to a window
        ("DeepSeek-R1-0528", 61 * 576 * 2),  # DeepSeek-V2 paper: 576 elements a token and layer
    ],
)
def test_cache_bytes_per_token(cards, verifier, bytes_per_token):
    card = cards.verifier(verifier)
    assert card.kv_bytes_per_token(cards.precision("w:fp16 kv:fp16")) == bytes_per_token
    assert card.kv_bytes_per_token(cards.precision("w:fp16 kv:fp8")) == bytes_per_token / 2


def test_cache_is_divided_by_heads_at_most_and_never_for_latent_attention(cards):
    llama, deepseek = cards.verifier("Llama-3.3-70B"), cards.verifier("DeepSeek-V3")
    assert [llama.kv_shards(tp) for tp in (1, 4, 8, 16)] == [1, 4, 8, 8]
    assert deepseek.kv_shards(8) == 1


def test_a_step_reads_all_but_the_input_embedding(cards):
    fp16 = cards.precision("fp16")
    untied, tied = cards.verifier("Llama-3.1-8B"), cards.verifier("Llama-3.2-1B")
    assert untied.weight_bytes(fp16) - untied.dense_step_bytes(fp16) == pytest.approx(128256 * 4096 * 2)
    assert tied.weight_bytes(fp16) == tied.dense_step_bytes(fp16)


def test_experts_and_the_rest_make_the_whole(cards):
    for name in ("gpt-oss-120b", "gpt-oss-20b", "DeepSeek-R1-0528"):
        card = cards.verifier(name)
        fp16 = cards.precision("fp16")
        embedding = 2e9 * card.idle_embedding_params_b
        parts = card.dense_step_bytes(fp16) + card.expert_bytes(fp16) + embedding
        assert parts == pytest.approx(2e9 * card.params_b, rel=1e-12)


def test_drafters_know_their_verifier_and_cost(cards):
    eagle = cards.drafter("yuhuili/EAGLE3-LLaMA3.1-Instruct-8B")
    assert eagle.method == "eagle3"
    assert eagle.verifiers == ("Llama-3.1-8B-Instruct",)
    assert eagle.step_bytes() == pytest.approx(2e9 * 0.425)
    first_eagle = cards.drafter("yuhuili/EAGLE-LLaMA3-Instruct-8B")
    assert first_eagle.step_bytes() > 2e9 * first_eagle.params_b  # it reads the verifier's output layer too
    assert cards.drafter("ngram").step_bytes() == 0.0
    assert cards.drafter("native MTP").active_params_b < cards.drafter("native MTP").params_b


def test_families(cards):
    assert {"llama", "gpt-oss", "deepseek", "llamacpp-cpu", "qwen3", "gemma"} <= set(cards.families)
    assert "Llama-3.3-70B-Instruct" in cards.families["llama"].verifiers
