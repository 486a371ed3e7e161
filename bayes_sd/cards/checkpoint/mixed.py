"""Checkpoints whose layers are in several formats: which one most weights are in, and what the others add to its bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.cards.checkpoint.kept import as_object, group_format, named_format, quantisation
from bayes_sd.cards.checkpoint.parts import Tensor

BITS: dict[str | None, float] = {
    None: 16, "fp8": 8.05, "int8": 8.05, "w8a16": 8.05, "mxfp8": 8.25, "fp4": 4.5, "mxfp4": 4.25, "w4a16": 4.25, "w4a8": 4.25,
}  # fmt: skip
"""Stored bits of a quantised weight, scales included, by the format's name."""
MODULE = re.compile(r"(?:^|.*\.)(?:layers|blocks|h)\.(\d+)\.(\w+)(?:\.(.+))?")
MIXING = ("self_attn", "linear_attn", "attn", "attention", "mixer")
FUSED = {
    "qkv_proj": ("q_proj", "k_proj", "v_proj"),
    "gate_up_proj": ("gate_proj", "up_proj"),
    "in_proj_qkvz": ("in_proj_qkv", "in_proj_z"),
}
"""What one matrix of some checkpoints holds."""
Place = tuple[int, str, str]
"""Layer; what kind of module; its own name."""


def mixed(config: Config, tensors: Iterable[Tensor]) -> tuple[str, int] | None:
    """Say which format most weights of a checkpoint are in that names one for each module.

    Parameters
    ----------
    config : Config
    tensors : iterable of Tensor
        The checkpoint's weights.

    Returns
    -------
    tuple of str and int, or None
        The format by its card's name, and how many parameters would at 16 bits take the bytes that wider modules have more;
        None for a checkpoint in one format.
    """
    named = formats_by_module(quantisation(config))
    if len(set(named.values())) < 2:
        return None
    sizes: Counter[str | None] = Counter()
    for tensor in tensors:
        sizes[_format(tensor.module, named)] += tensor.parameters
    narrow = {fmt: n for fmt, n in sizes.items() if fmt is not None}
    if not narrow:
        return None
    main = max(narrow, key=lambda fmt: narrow[fmt])
    bits = BITS.get(main, 16)
    if bits >= 16:
        return None
    wider = sum(n * max(BITS.get(fmt, 16) - bits, 0) / (16 - bits) for fmt, n in sizes.items())
    return main, round(wider)


def formats_by_module(found: Mapping[str, Any]) -> dict[Place, str]:
    """Read what a ``quantization_config`` says of single modules.

    Parameters
    ----------
    found : mapping
        ModelOpt's with ``quantized_layers``, or one of compressed-tensors whose groups name their targets.

    Returns
    -------
    dict
        From a module's place to its weight format; empty where it names none.
    """
    listed = found.get("quantized_layers")
    if isinstance(listed, dict):
        said = [
            (name, named_format(str(as_object(entry).get("quant_algo") or "")))
            for name, entry in listed.items()
        ]
    else:
        groups = found.get("config_groups")
        said = [
            (target, group_format(as_object(group), {}))
            for group in (groups.values() if isinstance(groups, dict) else ())
            for target in as_object(group).get("targets") or ()
            if isinstance(target, str)
        ]
    placed = [(place, fmt) for name, fmt in said if fmt is not None and (place := _place(name)) is not None]
    return {(layer, kind, one): fmt for (layer, kind, own), fmt in placed for one in FUSED.get(own, (own,))}


def _place(module: str) -> Place | None:
    """Say where a module stands, alike for the names that checkpoints and this package give it."""
    found = MODULE.fullmatch(module)
    if found is None:
        return None
    words = (found[3] or "").removesuffix(".weight").split(".")
    if any(word.startswith("shared") for word in words):
        return int(found[1]), "shared", ""
    if "experts" in words:
        return int(found[1]), "experts", ""
    return int(found[1]), "mixing" if found[2] in MIXING else "other", words[-1]


def _format(module: str, named: Mapping[Place, str]) -> str | None:
    place = _place(module)
    if place is None:
        return None
    layer, kind, own = place
    # A gate on attention is part of the queries' matrix; Nemotron-H calls all its blocks mixers.
    others = [(layer, "mixing", "q_proj")] if (kind, own) == ("mixing", "gate_proj") else []
    others += [(layer, "mixing", own)] if kind == "other" else []
    return next((named[one] for one in (place, *others) if one in named), None)
