"""Reads the TOML cards into one :class:`Cards`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bayes_sd.cards.estimate import estimate_drafter, estimate_verifier
from bayes_sd.cards.names import find, key, suggest
from bayes_sd.cards.precision import parse_precision
from bayes_sd.cards.schema import (
    Card,
    Drafter,
    Family,
    Flag,
    Hardware,
    KvFormat,
    Precision,
    Verifier,
    WeightFormat,
)
from bayes_sd.errors import CardError
from bayes_sd.files import shipped

_SECTIONS: dict[str, type[Card]] = {
    "hardware": Hardware,
    "verifier": Verifier,
    "drafter": Drafter,
    "weights": WeightFormat,
    "kv": KvFormat,
    "flags": Flag,
}


class Cards:
    """Everything the cards say, looked up by name or alias in any case.

    Attributes
    ----------
    by_section : dict
        Section ("hardware", "verifier", "drafter", "weights", "kv", "flags") to canonical name to card.
    """

    def __init__(self) -> None:
        self.by_section: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
        self._index: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}

    def hardware(self, name: str) -> Hardware:
        """Give the card of a GPU; CardError with the nearest names where there is none."""
        return self._find("hardware", name)

    def verifier(self, name: str) -> Verifier:
        """Give the card of a verifier; CardError with the nearest names where there is none."""
        return self._find("verifier", name)

    def drafter(self, name: str) -> Drafter:
        """Give the card of a drafter; CardError with the nearest names where there is none."""
        return self._find("drafter", name)

    def precision(self, name: str) -> Precision:
        """Read a precision such as ``"fp8"`` or ``"w:w4a16 kv:fp8 eager"``; CardError where a format is unknown."""
        return parse_precision(name, self._index["weights"], self._index["kv"], self._index["flags"])

    def names(self, section: str) -> tuple[str, ...]:
        """Give the canonical names of a section, in the order of the files."""
        return tuple(self.by_section[section])

    def has(self, section: str, name: str) -> bool:
        """Say whether a section has a card of that name or alias."""
        return key(name) in self._index[section]

    @cached_property
    def families(self) -> Mapping[str, Family]:
        """Families that have verifiers, by name."""
        verifiers, drafters = self.by_section["verifier"].values(), self.by_section["drafter"].values()
        return {
            name: Family(
                name=name,
                verifiers=tuple(v.name for v in verifiers if v.family == name),
                drafters=tuple(d.name for d in drafters if d.family == name),
            )
            for name in dict.fromkeys(v.family for v in verifiers)
        }

    def verifier_from_row(self, row: Mapping[str, Any]) -> Verifier:
        """Give the verifier of a measurement or condition: its card, or one estimated from the row's own columns.

        Parameters
        ----------
        row : mapping
            With ``verifier`` and, where there is no card, ``verifier_params_b`` and as far as known
            ``verifier_active_params_b``, ``n_experts``, ``top_k_experts``. None, NaN and "" mean not known.

        Returns
        -------
        Verifier
            ``estimated`` says which.

        Raises
        ------
        CardError
            If there is neither a card nor a parameter count, or the counts contradict each other.
        """
        name = str(row["verifier"])
        if self.has("verifier", name):
            return self.verifier(name)
        params_b = _known(row.get("verifier_params_b"))
        if params_b is None:
            near = suggest(name, self.by_section["verifier"])
            raise CardError(
                f"no verifier card is named {name!r} and verifier_params_b is blank: {near} "
                "Give its parameters in the table, or a card with --models DIR"
            )
        experts, top_k = _known(row.get("n_experts")), _known(row.get("top_k_experts"))
        return estimate_verifier(
            name,
            self.by_section["verifier"].values(),
            params_b=params_b,
            active_params_b=_known(row.get("verifier_active_params_b")),
            n_experts=None if experts is None else int(experts),
            top_k_experts=None if top_k is None else int(top_k),
        )

    def drafter_from_row(self, row: Mapping[str, Any]) -> Drafter | None:
        """Give the drafter of a measurement or condition: None without speculation, its card, or an estimated one.

        Parameters
        ----------
        row : mapping
            With ``method`` and, where known, ``drafter`` and ``drafter_params_b``; and what `verifier_from_row` takes.

        Returns
        -------
        Drafter or None
            ``estimated`` says whether it has a card.

        Raises
        ------
        CardError
            For a draft model with neither a card nor a size.
        """
        method = str(row.get("method") or "none")
        if method == "none":
            return None
        name = str(_known_text(row.get("drafter")) or method)
        if self.has("drafter", name):
            return self.drafter(name)
        return estimate_drafter(
            name, method, self.verifier_from_row(row), _known(row.get("drafter_params_b"))
        )

    def _find(self, section: str, name: str) -> Any:
        shown = {alias: card.name for alias, card in self._index[section].items()}
        return find(section, name, self._index[section], shown)

    def _add_folder(self, folder: Path) -> None:
        files = sorted(folder.glob("*.toml"))
        if not files:
            raise CardError(f"{folder}: no .toml card in it; name a folder that holds cards")
        owner: dict[tuple[str, str], str] = {}
        for file in files:
            for section, card in _read(file):
                self._add(file, section, card, owner)

    def _add(self, file: Path, section: str, card: Card, owner: dict[tuple[str, str], str]) -> None:
        for name in (card.name, *card.aliases):
            other = owner.setdefault((section, key(name)), card.name)
            if other != card.name:
                raise CardError(
                    f"{file}: [{section}.{card.name!r}] name {name!r} is already one of {other!r}"
                )
        replaced = self._index[section].get(key(card.name))
        if replaced is not None and key(replaced.name) == key(card.name):
            self.by_section[section].pop(replaced.name, None)
            self._index[section] = {k: c for k, c in self._index[section].items() if c is not replaced}
        self.by_section[section][card.name] = card
        self._index[section] |= {key(name): card for name in (card.name, *card.aliases)}

    def _check(self) -> None:
        for weights in self.by_section["weights"].values():
            if key(weights.kv) not in self._index["kv"]:
                raise CardError(
                    f"[weights.{weights.name}] kv: no [kv.{weights.kv}] entry: {suggest(weights.kv, self.names('kv'))}"
                )
        for drafter in self.by_section["drafter"].values():
            for verifier in drafter.verifiers:
                if not self.has("verifier", verifier):
                    near = suggest(verifier, self.names("verifier"))
                    raise CardError(
                        f"[drafter.{drafter.name!r}] verifiers: no verifier card is named {verifier!r}: {near}"
                    )


def load_cards(extra_dir: Path | None = None) -> Cards:
    """Read the shipped cards, and a user's own on top of them.

    Parameters
    ----------
    extra_dir : Path or None
        A folder of .toml files of the same form; an entry replaces the shipped one of the same name, whole.

    Returns
    -------
    Cards
        All cards.

    Raises
    ------
    CardError
        For a folder or file that is missing or malformed, an unknown key, a value out of range, or entries that
        contradict each other; the message names file, entry and key.
    """
    cards = Cards()
    cards._add_folder(shipped("models"))
    if extra_dir is not None:
        if not Path(extra_dir).is_dir():
            raise CardError(f"{extra_dir}: no such folder of cards")
        cards._add_folder(Path(extra_dir))
    cards._check()
    return cards


def _read(file: Path) -> list[tuple[str, Card]]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CardError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CardError(f"{file}: not UTF-8 text: save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise CardError(f"{file}: not valid TOML: {error}") from error
    family = content.pop("family", "")
    if not isinstance(family, str):
        raise CardError(f"{file}: family must be a text")
    if "verifier" in content and not family:
        raise CardError(f'{file}: it has verifiers but no family: put family = "NAME" at its head')
    found: list[tuple[str, Card]] = []
    for section, entries in content.items():
        if section not in _SECTIONS:
            raise CardError(f"{file}: unknown section [{section}]: {suggest(section, _SECTIONS)}")
        if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
            raise CardError(f"{file}: [{section}] must hold named entries, as in [{section}.NAME]")
        for name, values in entries.items():
            found.append((section, _card(file, section, name, values, family)))
    return found


def _card(file: Path, section: str, name: str, values: dict[str, Any], family: str) -> Card:
    where = f"{file}: [{section}.{name!r}]"
    for reserved in ("name", "family", "estimated"):
        if reserved in values:
            raise CardError(f"{where} {reserved}: not a key of an entry; remove it")
    for key_name, value in values.items():
        if isinstance(value, dict):  # [verifier.Qwen-2.5] is, to TOML, an entry "5" inside "Qwen-2"
            raise CardError(
                f"{where} {key_name}: a name with a dot needs quotes, as in [{section}.'{name}.{key_name}']"
            )
    if section in ("verifier", "drafter"):
        values = values | {"family": family}
    try:
        return _SECTIONS[section].model_validate(values | {"name": name})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        words = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            words = f"unknown key; {suggest(place, _SECTIONS[section].model_fields)}"
        raise CardError(f"{where} {place + ': ' if place else ''}{words}") from error


def _known(value: Any) -> float | None:
    if value is None or value == "":
        return None
    number = float(value)
    return None if number != number else number  # NaN is the only number that differs from itself


def _known_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
