"""Gives the measurements of one family."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.cards import load_cards
from bayes_sd.errors import DataError
from bayes_sd.files import shipped
from bayes_sd.measurements.table import read_table

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards

ALL = "all"
FAMILY_NAME = re.compile(r"\w[\w.-]{0,63}")
NOT_MEASUREMENTS = ("acceptance_by_draft_length.csv", "acceptance_by_position.csv", "acceptance_reported.csv")
"""Tables of another form that stand beside the measurement tables."""
GENERATION = re.compile(r"\d+(\.\d+)*")
"""What a card's family may have behind a shorter name for all its generations: "qwen" takes qwen3 and qwen3.5."""
NOT_POOLED = ("llamacpp-cpu",)
"""Families that ``all`` leaves out: small models on a processor core say nothing of a GPU's launches, links and kernels."""


def known_families(data_dir: str | Path | None = None) -> tuple[str, ...]:
    """Give the families that have a measurement table.

    Parameters
    ----------
    data_dir : path-like or None
        Folder of the tables, ``FAMILY.csv`` each; default: those shipped.

    Returns
    -------
    tuple of str
        Names, sorted.

    Raises
    ------
    DataError
        If there is no such folder, or no table in it.
    """
    return tuple(sorted(_tables(data_dir)))


def checked_family(family: str) -> str:
    """Refuse a name that no family can have, since files are named after families.

    Parameters
    ----------
    family : str

    Returns
    -------
    str
        The same.

    Raises
    ------
    DataError
        If it has other characters than letters, digits and ``. _ -``, or is longer than 64.
    """
    if not FAMILY_NAME.fullmatch(family):
        raise DataError(f"family {family!r}: a name has letters, digits, '.', '_' and '-', 64 at most")
    return family


def load_family(
    family: str,
    data: Sequence[str | Path] | None = None,
    data_dir: str | Path | None = None,
    cards: Cards | None = None,
) -> pd.DataFrame:
    """Read every measurement of a family; nothing is left out yet.

    Parameters
    ----------
    family : str
        Name of a family, or "all" (without :data:`NOT_POOLED`).
    data : sequence of path-like, optional
        Read these tables instead of the shipped ones, and keep the rows whose verifier is of the family: by
        its card ("qwen" takes its generations, qwen3 and qwen3.5); or, where it has none, by the table's
        `family` column, or by its name beginning with the family's ("qwen3" takes Qwen3-32B). A file named
        FAMILY.csv belongs to the family with all of its rows that no card places elsewhere.
    data_dir : path-like, optional
        Folder of the tables, ``FAMILY.csv`` each; default: those shipped.
    cards : Cards, optional
        Cards that place verifiers in families; default: those shipped.

    Returns
    -------
    DataFrame
        As from :func:`bayes_sd.measurements.read_table`, tables one after another, index 0, 1, ...; `file`
        and `row` say where each row stands. ``attrs["ignored_columns"]`` and ``attrs["other_families"]``
        (rows of the given files that belong elsewhere) say what was passed over.

    Raises
    ------
    DataError
        If the family is not known (the message lists those that are), or a table is not one.
    """
    import pandas as pd

    name = checked_family(family).casefold()
    if data:
        paths = [Path(p) for p in data]
    else:
        tables = _tables(data_dir)
        if name != ALL and name not in tables:
            known = ", ".join([*sorted(tables), ALL])
            raise DataError(
                f"no family is named {family!r}: known are {known}; or give its table with --data FILE"
            )
        pooled = sorted(path for stem, path in tables.items() if stem not in NOT_POOLED)
        paths = pooled if name == ALL else [tables[name]]
    frames = [fill_precision(read_table(path), cards) for path in paths]
    ignored = tuple(dict.fromkeys(c for frame in frames for c in frame.attrs["ignored_columns"]))
    frame = pd.concat(frames, ignore_index=True)
    others = 0
    if data and name != ALL:
        member = of_family(frame, name, cards)
        others = int((~member).sum())
        if others == len(frame):
            found = ", ".join(sorted(frame["verifier"].unique())[:8])
            files = ", ".join(map(str, paths))
            raise DataError(
                f"{files}: no row of family {family!r}; its verifiers are {found}: use --family {ALL}"
            )
        frame = frame[member].reset_index(drop=True)
    understood = tuple(dict.fromkeys(w for f in frames for w in f.attrs["understood"]))
    frame.attrs = {
        "family": name,
        "ignored_columns": ignored,
        "other_families": others,
        "understood": understood,
    }
    return frame


def fill_precision(frame: pd.DataFrame, cards: Cards | None = None) -> pd.DataFrame:
    """Say in which number formats a model ran that no source says: those of its published checkpoint.

    Parameters
    ----------
    frame : DataFrame
        As from :func:`bayes_sd.measurements.read_table`; changed in place.
    cards : Cards, optional
        Default: those shipped.

    Returns
    -------
    DataFrame
        The same: blank ``precision`` filled (16 bits where no card names a format), and ``precision_assumed`` set there.
    """
    blank = frame["precision"] == ""
    if blank.any():
        cards = load_cards() if cards is None else cards
        means = {name: cards.stated_or_native("", name) for name in frame.loc[blank, "verifier"].unique()}
        frame.loc[blank, "precision"] = frame.loc[blank, "verifier"].map(means)
        frame.loc[blank, "precision_assumed"] = True
    return frame


def _tables(data_dir: str | Path | None) -> dict[str, Path]:
    folder = shipped("data") if data_dir is None else Path(data_dir)
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder of measurement tables")
    tables = {p.stem.casefold(): p for p in sorted(folder.glob("*.csv")) if p.name not in NOT_MEASUREMENTS}
    if not tables:
        raise DataError(f"{folder}: no measurement table (FAMILY.csv) in it")
    return tables


def of_family(frame: pd.DataFrame, family: str, cards: Cards | None = None) -> pd.Series:
    """Say which rows are of a family.

    Parameters
    ----------
    frame : DataFrame
        As from :func:`bayes_sd.measurements.read_table`.
    family : str
    cards : Cards, optional
        Which place verifiers in families; default: those shipped.

    Returns
    -------
    Series of bool
        By the verifier's card; without one by what the row states, the verifier's name or the table's.
    """
    import pandas as pd

    family = family.casefold()
    cards = load_cards() if cards is None else cards

    def belongs(verifier: str, stated: str, file: str) -> bool:
        if cards.has("verifier", verifier):
            own = cards.verifier(verifier).family.casefold()
            return own == family or bool(GENERATION.fullmatch(own.removeprefix(family)))
        if stated:
            return stated.casefold() == family
        return verifier.casefold().startswith(family) or Path(file).stem.casefold() == family

    # Rows that a posterior keeps have no columns that are blank in all of them.
    columns = [
        frame[name].fillna("").astype(str) if name in frame else [""] * len(frame)
        for name in ("verifier", "family", "file")
    ]
    flags = [belongs(*row) for row in zip(*columns, strict=True)]
    return pd.Series(flags, index=frame.index, dtype=bool)
