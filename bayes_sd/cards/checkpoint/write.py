"""Cards as TOML text, in the form of the files under ``models/``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from bayes_sd.cards.base import Card
from bayes_sd.cards.drafter import Drafter

BARE = re.compile(r"[A-Za-z0-9_-]+")
FROM_HEADING = ("name", "family")


def as_toml(cards: Iterable[Card], family: str = "", head: str = "") -> str:
    """Write cards as a file that :func:`bayes_sd.cards.load_cards` reads.

    Parameters
    ----------
    cards : iterable of Card
        Verifiers and drafters.
    family : str
        Family of the file.
    head : str
        Comment at its beginning, without ``#``.

    Returns
    -------
    str
        TOML text; fields at their defaults are left out.
    """
    blocks = [f"# {line}".rstrip() for line in head.splitlines()]
    blocks += [""] * bool(blocks) + [f"family = {_value(family)}", ""] * bool(family)
    for card in cards:
        section = "drafter" if isinstance(card, Drafter) else type(card).__name__.lower()
        blocks.append(f"[{section}.{_key(card.name)}]")
        values = card.model_dump(exclude_defaults=True, exclude=set(FROM_HEADING))
        if values.get("active_params_b") == values.get("params_b"):
            values.pop("active_params_b", None)
        if values.get("full_attention_layers") == values.get("layers"):
            values.pop("full_attention_layers", None)
        source = values.pop("source", None)
        blocks += [f"{key} = {_value(value)}" for key, value in values.items()]
        blocks += [f"source = {_value(source)}", ""] if source else [""]
    return "\n".join(blocks).rstrip() + "\n"


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=False)
