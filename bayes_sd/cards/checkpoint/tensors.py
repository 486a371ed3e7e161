"""The weights of a checkpoint, counted from its shape: one entry a matrix, with the name that checkpoints give it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.cards.checkpoint.layers import (
    DENSE,
    FULL,
    LINEAR,
    MAMBA,
    NOTHING,
    SPARSE,
    attention_kinds,
    mlp_kinds,
)
from bayes_sd.errors import CardError

EMBEDDING, HEAD, ATTENTION, MLP, SHARED, EXPERTS, ROUTER, SMALL, LOOKUP = (
    "embedding",
    "output layer",
    "attention",
    "dense feed-forward",
    "shared experts",
    "routed experts",
    "router",
    "norms and biases",
    "per-layer lookup",
)
"""Parts. A lookup is a table of which a step reads single rows."""
ALL_BIASED = ("gpt_oss", "gpt2")
QKV_BIASED = ("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "chatglm", "qwen", "glm4v")
PLAIN_MLP = ("nemotron", "nemotron_h", "phi", "gpt2", "gpt_neox", "falcon", "starcoder2", "mpt", "opt")
"""Architectures whose feed-forward part has two matrices, not the three of a gated one."""
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
GATED_ATTENTION = ("qwen3_next", "qwen3_5", "qwen3_5_moe", "muse_glimmer")
"""Architectures with a gate as wide as the queries on what attention gives."""
QK_NORMS = ("qwen3", "gemma3", "gemma4")
"""How architectures begin that normalise the queries and keys of each head."""
FOUR_NORMS = ("gemma2", "gemma3", "gemma3n", "gemma4", "glm4", "muse_glimmer")


@dataclass(frozen=True)
class Tensor:
    """Weights of one module.

    Attributes
    ----------
    module : str
        Name as in a checkpoint, such as ``model.layers.0.self_attn.q_proj``; all routed experts of a layer are one.
    part : str
        What it belongs to, one of the names at the head of this module.
    parameters : int
    """

    module: str
    part: str
    parameters: int


def tied(config: Config) -> bool:
    """Say whether the output layer is the input embedding."""
    return config.flag("tie_word_embeddings", config.model_type in TIED)


def head_dim(config: Config) -> int:
    """Give the size of one attention head."""
    heads = config.whole("num_attention_heads")
    if heads < 1:
        raise CardError(f"{config.where}: num_attention_heads is 0")
    if config.has("head_dim"):
        return config.whole("head_dim")
    hidden = config.whole("hidden_size")
    if hidden % heads:
        raise CardError(
            f"{config.where}: hidden_size {hidden} is not a multiple of num_attention_heads {heads}, "
            "and there is no head_dim: one of them is wrong"
        )
    return hidden // heads


def kv_heads(config: Config) -> int:
    """Give the cached heads of a layer."""
    heads = config.whole("num_attention_heads")
    cached = config.whole("num_key_value_heads", heads)
    if cached < 1 or heads % cached:
        raise CardError(
            f"{config.where}: num_attention_heads {heads} is not a multiple of num_key_value_heads {cached}"
        )
    return cached


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
        found += _linear(config, f"{name}.linear_attn")
    elif attention == MAMBA:
        found += _mamba(config, f"{name}.mixer")
    elif attention != NOTHING:
        latent = config.has("kv_lora_rank")
        found += (_latent if latent else _grouped)(config, f"{name}.self_attn", attention, layer)
    if mlp == DENSE:
        found += _dense(config, f"{name}.mlp", layer)
    elif mlp == SPARSE:
        found += _sparse(config, f"{name}.mlp")
        if config.flag("enable_moe_block"):  # Gemma 4 adds experts to a dense part
            found += _dense(config, f"{name}.mlp", layer)
    norms = 4 if config.model_type in FOUR_NORMS else (attention != NOTHING) + (mlp != NOTHING)
    found.append(Tensor(f"{name}.norms", SMALL, norms * hidden))
    beside = config.whole("hidden_size_per_layer_input", 0)
    if beside:
        rows = config.whole("vocab_size_per_layer_input", config.whole("vocab_size"))
        found.append(Tensor(f"{name}.embed_tokens_per_layer", LOOKUP, rows * beside))
        found.append(Tensor(f"{name}.per_layer", MLP, 3 * hidden * beside))
    return found


def _matrices(name: str, part: str, **sizes: int) -> Iterator[Tensor]:
    for module, parameters in sizes.items():
        yield Tensor(f"{name}.{module}", part, parameters)


def _grouped(config: Config, name: str, attention: str, layer: int) -> list[Tensor]:
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    width, cached, same = head_dim(config), kv_heads(config), False
    if attention == FULL and config.has("global_head_dim"):
        width = config.whole("global_head_dim")
    if attention == FULL and config.flag("attention_k_eq_v"):
        cached, same = config.whole("num_global_key_value_heads", cached), True
    queries, keys = heads * width, cached * width
    reuses = layer >= config.whole("num_hidden_layers") - config.whole("num_kv_shared_layers", 0)
    found = list(
        _matrices(
            name,
            ATTENTION,
            q_proj=hidden * queries,
            k_proj=0 if reuses else hidden * keys,
            v_proj=0 if reuses or same else hidden * keys,
            o_proj=hidden * queries,
        )
    )
    if config.model_type in GATED_ATTENTION or config.flag("attn_output_gate"):
        found.append(Tensor(f"{name}.gate_proj", ATTENTION, hidden * queries))
    biased = config.flag("attention_bias") or config.flag("add_qkv_bias") or config.model_type in QKV_BIASED
    output = config.model_type in ALL_BIASED
    small = (queries + 2 * keys) * (biased or output) + hidden * output
    small += 2 * width * config.model_type.startswith(QK_NORMS)
    return [*found, Tensor(f"{name}.small", SMALL, small)]


def _latent(config: Config, name: str, attention: str, layer: int) -> list[Tensor]:
    """Multi-head latent attention, and the index that chooses which tokens sparse attention reads."""
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    rank, rotary = config.whole("kv_lora_rank"), config.whole("qk_rope_head_dim", 0)
    plain, value = config.whole("qk_nope_head_dim"), config.whole("v_head_dim")
    query_rank = config.whole("q_lora_rank", 0)
    queries = heads * (plain + rotary)
    found = [
        *_matrices(
            name,
            ATTENTION,
            q_a_proj=hidden * query_rank,
            q_b_proj=(query_rank or hidden) * queries,
            kv_a_proj_with_mqa=hidden * (rank + rotary),
            kv_b_proj=rank * heads * (plain + value),
            o_proj=heads * value * hidden,
        )
    ]
    index_heads, index_dim = config.whole("index_n_heads", 0), config.whole("index_head_dim", 0)
    if index_heads:
        size = query_rank * index_heads * index_dim + hidden * index_dim + hidden * index_heads
        found.append(Tensor(f"{name}.indexer", ATTENTION, size))
    return [*found, Tensor(f"{name}.small", SMALL, query_rank + rank)]


def _linear(config: Config, name: str) -> list[Tensor]:
    """Gated delta networks (Qwen3-Next and later) and Kimi's delta attention."""
    hidden = config.whole("hidden_size")
    kimi = config.raw("linear_attn_config")
    if isinstance(kimi, dict):
        heads, width = int(kimi["num_heads"]), int(kimi["head_dim"])
        inner = heads * width
        sizes = {
            "q_proj": hidden * inner,
            "k_proj": hidden * inner,
            "v_proj": hidden * inner,
            "f_proj": (hidden + inner) * width,
            "b_proj": hidden * heads,
            "g_proj": (hidden + inner) * width,
            "o_proj": inner * hidden,
        }
        return list(_matrices(name, ATTENTION, **sizes))
    if not config.has(
        "linear_num_value_heads"
    ):  # lightning attention of MiniMax-01: queries, keys, values, gate, output
        return list(
            _matrices(
                name,
                ATTENTION,
                qkv_gate_out=5 * hidden * config.whole("num_attention_heads") * head_dim(config),
            )
        )
    keys = config.whole("linear_num_key_heads") * config.whole("linear_key_head_dim")
    value_heads = config.whole("linear_num_value_heads")
    values = value_heads * config.whole("linear_value_head_dim")
    return [
        *_matrices(
            name,
            ATTENTION,
            in_proj_qkv=hidden * (2 * keys + values),
            in_proj_z=hidden * values,
            in_proj_ba=hidden * 2 * value_heads,
            out_proj=values * hidden,
        ),
        Tensor(f"{name}.small", SMALL, config.whole("linear_conv_kernel_dim", 4) * (2 * keys + values)),
    ]


