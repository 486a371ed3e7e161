"""Which verifiers are nearest to a name that has no card: by family and size first, by letters last."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping

from bayes_sd.cards.canonical import stem
from bayes_sd.cards.names import MOST_LETTERS
from bayes_sd.cards.verifier import Verifier

SIZE = re.compile(r"(?:^|[-_. ])(?:(\d+)x)?(\d+(?:\.\d+)?)([bmt])(?=$|[-_. ])", re.I)
UNITS = {"m": 1e-3, "b": 1.0, "t": 1e3}
FAR = 1.5
"""Distance past which two models have nothing in common: another family, or a size twenty times off."""
SAME_WORD = 0.75
"""Likeness of first words below which they name two families; versions ("qwen4", "qwen3") stay above."""
FAMILY_WEIGHT, SIZE_WEIGHT, LETTER_WEIGHT = 2.0, 0.3, 0.3


def size_in(name: str) -> float | None:
    """Read the parameters that a model's name states, 10^9: 8 of ``Qwen3-8B``, 46.7-ish (8x7) of ``Mixtral-8x7B``."""
    found = SIZE.search(name)
    if found is None:
        return None
    return int(found[1] or 1) * float(found[2]) * UNITS[found[3].casefold()]


def family_in(name: str) -> str:
    """Give the words of a model's name before its size: ``llama-4-scout`` of ``Llama-4-Scout-17B-16E``."""
    base = stem(name)
    found = SIZE.search(base)
    return (base[: found.start()] if found else base).strip("-")


def distance(name: str, card: Verifier, params_b: float | None = None) -> float:
    """Say how far a card is from a name: 0 for the same, above :data:`FAR` for one that has nothing to do with it.

    Parameters
    ----------
    name : str
    card : Verifier
    params_b : float, optional
        Parameters, 10^9, where they are known from elsewhere than the name.

    Returns
    -------
    float
    """
    names = (card.name, *card.aliases)
    family = max(_alike(family_in(name), family_in(other)) for other in names)
    letters = max(_alike(stem(name), stem(other)) for other in names)
    size = params_b or size_in(stem(name))
    apart = 0.0 if size is None else abs(math.log(size / card.params_b))
    return FAMILY_WEIGHT * (1 - family) + SIZE_WEIGHT * apart + LETTER_WEIGHT * (1 - letters)


def _alike(one: str, other: str) -> float:
    """Compare two names, the first word for most: a family's own name stands there, and llama is no jamba."""
    a, b = re.split(r"[-. ]", one), re.split(r"[-. ]", other)
    first = difflib.SequenceMatcher(None, a[0], b[0]).ratio()
    rest = difflib.SequenceMatcher(None, one, other).ratio()
    return 0.6 * first + 0.4 * rest if first >= SAME_WORD else 0.2 * rest


def nearest(
    name: str, cards: Iterable[Verifier], count: int = 3, params_b: float | None = None
) -> list[Verifier]:
    """Give the nearest verifiers, the nearest first; none where all are far.

    Parameters
    ----------
    name : str
    cards : iterable of Verifier
    count : int
        At most so many.
    params_b : float, optional
        Parameters, 10^9, where they are known.

    Returns
    -------
    list of Verifier
    """
    name = name[:MOST_LETTERS]
    ranked = sorted((distance(name, card, params_b), card.name, card) for card in cards)
    return [card for far, _, card in ranked[:count] if far < FAR]


def suggest_verifier(name: str, cards: Mapping[str, Verifier]) -> str:
    """Say which verifiers are nearest to a name: ``"did you mean A or B?"``, or some that are known."""
    near = [card.name for card in nearest(name, cards.values())]
    if near:
        return f"did you mean {' or '.join(near)}?"
    listed = sorted(cards, key=str.casefold)
    return (
        f"known: {', '.join(listed[:12])}{', ...' if len(listed) > 12 else ''}" if listed else "none is known"
    )
