"""Columns of the tables that the acceptance model reads, and of those it works with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bayes_sd.measurements.schema import METHODS, Column

if TYPE_CHECKING:
    import pandas as pd

LONGEST_DRAFT = 64
"""Draft lengths beyond this are taken for a mistake [tokens]."""
DRAFT_LENGTH = Column("draft_length", "count", "tokens drafted per cycle, k", low=1, high=LONGEST_DRAFT)
LENGTH_COLUMNS: tuple[Column, ...] = (
    Column("verifier", "text", "the model that accepted or refused"),
    Column("method", "choice", "how tokens were drafted", choices=METHODS[1:]),
    Column("drafter", "text", "the drafting model; blank: the method's usual one"),
    Column("dataset", "text", "the prompts"),
    Column("k", "count", "tokens drafted per cycle", low=1, high=LONGEST_DRAFT),
    Column("mean_accepted_len", "number", "tokens committed per cycle, the verifier's own included", low=1.0),
    Column("source", "text", "where the number comes from"),
)
COUNT_FIELDS = (
    "verifier", "method", "drafter", "dataset", "source", "draft_length", "position", "n_reached", "n_accepted",
)  # fmt: skip
LENGTH_FIELDS = ("verifier", "method", "drafter", "dataset", "source", "k", "mean_accepted_len")
_NUMERIC = {"draft_length", "position", "n_reached", "n_accepted", "k", "mean_accepted_len"}


def empty_rows(columns: Sequence[str]) -> pd.DataFrame:
    """Give a table of no rows."""
    import pandas as pd

    return pd.DataFrame({c: pd.Series(dtype=float if c in _NUMERIC else object) for c in columns})
