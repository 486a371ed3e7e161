"""What rows say of two pools, as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.latency.roofline import Layout, roofline
from bayes_sd.model.deployments import Deployment
from bayes_sd.model.pools import pools_of

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards


def pool_columns(rows: list[pd.Series], deployments: list[Deployment], cards: Cards) -> dict[str, np.ndarray]:
    """Give what rows say of pools as numbers; those without pools have one of each.

    Returns
    -------
    dict of str to array, shape (row,)
        ``pools`` flag, ``decode_workers``, ``prefill_ranks`` and ``prefill_ratio``, the ideal seconds of a prompt token on a
        prefill rank over those on a decode rank.
    """
    names = ("pools", "decode_workers", "prefill_ranks", "prefill_ratio")
    found: dict[str, list[float]] = {name: [] for name in names}
    for row, deployment in zip(rows, deployments, strict=True):
        pools = pools_of(row, cards.verifier_from_row(row).is_moe) if deployment.disaggregated else None
        values = (0.0, 1.0, 1.0, 1.0)
        if pools is not None:
            ratio = _token_s(row, deployment, pools.prefill, cards) / _token_s(
                row, deployment, pools.decode, cards
            )
            values = (1.0, float(pools.decode_workers), float(pools.prefill_ranks), ratio)
        for name, value in zip(names, values, strict=True):
            found[name].append(value)
    columns = {name: np.array(values) for name, values in found.items()}
    return columns | {"pools": columns["pools"] > 0}


def _token_s(row: pd.Series, deployment: Deployment, layout: Layout, cards: Cards) -> float:
    ideal = roofline(
        cards.verifier_from_row(row),
        cards.hardware(deployment.hardware),
        cards.precision(deployment.precision),
        layout,
    )
    return ideal.compute_token_s + ideal.link_token_s
