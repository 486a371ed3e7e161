"""Finds cards by what a person remembers of them."""

from __future__ import annotations

import math

from bayes_sd.cards.base import Card
from bayes_sd.cards.canonical import stem
from bayes_sd.cards.load import Cards
from bayes_sd.cards.names import key
from bayes_sd.cards.nearest import nearest, size_in


def search(cards: Cards, section: str, query: str) -> list[Card]:
    """Find the cards of a section that a query means.

    Parameters
    ----------
    cards : Cards
    section : {"verifier", "drafter", "hardware", "weights"}
    query : str
        A name, an alias or a part of one; a family; for drafters also a verifier's name or a method. "" means all.

    Returns
    -------
    list of Card
        In the order of the files, a card of exactly that name first.
    """
    every = list(cards.by_section[section].values())
    if not query:
        return every
    wanted, root = key(query), stem(query)
    lookup = {"verifier": cards.verifier, "drafter": cards.drafter, "hardware": cards.hardware}.get(section)
    exact = [lookup(query)] if lookup is not None and cards.has(section, query) else []
    part = [c for c in every if any(wanted in key(text) or root in key(text) for text in _texts(c))]
    return list({card.name: card for card in [*exact, *part]}.values())


def nearest_verifiers(cards: Cards, query: str, count: int = 5) -> list[Card]:
    """Give the verifiers nearest to a query by family and size; by size alone where no family is near."""
    every = list(cards.by_section["verifier"].values())
    size = size_in(query)
    if size is None:
        return list(nearest(query, every, count))
    by_size = sorted(every, key=lambda card: abs(math.log(size / card.params_b)))
    return list(nearest(query, every, count) or by_size[:count])


def _texts(card: Card) -> list[str]:
    more = [getattr(card, "family", ""), getattr(card, "method", ""), *getattr(card, "verifiers", ())]
    return [card.name, *card.aliases, *(text for text in more if text)]
