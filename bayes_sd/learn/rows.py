"""The rows of an update: what is new about them, and how they stand beside those that were fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.errors import DataError
from bayes_sd.measurements import apply_rules, load_family
from bayes_sd.measurements.load import ALL, of_family
from bayes_sd.measurements.repeats import average_repeats
from bayes_sd.measurements.schema import ENTERING
from bayes_sd.posterior.posterior import observed_set

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.measurements import Report
    from bayes_sd.posterior.posterior import Posterior

DIGITS = 9
"""Digits to which numbers of two rows must agree for the rows to be the same."""


@dataclass(frozen=True)
class Joined:
    """Fitted rows and new ones as one table.

    Attributes
    ----------
    frame : DataFrame
        One row a cell, as a fit of both would have them.
    added : bool array, shape (row,)
        Rows of `frame` that the posterior was not fitted to; a fitted cell that was measured again is one, with its new mean.
    replaced : bool array, shape (fitted row,)
        Fitted rows that are not in `frame` any more, since their cell has another mean now.
    known : int
        New rows that were among the fitted ones already.
    """

    frame: pd.DataFrame
    added: np.ndarray
    replaced: np.ndarray
    known: int


def read_new(
    posterior: Posterior, data: Sequence[str | Path] | pd.DataFrame, cards: Cards
) -> tuple[pd.DataFrame, Report]:
    """Read the rows of an update and apply the rules of a fit.

    Parameters
    ----------
    posterior : Posterior
        Whose family the rows must be of; rows of its own verifiers always are.
    data : sequence of path, or DataFrame
        Tables, or rows as from :func:`bayes_sd.measurements.load_family`.
    cards : Cards

    Returns
    -------
    frame : DataFrame
        Not averaged.
    report : Report

    Raises
    ------
    DataError
        If a table cannot be read, its rows are of another family, or the rules leave none.
    """
    import pandas as pd

    frame = data if isinstance(data, pd.DataFrame) else load_family(ALL, [Path(p) for p in data], cards=cards)
    _check_family(posterior, frame, cards)
    kept, report = apply_rules(frame)
    if not len(kept):
        reasons = "; ".join(f"{count} {reason}" for _, reason, count in report.excluded if count)
        raise DataError(
            f"none of the {report.total} new rows is of a steady state ({reasons}); nothing to update with"
        )
    return kept, report


def _check_family(posterior: Posterior, frame: pd.DataFrame, cards: Cards) -> None:
    """Refuse rows of another family; those of a verifier that was fitted are of this one, whatever its card says."""
    family = str(posterior.about["family"])
    if family == ALL:
        return
    foreign = ~(of_family(frame, family, cards) | frame["verifier"].isin(posterior.observed["verifier"]))
    if not foreign.any():
        return
    others = frame[foreign]
    files, verifiers = (
        ", ".join(sorted(others[name].astype(str).unique())[:4]) if name in others else "the new rows"
        for name in ("file", "verifier")
    )
    raise DataError(
        f"{files}: {len(others)} of {len(frame)} rows are of another family than the posterior's, {family!r}: {verifiers}; leave "
        f"them out, update a trace of their own family, or fit both together with `fit --family {ALL}`"
    )


def join_rows(posterior: Posterior, new: pd.DataFrame) -> Joined:
    """Put new rows beside those that were fitted, repeats of a cell averaged as a fit of both would.

    Parameters
    ----------
    posterior : Posterior
    new : DataFrame
        After the rules.

    Returns
    -------
    Joined

    Raises
    ------
    DataError
        If all new rows are among the fitted ones already.
    """
    import pandas as pd

    old = posterior.observed
    before = set(_keys(old, old))
    fresh = _as_observed(new)
    known = np.array([key in before for key in _keys(fresh, old)])
    if known.all():
        raise DataError(
            f"all {len(new)} new rows are among the fitted ones already: counting them twice would say too much; "
            "give rows of other runs"
        )
    fresh = fresh[~known]
    times = old["n_repeats"].to_numpy(dtype=int) if "n_repeats" in old else np.ones(len(old), dtype=int)
    cells = average_repeats(
        _blank_texts(pd.concat([old.loc[old.index.repeat(times)], fresh], ignore_index=True))
    )
    after = _keys(cells, old)
    return Joined(
        frame=cells,
        added=np.array([key not in before for key in after]),
        replaced=~np.isin(np.arange(len(old)), _positions(_keys(old, old), set(after))),
        known=int(known.sum()),
    )


def _positions(keys: list[tuple], wanted: set[tuple]) -> list[int]:
    return [i for i, key in enumerate(keys) if key in wanted]


def _as_observed(frame: pd.DataFrame) -> pd.DataFrame:
    """Give rows the columns and types that a posterior keeps."""
    return observed_set(frame.reset_index(drop=True)).to_dataframe().reset_index(drop=True)


def _blank_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Let a text that only some rows have be blank in the others, and flags be false."""
    for name in frame.columns:
        if frame[name].dtype.kind == "O":
            filled = frame[name].where(frame[name].notna(), "")
            frame[name] = filled.astype(str)
    return frame


def _keys(frame: pd.DataFrame, like: pd.DataFrame) -> list[tuple]:
    """What makes a row the same as another: all that its likelihood depends on, as far as `like` has it."""
    columns = []
    for name in ENTERING:
        if name not in like or name not in frame:
            continue
        values = frame[name]
        if values.dtype.kind in "fiub":
            columns.append([f"{v:.{DIGITS}g}" for v in values.to_numpy(dtype=float)])
        else:
            columns.append(["" if v != v or v is None else str(v) for v in values])
    return list(zip(*columns, strict=True))
