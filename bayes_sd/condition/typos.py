"""Whether a name that nobody knows is a known one mistyped, or a new one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

NEAR = 0.8
"""Likeness from which a name passes for another one mistyped: one letter wrong, missing or swapped in five."""


def mistyped(name: str, known: Iterable[str]) -> str | None:
    """Give the known name that a name most likely means, None where it may be a new one.

    Parameters
    ----------
    name : str
    known : iterable of str

    Returns
    -------
    str or None
        None for a known name too, and for one whose numbers differ: eagle4 is no eagle3, 2k is not 8k.

    Examples
    --------
    >>> mistyped("humanevl", ["gsm8k", "humaneval"]), mistyped("eagle4", ["eagle3"]), mistyped("chat", ["code"])
    ('humaneval', None, None)
    """
    plain = {other.casefold(): other for other in known}
    wanted = name.casefold()
    if wanted in plain:
        return None
    alike = [other for other in plain if _numbers(other) == _numbers(wanted)]
    near = difflib.get_close_matches(wanted, alike, n=1, cutoff=NEAR)
    return plain[near[0]] if near else None


def _numbers(name: str) -> list[str]:
    return re.findall(r"\d+", name)
