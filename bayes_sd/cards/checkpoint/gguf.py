"""Cards from GGUF files: llama.cpp's own metadata and tensors, counted exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bayes_sd.cards.checkpoint.card import Derived, derive
from bayes_sd.cards.checkpoint.config import config_of
from bayes_sd.errors import CardError

FIELDS: dict[str, str] = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "feed_forward_length": "intermediate_size",
    "vocab_size": "vocab_size",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_count": "n_shared_experts",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
    "leading_dense_block_count": "first_k_dense_replace",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.q_lora_rank": "q_lora_rank",
    "attention.value_length_mla": "v_head_dim",
    "rope.dimension_count": "qk_rope_head_dim",
    "attention.sliding_window": "sliding_window",
    "full_attention_interval": "full_attention_interval",
    "nextn_predict_layers": "num_nextn_predict_layers",
}
"""llama.cpp's keys behind the architecture's name, and the same field of a config.json."""
TYPES: dict[str, str] = {
    "gpt-oss": "gpt_oss", "qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "qwen3next": "qwen3_next",
    "deepseek2": "deepseek_v3", "glm4moe": "glm4_moe", "minimax-m2": "minimax_m2", "qwen35": "qwen3_5",
    "qwen35moe": "qwen3_5_moe",
}  # fmt: skip


def derive_gguf(path: str | Path, name: str = "", family: str = "") -> Derived:
    """Count a verifier's card from a GGUF file.

    Parameters
    ----------
    path : path-like
        The file, or the first of a split one.
    name : str
        The card's name; default: the file's own ``general.name``.
    family : str
        Family to list it under.

    Returns
    -------
    Derived
        Parameters are those of the file's tensors; a note says the bits that a weight takes in it.

    Raises
    ------
    CardError
        If it is no GGUF file, or one without a language model's fields.
    """
    fields, tensors = _read(Path(path))
    architecture = str(fields.get("general.architecture", ""))
    content: dict[str, Any] = {"model_type": TYPES.get(architecture, architecture)}
    for key, field in FIELDS.items():
        value = fields.get(f"{architecture}.{key}")
        if isinstance(value, list):  # a number a layer: the largest is what a layer with a cache has
            value = max(value, default=None)
        if value is not None:
            content[field] = value
    tokens = fields.get("tokenizer.ggml.tokens")
    if "vocab_size" not in content and isinstance(tokens, int):
        content["vocab_size"] = tokens
    if "kv_lora_rank" in content:
        content["qk_nope_head_dim"] = (
            int(fields[f"{architecture}.attention.key_length_mla"]) - content["qk_rope_head_dim"]
        )
    if tensors:
        content["tie_word_embeddings"] = "output.weight" not in tensors
    if not architecture or "hidden_size" not in content:
        raise CardError(f"{path}: no language model's fields in it ({architecture or 'no architecture'})")
    card_name = name or str(fields.get("general.name") or Path(path).stem)
    made = derive(config_of(content, str(path)), card_name, family, f"counted from {Path(path).name}")
    return _exact(made, fields, tensors)


def _exact(made: Derived, fields: dict[str, Any], tensors: dict[str, tuple[int, int]]) -> Derived:
    """Put the file's own counts in the place of those from its shapes, and say what a weight takes."""
    if not tensors or int(fields.get("split.count", 1) or 1) > 1:
        return made
    counted = sum(n for n, _ in tensors.values())
    experts = sum(n for name, (n, _) in tensors.items() if "_exps" in name)
    bits = 8 * sum(size for _, size in tensors.values()) / counted
    card = made.card
    update: dict[str, Any] = {"params_b": counted / 1e9, "kept_16bit_params_b": 0.0}
    if experts:
        update["expert_params_b"] = experts / 1e9
        update["active_params_b"] = card.active_params_b * counted / 1e9 / card.params_b
    else:
        update["active_params_b"] = counted / 1e9
    notes = (*made.notes, f"{bits:.2f} bits a weight in this file: --precision {bits:.2f}bit")
    checked = type(card).model_validate(card.model_copy(update=update).model_dump())
    return Derived(checked, {"tensors of the file": counted}, notes, made.beside)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    """Give metadata, and elements and bytes of each tensor. Long lists are given by their length."""
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise CardError(
            "reading GGUF files needs the package gguf: install it with 'pip install gguf'"
        ) from error
    if not path.is_file():
        raise CardError(f"{path}: no such file")
    try:
        reader = GGUFReader(path)
        fields = {name: _content(name, field) for name, field in reader.fields.items()}
        tensors = {t.name: (int(t.n_elements), int(t.n_bytes)) for t in reader.tensors}
    except (ValueError, IndexError, KeyError, OSError, OverflowError) as error:
        raise CardError(f"{path}: not a whole GGUF file: {error}") from error
    return fields, tensors


def _content(name: str, field: Any) -> Any:
    if name.startswith("tokenizer.ggml."):
        return len(field.data)
    return field.contents()
