"""What a table of draft lengths by batch size says, in two sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def schedule_words(rows: pd.DataFrame, several: bool = False) -> list[str]:
    """Say which draft length to take at which batch size, and what it gives away.

    Parameters
    ----------
    rows : DataFrame
        From :func:`bayes_sd.decide.schedule.schedule`.
    several : bool
        Whether several drafters were compared, so that the chosen one is named.

    Returns
    -------
    list of str
        The choice that loses least on average; then what it loses, and how likely it is the very best.
    """
    lengths, ends = rows["k"].to_numpy(), rows["end"].to_numpy()
    with_it = f" with {rows['drafter'].iloc[0]}" if several else ""
    if not lengths.any():
        return [
            f"Do not speculate{with_it}: no draft length is worth its cost at any batch size.",
            _price(rows),
        ]
    if len(rows) == 1:
        return [
            f"Speculate with k = {lengths[0]}{with_it} at every batch size up to {ends[0]}.",
            _price(rows),
        ]
    said = [
        f"k = {lengths[0]}{with_it} up to a batch of {ends[0]}"
        if lengths[0]
        else f"no drafting up to {ends[0]}"
    ]
    said += [f"{_called(k)} up to {end}" for k, end in zip(lengths[1:-1], ends[1:-1], strict=True)]
    said.append(f"{_called(lengths[-1])} above")
    return [f"Draft {', '.join(said)}.".replace("Draft no drafting", "No drafting"), _price(rows)]


def _called(k: int) -> str:
    return f"k = {k}" if k else "nothing"


def _price(rows: pd.DataFrame) -> str:
    # Each doubling of the batch size counts alike, as in the choice itself.
    weight = np.log2((rows["end"].to_numpy() + 0.5) / (rows["start"].to_numpy() - 0.5))
    lost = float(np.average(rows["relative_regret"], weights=weight))
    best = rows["p_best"]
    sure = f"{best.min():.0%}" if len(rows) == 1 else f"{best.min():.0%} to {best.max():.0%}"
    return (
        f"That gives away {lost:.1%} of the attainable speed on average ({rows['relative_regret_most'].max():.1%} at most); "
        f"each length is the very best of its range with probability {sure}."
    )
