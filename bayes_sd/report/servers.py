"""What an interactive page computes with: thinned draws of one deployment's servers, over lengths and draft lengths.

The page does not know what a step is made of. Here the package's own service curve is evaluated at numbers in flight, for every
stop of the sliders, and split by what the page may change: the part that falls with the tokens committed per cycle (decoding),
and the rest (prefill). A new cost in :class:`~bayes_sd.latency.service.StageCosts` is therefore in the page without a change of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.tune import DRAFT_LENGTHS
from bayes_sd.forecast.alternatives import Alternative, alternative_rows
from bayes_sd.forecast.conditions import Conditions, resolve
from bayes_sd.forecast.costs import PredictedCosts, costs_for
from bayes_sd.forecast.curves import service_curve
from bayes_sd.forecast.latency import running_cap
from bayes_sd.forecast.spread import RequestSpread, request_spread
from bayes_sd.forecast.tails import own_prefill_s
from bayes_sd.latency.kernel import KNOTS

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

DRAWS = 200
"""Draws that a page carries: a probability is then good to four points of a hundred or better."""
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Stops of the lengths' sliders, relative to the condition's own."""
PER_DOUBLING = 2
"""Points of a service curve per doubling of the number in flight, besides those where kernels bend it."""
PREFILL_POINTS = 4
SCALARS = ("committed", "held", "misfit", "own", "length_cv", "luck")
"""Numbers of one draw beside the curves: tokens per cycle, requests that the cache holds, factor of the shape's misfit, seconds of a
request's own prefill, relative spread of output lengths, sd of acceptance from request to request [log odds]."""


@dataclass(frozen=True)
class Servers:
    """Draws of servers.

    Attributes
    ----------
    prompt, output : list of int
        Stops of the lengths [tokens].
    draft_lengths : list of int
        0, no speculation, first.
    points : list of list of float
        Numbers in flight at which decoding is given, for each draft length.
    prefill_points : list of float
        The same of prefill.
    draws : array, shape (prompt, output, draft length, draw, field)
        Fields: decoding at one token per cycle at each of `points` [s], prefill at each of `prefill_points` [s], and
        :data:`SCALARS`.
    cap : float
        Most requests that run, infinite where nothing says.
    most : int
        Most that run in any draw of an open loop.
    """

    prompt: list[int]
    output: list[int]
    draft_lengths: list[int]
    points: list[list[float]]
    prefill_points: list[float]
    draws: np.ndarray
    cap: float
    most: int


def draw_servers(
    posterior: Posterior,
    base: pd.DataFrame,
    cards: Cards,
    seed: int = 0,
    draft_lengths: Sequence[int] = DRAFT_LENGTHS,
) -> Servers:
    """Draw the servers of a condition at every stop of lengths and draft length.

    Parameters
    ----------
    posterior : Posterior
        With the draws to carry, from :func:`bayes_sd.forecast.mixture.thinned`.
    base : DataFrame
        One row that speculates.
    cards : Cards
    seed : int
        For what the posterior has not seen.
    draft_lengths : sequence of int
        With 0 first.

    Returns
    -------
    Servers

    Raises
    ------
    CardError, ConditionError
        If the condition names something that nothing is known about.
    """
    row = base.iloc[0]
    prompt, output = (_stops(row[name]) for name in ("prompt_tokens", "output_tokens"))
    conditions = resolve(_frame(base, prompt, output, draft_lengths), posterior, cards)
    costs = costs_for(posterior, conditions, cards, seed)
    spread = request_spread(posterior, conditions, seed)
    many = range(len(conditions))
    most = int(max(running_cap(costs, conditions, i).max() for i in many))
    points = _points(most, conditions, len(draft_lengths))
    few = np.unique(np.round(np.geomspace(1.0, max(most, 2), PREFILL_POINTS)))
    at = [points[i % len(points)] for i in many]
    values = np.stack([_fields(costs, conditions, spread, i, (at[i], few)) for i in many])
    shape = (len(prompt), len(output), len(draft_lengths))
    return Servers(
        prompt=prompt,
        output=output,
        draft_lengths=[int(k) for k in draft_lengths],
        points=[p.tolist() for p in points],
        prefill_points=few.tolist(),
        draws=values.reshape(*shape, *values.shape[1:]),
        cap=float(conditions.cap[0]),
        most=most,
    )