def _mamba(config: Config, name: str) -> list[Tensor]:
    hidden, heads = config.whole("hidden_size"), config.whole("mamba_num_heads")
    inner = heads * config.whole("mamba_head_dim")
    state = config.whole("n_groups") * config.whole("ssm_state_size")
    mixed = inner + 2 * state
    return [
        *_matrices(name, ATTENTION, in_proj=hidden * (inner + mixed + heads), out_proj=inner * hidden),
        Tensor(f"{name}.small", SMALL, mixed * (config.whole("conv_kernel", 4) + 1) + 3 * heads + inner),
    ]


def _factor(config: Config) -> int:
    return 2 if config.model_type in PLAIN_MLP or config.raw("mlp_hidden_act") == "relu2" else 3


def _dense(config: Config, name: str, layer: int) -> list[Tensor]:
    width = config.whole("intermediate_size_mlp", config.whole("intermediate_size"))
    shared = config.whole("num_kv_shared_layers", 0)
    if config.flag("use_double_wide_mlp") and layer >= config.whole("num_hidden_layers") - shared > 0:
        width *= 2
    hidden = config.whole("hidden_size")
    gated = {"gate_proj": hidden * width} if _factor(config) == 3 else {}
    return list(_matrices(name, MLP, **gated, up_proj=hidden * width, down_proj=hidden * width))


