"""What there is to say about files that were read: every note with its place, and notes of one kind as one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FIGURE = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Note:
    """One thing to know.

    Attributes
    ----------
    where, text : str
        File and place in it; what.
    """

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True)
class FileResult:
    """What came of one file.

    Attributes
    ----------
    path : Path
    tool : str
        Which tool wrote it; empty where it is of none that is known.
    rows : int
        Rows of the table that come from it.
    left_out : tuple of str
        Why benchmarks in it, or all of it, gave no row.
    """

    path: Path
    tool: str = ""
    rows: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Notes that differ in their figures alone.

    Attributes
    ----------
    text : str
        That of the first.
    places : tuple of str
    """

    text: str
    places: tuple[str, ...]

    def __str__(self) -> str:
        if len(self.places) == 1:
            return f"{self.places[0]}: {self.text}"
        return f"{self.places[0]} and {len(self.places) - 1} more alike: {self.text}"


def grouped(notes: Iterable[Note]) -> list[Group]:
    """Put notes that differ in their figures alone together.

    Parameters
    ----------
    notes : iterable of Note

    Returns
    -------
    list of Group
        In order of first appearance.
    """
    found: dict[str, list[Note]] = {}
    for note in notes:
        found.setdefault(kind_of(note.text), []).append(note)
    return [Group(alike[0].text, tuple(note.where for note in alike)) for alike in found.values()]


def counted(reasons: Iterable[str]) -> dict[str, int]:
    """Count reasons, those that differ in their figures alone as one, the most frequent first.

    Parameters
    ----------
    reasons : iterable of str

    Returns
    -------
    dict
        The first reason of each kind, and how many there are.
    """
    kinds: dict[str, list[str]] = {}
    for reason in reasons:
        kinds.setdefault(kind_of(reason), []).append(reason)
    return {alike[0]: len(alike) for alike in sorted(kinds.values(), key=len, reverse=True)}


def kind_of(text: str) -> str:
    """Give a text with its figures and quoted names taken out."""
    return FIGURE.sub("#", re.sub(r"'[^']*'", "'#'", text))