def _stops(length: float) -> list[int]:
    return sorted({max(1, round(float(length) * factor)) for factor in FACTORS})


def _frame(base: pd.DataFrame, prompt: list[int], output: list[int], lengths: Sequence[int]) -> pd.DataFrame:
    """Give the conditions of all stops; the share of a prompt that is cached stays, as does the relative spread of lengths."""
    import pandas as pd

    row = base.iloc[0]
    grown = {"cached_prompt_tokens": "prompt_tokens", "output_tokens_std": "output_tokens"}
    frames = []
    for p, g in product(prompt, output):
        other = base.assign(prompt_tokens=float(p), output_tokens=float(g))
        for name, by in grown.items():
            if name in base and pd.notna(row[name]):
                other[name] = row[name] * other[by] / row[by]
        frames.append(alternative_rows(other, [Alternative(int(k)) for k in lengths]))
    return pd.concat(frames, ignore_index=True)


def _points(most: int, conditions: Conditions, n: int) -> list[np.ndarray]:
    """Choose numbers in flight for the `n` draft lengths: where kernels bend the curve, and between; alike in number."""
    end, rows = float(max(most, 2)), conditions.design.rows
    chosen = []
    for verified, ranks in zip(rows["verified"][:n], rows["ranks"][:n], strict=True):
        bends = 1.0 + (2.0**KNOTS / verified - 1.0) * ranks
        chosen.append([1.0, *bends[(bends > 1.0) & (bends < end)], end])
    longest = max(len(points) for points in chosen) * PER_DOUBLING
    for points in chosen:
        while len(points) < longest:
            wide = int(np.argmax(np.diff(np.log(points))))
            points.insert(wide + 1, float(np.sqrt(points[wide] * points[wide + 1])))
    return [np.array(points) for points in chosen]


def _fields(
    costs: PredictedCosts,
    conditions: Conditions,
    spread: RequestSpread,
    i: int,
    points: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Give one condition's fields, shape (draw, field)."""
    endless = replace(costs, committed=np.full_like(costs.committed, np.inf))
    committed = costs.committed[:, i]
    at, few = points
    whole = service_curve(costs, conditions, i, at[None, :])[0]
    decode = (whole - service_curve(endless, conditions, i, at[None, :])[0]) * committed[:, None]
    prefill = service_curve(endless, conditions, i, few[None, :])[0]
    scalars: dict[str, Any] = {
        "committed": committed,
        "held": costs.cache_requests[:, i],
        "misfit": np.exp(costs.misfit[:, i]),
        "own": own_prefill_s(costs, conditions, i),
        "length_cv": spread.length_cv[:, i],
        "luck": spread.draft_log_odds_sd[:, i],
    }
    columns = [np.broadcast_to(scalars[name], committed.shape) for name in SCALARS]
    return np.concatenate([decode, prefill, np.stack(columns, axis=1)], axis=1)


def packed(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Pack numbers into 16 bits each, evenly spaced in their logarithm; 0 stands for 0.

    Parameters
    ----------
    values : array
        At least 0.

    Returns
    -------
    codes : uint16 array
        Of the same shape.
    low, step : float
        A code c > 0 means exp(low + step·(c − 1)).
    """
    logs = np.log(values, out=np.full(values.shape, -np.inf), where=values > 0)
    finite = logs[np.isfinite(logs)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    step = max(high - low, 1e-12) / 65534.0
    codes = np.where(np.isfinite(logs), np.round((logs - low) / step) + 1.0, 0.0)
    return codes.astype("<u2"), low, step
