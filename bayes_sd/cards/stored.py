"""Cards that a posterior carries: those that its rows use, as plain values, so that its file stands by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bayes_sd.cards.base import Card
from bayes_sd.cards.load import Cards
from bayes_sd.cards.read import SECTIONS
from bayes_sd.errors import CardError

if TYPE_CHECKING:
    import pandas as pd

Stored = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Section to canonical name to the fields of a card."""
NAMING = (
    "verifier", "verifier_params_b", "verifier_active_params_b", "n_experts", "top_k_experts", "hardware", "precision",
    "method", "drafter", "drafter_params_b",
)  # fmt: skip
"""Columns by which a row names or describes what it needs a card of."""


def cards_used(frame: pd.DataFrame, cards: Cards) -> dict[str, dict[str, dict[str, Any]]]:
    """Collect the cards that rows use, those estimated from a row's own columns included.

    Parameters
    ----------
    frame : DataFrame
        Observations.
    cards : Cards

    Returns
    -------
    dict
        Section to canonical name to the card's fields, for JSON.

    Raises
    ------
    CardError
        If a row names something that has no card and is not described.
    """
    used: dict[str, dict[str, Card]] = {section: {} for section in SECTIONS}
    ambiguous: set[str] = set()
    for _, row in frame[[name for name in NAMING if name in frame]].drop_duplicates().iterrows():
        verifier, drafter = cards.verifier_from_row(row), cards.drafter_from_row(row)
        precision = cards.precision(str(row.get("precision") or "fp16"), verifier.name)
        hardware = cards.hardware(str(row["hardware"]))
        flags = [cards.by_section["flags"][name] for name in precision.flags]
        found: dict[str, Sequence[Card]]
        found = {"verifier": [verifier], "hardware": [hardware], "weights": [precision.weights]}
        found |= {"kv": [precision.kv], "flags": flags, "drafter": [] if drafter is None else [drafter]}
        if drafter is not None and used["drafter"].get(drafter.name, drafter) != drafter:
            ambiguous.add(drafter.name)
        for section, own in found.items():
            used[section] |= {card.name: card for card in own}
    # A drafter without a card is estimated from its verifier: for several verifiers there is no one card of that name.
    used["drafter"] = {
        n: card for n, card in used["drafter"].items() if n not in ambiguous and not _is_method(card)
    }
    return {
        section: {name: json.loads(card.model_dump_json()) for name, card in own.items()}
        for section, own in used.items()
        if own
    }


def with_stored(cards: Cards, stored: Stored) -> Cards:
    """Lay a posterior's own cards over others.

    Parameters
    ----------
    cards : Cards
        For what the posterior was not fitted to; not changed.
    stored : mapping
        From :func:`cards_used`.

    Returns
    -------
    Cards

    Raises
    ------
    CardError
        If a stored card is not one that this version can read.
    """
    return cards.overlaid({section: list(_read(section, own).values()) for section, own in stored.items()})


def changed_cards(cards: Cards, stored: Stored) -> list[str]:
    """Name the cards that say another thing now than those a posterior was fitted with.

    Parameters
    ----------
    cards : Cards
        Those of now.
    stored : mapping
        From :func:`cards_used`.

    Returns
    -------
    list of str
        Such as ``"hardware H100-SXM"``; cards that are not known now are left out.
    """
    changed = []
    for section, own in stored.items():
        for name, card in _read(section, own).items():
            now = cards.by_section[section].get(name)
            if now is not None and _says(now) != _says(card):
                changed.append(f"{section} {name}")
    return changed


def _is_method(drafter: Card) -> bool:
    """Whether a drafter goes by the name of its method, as lookups do, which have no weights of their own."""
    return drafter.name == getattr(drafter, "method", None)


def _says(card: Card) -> dict[str, Any]:
    """Give what a card says of its subject: other spellings of its name and its source do not count."""
    return card.model_dump(exclude={"aliases", "source"})


def _read(section: str, own: Mapping[str, Mapping[str, Any]]) -> dict[str, Card]:
    try:
        kind = SECTIONS[section]
        return {name: kind.model_validate_json(json.dumps(fields)) for name, fields in own.items()}
    except (KeyError, ValidationError) as error:
        raise CardError(
            f"the posterior's own [{section}] cards are of another version of bayes_sd: fit again, or read it with the "
            "version that wrote it"
        ) from error
