"""The weights of a checkpoint, counted from its shape: one entry a matrix, with the name that checkpoints give it."""

from __future__ import annotations

from bayes_sd.cards.checkpoint import attention as mixing
from bayes_sd.cards.checkpoint import feedforward
from bayes_sd.cards.checkpoint.blocks import blocks_of
from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.cards.checkpoint.layers import DENSE, LINEAR, MAMBA, NOTHING, SPARSE, attention_kinds, mlp_kinds
from bayes_sd.cards.checkpoint.parts import EMBEDDING, HEAD, LOOKUP, MLP, SMALL, Tensor

TIED = (
    "gemma",
    "gemma2",
    "gemma3",
    "gemma3n",
    "gemma4",
    "cohere",
    "cohere2",
    "gpt2",
    "falcon",
    "ernie4_5",
    "ernie4_5_moe",
)
"""Architectures whose output layer is the input embedding where a config does not say."""
FOUR_NORMS = ("gemma2", "gemma3", "gemma3n", "gemma4", "glm4", "muse_glimmer")


def tied(config: Config) -> bool:
    """Say whether the output layer is the input embedding."""
    return config.flag("tie_word_embeddings", config.model_type in TIED)


def count_tensors(config: Config) -> list[Tensor]:
    """List the weights of the language model.

    Parameters
    ----------
    config : Config

    Returns
    -------
    list of Tensor
        Layers that predict further tokens (MTP) and towers for images and sound are not among them.

    Raises
    ------
    CardError
        If a field that is needed is missing or contradicts another.
    """
    hidden, vocab = config.whole("hidden_size"), config.whole("vocab_size")
    found = [Tensor("model.embed_tokens", EMBEDDING, vocab * hidden)]
    if not tied(config):
        found.append(Tensor("lm_head", HEAD, vocab * hidden))
    for i, (attention, mlp) in enumerate(zip(attention_kinds(config), mlp_kinds(config), strict=True)):
        found += layer_tensors(config, f"model.layers.{i}", attention, mlp, i)
    found.append(Tensor("model.norm", SMALL, hidden))
    return [tensor for tensor in found if tensor.parameters > 0]


def layer_tensors(config: Config, name: str, attention: str, mlp: str, layer: int = 0) -> list[Tensor]:
    """List the weights of one layer of given kinds (see :mod:`~bayes_sd.cards.checkpoint.layers`)."""
    hidden = config.whole("hidden_size")
    found: list[Tensor] = []
    if attention == LINEAR:
        # Kimi's checkpoints name all layers that mix tokens alike, as their lists of what stays at 16 bits do.
        found += mixing.linear(
            config, f"{name}.{'self' if config.mapping('linear_attn_config') else 'linear'}_attn"
        )
    elif attention == MAMBA:
        found += mixing.mamba(config, f"{name}.mixer")
    elif config.has("o_lora_rank"):
        found += mixing.compressed(config, f"{name}.self_attn", attention)
    elif attention != NOTHING:
        latent = config.has("kv_lora_rank")
        found += (mixing.latent if latent else mixing.grouped)(config, f"{name}.self_attn", attention, layer)
    if mlp == DENSE:
        found += feedforward.dense(config, f"{name}.mlp", layer)
    elif mlp == SPARSE:
        found += feedforward.sparse(config, f"{name}.mlp")
        if config.flag("enable_moe_block"):  # Gemma 4 adds experts to a dense part
            found += feedforward.dense(config, f"{name}.mlp", layer)
    blocks = blocks_of(config)
    if blocks and blocks[layer].linear:
        found.append(Tensor(f"{name}.linear", MLP, blocks[layer].linear * hidden * hidden))
    norms = 4 if config.model_type in FOUR_NORMS else (attention != NOTHING) + (mlp != NOTHING)
    found.append(Tensor(f"{name}.norms", SMALL, norms * hidden))
    beside = config.whole("hidden_size_per_layer_input", 0)
    if beside:
        rows = config.whole("vocab_size_per_layer_input", config.whole("vocab_size"))
        found.append(Tensor(f"{name}.embed_tokens_per_layer", LOOKUP, rows * beside))
        found.append(Tensor(f"{name}.per_layer", MLP, 3 * hidden * beside))
    return found
