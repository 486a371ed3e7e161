"""How old a row's engine was: engines age well, so a version's day tells what its launches and host work cost.

The version's day of release counts; where no version is stated the day of the run, which stands for the version of that day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bayes_sd.cards.engine_names import read_engine
from bayes_sd.cards.engines import Engines, age_date, load_engines, read_day
from bayes_sd.errors import CardError

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = date(2025, 10, 15)
"""Day from which ages count: about when most of the shipped rows of no stated version were run, so that an engine without
version and date is taken as one of that time."""
DAYS_A_YEAR = 365.25
LABELLED_AFTER_DAYS = 45
"""Days after the reference from which a run without a version is told apart from one without a date, by its quarter."""


@dataclass(frozen=True)
class Age:
    """A version of an engine in time.

    Attributes
    ----------
    version : str
        Its name among an engine's: a release, a quarter of a year, or "" where nothing is stated.
    years : float
        Since :data:`REFERENCE`, 0 where nothing is stated.
    known : bool
        Whether a day is known.
    """

    version: str
    years: float
    known: bool


REFERENCE_AGE = Age("", 0.0, False)
"""An engine of which neither version nor day is stated."""


def engine_age(row: Mapping[Any, Any] | pd.Series, engine: str) -> Age:
    """Find the version of a row's engine and its age.

    Parameters
    ----------
    row : Series
        With ``run_date`` where the day of the run is known.
    engine : str
        As :func:`bayes_sd.model.deployments.engine_label` gives it.

    Returns
    -------
    Age
    """
    ran = run_day(row)
    return _age(engine.partition(" +")[0], None if ran is None else ran.isoformat())


@lru_cache(maxsize=4096)
def _age(engine: str, ran: str | None) -> Age:
    name = read_engine(engine)
    day = age_date({"engine": engine, "run_date": ran}, _engines())
    version = name.version or (quarter(day) if day is not None else "")
    return Age(version, 0.0 if day is None else (day - REFERENCE).days / DAYS_A_YEAR, day is not None)


def run_day(row: Mapping[Any, Any] | pd.Series) -> date | None:
    """Give the day on which a row was run, if it is stated."""
    value = row.get("run_date")
    try:
        return read_day(value) if isinstance(value, str) and value else None
    except CardError:
        return None


def quarter(day: date) -> str:
    """Name the quarter of a year: ``2026-Q1``."""
    return f"{day.year}-Q{(day.month + 2) // 3}"


def unversioned_quarter(row: Mapping[Any, Any] | pd.Series, engine: str) -> str:
    """Name the quarter in which an engine without version was run, if it was well after the reference; else ""."""
    day = run_day(row)
    if day is None or read_engine(engine).version or (day - REFERENCE).days < LABELLED_AFTER_DAYS:
        return ""
    return quarter(day)


def without_quarter(engine: str, age: Age) -> tuple[str, str]:
    """Take the quarter off an engine's label: ``trtllm (2026-Q1)`` is ``trtllm`` and a day in it; "" for the day of other labels."""
    label = f" ({age.version})"
    if not engine.endswith(label):
        return engine, ""
    return engine.removesuffix(label), (
        REFERENCE + timedelta(days=round(age.years * DAYS_A_YEAR))
    ).isoformat()


@lru_cache(maxsize=1)
def _engines() -> Engines:
    return load_engines()
