"""Two pools of a row: workers that read prompts, and workers that decode, each with its own layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_sd.errors import ConditionError
from bayes_sd.latency.roofline import Layout
from bayes_sd.measurements.schema import POOLS_NEEDED


@dataclass(frozen=True)
class Pools:
    """Two pools.

    Attributes
    ----------
    prefill, decode : Layout
        Of one worker of each.
    prefill_workers, decode_workers : int
    """

    prefill: Layout
    decode: Layout
    prefill_workers: int
    decode_workers: int

    @property
    def prefill_ranks(self) -> int:
        """Prompts that the prefill pool reads side by side, P."""
        return self.prefill_workers * self.prefill.ranks


def has_pools(row: Mapping[Any, Any] | pd.Series) -> bool:
    """Say whether a row names the workers of two pools."""
    return all(stated_number(row, name) is not None for name in POOLS_NEEDED)


def pools_of(row: Mapping[Any, Any] | pd.Series, sparse: bool) -> Pools | None:
    """Read the two pools of a row; None where it names none.

    Raises
    ------
    ConditionError
        If the GPUs of a pool cannot be split among its workers and ranks.
    """
    if not has_pools(row):
        return None
    halves = {half: _worker(row, half, sparse) for half in ("prefill", "decode")}
    workers = {half: int(stated_number(row, f"{half}_workers") or 1) for half in halves}
    return Pools(halves["prefill"], halves["decode"], workers["prefill"], workers["decode"])


def _worker(row: Mapping[Any, Any] | pd.Series, half: str, sparse: bool) -> Layout:
    gpus, workers = (int(stated_number(row, f"{half}_{name}") or 1) for name in ("gpus", "workers"))
    if gpus % workers:
        raise ConditionError(
            f"{half}_gpus is {gpus} and {half}_workers {workers}: they can't be split evenly; correct one"
        )
    own = gpus // workers
    ranks = min(int(stated_number(row, f"{half}_dp") or 1), own)
    experts = min(int(stated_number(row, f"{half}_ep") or 1), own) if sparse else 1
    if own % ranks:
        raise ConditionError(
            f"a worker of {half} has {own} GPUs, which can't be split into {half}_dp {ranks} ranks"
        )
    return Layout(tp=own // ranks, dp=ranks, ep=experts)


def stated_number(row: Mapping[Any, Any] | pd.Series, name: str) -> float | None:
    """Give a row's number; None where the column is missing or blank."""
    value = row.get(name)
    return float(value) if value is not None and pd.notna(value) and value != "" else None
