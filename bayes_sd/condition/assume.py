"""What a question leaves open, drawn from what the trace knows of it or from a stated prior.

A table may leave blank what its writer does not know. Such a condition is answered as a mixture: its blanks are filled
:data:`FILLINGS` times, each filling is predicted with its own share of the posterior's draws, and all draws together are the
answer, whose band is as wide as the ignorance makes it. What was assumed is said in words, column by column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition import defaults
from bayes_sd.condition.frame import as_table
from bayes_sd.errors import CardError
from bayes_sd.model.ages import without_quarter
from bayes_sd.model.deployments import UNKNOWN, engine_family

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

FILLINGS = 24
"""Times that the blanks of a condition are filled: the ends of a 90 % band then rest on more than one filling each."""
MAY_BE_OPEN = ("prompt_tokens", "output_tokens", "k", "engine", "precision", "drafter", "drafter_params_b")
"""Columns that a condition may leave blank, in the order in which they are filled."""


@dataclass(frozen=True)
class Filling:
    """What was put into one blank.

    Attributes
    ----------
    choices : list
        One a filling; a single one where there is nothing to be unsure about.
    words : str
        What they are and where from.
    """

    choices: list[Any]
    words: str


@dataclass(frozen=True)
class Assumed:
    """Conditions with their blanks filled.

    Attributes
    ----------
    frames : list of DataFrame
        The whole table, once a filling; a single one where nothing is unsure.
    unsure : bool array, shape (condition,)
        Whether the fillings of a condition differ.
    words : list of str
        What was assumed of each condition, empty where nothing.
    blanks : list of list of str
        Columns of each condition whose fillings differ.
    """

    frames: list[pd.DataFrame]
    unsure: np.ndarray
    words: list[str]
    blanks: list[list[str]]

    def as_given(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give a table of these conditions with blanks again where no single value was put."""
        columns = {name: list(frame[name]) for blank in self.blanks for name in blank}
        for i, blank in enumerate(self.blanks):
            for name in blank:
                columns[name][i] = "" if isinstance(columns[name][i], str) else np.nan
        return frame.assign(**columns) if columns else frame


def assume(given: Any, posterior: Posterior, cards: Cards, seed: int = 0, first: int = 0) -> Assumed:
    """Fill the blanks of conditions.

    Parameters
    ----------
    given : DataFrame, mapping or sequence of mappings
        Conditions as :func:`bayes_sd.condition.as_conditions` takes them; :data:`MAY_BE_OPEN` may be blank or missing.
    posterior : Posterior
        Its rows say which lengths, draft lengths, engines and drafters belong to a workload, method or deployment.
    cards : Cards
    seed : int
    first : int
        Place of the first condition in a longer table, each row of which is filled by luck of its own.

    Returns
    -------
    Assumed
    """
    frame = as_table(given)
    if "latency_s" in frame:  # measurements say what there was to say
        nothing: list[list[str]] = [[] for _ in range(len(frame))]
        return Assumed([frame], np.zeros(len(frame), dtype=bool), [""] * len(frame), nothing)
    missing = [name for name in MAY_BE_OPEN[:2] if name not in frame]
    frame = frame.assign(**dict.fromkeys(missing, np.nan)) if missing else frame
    known = _Known(posterior, cards)
    filled = [
        _fill(row, known, np.random.default_rng([seed, 23, i]))
        for i, row in enumerate(frame.to_dict("records"), start=first)
    ]
    blanks = [[name for name, f in row.items() if len(f.choices) > 1] for row in filled]
    unsure = np.array([bool(names) for names in blanks])
    words = ["; ".join(f"{name} {f.words}" for name, f in row.items() if f.words) for row in filled]
    frames = [_filled(frame, filled, j) for j in range(FILLINGS if unsure.any() else 1)]
    return Assumed(frames, unsure, words, blanks)


def _filled(frame: pd.DataFrame, filled: list[dict[str, Filling]], j: int) -> pd.DataFrame:
    """Give the table with the j-th value of each blank."""
    changed = {name for row in filled for name in row}
    columns: dict[str, Any] = {}
    for name in changed:
        old = list(frame[name]) if name in frame else [None] * len(frame)
        columns[name] = [
            row[name].choices[j % len(row[name].choices)] if name in row else value
            for row, value in zip(filled, old, strict=True)
        ]
    return frame.assign(**columns)


