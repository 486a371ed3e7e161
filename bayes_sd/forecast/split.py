"""Latency of an open loop at separate pools for prefill and decode, per draw, for any numbers of workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.conditions import Conditions, resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.curves import condition_work, service_curve, take
from bayes_sd.forecast.grid import curve_points
from bayes_sd.forecast.latency import running_cap
from bayes_sd.forecast.mixture import share_of
from bayes_sd.forecast.spread import request_spread
from bayes_sd.latency import tails
from bayes_sd.latency.between import straight_between
from bayes_sd.latency.pools import prefill_wait
from bayes_sd.latency.queue import in_flight_law
from bayes_sd.latency.service import ASSUMED_STEP_WAIT, prefill_tokens

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior


@dataclass(frozen=True)
class Split:
    """What one prefill rank and one decode worker do, before any number of them and any load.

    Attributes
    ----------
    conditions : Conditions
        One row.
    read_s, fixed_s : array, shape (draw,)
        A prompt on a prefill rank, and the rest of its prefill [s].
    decode_s, step_s : array, shape (draw, n)
        Decoding, and a step, with 1..n requests at a worker [s].
    cap : int array, shape (draw,)
        Most requests that a worker runs.
    work_log_sd : array, shape (draw,)
    misfit : array, shape (draw,)
        Factor on latency.
    ranks_each : int
        Prefill ranks of a worker.
    """

    conditions: Conditions
    read_s: np.ndarray
    fixed_s: np.ndarray
    decode_s: np.ndarray
    step_s: np.ndarray
    cap: np.ndarray
    work_log_sd: np.ndarray
    misfit: np.ndarray
    ranks_each: int


@dataclass(frozen=True)
class SplitLatency:
    """Steady state of a split; arrays of shape (draw,), infinite where there is none.

    Attributes
    ----------
    latency_s, ttft_s : array
        Means [s].
    tails_s : array, shape (draw, level)
        At :data:`bayes_sd.latency.tails.LEVELS`.
    """

    latency_s: np.ndarray
    ttft_s: np.ndarray
    tails_s: np.ndarray


def prepare_split(
    posterior: Posterior, base: pd.DataFrame, cards: Cards, seed: int = 0, thin: int = 1
) -> Split:
    """Draw what a prefill rank and a decode worker cost.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row with the columns of two pools, of one worker each.
    cards : Cards
    seed, thin : int

    Returns
    -------
    Split

    Raises
    ------
    CardError, ConditionError
        As :func:`bayes_sd.forecast.conditions.resolve`.
    """
    if thin > 1:
        posterior = share_of(posterior, 0, thin)
    conditions = resolve(base.assign(load_kind="concurrency", load_value=1.0), posterior, cards, pools=True)
    predicted = costs_for(posterior, conditions, cards, seed)
    rows, costs = conditions.design.rows, take(predicted.costs, 0)
    work, cap = condition_work(predicted, conditions, 0), running_cap(predicted, conditions, 0)
    points = curve_points(int(cap.max()), rows["verified"][0])
    _, step = service_curve(predicted, conditions, 0, points[None, :])
    step = np.broadcast_to(step, (predicted.n_draws, len(points))) @ straight_between(points, int(cap.max()))
    read = (prefill_tokens(costs, work) * costs.prefill_token_s)[:, 0] * rows["prefill_ratio"][0]
    return Split(
        conditions=conditions,
        read_s=np.broadcast_to(read, (predicted.n_draws,)),
        fixed_s=np.broadcast_to(costs.prefill_fixed_s[:, 0], (predicted.n_draws,)),
        decode_s=work.cycles * step,
        step_s=step,
        cap=cap,
        work_log_sd=request_spread(posterior, conditions, seed).work_log_sd(predicted, conditions, 0),
        misfit=np.exp(predicted.misfit[:, 0]),
        ranks_each=int(rows["prefill_ranks"][0]),
    )


def split_latency(split: Split, prefill_workers: int, decode_workers: int, rate_rps: float) -> SplitLatency:
    """Compute the latency of a split under Poisson arrivals, spread over the decode workers at random.

    A request waits for a prefill rank, is read, waits for the end of a decode step, and decodes among those of its worker, whose
    number follows the law of the decode curve (`tests/simulator/test_two_pools_simulated.py`).

    Parameters
    ----------
    split : Split
    prefill_workers, decode_workers : int
    rate_rps : float
        Of all together.

    Returns
    -------
    SplitLatency
    """
    wait = prefill_wait(split.read_s, prefill_workers * split.ranks_each, rate_rps)
    cv, rate = tails.cv_of(split.work_log_sd), np.full(len(split.cap), rate_rps / decode_workers)
    law = in_flight_law(split.decode_s, "poisson", rate, split.cap, cv, levels=())
    stable = law.stable & np.isfinite(wait.wait_s)
    at, spread = (np.where(stable, v, 1.0) for v in (law.mean_running, law.sd_running))
    joins = ASSUMED_STEP_WAIT * _at(split.step_s, at) * (1.0 - np.where(stable, law.idle_probability, 0.0))
    first = split.fixed_s + split.read_s + np.where(stable, wait.wait_s, 0.0)
    decode = np.where(stable, law.mean_latency_s, 1.0)
    queued = np.where(stable, np.maximum(law.mean - law.mean_running, 0.0) / rate, 0.0)
    reach = np.maximum(spread, 1.0)
    rise = _at(split.decode_s, at + reach) - _at(split.decode_s, np.maximum(at - reach, 1.0))
    slope = rise / (2.0 * reach)
    memory = tails.memory_of_company(cv, np.clip(rate * slope, 0.0, 0.98))
    weights, waits = tails.wait_nodes(
        wait.wait_probability, np.where(stable, wait.wait_s, 0.0) / np.maximum(wait.wait_probability, 1e-12)
    )
    start = (split.fixed_s + split.read_s + joins + queued)[:, None] + waits
    served = np.broadcast_to((decode - queued)[:, None], start.shape)
    columns = []
    for level in tails.LEVELS:
        sd = tails.shared_log_sd(level, split.work_log_sd, slope * spread / (decode - queued), memory)
        columns.append(tails.mixture_quantile(level, weights, start, served, sd))
    whole = (first + joins + decode) * split.misfit
    return SplitLatency(
        np.where(stable, whole, np.inf),
        np.where(stable, first, np.inf),
        np.where(stable[:, None], np.stack(columns, axis=1) * split.misfit[:, None], np.inf),
    )


def _at(curve: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Read curves at a number each, straight between whole numbers, shape (draw,)."""
    place = np.clip(number - 1.0, 0.0, curve.shape[1] - 1.0)
    left = np.minimum(place.astype(int), max(curve.shape[1] - 2, 0))
    row, right = np.arange(len(curve)), np.minimum(left + 1, curve.shape[1] - 1)
    return curve[row, left] + (place - left) * (curve[row, right] - curve[row, left])
