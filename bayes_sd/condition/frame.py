"""Conditions from a program: a DataFrame or a dict with the columns that a question needs, the rest filled in."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.cards.engine_names import gpus_of
from bayes_sd.cards.options import SIZES
from bayes_sd.cards.record import canonical
from bayes_sd.condition.defaults import ARRIVALS
from bayes_sd.condition.typos import mistyped
from bayes_sd.errors import ConditionError
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.rowchecks import impossible, unanswerable
from bayes_sd.measurements.schema import BY_NAME, COLUMNS, GAMMA, POOLS, Column

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.posterior.posterior import Posterior

GIVEN = tuple(column for column in COLUMNS if column.condition != "result")
"""Columns that a condition may have."""
NUMERIC = ("number", "count", "flag")
SIZED_BY = ("engine", "tp", "pp", "dp", "prefill_gpus", "decode_gpus")
"""Columns that say how many GPUs a server has where nobody says it."""
STATED_SELDOM = ("dp", "pp", "ep", "nodes", "draft_passes", "verify_tokens", "cached_prompt_tokens", *POOLS)
"""Columns that may say what no server can do; most questions leave them out."""


def as_conditions(given: Any, load_needed: bool = True, posterior: Posterior | None = None) -> pd.DataFrame:
    """Check a table of conditions that a program made, and fill in what it leaves out.

    Parameters
    ----------
    given : DataFrame, mapping or sequence of mappings
        Conditions with the measurement table's column names. ``hardware``, ``verifier``, ``prompt_tokens``,
        ``output_tokens``, ``load_kind`` and ``load_value`` are needed; the rest takes its default where the column is
        missing or blank, as in a file (:func:`bayes_sd.measurements.read_conditions`): tp 1, n_gpu that
        of both pools or what tp, pp and dp come to, engine "unknown", precision that of the published
        checkpoint, method none, k 0, arrivals Poisson, no caps. Rows that have a measured
        latency (``latency_s``) are measurements, whose blank arrivals are even, as in a measurement table.
    load_needed : bool
        Whether the two columns of the load are needed; where they are not they default to one request a second.
    posterior : Posterior, optional
        What the conditions are put to: a drafting method that its rows name may be asked for even if nothing else knows it.

    Returns
    -------
    DataFrame
        All columns of a condition; other columns, such as results, stay as they are.

    Raises
    ------
    ConditionError
        Naming the column, and the row from 1, for a needed one that is missing or a value that it cannot hold.

    Examples
    --------
    >>> frame = as_conditions(
    ...     {
    ...         "hardware": "H100-SXM", "verifier": "Llama-3.1-8B-Instruct", "prompt_tokens": 200, "output_tokens": 300,
    ...         "load_kind": "rate", "load_value": [1.0, 2.0],
    ...     }
    ... )
    >>> len(frame), frame["method"].tolist(), frame["tp"].tolist()
    (2, ['none', 'none'], [1, 1])
    """
    frame = as_table(given)
    _check_shape(frame)
    frame = _with_options_read(frame)
    made: dict[str, Any] = {}
    for column in GIVEN:
        if column.name not in frame:
            made[column.name] = _default(frame, column, load_needed)
        elif column.kind in NUMERIC:
            made[column.name] = _numbers(frame[column.name], column)
        else:
            made[column.name] = _words(frame[column.name], column)
    _refuse_unmeasured(made.get("method"), posterior)
    result = frame.assign(**made)
    if "latency_s" not in frame:
        result["arrivals"] = _asked_arrivals(frame, result)
    gpus = [gpus_of(record) for record in result[[*SIZED_BY]].to_dict("records")]
    result["n_gpu"] = result["n_gpu"].where(result["n_gpu"].notna(), gpus)
    _refuse_impossible(result)
    undrafted = (result["method"] == "none").to_numpy()
    result["k"] = result["k"].where(~undrafted | result["k"].notna(), 0.0)
    wrong = np.flatnonzero(undrafted & (result["k"] > 0).to_numpy())
    if len(wrong):
        raise ConditionError(
            f"conditions, row {wrong[0] + 1}: k is {result['k'].iloc[wrong[0]]:g} and no method is named: name it in the "
            "column method, or set k to 0"
        )
    return result


def _refuse_impossible(frame: pd.DataFrame) -> None:
    """Refuse a split, a draft or a cache that no server can have, and arrivals that no formula covers."""
    suspect = frame[[*STATED_SELDOM]].notna().any(axis=1) | (
        frame["arrivals"].astype(str).str.startswith(GAMMA)
    )
    for place in np.flatnonzero(suspect.to_numpy()):
        # Plain numbers: a whole number of NumPy's is none of Python's.
        record = {str(n): v.item() if isinstance(v, np.generic) else v for n, v in frame.iloc[place].items()}
        wrong = impossible(record) or unanswerable(record)
        if wrong:
            raise ConditionError(f"conditions, row {place + 1}, column {wrong[0]}: {wrong[1]}")


def _with_options_read(frame: pd.DataFrame) -> pd.DataFrame:
    """Move layouts, versions and days that stand in engine options and repeats to their columns, as in a file."""
    named = [name for name in ("engine_options", "repeat") if name in frame]
    said = frame[named].astype(object)
    rows = np.flatnonzero((said.notna() & (said != "")).any(axis=1).to_numpy())
    changed: dict[str, list[Any]] = {}
    for i in rows:
        given = frame.iloc[i].to_dict()
        read, _ = canonical({n: given.get(n) for n in ("engine", "tp", "run_date", *named, *SIZES)})
        for name in ("engine", "engine_options", "run_date", *SIZES):
            value = read.get(name)
            if value is not None and value == value and value != given.get(name):
                blank = np.nan if name in SIZES else ""
                column = list(frame[name]) if name in frame else [blank] * len(frame)
                changed.setdefault(name, column)[i] = value
    frame = frame.assign(**changed)
    return frame


def _refuse_unmeasured(methods: Any, posterior: Posterior | None) -> None:
    """Refuse a method that neither the schema nor the fitted rows know, if it looks mistyped or there are no rows.

    Any other one is a level of its own, drawn as widely as methods differ.
    """
    if not hasattr(methods, "unique"):
        return
    column = BY_NAME["method"]
    unknown = [name for name in methods.unique() if name not in column.choices]
    if not unknown:
        return
    measured = set() if posterior is None else set(posterior.observed["method"])
    known = [*column.choices, *sorted(measured - set(column.choices))]
    for name in unknown:
        near = mistyped(name, known)
        if name in measured or (posterior is not None and not near):
            continue
        row = int(np.flatnonzero((methods == name).to_numpy())[0])
        meant = f": did you mean {near}?" if near else ", nor measured: correct it"
        raise ConditionError(
            f"conditions, row {row + 1}, column method: {name!r} is not one of {', '.join(known)}{meant}"
        )


def _asked_arrivals(frame: pd.DataFrame, filled: pd.DataFrame) -> Any:
    """Give the arrivals of questions: those stated, and what a question takes for an open loop that states none."""
    open_loop = (filled["load_kind"] == "rate").to_numpy()
    if "arrivals" in frame:
        given = frame["arrivals"]
        open_loop = open_loop & (given.isna() | (given.astype(str).str.strip() == "")).to_numpy()
    return filled["arrivals"].where(~open_loop, ARRIVALS)


def as_table(given: Any) -> pd.DataFrame:
    """Give conditions as a table, unchecked.

    Parameters
    ----------
    given : DataFrame, Series, mapping or sequence of mappings

    Returns
    -------
    DataFrame

    Raises
    ------
    ConditionError
        If it is none of these.
    """
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return given
    if isinstance(given, pd.Series):
        given = given.to_dict()
    if isinstance(given, Sequence) and all(isinstance(row, Mapping) for row in given):
        return pd.DataFrame(list(given))
    if not isinstance(given, Mapping):
        raise ConditionError(
            f"conditions: a {type(given).__name__} is no table: give a DataFrame, a dict of columns, or a list of dicts"
        )
    several = any(np.ndim(value) for value in given.values())
    return pd.DataFrame(dict(given) if several else [dict(given)])


def _check_shape(frame: pd.DataFrame) -> None:
    """Refuse a table without rows, a column that is there twice, and one that is mistyped."""
    if not len(frame):
        raise ConditionError("conditions: the table has no row: give at least one")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ConditionError(f"conditions: the column {twice[0]!r} is there twice: keep one")
    unknown = [str(name) for name in frame.columns if name not in BY_NAME]
    missing = [column.name for column in GIVEN if column.name not in frame]
    for name in unknown:  # a mistyped optional column would otherwise pass unnoticed
        near = difflib.get_close_matches(name.casefold(), missing, n=1, cutoff=0.9)
        if near:
            raise ConditionError(f"conditions: unknown column {name!r}: did you mean {near[0]!r}?")


def _default(frame: pd.DataFrame, column: Column, load_needed: bool) -> Any:
    """Give the values of a column that is missing, shape () or (row,)."""
    if column.condition == "required":
        if column.role == "load" and not load_needed:
            return "rate" if column.name == "load_kind" else 1.0
        raise ConditionError(f"conditions: the column {column.name!r} is missing ({column.meaning}): add it")
    if column.name == "is_moe":
        return frame["n_experts"].notna() if "n_experts" in frame else False
    if column.default is not None:
        return column.default
    return np.nan if column.kind in NUMERIC else ""


def _numbers(values: pd.Series, column: Column) -> pd.Series:
    """Check the numbers of a column; blank ones take the default."""
    import pandas as pd

    numbers = values
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub":
        plain = values.to_numpy(dtype=float)
        blank = np.isnan(plain)
    else:
        blank = _blank(values)
        read = pd.to_numeric(values.astype(object).where(~blank, np.nan), errors="coerce")
        plain = read.to_numpy(dtype=float, na_value=np.nan)
        numbers = pd.Series(plain, index=values.index)
    outside = (plain < column.low) | (plain > column.high) | (column.open_low & (plain == column.low))
    part = (column.kind == "count") & (plain != np.round(plain))
    wrong = np.flatnonzero(~blank & (~np.isfinite(plain) | outside | part))
    if len(wrong):
        _refuse(values, column, int(wrong[0]))
    _need(blank, column)
    if column.default is not None and blank.any():
        return numbers.where(~blank, column.default)
    return numbers


def _blank(values: pd.Series) -> np.ndarray:
    """Say which cells are not filled. Plain texts: a table of one row would spend all its time in pandas' own methods."""
    empty: np.ndarray = values.isna().to_numpy()
    return empty | np.array([not str(cell).strip() for cell in values.tolist()], dtype=bool)


