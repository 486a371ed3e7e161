"""Cards from llama.cpp's files: the small models that this project writes, whose shapes are known."""

import numpy as np
import pytest

from bayes_sd.cards import load_cards
from bayes_sd.cards.checkpoint import derive_gguf
from bayes_sd.errors import CardError

pytest.importorskip("gguf")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from bayes_sd.engine import shapes
    from bayes_sd.engine.weights import write_model
    from bayes_sd.engine.words import N_TOKENS

    folder = tmp_path_factory.mktemp("gguf")
    follow = np.roll(np.arange(N_TOKENS), 1)
    written = {}
    for name in ("cycle-draft-4m", "cycle-moe-62m"):
        shape = (shapes.VERIFIERS | shapes.DRAFTERS)[name]
        written[name] = write_model(shape, follow, seed=1, path=folder / f"{name}.gguf")
    return written


def test_a_dense_file(files):
    listed = load_cards().drafter("cycle-draft-4m")
    made = derive_gguf(files["cycle-draft-4m"], "M", "f").card
    assert made.params_b == pytest.approx(listed.params_b, rel=0.01)
    assert (made.layers, made.hidden_size, made.vocab_size) == (
        listed.layers,
        listed.hidden_size,
        listed.vocab_size,
    )


def test_a_mixture(files):
    listed = load_cards().verifier("cycle-moe-62m")
    made = derive_gguf(files["cycle-moe-62m"], "M", "f")
    card = made.card
    assert card.params_b == pytest.approx(listed.params_b, rel=0.01)
    assert card.expert_params_b == pytest.approx(listed.expert_params_b, rel=0.001)
    assert (card.n_experts, card.top_k_experts) == (16, 2)
    assert card.kv_elements_per_token == listed.kv_elements_per_token
    assert any("bits a weight in this file" in note for note in made.notes)


def test_files_that_are_no_gguf(tmp_path, files):
    with pytest.raises(CardError, match="no such file"):
        derive_gguf(tmp_path / "x.gguf")
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + b"\0" * 40)
    with pytest.raises(CardError, match="GGUF"):
        derive_gguf(tmp_path / "x.gguf")
    whole = files["cycle-draft-4m"].read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:2000])
    with pytest.raises(CardError, match="GGUF"):
        derive_gguf(tmp_path / "cut.gguf")
