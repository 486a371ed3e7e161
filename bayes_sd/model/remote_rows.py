"""What rows say of a drafter on hardware of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayes_sd.model.pools import stated_number

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Hardware

HARDWARE, LINK = "drafter_hardware", ("drafter_link_us", "drafter_link_gb_per_s")
REMOTE_DRAFTER = "drafter on hardware of its own"
"""What such a condition extrapolates in: no measurement of one is known."""


def is_remote(row: pd.Series) -> bool:
    """Say whether a row's drafter has hardware, a tensor-parallel size or a link of its own."""
    return speculates(row) and (is_apart(row) or stated_number(row, "drafter_tp") is not None)


def is_apart(row: pd.Series) -> bool:
    """Say whether messages go between the two: not where the drafter shares the verifier's GPUs with a size of its own."""
    return bool(row_text(row, HARDWARE)) or any(stated_number(row, name) is not None for name in LINK)


def link_rate(row: pd.Series, there: Hardware) -> float:
    """Give the bandwidth of the link to the drafter [bytes/s], that of its hardware's network where none is stated."""
    stated = stated_number(row, LINK[1])
    return (stated if stated is not None else there.node_link_gb_per_s) * 1e9


def speculates(row: pd.Series) -> bool:
    """Say whether a row has drafts."""
    return (stated_number(row, "k") or 0.0) > 0


def row_text(row: pd.Series, name: str) -> str:
    """Give a text of a row; empty where it is missing or blank."""
    value = row.get(name)
    return value if isinstance(value, str) else ""
