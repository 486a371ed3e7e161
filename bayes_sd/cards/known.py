"""An index of cards: which card a name, an alias or another spelling of it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from bayes_sd.cards.base import Card
from bayes_sd.cards.canonical import spellings, squeezed, stem, tight, untuned, without_active
from bayes_sd.cards.names import find, key, suggest
from bayes_sd.cards.read import SECTIONS
from bayes_sd.errors import CardError

MODELS = ("verifier", "drafter")
"""Sections whose names carry owners, formats and dates."""


class Known:
    """Cards by section and name.

    Attributes
    ----------
    by_section : dict
        Section ("hardware", "verifier", "drafter", "weights", "kv", "flags") to canonical name to card.
    """

    def __init__(self) -> None:
        self.by_section: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        self._index: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        self._stems: dict[str, dict[str, set[str]]] = {section: {} for section in MODELS}

    def names(self, section: str) -> tuple[str, ...]:
        """Give the canonical names of a section, in the order of the files."""
        return tuple(self.by_section[section])

    def has(self, section: str, name: str) -> bool:
        """Say whether a section has a card of that name or alias."""
        return (
            self.model(section, name) is not None if section in MODELS else key(name) in self._index[section]
        )

    def model(self, section: str, name: str) -> Any:
        """Look a model up under every spelling of its name, then by what tells its shape, then by what it was tuned from."""
        index = self._index[section]
        direct = index.get(key(name))
        if direct is not None:
            return direct
        for spelled in spellings(name):
            if spelled in index:
                return index[spelled]
        for spelled in (stem(name), squeezed(name), tight(name)):
            alike = self._stems[section].get(spelled, set())
            if len(alike) == 1:
                return self.by_section[section][next(iter(alike))]
        return self._tuned(name) if section == "verifier" else None

    def _tuned(self, name: str) -> Any:
        """Look a verifier up by the model that it was tuned from, where its name, one word, ends in that one's."""
        for base in () if " " in name.strip() else untuned(name):
            alike = self._stems["verifier"].get(base, set())
            if len(alike) == 1:
                return self.by_section["verifier"][next(iter(alike))]
        return None

    def find(self, section: str, name: str) -> Any:
        """Give the card of exactly that name or alias; CardError with the nearest names where there is none."""
        shown = {alias: card.name for alias, card in self._index[section].items()}
        return find(section, name, self._index[section], shown)

    def add(self, file: Path, section: str, card: Card, owner: dict[tuple[str, str], str]) -> None:
        """Take a card in, in place of one of the same name.

        Parameters
        ----------
        file : Path
            Where it stands, for messages.
        section : str
        card : Card
        owner : dict
            Section and name to the card of the same folder that has it; added to.

        Raises
        ------
        CardError
            If another card of the folder has one of its names.
        """
        for name in (card.name, *card.aliases):
            other = owner.setdefault((section, key(name)), card.name)
            if other != card.name:
                raise CardError(
                    f"{file}: [{section}.{card.name!r}] name {name!r} is already one of {other!r}"
                )
        replaced = self._index[section].get(key(card.name))
        if replaced is not None:
            # Tables go on using the old card's names, so the new one answers to them too.
            every = dict.fromkeys((*card.aliases, replaced.name, *replaced.aliases))
            aliases = tuple(name for name in every if key(name) != key(card.name))
            card = card.model_copy(update={"aliases": aliases})
            del self.by_section[section][replaced.name]
            for alike in self._stems.get(section, {}).values():
                alike.discard(replaced.name)
        self.by_section[section][card.name] = card
        if section in MODELS:
            for name in (card.name, *card.aliases):
                for spelled in {stem(name), squeezed(name), tight(name), without_active(squeezed(name))}:
                    self._stems[section].setdefault(spelled, set()).add(card.name)
        self._index[section] |= {key(name): card for name in (card.name, *card.aliases)}

    def overlaid(self, others: Mapping[str, Iterable[Card]]) -> Self:
        """Give these cards with others laid over them.

        Parameters
        ----------
        others : mapping
            Section to cards; one replaces the card of the same name, whole, and answers to its names too.

        Returns
        -------
        Known
            New ones; these stay as they are.
        """
        laid = type(self)()
        laid.by_section = {section: dict(own) for section, own in self.by_section.items()}
        laid._index = {section: dict(own) for section, own in self._index.items()}
        laid._stems = {
            section: {name: set(alike) for name, alike in own.items()} for section, own in self._stems.items()
        }
        for section, cards in others.items():
            for card in cards:
                laid.add(Path("laid over"), section, card, {})
        return laid

    def must_have(self, section: str, name: str, where: str) -> None:
        """Refuse what one entry says of another that is not there."""
        if not self.has(section, name):
            raise CardError(f"{where}: no [{section}.{name!r}]: {suggest(name, self.names(section))}")
