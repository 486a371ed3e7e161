"""Reads the TOML cards into one :class:`Cards`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.cards.base import Card
from bayes_sd.cards.drafter import Drafter, Family
from bayes_sd.cards.estimate import estimate_drafter, estimate_verifier
from bayes_sd.cards.hardware import Hardware
from bayes_sd.cards.names import find, key, suggest
from bayes_sd.cards.precision import Precision, parse_precision
from bayes_sd.cards.read import SECTIONS, read_cards
from bayes_sd.cards.verifier import Verifier
from bayes_sd.errors import CardError
from bayes_sd.files import shipped

if TYPE_CHECKING:
    import pandas as pd

NOT_CARDS = ("acceptance", "priors")
"""How the names of files of another form begin that stand beside the cards."""


class Cards:
    """Everything the cards say, looked up by name or alias in any case.

    Attributes
    ----------
    by_section : dict
        Section ("hardware", "verifier", "drafter", "weights", "kv", "flags") to canonical name to card.
    """

    def __init__(self) -> None:
        self.by_section: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        self._index: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}

    def hardware(self, name: str) -> Hardware:
        """Give the card of a GPU; CardError with the nearest names where there is none."""
        return self._find("hardware", name)

    def verifier(self, name: str) -> Verifier:
        """Give the card of a verifier; CardError with the nearest names where there is none."""
        return self._find("verifier", name)

    def drafter(self, name: str) -> Drafter:
        """Give the card of a drafter; CardError with the nearest names where there is none."""
        return self._find("drafter", name)

    def precision(self, name: str, verifier: str | None = None) -> Precision:
        """Read a precision as a table has it.

        Parameters
        ----------
        name : str
            Such as ``"fp8"`` or ``"w:w4a16 kv:fp8 eager"``.
        verifier : str, optional
            Name of the verifier served with it: its card may say that a format's name means another one there
            ("fp4" of gpt-oss is MXFP4). A verifier without a card changes nothing.

        Returns
        -------
        Precision
            Its name is canonical.

        Raises
        ------
        CardError
            If a format is unknown.
        """
        weights = dict(self._index["weights"])
        if verifier is not None and self.has("verifier", verifier):
            meant = self.verifier(verifier).format_means
            weights |= {key(said): weights[key(means)] for said, means in meant.items()}
        return parse_precision(name, weights, self._index["kv"], self._index["flags"])

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

    def verifier_from_row(self, row: Mapping[str, Any] | pd.Series) -> Verifier:
        """Give the verifier of a row: its card, or one estimated from the row's own columns.

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
            near = suggest(name, self.names("verifier"))
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

    def drafter_from_row(self, row: Mapping[str, Any] | pd.Series) -> Drafter | None:
        """Give the drafter of a row: None without speculation, its card, or an estimated one.

        Parameters
        ----------
        row : mapping
            With ``method`` and, where known, ``drafter`` and ``drafter_params_b``; and what
            `verifier_from_row` takes.

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

    def overlaid(self, others: Mapping[str, Iterable[Card]]) -> Cards:
        """Give these cards with others laid over them.

        Parameters
        ----------
        others : mapping
            Section to cards; one replaces the card of the same name, whole, and answers to its names too.

        Returns
        -------
        Cards
            New ones; these stay as they are.
        """
        laid = Cards()
        laid.by_section = {section: dict(own) for section, own in self.by_section.items()}
        laid._index = {section: dict(own) for section, own in self._index.items()}
        for section, cards in others.items():
            for card in cards:
                laid._add(Path("laid over"), section, card, {})
        return laid

    def _find(self, section: str, name: str) -> Any:
        shown = {alias: card.name for alias, card in self._index[section].items()}
        return find(section, name, self._index[section], shown)

    def _add_folder(self, folder: Path) -> None:
        files = sorted(f for f in folder.glob("*.toml") if not f.name.startswith(NOT_CARDS))
        if not files:
            raise CardError(f"{folder}: no .toml card in it; name a folder that holds cards")
        owner: dict[tuple[str, str], str] = {}
        for file in files:
            for section, card in read_cards(file):
                self._add(file, section, card, owner)

    def _add(self, file: Path, section: str, card: Card, owner: dict[tuple[str, str], str]) -> None:
        for name in (card.name, *card.aliases):
            other = owner.setdefault((section, key(name)), card.name)
            if other != card.name:
                raise CardError(
                    f"{file}: [{section}.{card.name!r}] name {name!r} is already one of {other!r}"
                )
        replaced = self._index[section].get(key(card.name))
        if replaced is not None:
            # Tables go on using the old card's names, so the new one answers to them too.
            names = dict.fromkeys((*card.aliases, replaced.name, *replaced.aliases))
            aliases = tuple(name for name in names if key(name) != key(card.name))
            card = card.model_copy(update={"aliases": aliases})
            del self.by_section[section][replaced.name]
        self.by_section[section][card.name] = card
        self._index[section] |= {key(name): card for name in (card.name, *card.aliases)}

    def _check(self) -> None:
        """Check that what one entry says of another exists."""
        for weights in self.by_section["weights"].values():
            self._must_have("kv", weights.kv, f"[weights.{weights.name}] kv")
        for drafter in self.by_section["drafter"].values():
            for verifier in drafter.verifiers:
                self._must_have("verifier", verifier, f"[drafter.{drafter.name!r}] verifiers")
        for verifier in self.by_section["verifier"].values():
            for meant in verifier.format_means.values():
                self._must_have("weights", meant, f"[verifier.{verifier.name!r}] format_means")

    def _must_have(self, section: str, name: str, where: str) -> None:
        if not self.has(section, name):
            raise CardError(f"{where}: no [{section}.{name!r}]: {suggest(name, self.names(section))}")


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
        For a folder or file that is missing or malformed, an unknown key, a value out of range, or entries
        that contradict each other; the message names file, entry and key.
    """
    cards = Cards()
    cards._add_folder(shipped("models"))
    if extra_dir is not None:
        if not os.path.isdir(extra_dir):
            raise CardError(f"{extra_dir}: no such folder of cards")
        cards._add_folder(Path(extra_dir))
    cards._check()
    return cards


def _known(value: Any) -> float | None:
    if value is None or value == "":
        return None
    number = float(value)
    return None if number != number else number  # NaN is the only number that differs from itself


def _known_text(value: Any) -> str:
    return value if isinstance(value, str) else ""
