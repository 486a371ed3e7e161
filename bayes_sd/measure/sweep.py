"""What a sweep is, where it stands, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayes_sd.measure.guidellm_tool import GuideLLM
from bayes_sd.measure.loops import Length
from bayes_sd.measure.plan import Plan, Point
from bayes_sd.measure.prompts import Prompts
from bayes_sd.measurements.readers.reading import Reading


@dataclass(frozen=True)
class Sweep:
    """Everything that a sweep is.

    Attributes
    ----------
    target : str
        Address of the server: the only one ever contacted.
    about : mapping
        Columns of the table that the server does not say: hardware, engine, verifier, method, k, ...
    plan : Plan
    length : Length
        Of each point.
    prompts : Prompts
    max_requests : int
        Of the whole sweep.
    max_seconds : float
        Of the whole sweep (s).
    timeout_s : float
        Of one request (s).
    model : str
        Name sent to the server; "" leaves it out.
    extra : mapping
        Further members of each request's body.
    api_key : str
    seed : int
        Same seed, same prompts and arrivals.
    guidellm : GuideLLM or None
        Measures the points instead of this package's client, if given.
    """

    target: str
    about: Mapping[str, object]
    plan: Plan = field(default_factory=Plan)
    length: Length = field(default_factory=Length)
    prompts: Prompts = field(default_factory=Prompts)
    max_requests: int = 20_000
    max_seconds: float = 3600.0
    timeout_s: float = 120.0
    model: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    api_key: str = ""
    seed: int = 0
    guidellm: GuideLLM | None = None


@dataclass(frozen=True)
class Progress:
    """Where a sweep stands.

    Attributes
    ----------
    finished, expected : int
        Points; those found in the table included.
    point : Point or None
        The one that begins, or that has just been measured.
    cell : Reading or None
        What was measured; None when a point begins.
    """

    finished: int
    expected: int
    point: Point | None
    cell: Reading | None


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to.

    Attributes
    ----------
    output : Path
        The table.
    measured, already_there : int
        Points of this run, and points found in the table.
    complete : bool
        Whether the plan is through; False where the requests or seconds allowed were used up.
    stopped_by : str
        "requests" or "seconds" then.
    notes : list of str
    """

    output: Path
    measured: int
    already_there: int
    complete: bool
    stopped_by: str
    notes: list[str]
