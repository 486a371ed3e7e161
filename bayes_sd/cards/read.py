"""Reads one TOML file of cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bayes_sd.cards.base import Card
from bayes_sd.cards.drafter import Drafter
from bayes_sd.cards.hardware import Hardware
from bayes_sd.cards.names import suggest
from bayes_sd.cards.precision import Flag, KvFormat, WeightFormat
from bayes_sd.cards.verifier import Verifier
from bayes_sd.errors import CardError
from bayes_sd.loading import load_toml

SECTIONS: dict[str, type[Card]] = {
    "hardware": Hardware,
    "verifier": Verifier,
    "drafter": Drafter,
    "weights": WeightFormat,
    "kv": KvFormat,
    "flags": Flag,
}
RESERVED = ("name", "family", "estimated")
"""Fields that an entry gets from its heading and file, not from a key."""


def read_cards(file: Path) -> list[tuple[str, Card]]:
    """Read one file of cards.

    Parameters
    ----------
    file : Path
        A TOML file with any of the sections in :data:`SECTIONS`.

    Returns
    -------
    list of (str, Card)
        Section and card, in the order of the file.

    Raises
    ------
    CardError
        Naming file, entry and key, for anything malformed, unknown or out of range.
    """
    content = load_toml(file, CardError)
    family = content.pop("family", "")
    if not isinstance(family, str):
        raise CardError(f"{file}: family must be a text")
    if "verifier" in content and not family:
        raise CardError(f'{file}: it has verifiers but no family: put family = "NAME" at its head')
    found: list[tuple[str, Card]] = []
    for section, entries in content.items():
        if section not in SECTIONS:
            raise CardError(f"{file}: unknown section [{section}]: {suggest(section, tuple(SECTIONS))}")
        if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
            raise CardError(f"{file}: [{section}] must hold named entries, as in [{section}.NAME]")
        for name, values in entries.items():
            found.append((section, _card(file, section, name, values, family)))
    return found


def _card(file: Path, section: str, name: str, values: dict[str, Any], family: str) -> Card:
    where = f"{file}: [{section}.{name!r}]"
    for reserved in RESERVED:
        if reserved in values:
            raise CardError(f"{where} {reserved}: not a key of an entry; remove it")
    for key_name, value in values.items():
        if isinstance(value, dict) and key_name not in SECTIONS[section].model_fields:
            # [verifier.Qwen-2.5] is, to TOML, an entry "5" inside "Qwen-2".
            raise CardError(
                f"{where} {key_name}: a name with a dot needs quotes, as in [{section}.'{name}.{key_name}']"
            )
    if section in ("verifier", "drafter"):
        values = values | {"family": family}
    try:
        return SECTIONS[section].model_validate(values | {"name": name})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            keys = [name for name in SECTIONS[section].model_fields if name not in RESERVED]
            words = f"unknown key; {suggest(place, keys)}"
        raise CardError(f"{where} {place + ': ' if place else ''}{words}") from error
