"""A config against itself: fields that contradict each other, that one needs of another, or that nothing reads."""

from __future__ import annotations

import re

from bayes_sd.cards.checkpoint.config import SYNONYMS, Config
from bayes_sd.cards.checkpoint.kept import native_format, quantisation
from bayes_sd.cards.checkpoint.mixed import mixed
from bayes_sd.cards.checkpoint.parts import Tensor
from bayes_sd.errors import CardError, shown

WIDEST = 64
"""How many times wider or narrower than the hidden size a layer's other widths may be: published ones are within 16."""
SHAPES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
"""Fields that stand twice in some configs: for the whole file, and for its language model."""
OF_OWN_WIDTH = (
    "decoder_sparse_step",
    "first_k_dense_replace",
    "mlp_only_layers",
    "norm_topk_prob",
    "n_group",
)
"""Fields of architectures whose experts always have a width of their own."""
KINDS_OF_OWN_WIDTH = re.compile(
    r"(qwen\d.*moe|qwen3_next|deepseek|glm4.*moe|kimi|ernie4_5_moe|dots1|bailing_moe)"
)
"""Architectures whose experts never have the width of dense layers."""
BYTES = 256
"""The fewest words that a vocabulary has: those of bytes. Tiny models, which tests make, may have less."""
TINY = 512
ONE_VALUE = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "n_experts",
    "top_k_experts", "moe_intermediate_size",
)  # fmt: skip
"""Fields whose names all mean the same number (a padded vocabulary is another than the vocabulary)."""
LATENT = ("qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
"""What latent attention needs beside the rank of its cache."""
CARRIERS = {"modelopt", "quark", "compressed-tensors", "None", "NO_QUANT"}
"""What such a config may say without saying a format: of a cache alone, for example."""
SHAPE_LIKE = re.compile(r"(_size|_dim|_rank|_heads|_layers|_experts|_width|_blocks|_states)$")
"""Names of fields that may say a shape."""
NO_SHAPE = re.compile(
    r"window|chunk|vision|image|audio|video|patch|block_size|batch|max_|rope|rotary|group_size|ep_size|tp_|pp_|_type_"
)
"""Parts of such names that say something else."""
OF_OTHERS = ("num_key_value_heads", "qk_head_dim")
"""Fields of latent attention that follow from others."""


def refuse_contradictions(config: Config) -> None:
    """Refuse a config of a language model whose fields cannot all be true.

    Raises
    ------
    CardError
        In one line naming the fields, with what to do.
    """
    _widths(config)
    _twice(config)
    _spelt_twice(config)
    _experts(config)
    if config.has("kv_lora_rank"):
        for name in LATENT:
            config.whole(name)
    layers, more = config.whole("num_hidden_layers", 0), config.whole("mtp_layers", 0)
    if layers and more > layers:
        raise CardError(
            f"{config.where}: {more} layers that predict further tokens on {layers} others: one of the counts is wrong"
        )


def refuse_unknown_format(config: Config, tensors: list[Tensor]) -> None:
    """Refuse a ``quantization_config`` that names a format which is not known: it would be counted at 16 bits.

    Raises
    ------
    CardError
        In one line, with what to do.
    """
    found = quantisation(config)
    named = {
        name: found[name] for name in ("quant_method", "quant_algo", "format", "bits") if found.get(name)
    }
    if set(map(str, named.values())) <= CARRIERS or native_format(config) or mixed(config, tensors):
        return
    raise CardError(
        f"{config.where}: quantization_config names no format that is known ({shown(str(named))}): count the checkpoint "
        "without it by --set quantization_config={}, and give the format as a precision where you ask"
    )


def _widths(config: Config) -> None:
    """Refuse widths that are out of all proportion: one of them is in another unit."""
    hidden = config.whole("hidden_size")
    heads = config.whole("num_attention_heads", 0)
    widths = {
        "num_attention_heads x head_dim": heads * config.whole("head_dim", 0)
        if config.has("head_dim")
        else 0,
        **{
            name: config.whole(name, 0)
            for name in ("intermediate_size", "moe_intermediate_size")
            if not isinstance(config.raw(name), list)
        },
    }
    vocabulary = config.whole("vocab_size", 0)
    if 0 < vocabulary < BYTES and hidden > TINY:
        raise CardError(
            f"{config.where}: vocab_size is {vocabulary}, fewer words than there are bytes: is it in another unit?"
        )
    for name, width in widths.items():
        if width and not hidden / WIDEST <= width <= hidden * WIDEST:
            raise CardError(
                f"{config.where}: {name} is {width} and hidden_size {hidden}: no model is so uneven; is one in another unit?"
            )


def _twice(config: Config) -> None:
    """Refuse a shape that the whole file and its language model state differently."""
    if config.values is config.outer:
        return
    for name in SHAPES:
        for spelling in SYNONYMS[name]:
            outer, inner = config.outer.get(spelling), config.values.get(spelling)
            if isinstance(outer, int) and isinstance(inner, int) and outer != inner:
                raise CardError(
                    f"{config.where}: {spelling} is {outer} for the whole and {inner} for its language model: say which by "
                    f"--set {name}=NUMBER"
                )


def _spelt_twice(config: Config) -> None:
    """Refuse a field that stands under two of its names with two values."""
    for name in ONE_VALUE:
        stated = {
            spelling: value
            for spelling in SYNONYMS[name]
            if isinstance(value := config.values.get(spelling), int)
        }
        if len(set(stated.values())) > 1:
            (first, one), (second, other) = list(stated.items())[:2]
            raise CardError(
                f"{config.where}: {first} is {one} and {second}, the same by another name, is {other}: say which by "
                f"--set {first}=NUMBER --set {second}=NUMBER"
            )


def _experts(config: Config) -> None:
    """Ask for a number of experts where their width or choice is stated, and for their width where it is their own."""
    experts = config.raw("n_experts")
    if experts is None:
        for name in ("moe_intermediate_size", "top_k_experts"):
            if config.whole(name, 0) > 1:
                raise CardError(
                    f"{config.where}: {name} is {config.whole(name)}, and no field says how many experts there are: give "
                    "--set n_experts=NUMBER, 0 for a dense model"
                )
    elif experts and not config.has("moe_intermediate_size") and not config.has("block_configs"):
        own = next((name for name in OF_OWN_WIDTH if config.has(name)), None)
        kind = str(config.raw("model_type", ""))
        own = own or (f"model_type {kind}" if KINDS_OF_OWN_WIDTH.match(kind) else None)
        if own is not None:
            raise CardError(
                f"{config.where}: no field 'moe_intermediate_size', which a config with {own} has: give it with "
                "--set moe_intermediate_size=NUMBER"
            )


def unread(config: Config) -> list[str]:
    """Name the fields that look like a shape and that nothing read, once a card was counted.

    Parameters
    ----------
    config : Config
        Of which a card was counted.

    Returns
    -------
    list of str
    """
    return sorted(
        name
        for name, value in config.values.items()
        if name not in config.seen
        and name not in OF_OTHERS
        and SHAPE_LIKE.search(name)
        and not NO_SHAPE.search(name)
        and isinstance(value, int)
        and not isinstance(value, bool)
        and value > 1
    )
