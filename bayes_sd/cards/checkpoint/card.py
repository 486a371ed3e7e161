"""A verifier or drafter card from a checkpoint's config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bayes_sd.cards.base import GIGA, Card
from bayes_sd.cards.checkpoint import drafters
from bayes_sd.cards.checkpoint.architectures import KNOWN, refuse_uncounted
from bayes_sd.cards.checkpoint.attention import global_head_dim, head_dim, kv_heads, value_width
from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.cards.checkpoint.feedforward import shared_width
from bayes_sd.cards.checkpoint.kept import experts_narrower, kept, native_format
from bayes_sd.cards.checkpoint.layers import (
    COMPRESSED,
    GROWING,
    HEAVY,
    LINEAR,
    MAMBA,
    SPARSE,
    WINDOW,
    attention_kinds,
    mlp_kinds,
    pattern_of,
)
from bayes_sd.cards.checkpoint.mixed import mixed
from bayes_sd.cards.checkpoint.parts import EMBEDDING, EXPERTS, HEAD, LOOKUP, Tensor, parts_of
from bayes_sd.cards.checkpoint.plausible import refuse_contradictions, refuse_unknown_format, unread
from bayes_sd.cards.checkpoint.tensors import count_tensors, tied
from bayes_sd.cards.drafter import Drafter
from bayes_sd.cards.verifier import Verifier
from bayes_sd.errors import CardError, shown

TOKENS_AN_ENTRY = {COMPRESSED: 4, HEAVY: 128}
"""Tokens for which DeepSeek-V4 caches one entry, by the kind of layer."""


@dataclass(frozen=True)
class Derived:
    """A card and how it came about.

    Attributes
    ----------
    card : Verifier or Drafter
    parts : dict of str to int
        Parameters by part.
    notes : tuple of str
        What a reader should know, a sentence each.
    beside : Drafter or None
        The checkpoint's own layers for predicting further tokens (MTP).
    """

    card: Verifier | Drafter
    parts: dict[str, int]
    notes: tuple[str, ...]
    beside: Drafter | None = None


def derive(
    config: Config,
    name: str,
    family: str = "",
    source: str = "",
    method: str | None = None,
    verifiers: tuple[str, ...] = (),
) -> Derived:
    """Count a card from a config.

    Parameters
    ----------
    config : Config
    name : str
        The card's name.
    family : str
        Family to list it under.
    source : str
        Where the config comes from; default: its file.
    method : str, optional
        How it drafts. Given, or said by the config's architecture, the card is a drafter's.
    verifiers : tuple of str
        Whom a drafter was made for.

    Returns
    -------
    Derived

    Raises
    ------
    CardError
        In one line naming file and field, where a field is missing or contradicts another.
    """
    source = source or f"counted from {Path(config.where).name}"
    refuse_uncounted(config)
    method = method or drafters.method_of(config)
    if method is not None:
        values, parts, notes = drafters.count(config, method)
        more = {"verifiers": list(verifiers), "family": family, "source": source}
        return Derived(_card(config, Drafter, name, values | more), parts, tuple(notes))
    refuse_contradictions(config)
    tensors = count_tensors(config)
    refuse_unknown_format(config, tensors)
    values, notes = _verifier(config, tensors)
    card = _card(config, Verifier, name, values | {"family": family, "source": source})
    mtp = drafters.mtp(config)
    beside = None
    if mtp is not None:
        more = {"verifiers": [name], "family": family, "source": source}
        beside = _card(config, Drafter, f"{name}-MTP", mtp | more)
    left = unread(config)
    if left:
        notes.append(f"fields that look like a shape and change nothing here: {', '.join(left)}")
    return Derived(card, parts_of(tensors), tuple(notes), beside)


def _verifier(config: Config, tensors: list[Tensor]) -> tuple[dict[str, Any], list[str]]:
    parts = parts_of(tensors)
    attention, mlp = attention_kinds(config), mlp_kinds(config)
    total = sum(parts.values()) - parts.get(LOOKUP, 0)
    values: dict[str, Any] = {
        "params_b": _billions(total),
        "layers": len(attention),
        "full_attention_layers": sum(kind in GROWING for kind in attention) or len(attention),
        "hidden_size": config.whole("hidden_size"),
        "attention_heads": config.whole("num_attention_heads"),
        **_cache(config, attention),
        "vocab_size": config.whole("vocab_size"),
        "tied_embeddings": tied(config),
        **_kept(config, tensors),
    }
    if pattern_of(config) is not None:  # a block is half a layer: token mixing or feed-forward
        values["layers"] = (len(attention) + 1) // 2
    if SPARSE in mlp:
        values |= _experts(config, parts, total, values["tied_embeddings"])
    return values, _notes(config, attention, parts)


def _cache(config: Config, attention: list[str]) -> dict[str, Any]:
    if config.has("o_lora_rank"):
        return _compressed_cache(config, attention)
    if config.has("kv_lora_rank"):
        heads, rotary = config.whole("num_attention_heads"), config.whole("qk_rope_head_dim", 0)
        widths = config.whole("qk_nope_head_dim") + rotary + config.whole("v_head_dim")
        return {"latent_dim": config.whole("kv_lora_rank") + rotary, "attention_width": heads * widths}
    cached = kv_heads(config)
    if config.flag("attention_k_eq_v"):
        cached = config.whole("num_global_key_value_heads", cached)
    width = global_head_dim(config)
    values = value_width(config, width)
    if values == width:
        return {"kv_heads": cached, "head_dim": width}
    # Keys and values of different sizes are cached as two of the mean one.
    heads = config.whole("num_attention_heads")
    return {
        "kv_heads": cached,
        "head_dim": (width + values) // 2,
        "attention_width": heads * (width + values),
    }


def _compressed_cache(config: Config, attention: list[str]) -> dict[str, Any]:
    """Average over the layers of DeepSeek-V4, whose cache has one entry (and one of the index) for several tokens."""
    width, index = head_dim(config), config.whole("index_head_dim")
    few, many = attention.count(COMPRESSED), attention.count(HEAVY)
    growing = max(few + many, 1)
    entries = (few / TOKENS_AN_ENTRY[COMPRESSED] + many / TOKENS_AN_ENTRY[HEAVY]) / growing
    elements = entries * width + few / TOKENS_AN_ENTRY[COMPRESSED] / growing * index
    heads = config.whole("num_attention_heads")
    return {
        "latent_dim": max(round(elements), 1),
        "attention_width": max(round(2 * heads * width * entries), 1),
    }


def _experts(config: Config, parts: dict[str, int], total: int, shares_embedding: bool) -> dict[str, Any]:
    experts, top_k = config.whole("n_experts"), config.whole("top_k_experts")
    if not 1 <= top_k <= experts:
        raise CardError(
            f"{config.where}: {top_k} experts a token of {experts}: the counts contradict each other"
        )
    routed = parts[EXPERTS]
    used = total - routed + routed * top_k / experts - (0 if shares_embedding else parts[EMBEDDING])
    width = config.whole("moe_intermediate_size", config.whole("intermediate_size", 0))
    shared = shared_width(config, width)
    return {
        "active_params_b": _billions(used),
        "n_experts": experts,
        "top_k_experts": top_k,
        "n_shared_experts": config.whole("n_shared_experts", 0) or int(shared > 0),
        "expert_params_b": _billions(routed),
    }


def _kept(config: Config, tensors: list[Tensor]) -> dict[str, Any]:
    stated, native = kept(config, tensors), native_format(config)
    embeddings = sum(t.parameters for t in tensors if t.part in (EMBEDDING, HEAD))
    several = None if experts_narrower(config) else mixed(config, tensors)
    if several is not None:
        native, stated = several
    if native is None:
        return {"kept_16bit_params_b": _billions(stated)}
    if experts_narrower(config):
        # What at 16 bits takes the bytes that FP8 adds to a 4-bit format: (8 - 4.25)/(16 - 4.25) of it.
        rest = sum(t.parameters for t in tensors if t.part not in (EXPERTS, EMBEDDING, HEAD))
        stated = embeddings + round(0.319 * rest)
    if native in ("fp4", "w4a16", "w4a8") or experts_narrower(config):
        both = {"kept_16bit_params_b": _billions(embeddings), "kept_16bit_params_b_fp4": _billions(stated)}
        return both | {"native_format": native}
    means = {"format_means": {"fp4": "mxfp4"}} if native == "mxfp4" else {}
    return {"kept_16bit_params_b": _billions(stated), "native_format": native} | means


def _notes(config: Config, attention: list[str], parts: Mapping[str, int]) -> list[str]:
    notes = []
    if config.model_type not in KNOWN:
        notes.append(
            f"architecture {shown(config.model_type) or 'not named'!r} is not known: counted from its shapes as a decoder with gated "
            "feed-forward layers; compare the total with the published one"
        )
    fixed = attention.count(LINEAR) + attention.count(MAMBA)
    if fixed:
        notes.append(f"{fixed} layers keep a state of fixed size, which the card does not count as cache")
    if attention.count(WINDOW):
        notes.append(
            f"{attention.count(WINDOW)} layers attend to a window; their cache stops growing and is not counted"
        )
    if COMPRESSED in attention:
        notes.append("its layers cache one entry for 4 or 128 tokens: latent_dim is their average")
    if config.whole("index_topk", 0):
        notes.append(
            f"sparse attention: a token reads at most {config.whole('index_topk')} earlier ones in decode"
        )
    if "vision_config" in config.outer or "audio_config" in config.outer:
        notes.append("towers for images and sound are not counted: the card is of the language model")
    if LOOKUP in parts:
        notes.append(
            f"{parts[LOOKUP] / GIGA:.2f}e9 parameters of per-layer embeddings are read row by row and not counted"
        )
    return notes


def _card[T: Card](config: Config, kind: type[T], name: str, values: Mapping[str, Any]) -> T:
    try:
        return kind.model_validate({**values, "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        raise CardError(f"{config.where}: makes no card: {place + ': ' if place else ''}{words}") from error


def _billions(parameters: float) -> float:
    """Round to four digits, or to 10^5 parameters where those are fewer."""
    return float(f"{parameters / GIGA:.4g}") if parameters < GIGA else round(parameters / GIGA, 3)
