"""Draft length by batch size: vLLM's table for dynamic speculative decoding, with the evidence beside it.

The format is that of vLLM's documentation, docs/features/speculative_decoding/dynamic_speculative_decoding.md, and of the
check in vllm/v1/spec_decode/dynamic/utils.py: ``num_speculative_tokens_per_batch_size`` is a list of ``[start, end, K]``
with both ends included, the first start 1, no overlap, each K at most ``num_speculative_tokens``; K = 0 drafts nothing.
Batch sizes after the last range keep its K.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.tune import judge
from bayes_sd.errors import ConditionError, OutputError
from bayes_sd.files import write_atomically
from bayes_sd.forecast.latency import DEFAULT_CAP
from bayes_sd.forecast.sweep import Prepared, sweep
from bayes_sd.measurements.csvfile import write_csv

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards

WORTH_A_ROW = 0.001
"""A further row of the table must save at least this share of the attainable speed over one doubling of the batch size."""
EVERY_UP_TO = 64
"""Up to this batch size every one is looked at; above it, sixteen per doubling."""
WITHOUT_MODEL = ("ngram", "suffix", "mtp")
"""Methods whose speculative config names no drafting model."""


def batch_sizes(largest: int) -> np.ndarray:
    """Choose the batch sizes to decide at, from 1 to the largest.

    Parameters
    ----------
    largest : int

    Returns
    -------
    int array, shape (load,)
    """
    every = np.arange(1, min(largest, EVERY_UP_TO) + 1)
    if largest <= EVERY_UP_TO:
        return every
    spread = EVERY_UP_TO * 2.0 ** (np.arange(1, int(16 * np.log2(largest / EVERY_UP_TO)) + 1) / 16)
    return np.unique(np.concatenate([every, np.round(spread), [largest]])).astype(int)


def sweep_batch_sizes(prepared: Prepared) -> xr.Dataset:
    """Compute latency at every batch size up to the engine's cap.

    Parameters
    ----------
    prepared : Prepared
        From :func:`bayes_sd.decide.tune.prepare_choices`.

    Returns
    -------
    Dataset
        As from :func:`bayes_sd.forecast.sweep.sweep`, ``load`` in requests in flight. The latency at a batch size is that of
        a batch that stays of this size, so the lowest latency is also the highest throughput there.
    """
    cap = float(prepared.conditions.cap[0])
    largest = int(cap) if np.isfinite(cap) else DEFAULT_CAP
    return sweep(prepared, batch_sizes(largest), "in-flight", ttft=False)


def schedule(swept: xr.Dataset, drafter: str | None = None, worth_a_row: float = WORTH_A_ROW) -> pd.DataFrame:
    """Choose draft lengths by batch size: lowest expected regret, in as few rows as that is worth.

    Parameters
    ----------
    swept : Dataset
        From :func:`sweep_batch_sizes`.
    drafter : str, optional
        The drafter to write a table for, since an engine runs one; by default the one that gives away least.
    worth_a_row : float
        Share of the speed, over a doubling of the batch size, that another row must save.

    Returns
    -------
    DataFrame
        One row a range: ``start, end`` (batch sizes, both included), ``k``, ``drafter``, ``p_best`` (mean and least
        probability in the range that this k is best among the drafter's alternatives and no speculation: ``p_best``,
        ``p_best_least``), ``relative_regret`` and ``relative_regret_most`` (expected share of the attainable speed given
        away, mean and most in the range), ``regret_ms`` (mean expected latency above the best [ms]), ``runner_up`` (the
        k next in expected regret, in the middle of the range) and its ``runner_up_regret``.

    Raises
    ------
    ConditionError
        If there is no such drafter.
    """
    import pandas as pd

    names = swept["drafter"].to_numpy().astype(str)
    drafters = [d for d in dict.fromkeys(names) if d]
    if drafter is not None and drafter not in drafters:
        raise ConditionError(f"no drafter {drafter!r} was compared: one of {', '.join(drafters)}")
    if drafter is None and len(drafters) == 1:
        drafter = drafters[0]
    if drafter is None:
        everything = judge(swept, None)
        drafter = min(drafters, key=lambda name: _choose(everything, (names == name) | (names == ""))[0])
    own = (names == drafter) | (names == "")
    # Probabilities and regrets are among what one engine can do: this drafter's draft lengths, or none.
    judged = judge(swept.isel(alternative=np.flatnonzero(own)), None)
    _, chosen = _choose(judged, np.ones(judged.sizes["alternative"], dtype=bool), worth_a_row)
    sizes, k = judged["load"].to_numpy().astype(int), judged["k"].to_numpy()
    p, relative, regret = (judged[n].to_numpy() for n in ("p_best", "relative_regret", "regret"))
    starts = np.flatnonzero(np.r_[True, chosen[1:] != chosen[:-1]])
    rows = []
    for i, first in enumerate(starts):
        last = starts[i + 1] if i + 1 < len(starts) else len(sizes)
        pick, span = chosen[first], slice(first, last)
        middle = (first + last) // 2
        others = [j for j in np.argsort(relative[:, middle]) if j != pick]
        rows.append(
            {
                "start": int(sizes[first]),
                "end": int(sizes[last] - 1 if last < len(sizes) else sizes[-1]),
                "k": int(k[pick]),
                "drafter": drafter,
                "p_best": p[pick, span].mean(),
                "p_best_least": p[pick, span].min(),
                "relative_regret": relative[pick, span].mean(),
                "relative_regret_most": relative[pick, span].max(),
                "regret_ms": 1e3 * regret[pick, span].mean(),
                "runner_up": int(k[others[0]]),
                "runner_up_regret": relative[others[0], middle],
            }
        )
    return pd.DataFrame(rows)


def _choose(
    judged: xr.Dataset, own: np.ndarray, worth_a_row: float = WORTH_A_ROW
) -> tuple[float, np.ndarray]:
    """Choose an alternative for each batch size by dynamic programming: regret plus a price for every further row.

    Parameters
    ----------
    judged : Dataset
    own : bool array, shape (alternative,)
        Those to choose among.
    worth_a_row : float

    Returns
    -------
    cost : float
        Expected regret summed over doublings of the batch size, rows' prices included.
    chosen : int array, shape (load,)
        Index among those to choose from.
    """
    sizes = judged["load"].to_numpy()
    # Each doubling of the batch size has the same weight.
    weight = np.log2((sizes + 0.5) / np.r_[0.5, sizes[:-1] + 0.5])
    loss = np.nan_to_num(judged["relative_regret"].to_numpy()[own], nan=0.0) * weight
    total, came = loss[:, 0], np.zeros(loss.shape, dtype=int)
    for i in range(1, loss.shape[1]):
        switch = total.min() + worth_a_row
        stays = total <= switch
        came[:, i] = np.where(stays, np.arange(len(loss)), total.argmin())
        total = np.where(stays, total, switch) + loss[:, i]
    chosen = np.empty(loss.shape[1], dtype=int)
    chosen[-1] = total.argmin()
    for i in range(loss.shape[1] - 1, 0, -1):
        chosen[i - 1] = came[chosen[i], i]
    return float(total.min()), chosen


def speculative_config(
    rows: pd.DataFrame, method: str, drafter: str, cards: Cards | None = None
) -> dict[str, Any]:
    """Give the value of vLLM's ``--speculative-config``.

    Parameters
    ----------
    rows : DataFrame
        From :func:`schedule`.
    method, drafter : str
        As in a table.
    cards : Cards, optional
        To name a drafter as its repository does.

    Returns
    -------
    dict
        ``method``, ``model`` (where the method has one), ``num_speculative_tokens`` (the largest K, at least 1, since vLLM
        sizes its buffers by it) and ``num_speculative_tokens_per_batch_size``.
    """
    config: dict[str, Any] = {"method": method}
    if method not in WITHOUT_MODEL:
        config["model"] = repository_name(drafter, cards)
    config["num_speculative_tokens"] = max(1, int(rows["k"].max()))
    table = rows[["start", "end", "k"]].to_numpy(dtype=int).tolist()
    return config | {"num_speculative_tokens_per_batch_size": table}


def repository_name(drafter: str, cards: Cards | None) -> str:
    """Give the name of a drafter that has an organisation before it, where its card knows one."""
    if "/" in drafter or cards is None or not cards.has("drafter", drafter):
        return drafter
    card = cards.drafter(drafter)
    return next((name for name in card.aliases if "/" in name), drafter)


def check_names(path: Path | None, other: Path | None = None) -> None:
    """Find out before computing whether a table can be written, with its evidence in a .csv of the same name.

    Parameters
    ----------
    path : Path or None
        The table.
    other : Path or None
        Another file that the same run writes.

    Raises
    ------
    OutputError
        If its name does not end on .json, or two files would have one name.
    """
    if path is None:
        return
    if path.suffix.lower() != ".json":
        raise OutputError(
            f"{path}: end the name on .json; what is known of each row goes into a .csv beside it"
        )
    if other is not None and other.resolve() in (path.resolve(), path.with_suffix(".csv").resolve()):
        raise OutputError(f"{other}: the table for vLLM writes that file too; name another with --output")


def write_schedule(path: Path, config: dict[str, Any], rows: pd.DataFrame) -> None:
    """Write a speculative config as JSON, and its rows with their probabilities and regrets as CSV beside it.

    Parameters
    ----------
    path : Path
        Ends on .json; the CSV has the same name.
    config : dict
        From :func:`speculative_config`.
    rows : DataFrame
        From :func:`schedule`.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    check_names(path)
    write_csv(rows, path.with_suffix(".csv"))
    text = json.dumps(config)
    write_atomically(path, lambda beside: beside.write_text(text + "\n", encoding="utf-8"))
