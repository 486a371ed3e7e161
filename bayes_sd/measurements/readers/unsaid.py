"""What a benchmark file does not say: from options, or from a small TOML file beside it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.loading import exists, load_toml
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.readers.reading import Reading
from bayes_sd.measurements.schema import BY_NAME

MEASURED_ONLY = frozenset(
    {
        "achieved_rps",
        "mean_e2e_s",
        "p50_e2e_s",
        "p95_e2e_s",
        "p99_e2e_s",
        "mean_ttft_ms",
        "mean_tpot_ms",
        "output_tok_per_s",
        "n_requests",
        "duration_s",
        "derived",
        "measured_by",
    }
)
"""Columns that only a benchmark file may fill."""
OPEN_LOOP_ONLY = frozenset({"arrivals", "client_cap"})
SPECULATING_ONLY = frozenset(
    {"drafter", "drafter_params_b", "k", "acceptance", "mean_accepted_len"}
    | {"n_drafts", "n_draft_tokens", "n_accepted_tokens", "accepted_per_position"}
)
WITH_DRAFTER = frozenset({"eagle", "eagle3", "draft_model", "medusa", "mlp_speculator", "p_eagle"})
"""Methods that draft with a model of their own, which must be named; a method that is not known may have none."""
OVERRULING = ("load_kind", "load_value")
"""Columns whose values as given go before the file's: a tool writes down the load it was asked for, not what came."""
NEEDED = (
    "hardware",
    "tp",
    "engine",
    "verifier",
    "precision",
    "method",
    "prompt_tokens",
    "output_tokens",
    "load_kind",
    "load_value",
)
AGREES = 0.05
"""Relative difference up to which a number given agrees with the one measured, which is kept."""
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Given:
    """Values given for the benchmarks of a file.

    Attributes
    ----------
    common : dict
        Column to value, for every benchmark of the file.
    each : tuple of dict
        The same for benchmark 1, 2, ... by itself; they go before `common`.
    metrics : tuple of Path
        A server's metrics: one text, or before and after.
    origin : str
        Where the values come from, for messages.
    """

    common: dict[str, object] = field(default_factory=dict)
    each: tuple[dict[str, object], ...] = ()
    metrics: tuple[Path, ...] = ()
    origin: str = "the options"

    def values(self, index: int) -> dict[str, object]:
        """Give the values for one benchmark.

        Parameters
        ----------
        index : int
            From 0.

        Returns
        -------
        dict
            Column to value.
        """
        own = self.each[index] if index < len(self.each) else {}
        return {**self.common, **own}


def from_options(values: Mapping[str, object], metrics: Sequence[Path] = ()) -> Given:
    """Check values given as options.

    Parameters
    ----------
    values : mapping
        Column to value; None is left out.
    metrics : sequence of Path
        A server's metrics.

    Returns
    -------
    Given

    Raises
    ------
    DataError
        If a name is no column that may be given, or a value not one that it can hold.
    """
    known = {name: value for name, value in values.items() if value is not None}
    return Given(_checked("option", known), metrics=tuple(metrics))


def from_toml(path: Path) -> Given:
    """Read a TOML file: ``column = value``, ``metrics = [...]``, ``[[benchmark]]`` tables for single ones.

    Parameters
    ----------
    path : Path
        The file; metrics files are looked for beside it.

    Returns
    -------
    Given

    Raises
    ------
    DataError
        If it cannot be read or has something else in it.
    """
    content = load_toml(path)
    metrics = content.pop("metrics", [])
    metrics = [metrics] if isinstance(metrics, str) else metrics
    if not isinstance(metrics, list) or not all(isinstance(m, str) for m in metrics):
        raise DataError(f"{path}: metrics must be a file name or a list of two")
    each = content.pop("benchmark", [])
    if not isinstance(each, list) or not all(isinstance(table, dict) for table in each):
        raise DataError(f"{path}: benchmark must be [[benchmark]] tables, one for each benchmark of the file")
    return Given(
        _checked(str(path), content),
        tuple(_checked(f"{path}, benchmark {i}", table) for i, table in enumerate(each, start=1)),
        tuple(path.parent / m for m in metrics),
        str(path),
    )


def beside(path: Path) -> Path | None:
    """Give the TOML file that goes with a benchmark file (``FILE.toml``), or None if there is none."""
    toml = path.with_name(path.name + ".toml")
    return toml if exists(toml) else None


