"""A weights index (``model.safetensors.index.json``) set against the config that it goes with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayes_sd.cards.checkpoint.config import Config, read_json
from bayes_sd.cards.checkpoint.kept import kept, native_format
from bayes_sd.cards.checkpoint.layers import layer_count, layer_of
from bayes_sd.cards.checkpoint.mixed import BITS, mixed
from bayes_sd.cards.checkpoint.parts import EXPERTS
from bayes_sd.cards.checkpoint.tensors import count_tensors, tied
from bayes_sd.errors import CardError

OTHER_TOWERS = ("vision", "visual", "audio", "multi_modal_projector", "mm_projector")
WITHIN = 0.04
"""How far a file's bytes may lie from those counted: small tensors, scales and padding are not counted one by one."""
TOWER_BYTES = 8e9
"""What towers for images and sound, or further layers that predict tokens, may take beside the language model."""


def read_index(path: str | Path) -> Mapping[str, Any]:
    """Read a weights index.

    Parameters
    ----------
    path : path-like
        ``model.safetensors.index.json``.

    Returns
    -------
    mapping
        With ``weight_map`` and ``metadata``.

    Raises
    ------
    CardError
        If it is no such file.
    """
    content = read_json(Path(path))
    if not isinstance(content.get("weight_map"), dict) or not content["weight_map"]:
        raise CardError(f"{path}: no weight_map in it: give a model.safetensors.index.json")
    return content


def check_index(config: Config, index: Mapping[str, Any], where: str) -> list[str]:
    """Check that a weights index belongs to a config.

    Parameters
    ----------
    config : Config
    index : mapping
        From :func:`read_index`.
    where : str
        Its file, for messages.

    Returns
    -------
    list of str
        What was found to agree, a sentence each.

    Raises
    ------
    CardError
        If layers, output layer or bytes disagree with the config.
    """
    modules = [name for name in index["weight_map"] if not any(word in name for word in OTHER_TOWERS)]
    layers, extra = layer_count(config), config.whole("mtp_layers", 0)
    last = max((n for n in map(layer_of, modules) if n is not None), default=-1) + 1
    if not layers <= last <= layers + extra:
        raise CardError(
            f"{where}: it has {last} layers where {config.where} says num_hidden_layers {layers}: they are of two checkpoints"
        )
    numbers = [int(n) for name in modules for n in re.findall(r"\.experts\.(\d+)\.", name)]
    stated = config.whole("n_experts", 0)
    if numbers and max(numbers) + 1 != stated:
        raise CardError(
            f"{where}: it has {max(numbers) + 1} experts a layer where {config.where} says {stated}: they are of two checkpoints"
        )
    head = any(name.endswith(("lm_head.weight", "output.weight")) for name in modules)
    if not head and not tied(config):
        raise CardError(
            f"{where}: no output layer in it, but {config.where} does not tie it to the embedding: "
            "give --set tie_word_embeddings=true if it is tied"
        )
    return [
        f"{last} layers",
        *_bytes(config, index, where, any_more=last > layers or len(modules) < len(index["weight_map"])),
    ]


def _bytes(config: Config, index: Mapping[str, Any], where: str, any_more: bool) -> list[str]:
    metadata = index.get("metadata")
    stated = metadata.get("total_size") if isinstance(metadata, dict) else None
    if stated is None:
        return []
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not stated > 0:
        raise CardError(f"{where}: its total_size is {stated!r}: it must be a number of bytes above 0")
    expected = expected_bytes(config)
    more = (TOWER_BYTES + expected * config.whole("mtp_layers", 0) * 2 / layer_count(config)) * any_more
    if not expected * (1 - WITHIN) <= stated <= expected * (1 + WITHIN) + more:
        raise CardError(
            f"{where}: its weights take {stated / 1e9:.4g} GB where {config.where} makes {expected / 1e9:.4g} GB: "
            "they are of two checkpoints, or quantization_config is missing"
        )
    return [f"{stated / 1e9:.4g} GB of weights, {expected / 1e9:.4g} GB counted"]


def expected_bytes(config: Config) -> float:
    """Give the bytes that a checkpoint's language model takes on disk."""
    tensors = list(count_tensors(config))
    dtype = str(config.raw("torch_dtype") or config.raw("dtype") or "bfloat16")
    wide = 4.0 if "float32" in dtype else 2.0
    several = mixed(config, tensors)
    native = several[0] if several else native_format(config)
    if native is None:
        return wide * sum(t.parameters for t in tensors)
    narrow = BITS.get(native, float(native.removesuffix("bit")) if native.endswith("bit") else 16) / 8
    total, experts = (
        sum(t.parameters for t in tensors),
        sum(t.parameters for t in tensors if t.part == EXPERTS),
    )
    whole = several[1] if several else kept(config, tensors)
    return narrow * (total - whole) + wide * whole if experts <= total else 0.0