def _words(values: pd.Series, column: Column) -> pd.Series:
    """Check the words of a column; blank ones take the default, choices are written as the schema writes them."""
    import pandas as pd

    blank = _blank(values)
    _need(blank, column)
    if values.dtype.name == "category":
        values = values.astype(object)
    if column.kind == "choice":
        means: dict[str, Any] = {}
        for place in np.flatnonzero(~blank):
            text = str(values.iloc[place])
            if text not in means:
                try:
                    means[text] = parse_cell(text.strip(), column)
                except CellError:
                    _refuse(values, column, int(place))
        meant = [
            "" if open_ else means[str(cell)] for cell, open_ in zip(values.tolist(), blank, strict=True)
        ]
        values = pd.Series(meant, index=values.index, dtype="str")
    default = "" if column.default is None else column.default
    return values.where(~blank, default) if blank.any() else values


def _need(blank: np.ndarray, column: Column) -> None:
    empty = np.flatnonzero(blank)
    if column.condition == "required" and len(empty):
        raise ConditionError(f"conditions, row {empty[0] + 1}, column {column.name}: blank: fill it in")


def _refuse(values: pd.Series, column: Column, row: int) -> None:
    """Say of the value of a row why its column cannot hold it."""
    value = values.iloc[row]
    try:
        parse_cell(repr(float(value)) if isinstance(value, float) else str(value), column)
    except CellError as error:
        raise ConditionError(f"conditions, row {row + 1}, column {column.name}: {error}") from error
    raise ConditionError(
        f"conditions, row {row + 1}, column {column.name}: {value!r} cannot be used: give another value"
    )
