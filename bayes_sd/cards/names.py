"""How a name that a person typed finds its card."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from bayes_sd.errors import CardError


def key(name: str) -> str:
    """Give the form under which names are compared: lower case, with ``_`` and blanks as ``-``.

    Parameters
    ----------
    name : str
        A name or alias as written.

    Returns
    -------
    str
        The same for every spelling that means the same card.
    """
    return "-".join(name.casefold().replace("_", " ").replace("-", " ").split())


MOST_LETTERS = 100
"""Letters of a name that are compared with others: what is longer resembles none, and comparing takes the square of them."""


def suggest(name: str, known: Iterable[str] | Mapping[str, str], count: int = 3) -> str:
    """Say which known names are nearest, or list some of them where none is near.

    Parameters
    ----------
    name : str
        The name that was not found.
    known : iterable or mapping of str
        Names as they should be shown; or from every name and alias to the name to show.
    count : int
        At most so many near names.

    Returns
    -------
    str
        ``"did you mean A or B?"``, ``"known: A, B, C, ..."`` or ``"none is known"``.
    """
    shown = {key(k): known[k] if isinstance(known, Mapping) else k for k in known}
    near = [
        shown[match]
        for match in difflib.get_close_matches(key(name)[:MOST_LETTERS], shown, n=count, cutoff=0.6)
    ]
    if near:
        return f"did you mean {' or '.join(dict.fromkeys(near))}?"
    if not shown:
        return "none is known"
    listed = sorted(set(shown.values()), key=str.casefold)
    return f"known: {', '.join(listed[:12])}{', ...' if len(listed) > 12 else ''}"


def find[T](kind: str, name: str, index: Mapping[str, T], shown: Mapping[str, str]) -> T:
    """Look a name up in an index keyed by :func:`key`.

    Parameters
    ----------
    kind : str
        What is looked for, for the message: "hardware", "verifier", ...
    name : str
        Name or alias.
    index : mapping
        From ``key(name)`` to the card.
    shown : mapping
        From every name and alias to the name to offer when there is no such card.

    Returns
    -------
    T
        The card.

    Raises
    ------
    CardError
        If no card has that name; the message offers the nearest ones.
    """
    found = index.get(key(name))
    if found is None:
        near = suggest(name, shown)
        raise CardError(f"no {kind} card is named {name!r}: {near} (or add one with --models DIR)")
    return found
