"""Release dates of engines: how old the version was that a row was measured with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bayes_sd.cards.base import Names, Text
from bayes_sd.cards.engine_names import EngineName, read_engine
from bayes_sd.cards.names import suggest
from bayes_sd.errors import CardError
from bayes_sd.files import shipped
from bayes_sd.loading import load_toml

FILE = "engines.toml"
Known = Literal["exact", "earlier", "unknown"]
MIDDLE_OF_MONTH = 15
"""Day that stands for a month of which no day is known."""


class Engine(BaseModel):
    """An engine's releases.

    Attributes
    ----------
    name : str
        Its family, as :func:`bayes_sd.cards.engine_names.read_engine` gives it.
    same_as : str or None
        Another engine whose releases are meant: a layer round it, as ``dynamo-sglang``.
    releases : dict of str to date
        Version to the day it was published.
    source : str
        Where the days come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    aliases: Names = ()
    same_as: str | None = None
    releases: Annotated[dict[str, date], Field(default_factory=dict)]
    source: Text


@dataclass(frozen=True)
class Release:
    """When an engine's version was published.

    Attributes
    ----------
    engine : EngineName
        The engine as it was understood.
    published : date or None
        The day; None where it is not known.
    known : {"exact", "earlier", "unknown"}
        ``earlier``: the version has no date of its own, so the day is that of the last release before it.
    version : str or None
        The release whose day it is.
    """

    engine: EngineName
    published: date | None
    known: Known
    version: str | None = None


class Engines:
    """Release dates of all listed engines.

    Parameters
    ----------
    engines : mapping of str to Engine
        By family.
    """

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self.by_name = dict(engines)
        self._family = {n.casefold(): e.name for e in engines.values() for n in (e.name, *e.aliases)}

    def releases(self, family: str) -> list[tuple[Version, str, date]]:
        """Give a family's releases in the order of their versions; empty where it is not listed."""
        engine = self.by_name.get(self._family.get(family.casefold(), family))
        if engine is not None and engine.same_as is not None:
            return self.releases(engine.same_as)
        listed = {} if engine is None else engine.releases
        return sorted((Version(text), text, day) for text, day in listed.items())

    def release(self, engine: str | EngineName) -> Release:
        """Give the day on which the version of an engine was published.

        Parameters
        ----------
        engine : str or EngineName
            As a table has it: ``vllm-0.24.0``, ``sglang lmsysorg/sglang:v0.5.12-cu130``.

        Returns
        -------
        Release
            A version in between two releases (a nightly build, a candidate) has the day of the earlier one.
        """
        name = read_engine(engine) if isinstance(engine, str) else engine
        try:
            wanted = Version(name.version) if name.version else None
        except InvalidVersion:
            wanted = None
        listed = self.releases(name.family)
        if wanted is None or not listed:
            return Release(name, None, "unknown")
        same = next((r for r in listed if r[0] == wanted), None)
        if same is not None:
            return Release(name, same[2], "exact", same[1])
        # "0.22" names the line of releases, whose first is meant.
        line = [
            r
            for r in listed
            if len(wanted.release) < 3 and r[0].release[: len(wanted.release)] == wanted.release
        ]
        if line:
            return Release(name, line[0][2], "exact", line[0][1])
        before = [r for r in listed if r[0] < wanted]
        if not before:
            return Release(name, None, "unknown")
        return Release(name, before[-1][2], "earlier", before[-1][1])

    def version_on(self, family: str, day: date) -> str | None:
        """Give the newest version of a family that was out on a day; None where none was, or the family is not listed."""
        out = [r for r in self.releases(family) if r[2] <= day and not r[0].is_prerelease]
        return out[-1][1] if out else None


def read_day(text: str) -> date:
    """Read a day as tables have it.

    Parameters
    ----------
    text : str
        ``2026-05-31``, or a month, ``2026-05``, whose middle is meant.

    Returns
    -------
    date

    Raises
    ------
    CardError
        If it is neither.
    """
    try:
        return date.fromisoformat(text if text.count("-") != 1 else f"{text}-{MIDDLE_OF_MONTH}")
    except ValueError:
        raise CardError(f"{text!r} is not a day: write it as 2026-05-31, or a month as 2026-05") from None


def age_date(row: Mapping[str, object], engines: Engines) -> date | None:
    """Say how old a row's engine is: the day whose state of the engine the row was measured with.

    Parameters
    ----------
    row : mapping
        Its ``engine`` and ``run_date`` are read.
    engines : Engines

    Returns
    -------
    date or None
        The release of the engine's version; where no version is stated, or its release is not known, the day of the run, whose
        newest version it stands for. None where neither is known.
    """
    engine, day = row.get("engine"), row.get("run_date")
    published = engines.release(engine).published if isinstance(engine, str) else None
    if published is not None:
        return published
    return read_day(day) if isinstance(day, str) and day else None


def load_engines(extra_dir: Path | None = None) -> Engines:
    """Read the shipped release dates, and a user's own on top of them.

    Parameters
    ----------
    extra_dir : Path or None
        Folder that may hold an ``engines.toml`` of the same form; an engine in it replaces the shipped one.

    Returns
    -------
    Engines

    Raises
    ------
    CardError
        Naming file, engine and key, for anything malformed.
    """
    engines = _read(shipped("models") / FILE)
    if extra_dir is not None and (Path(extra_dir) / FILE).is_file():
        engines |= _read(Path(extra_dir) / FILE)
    for engine in engines.values():
        meant = engines.get(engine.same_as) if engine.same_as is not None else engine
        where = f"[engine.{engine.name}] same_as"
        if meant is None:
            near = suggest(str(engine.same_as), tuple(engines))
            raise CardError(f"{where}: no engine {engine.same_as!r}: {near}")
        if engine.same_as is not None and meant.same_as is not None:
            raise CardError(f"{where}: {meant.name!r} is itself another's: name the engine that has releases")
    return Engines(engines)


def _read(file: Path) -> dict[str, Engine]:
    content = load_toml(file, CardError)
    unknown = next((section for section in content if section != "engine"), None)
    entries = content.get("engine", {})
    if unknown is not None or not all(isinstance(e, dict) for e in entries.values()):
        raise CardError(
            f"{file}: it must hold sections [engine.NAME] only" + f", not {unknown!r}" * bool(unknown)
        )
    found: dict[str, Engine] = {}
    for name, values in entries.items():
        try:
            found[name] = Engine.model_validate({**values, "name": name})
            for version in found[name].releases:
                Version(version)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise CardError(f"{file}: [engine.{name}] {place}: {first['msg']}") from error
        except InvalidVersion as error:
            raise CardError(f"{file}: [engine.{name}] releases: {error}") from error
    return found