def _sparse(config: Config, name: str) -> list[Tensor]:
    hidden, experts = config.whole("hidden_size"), config.whole("n_experts")
    width = config.whole("moe_intermediate_size", config.whole("intermediate_size", 0))
    if not width:
        raise CardError(
            f"{config.where}: no field 'moe_intermediate_size': give it with --set moe_intermediate_size=NUMBER"
        )
    latent = config.whole("moe_latent_size", 0)
    factor = _factor(config)
    found = [
        Tensor(f"{name}.experts", EXPERTS, experts * factor * (latent or hidden) * width),
        Tensor(f"{name}.gate", ROUTER, hidden * experts),
        Tensor(f"{name}.latent", MLP, 2 * hidden * latent),
    ]
    if config.model_type in ALL_BIASED:  # gpt-oss has biases in its experts and its router
        found.append(Tensor(f"{name}.experts.bias", EXPERTS, experts * (2 * width + hidden)))
        found.append(Tensor(f"{name}.gate.bias", SMALL, experts))
    shared = shared_width(config, width)
    if shared:
        found.append(Tensor(f"{name}.shared_experts", SHARED, factor * hidden * shared))
        if config.model_type.startswith("qwen"):
            found.append(Tensor(f"{name}.shared_expert_gate", ROUTER, hidden))
    return found


def shared_width(config: Config, width: int) -> int:
    """Give the width of all shared experts of a layer together, 0 where there is none."""
    for name in (
        "moe_shared_expert_intermediate_size",
        "shared_expert_intermediate_size",
        "shared_intermediate_size",
    ):
        if config.has(name):
            return config.whole(name)
    if config.model_type == "llama4":
        return width
    return config.whole("n_shared_experts", 0) * width
