"""Layers that a search made unlike each other (Llama-Nemotron Super and Ultra): some without attention, all of own widths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayes_sd.cards.checkpoint.config import Config
from bayes_sd.errors import CardError

MULTIPLE = 256
"""Feed-forward widths are rounded up to a multiple of this."""


@dataclass(frozen=True)
class Block:
    """What one layer has.

    Attributes
    ----------
    cached_heads : int
        Heads that it caches; 0 without attention.
    width : int
        Width of its feed-forward part; 0 without one.
    linear : int
        How many of its two parts are a single square matrix instead.
    """

    cached_heads: int
    width: int
    linear: int


def blocks_of(config: Config) -> list[Block]:
    """Read ``block_configs``, a block a layer; empty where a config has none.

    Raises
    ------
    CardError
        If it has not one block a layer, or a block lacks what is counted.
    """
    listed = config.raw("block_configs")
    if listed is None:
        return []
    layers = config.whole("num_hidden_layers")
    if not isinstance(listed, list) or len(listed) != layers:
        n = len(listed) if isinstance(listed, list) else "no"
        raise CardError(f"{config.where}: block_configs names {n} layers, num_hidden_layers {layers}")
    heads, hidden = config.whole("num_attention_heads"), config.whole("hidden_size")
    found = []
    for i, entry in enumerate(listed):
        attention, ffn = (_part(config, i, entry, name) for name in ("attention", "ffn"))
        linear = sum(bool(part.get("replace_with_linear")) for part in (attention, ffn))
        grouped = _number(config, i, attention, "n_heads_in_group", heads)
        multiplier = _number(config, i, ffn, "ffn_mult", 64)
        width = -(-int(2 * multiplier * hidden / 3) // MULTIPLE) * MULTIPLE
        found.append(Block(int(heads // grouped) if grouped else 0, width, linear))
    if not any(block.cached_heads for block in found):
        raise CardError(f"{config.where}: no layer of block_configs has attention")
    return found


def _part(config: Config, layer: int, entry: Any, name: str) -> Mapping[str, Any]:
    part = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(part, dict):
        raise CardError(f"{config.where}: block_configs[{layer}] has no {name!r}")
    return part


def _number(config: Config, layer: int, part: Mapping[str, Any], name: str, most: float) -> float:
    """Give what a part says, 0 for a part that is left out."""
    if part.get("no_op") or part.get("replace_with_linear"):
        return 0.0
    found = part.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= most:
        raise CardError(
            f"{config.where}: block_configs[{layer}] has {name} {found!r}: above 0, at most {most}"
        )
    return float(found)
