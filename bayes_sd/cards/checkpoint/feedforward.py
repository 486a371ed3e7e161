"""Weights of feed-forward layers, dense and sparse."""

from __future__ import annotations

from bayes_sd.cards.checkpoint.attention import ALL_BIASED
from bayes_sd.cards.checkpoint.blocks import blocks_of
from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.cards.checkpoint.parts import EXPERTS, MLP, ROUTER, SHARED, SMALL, Tensor, matrices
from bayes_sd.errors import CardError

PLAIN_MLP = (
    "nemotron", "nemotron_h", "phi", "falcon", "starcoder2", "mpt", "opt", "persimmon", "jais2", "apertus", "biogpt",
    "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gptj", "bloom", "codegen",
)  # fmt: skip
"""Architectures whose feed-forward part has two matrices, not the three of a gated one."""
PLAIN_ACTS = ("relu2", "xielu")
"""Activations that come with two matrices."""
FOURFOLD = dict.fromkeys(("gpt2", "gpt_bigcode", "gptj", "bloom", "codegen", "mpt", "falcon"), 4)
"""Architectures whose feed-forward part is four times as wide as the rest where a config does not say."""


def _factor(config: Config) -> int:
    acts = (config.raw("mlp_hidden_act"), config.raw("hidden_act"))
    return 2 if config.model_type in PLAIN_MLP or any(act in PLAIN_ACTS for act in acts) else 3


def dense(config: Config, name: str, layer: int) -> list[Tensor]:
    """List the weights of a dense layer."""
    width = config.whole("dense_intermediate_size", config.whole("intermediate_size_mlp", 0))
    if config.model_type == "granitemoehybrid":  # its dense part is what it calls shared
        width = config.whole("shared_intermediate_size", 0)
    blocks = blocks_of(config)
    width = (blocks[layer].width if blocks else width) or config.whole(
        "intermediate_size", FOURFOLD.get(config.model_type, 0) * config.whole("hidden_size") or None
    )
    sharing = config.whole("num_kv_shared_layers", 0)
    if (
        config.flag("use_double_wide_mlp")
        and sharing
        and layer >= config.whole("num_hidden_layers") - sharing
    ):
        width *= 2
    hidden = config.whole("hidden_size")
    gated = {"gate_proj": hidden * width} if _factor(config) == 3 else {}
    return list(matrices(name, MLP, **gated, up_proj=hidden * width, down_proj=hidden * width))


def sparse(config: Config, name: str) -> list[Tensor]:
    """List the weights of a layer of routed and shared experts."""
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
        "share_expert_dim",
    ):
        if config.has(name):
            return config.whole(name)
    if config.model_type == "llama4":
        return width
    return config.whole("n_shared_experts", 0) * width
