"""Weights of what mixes tokens: attention of several kinds, and layers that keep a state of fixed size."""

from __future__ import annotations

from bayes_sd.cards.checkpoint.blocks import blocks_of
from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.cards.checkpoint.layers import COMPRESSED, FULL, WINDOW
from bayes_sd.cards.checkpoint.parts import ATTENTION, SMALL, Tensor, matrices
from bayes_sd.errors import CardError

ALL_BIASED = ("gpt_oss", "gpt2")
QKV_BIASED = ("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "chatglm", "qwen", "glm4v")
GATED_ATTENTION = ("qwen3_next", "qwen3_5", "qwen3_5_moe", "muse_glimmer", "afmoe")
"""Architectures with a gate as wide as the queries on what attention gives."""
QK_NORMS = ("qwen3", "gemma3", "gemma4")
"""How architectures begin that normalise the queries and keys of each head."""


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
    blocks = [block.cached_heads for block in blocks_of(config) if block.cached_heads]
    if blocks:  # a card has one number: the mean of its layers
        return max(round(sum(blocks) / len(blocks)), 1)
    one = config.flag("multi_query") and not config.flag("new_decoder_architecture")  # Falcon
    cached = 1 if one else config.whole("num_key_value_heads", heads)
    if cached < 1 or heads % cached:
        raise CardError(
            f"{config.where}: num_attention_heads {heads} is not a multiple of num_key_value_heads {cached}"
        )
    return cached


def global_head_dim(config: Config) -> int:
    """Give the size of a head in layers that attend to everything; Gemma 4's are larger there than in its windows."""
    single = config.mapping("per_layer_config")  # as transformers 5 writes it
    own = [entry["head_dim"] for entry in single.values() if isinstance(entry, dict) and "head_dim" in entry]
    width = own[0] if own and isinstance(own[0], int) and own[0] > 0 else head_dim(config)
    return config.whole("global_head_dim", width)


def value_width(config: Config, width: int) -> int:
    """Give the size of a head's values, where it is not that of its keys (MiMo-V2)."""
    return width if config.has("kv_lora_rank") else config.whole("v_head_dim", width)


def grouped(config: Config, name: str, attention: str, layer: int) -> list[Tensor]:
    """List the weights of attention with grouped queries."""
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    width, cached, same = head_dim(config), kv_heads(config), False
    blocks = blocks_of(config)
    if blocks:
        cached = blocks[layer].cached_heads
    if attention == FULL:
        width = global_head_dim(config)
    elif attention == WINDOW:
        cached = config.whole("swa_num_key_value_heads", cached)
    if attention == FULL and config.flag("attention_k_eq_v"):
        cached, same = config.whole("num_global_key_value_heads", cached), True
    queries, keys, values = heads * width, cached * width, value_width(config, width)
    sharing = config.whole(
        "num_kv_shared_layers", 0
    )  # Gemma 4: the last layers use the keys and values of earlier ones
    reuses = sharing > 0 and layer >= config.whole("num_hidden_layers") - sharing
    rank = config.whole("share_q_dim", 0)  # Step-3 makes its queries in two steps
    found = list(
        matrices(
            name,
            ATTENTION,
            q_a_proj=hidden * rank,
            q_proj=(rank or hidden) * queries,
            k_proj=0 if reuses else hidden * keys,
            v_proj=0 if reuses or same else hidden * cached * values,
            o_proj=hidden * heads * values,
        )
    )
    if config.model_type in GATED_ATTENTION or config.flag("attn_output_gate"):
        found.append(Tensor(f"{name}.gate_proj", ATTENTION, hidden * queries))
    biased = config.flag("attention_bias") or config.flag("add_qkv_bias") or config.model_type in QKV_BIASED
    output = config.model_type in ALL_BIASED
    chosen = config.whole("index_n_heads", 0) * config.whole("index_head_dim", 0)  # MiniMax-M3
    if chosen and attention == FULL:
        index = hidden * (chosen + config.whole("index_head_dim"))
        found.append(Tensor(f"{name}.indexer", ATTENTION, index))
    small = (queries + 2 * keys) * (biased or output) + hidden * output
    small += 2 * width * config.model_type.startswith(QK_NORMS)
    return [*found, Tensor(f"{name}.small", SMALL, small)]


def latent(config: Config, name: str, attention: str, layer: int) -> list[Tensor]:
    """Multi-head latent attention, and the index that chooses which tokens sparse attention reads."""
    hidden, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    rank, rotary = config.whole("kv_lora_rank"), config.whole("qk_rope_head_dim", 0)
    plain, value = config.whole("qk_nope_head_dim"), config.whole("v_head_dim")
    query_rank = config.whole("q_lora_rank", 0)
    queries = heads * (plain + rotary)
    found = [
        *matrices(
            name,
            ATTENTION,
            q_a_proj=hidden * query_rank,
            q_b_proj=(query_rank or hidden) * queries,
            kv_a_proj_with_mqa=hidden * (rank + rotary),
            kv_b_proj=rank * heads * (plain + value),
            o_proj=heads * value * hidden,
            g_proj=heads * value * hidden * config.flag("mla_use_output_gate"),
        )
    ]
    index_heads, index_dim = config.whole("index_n_heads", 0), config.whole("index_head_dim", 0)
    if index_heads:
        size = query_rank * index_heads * index_dim + hidden * index_dim + hidden * index_heads
        found.append(Tensor(f"{name}.indexer", ATTENTION, size))
    return [*found, Tensor(f"{name}.small", SMALL, query_rank + rank)]


def compressed(config: Config, name: str, attention: str) -> list[Tensor]:
    """List the weights of DeepSeek-V4's attention, which caches one entry for several tokens."""
    hidden, heads, width = config.whole("hidden_size"), config.whole("num_attention_heads"), head_dim(config)
    queries, rank = config.whole("q_lora_rank"), config.whole("o_lora_rank")
    streams = config.whole("hc_mult", 0)
    found = [
        *matrices(
            name,
            ATTENTION,
            q_a_proj=hidden * queries,
            q_b_proj=queries * heads * width,
            kv_proj=hidden * width,
            o_a_proj=heads * width * rank,
            o_b_proj=config.whole("o_groups") * rank * hidden,
        ),
        # Two connections a layer mix the residual streams.
        Tensor(f"{name}.hyper_connections", SMALL, 2 * (streams + 2) * streams * streams * hidden),
    ]
    overlap = 2 if attention == COMPRESSED else 1
    if attention != WINDOW:
        found.append(Tensor(f"{name}.compressor", ATTENTION, 2 * overlap * hidden * width))
    if attention == COMPRESSED:
        index_heads, index_dim = config.whole("index_n_heads"), config.whole("index_head_dim")
        size = 2 * overlap * hidden * index_dim + queries * index_heads * index_dim + hidden * index_heads
        found.append(Tensor(f"{name}.compressor.indexer", ATTENTION, size))
    return found


def linear(config: Config, name: str) -> list[Tensor]:
    """Gated delta networks (Qwen3-Next and later) and Kimi's delta attention."""
    hidden = config.whole("hidden_size")
    own = config.mapping("linear_attn_config")
    if own:  # Kimi
        inside = Config(f"{config.where}: linear_attn_config", own)
        heads, width = inside.whole("num_heads"), inside.whole("head_dim")
        inner = heads * width
        low_rank = (hidden + inner) * width
        sizes = {
            "q_proj": hidden * inner,
            "k_proj": hidden * inner,
            "v_proj": hidden * inner,
            "f_proj": low_rank,
            "b_proj": hidden * heads,
            "g_proj": hidden * inner if inside.flag("use_full_rank_gate") else low_rank,
            "o_proj": inner * hidden,
        }
        return list(matrices(name, ATTENTION, **sizes))
    if not config.has(
        "linear_num_value_heads"
    ):  # lightning attention of MiniMax-01: queries, keys, values, gate, output
        return list(
            matrices(
                name,
                ATTENTION,
                qkv_gate_out=5 * hidden * config.whole("num_attention_heads") * head_dim(config),
            )
        )
    keys = config.whole("linear_num_key_heads") * config.whole("linear_key_head_dim")
    value_heads = config.whole("linear_num_value_heads")
    values = value_heads * config.whole("linear_value_head_dim")
    return [
        *matrices(
            name,
            ATTENTION,
            in_proj_qkv=hidden * (2 * keys + values),
            in_proj_z=hidden * values,
            in_proj_ba=hidden * 2 * value_heads,
            out_proj=values * hidden,
        ),
        Tensor(f"{name}.small", SMALL, config.whole("linear_conv_kernel_dim", 4) * (2 * keys + values)),
    ]


def mamba(config: Config, name: str) -> list[Tensor]:
    """List the weights of a state-space layer (Mamba 2)."""
    hidden, heads = config.whole("hidden_size"), config.whole("mamba_num_heads")
    inner = heads * config.whole("mamba_head_dim")
    state = config.whole("n_groups") * config.whole("ssm_state_size")
    mixed = inner + 2 * state
    return [
        *matrices(name, ATTENTION, in_proj=hidden * (inner + mixed + heads), out_proj=inner * hidden),
        Tensor(f"{name}.small", SMALL, mixed * (config.whole("conv_kernel", 4) + 1) + 3 * heads + inner),
    ]