class _Known:
    """What the trace and the cards know, looked up once for a table."""

    def __init__(self, posterior: Posterior, cards: Cards) -> None:
        self.posterior, self.cards = posterior, cards
        self._rows: pd.DataFrame | None = None
        self._same: dict[tuple[tuple[str, str], ...], pd.DataFrame] = {}

    def same(self, **wanted: str) -> pd.DataFrame:
        """The observations whose texts are those wanted; conditions of a table mostly want the same."""
        key = tuple(wanted.items())
        if key not in self._same:
            rest = dict(key[:-1])
            self._same[key] = _same(self.same(**rest) if rest else self.rows, **dict(key[-1:]))
        return self._same[key]

    @property
    def rows(self) -> pd.DataFrame:
        """The posterior's observations, with canonical verifiers."""
        if self._rows is None:
            rows = self.posterior.observed
            self._rows = rows.assign(verifier=[self.verifier(v) for v in rows["verifier"]])
        return self._rows

    def verifier(self, name: object) -> str:
        """Canonical name of a verifier, its own where it has no card."""
        text = str(name)
        return self.cards.verifier(text).name if self.cards.has("verifier", text) else text

    def drafter(self, name: object) -> str:
        """Canonical name of a drafter, its own where it has no card."""
        text = str(name)
        return self.cards.drafter(text).name if self.cards.has("drafter", text) else text


def _fill(row: Mapping[Any, Any], known: _Known, rng: np.random.Generator) -> dict[str, Filling]:
    """Fill the blanks of one condition; each filling may rest on what those before it said."""
    found: dict[str, Filling] = {}
    found |= _lengths(row, known, rng)
    if _text(row, "method") not in ("", "none"):
        found |= _draft_length(row, known, rng)
        found |= _drafter(row, known, rng)
    found |= _precision(row, known)
    found |= _engine(row, known, found, rng)
    return found


def _lengths(row: Mapping[Any, Any], known: _Known, rng: np.random.Generator) -> dict[str, Filling]:
    blank = [name for name in MAY_BE_OPEN[:2] if _blank(row, name)]
    if not blank:
        return {}
    # A prompt is at least as long as what of it is found in a prefix cache.
    least = {"prompt_tokens": _number(row, "cached_prompt_tokens", 1.0), "output_tokens": 1.0}
    workload = _text(row, "workload")
    same = known.same(workload=workload) if workload else None
    if same is not None and len(same):
        own = known.same(workload=workload, verifier=known.verifier(row.get("verifier")))
        rows = own if len(own) else same
        taken = rows.iloc[_spread(len(rows), rng)]
        return {
            name: Filling(
                values := [max(float(v), least[name]) for v in taken[name]],
                f"{_range(values)} (as {workload} was measured)",
            )
            for name in blank
        }
    return {name: _usual_length(name, least[name], rng) for name in blank}


def _usual_length(name: str, least: float, rng: np.random.Generator) -> Filling:
    from scipy.special import ndtri

    usual = {"prompt_tokens": defaults.PROMPT_TOKENS, "output_tokens": defaults.OUTPUT_TOKENS}[name]
    values = usual * np.exp(defaults.LENGTH_LOG_SD[name] * ndtri(_strata(rng)))
    return Filling(
        [max(1.0, least, float(round(v))) for v in values],
        f"{_range(list(values))} (a conversation's, widely)",
    )


def _draft_length(row: Mapping[Any, Any], known: _Known, rng: np.random.Generator) -> dict[str, Filling]:
    if not _blank(row, "k"):
        return {}
    method = _text(row, "method")
    least = max(_number(row, "mean_accepted_len", 2.0) - 1.0, 1.0)
    drafter = _text(row, "drafter")
    rows = known.same(method=method)
    own = known.same(method=method, drafter=drafter) if drafter else rows
    rows = own if len(own) else rows
    measured = [float(k) for k in sorted(set(rows["k"].dropna())) if k >= least]
    choices = measured or [
        float(k) for k in defaults.METHOD_DRAFT_LENGTHS.get(method, defaults.DRAFT_LENGTHS) if k >= least
    ]
    choices = choices or [float(np.ceil(least))]
    where = "as measured" if measured else "as recipes have it"
    return {"k": Filling(_each(choices, rng), f"{_listed([f'{k:g}' for k in choices])} ({where})")}