def apply(cell: Reading, given: Sequence[tuple[str, Mapping[str, object]]]) -> None:
    """Fill in what the file does not say, and refuse what contradicts it.

    Parameters
    ----------
    cell : Reading
        Receives the values.
    given : sequence of (str, mapping)
        Where values come from, and the values; an earlier one goes before a later one.

    Raises
    ------
    DataError
        If a number differs from the one that the file has.
    """
    taken: set[str] = set()
    for name in OVERRULING:
        for origin, values in given:
            if name in values and name not in taken:
                taken.add(name)
                _overrule(cell, name, values[name], origin)
    if cell.overruled and "load_kind" in taken and "load_value" not in taken:
        cell.columns.pop("load_value", None)  # clients are no rate: it is asked for
    stated = dict(cell.columns)
    for origin, values in given:
        for name, value in values.items():
            if name not in taken and _belongs(name, stated):
                taken.add(name)
                _take(cell, stated, name, value, origin)


def missing(cell: Reading) -> list[str]:
    """Give the columns that a row needs and that nothing said.

    Parameters
    ----------
    cell : Reading
        With everything given filled in.

    Returns
    -------
    list of str
        Columns, in the order of the table.
    """
    needed = list(NEEDED)
    if cell.columns.get("load_kind") == "rate":
        needed.append("arrivals")
    drafted = not SPECULATING_ONLY.isdisjoint(cell.columns)
    method = cell.columns.get("method", "not said" if drafted else "none")
    if method != "none":
        needed += ["drafter", "k"] if method in WITH_DRAFTER or method == "not said" else ["k"]
    return [name for name in needed if name not in cell.columns]


def _belongs(name: str, stated: Mapping[str, object]) -> bool:
    """Tell whether a value given for a file goes with this row: a baseline among others has no drafter."""
    if name in OPEN_LOOP_ONLY and stated.get("load_kind") == "concurrency":
        return False
    return not (name in SPECULATING_ONLY and stated.get("method") == "none")


def _take(cell: Reading, stated: Mapping[str, object], name: str, value: object, origin: str) -> None:
    if name not in stated:
        cell.columns[name] = value
        return
    if value is None:  # said to be unknown, but the file knows it
        return
    known = stated[name]
    column = BY_NAME[name]
    if column.kind == "text":
        if known != value:
            cell.notes.append(f"{name} is {value!r} as given; the file calls it {known!r}")
        cell.columns[name] = value
    elif not _agree(known, value, exact=column.kind != "number"):
        raise DataError(
            f"{cell.where}: {name} is {_shown(known)} in the file but {_shown(value)} in {origin}: remove "
            "the one that is wrong"
        )


def _overrule(cell: Reading, name: str, value: object, origin: str) -> None:
    """Take a load as given, and note what the file says instead."""
    known = cell.columns.get(name)
    cell.columns[name] = value
    cell.load_given = True
    if known is None or _agree(known, value, exact=True):
        return
    cell.overruled = True
    cell.notes.append(f"{name} is {_shown(value)} by {origin}; the file says {_shown(known)}")
    cell.remarks.append(f"{name} as given, {_shown(known)} in the file")
    if name == "load_kind" and value == "concurrency":
        for column in OPEN_LOOP_ONLY:
            cell.columns.pop(column, None)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else repr(value)


def _agree(known: object, value: object, exact: bool) -> bool:
    if isinstance(known, int | float) and isinstance(value, int | float):
        return known == value if exact else abs(value - known) <= AGREES * abs(known)
    return str(known).casefold() == str(value).casefold()


def _checked(where: str, values: Mapping[str, object]) -> dict[str, object]:
    return {name: _value(where, name, value) for name, value in values.items()}


def _value(where: str, name: str, value: object) -> object:
    if name not in BY_NAME:
        near = difflib.get_close_matches(name, [*BY_NAME, "metrics", "benchmark"], n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise DataError(f"{where}: {name!r} is not a column of a measurement table{hint}")
    if name in MEASURED_ONLY:
        raise DataError(f"{where}: {name} is what the benchmark measures: it cannot be given")
    if isinstance(value, dict):
        raise DataError(f"{where}: {name} must be a value, not a table")
    text = json.dumps(value) if isinstance(value, list) else str(value).strip()
    if not text:
        raise DataError(f"{where}: {name} is blank: give a value or leave it out")
    if name == "k" and text.casefold() == UNKNOWN:
        return None
    try:
        return parse_cell(text, BY_NAME[name])
    except CellError as error:
        raise DataError(f"{where}: {name}: {error}") from error