def _drafter(row: Mapping[Any, Any], known: _Known, rng: np.random.Generator) -> dict[str, Filling]:
    """Name a drafter where none is, from the trace's or else the cards of the verifier; say the size of one nobody knows."""
    method, verifier = _text(row, "method"), known.verifier(row.get("verifier"))
    name = _text(row, "drafter")
    if method in ("ngram", "suffix") or (name and known.cards.has("drafter", name)):
        return {}
    if not name:
        measured = [d for d in dict.fromkeys(known.same(method=method, verifier=verifier)["drafter"]) if d]
        carded = [
            c.name
            for c in known.cards.by_section["drafter"].values()
            if c.method == method and verifier in (known.verifier(v) for v in c.verifiers)
        ]
        choices = measured or carded
        if choices:
            where = "as measured" if measured else "made for it"
            return {"drafter": Filling(_each(choices, rng), f"{_listed(choices)} ({where})")}
    if method != "draft_model" or not _blank(row, "drafter_params_b"):
        return {}
    return {"drafter_params_b": _draft_model_size(known.cards.verifier_from_row(row).active_params_b, rng)}


def _draft_model_size(verifier_b: float, rng: np.random.Generator) -> Filling:
    from scipy.special import ndtri

    share = defaults.DRAFT_MODEL_SHARE * np.exp(defaults.DRAFT_MODEL_SHARE_LOG_SD * ndtri(_strata(rng)))
    values = [float(v) for v in verifier_b * np.minimum(share, 1.0)]
    return Filling(values, f"{_range(values)} (a usual share of the verifier's)")


def _precision(row: Mapping[Any, Any], known: _Known) -> dict[str, Filling]:
    if not _blank(row, "precision"):
        return {}
    native = known.cards.weights_of(str(row.get("verifier"))) or "fp16"
    return {"precision": Filling([native], f"{native} (as published)")}


def _engine(
    row: Mapping[Any, Any], known: _Known, found: dict[str, Filling], rng: np.random.Generator
) -> dict[str, Filling]:
    """Take the engines, or versions of the engine, that this verifier, GPU and formats were measured with.

    An engine of a stated day is that day's version: nothing is open, whichever versions were measured.
    """
    said = "" if _text(row, "engine") == UNKNOWN else _text(row, "engine")
    dated = bool(_text(row, "run_date"))
    if _text(row, "engine_options") or (said and (dated or said != engine_family(said))):
        return {}
    verifier = known.verifier(row.get("verifier"))
    formats = found["precision"].choices[0] if "precision" in found else _text(row, "precision")
    try:
        formats = known.cards.precision(formats, verifier).name
        gpu = known.cards.hardware(_text(row, "hardware")).name
    except CardError:
        return {}  # told where the condition is resolved
    named = {
        d.engine: without_quarter(d.engine, d.age)
        for d in known.posterior.levels.deployments
        if (d.verifier, d.hardware, d.precision) == (verifier, gpu, formats)
        and said in ("", engine_family(d.engine))
    }
    measured = {label: own for label, own in named.items() if not set("+(") & set(own[0])}  # no options
    if not measured:
        return {} if said else {"engine": Filling([UNKNOWN], "any (drawn as one that was never measured)")}
    if list(measured) == [said]:
        return {}
    names, days = zip(*_each(list(measured.values()), rng), strict=True)
    filled = {"engine": Filling(list(names), f"{_listed(list(measured))} (as measured)")}
    if any(days) and not dated:
        filled["run_date"] = Filling(list(days), "")
    return filled


def _same(rows: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    """Keep the rows whose texts are those wanted, whatever their case."""
    for name, value in wanted.items():
        if name not in rows:
            return rows.iloc[:0]
        rows = rows[rows[name].astype(str).str.casefold() == value.casefold()]
    return rows


def _strata(rng: np.random.Generator) -> np.ndarray:
    """Probabilities in random order, one from each of equal parts: a sample that is as even as its size allows."""
    return (rng.permutation(FILLINGS) + 0.5) / FILLINGS


def _spread(n: int, rng: np.random.Generator) -> np.ndarray:
    """Places among n, evenly spread, in random order."""
    return np.floor(_strata(rng) * n).astype(int)


def _each(choices: list[Any], rng: np.random.Generator) -> list[Any]:
    """Give each choice its share of the fillings; the choice itself where there is one."""
    return choices if len(choices) == 1 else [choices[i] for i in _spread(len(choices), rng)]


def _blank(row: Mapping[Any, Any], name: str) -> bool:
    value = row.get(name)
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _number(row: Mapping[Any, Any], name: str, default: float) -> float:
    """Give a number of a row; the default where it is blank, or a text that the check of conditions will refuse."""
    try:
        return default if _blank(row, name) else float(row[name])
    except (TypeError, ValueError):
        return default


def _text(row: Mapping[Any, Any], name: str) -> str:
    value = row.get(name)
    return value.strip() if isinstance(value, str) else ""


def _range(values: list[float]) -> str:
    low, high = (f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return f"{shown}, ..." if len(names) > 4 else shown
