"""Which measurements of an observation enter the likelihood, and with how much noise."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.measurements.rules import NOISE
from bayes_sd.model.terms.cache import nominal_held

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.points import Points

QUEUED_NOISE = 4.0
"""Noise of rows whose requests queue for the cache, in units of the others'."""
QUEUED_SHARE = 0.1
"""Share of the requests that wait for the cache from which on a row has all of that noise."""
POOLED_NOISE = 4.0
"""Noise of rows of two pools, of their latency and of their share of decoding, in units of the others': the law of two stations is
within 8 % of a simulated network. Taken at one or two per cent, a deployment's few rows would bend its costs to what the law leaves
out; and a share told to a hundredth, beside a latency told to a twentieth, leaves one narrow way for either pool to be the limit."""
MOST_AMPLIFIED = 3.0
"""Noise near an open loop's saturation, at most, in units of that at low load."""
NOMINAL_EFFICIENCY = 0.9
"""Share of the nominal cache that is taken as filled where a point must be placed before the cache is learned."""


def nominal_in_flight(design: Design, points: Points) -> np.ndarray:
    """Give the requests at each point with the cache at its nominal size, which places a point on the kernel curve."""
    rows, row = design.rows, points.row
    lengths = (rows[name][row] for name in ("reserve", "cache_tokens", "own_prompt", "output"))
    held = NOMINAL_EFFICIENCY * nominal_held(*lengths)
    limit = np.where(rows["open_loop"][row], np.inf, np.minimum(held, rows["cap"][row]))
    return np.minimum(points.in_flight, limit)


def queued(design: Design, points: Points) -> np.ndarray:
    """Flag the closed-loop rows whose requests queue for the cache, shape (observation,)."""
    running = nominal_in_flight(design, points)[points.running]
    return ~design.rows["open_loop"] & ~design.rows["pools"] & (running < design.rows["load"])


def noise_factor(design: Design) -> np.ndarray:
    """Give the noise that the load check ascribes to each observation, in units of a sound one's, shape (observation,)."""
    n = len(design.rows["load"])
    return design.frame[NOISE].to_numpy(dtype=float) if NOISE in design.frame else np.ones(n)


def queued_factor(share: Any, xp: ModuleType = np) -> Any:
    """Noise of a closed loop whose requests queue for the cache, in units of one where none does.

    A measurement then depends on evictions and run length, and two such rows may contradict each other.

    Parameters
    ----------
    share : array
        Requests that run over those that the engine's cap admits, at most 1.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array
        From 1, where all run, to :data:`QUEUED_NOISE`, where a tenth or more wait.
    """
    waiting = xp.clip((1.0 - share) / QUEUED_SHARE, 0.0, 1.0)
    return 1.0 + (QUEUED_NOISE - 1.0) * waiting


def pool_noise(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Noise of closed loops at two pools, in units of a sound row's, shape (row,); 1 for all other rows.

    Whether requests wait for the decode workers' caches is judged by their nominal sizes: judged by the model's own, which hardly any
    row tells, a fit would have two answers, one with much waiting and much noise and one with neither.

    Parameters
    ----------
    rows : dict of str to array, shape (row,)
        Facts of rows.
    """
    return np.where(rows["pools"], POOLED_NOISE * queued_factor(_share_held(rows)), 1.0)


def _share_held(rows: dict[str, np.ndarray]) -> np.ndarray:
    """Share of the requests of two pools that the decode workers' nominal caches hold if all decode, at most 1."""
    lengths = (rows[name] for name in ("reserve", "cache_tokens", "own_prompt", "output"))
    offered = np.minimum(np.maximum(rows["load"] / rows["decode_workers"], 1.0), rows["cap"])
    return np.minimum(NOMINAL_EFFICIENCY * nominal_held(*lengths) / offered, 1.0)


def amplified(elasticity: Any, xp: ModuleType = np) -> Any:
    """Noise of an open loop near saturation, in units of that at low load.

    A run whose steps are all a per cent slower has 1/e per cent more latency, e the relative gain of throughput for a gain of
    requests in flight (1 − ρ where L = C1/(1 − ρ)). Only part of the noise is of that kind: the factor is the square root.

    Parameters
    ----------
    elasticity : array
        e, in (0, 1].
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array
        From 1 to :data:`MOST_AMPLIFIED`.
    """
    # Rounded where it ends, since a corner in the noise is one in the density.
    least = MOST_AMPLIFIED**-2.0
    return (0.5 * (elasticity + least + xp.sqrt((elasticity - least) ** 2 + (0.3 * least) ** 2))) ** -0.5


def timed_rows(design: Design, points: Points) -> tuple[np.ndarray, np.ndarray]:
    """Find the observations whose time to first token, or else time per output token, is used.

    Returns
    -------
    ttft, share : int array
        Observations with a time to first token of running (not queued) requests; those with a time per output token only.
    """
    rows = design.rows
    # Under Poisson arrivals no single number in flight stands for the run.
    usable = ~(rows["open_loop"] & rows["poisson"])
    # At two pools the first token waits for the prefill pool, of which the share of decoding tells.
    timed = np.isfinite(rows["ttft_s"]) & ~rows["pools"]
    ttft = np.flatnonzero(timed & ~queued(design, points) & usable)
    untimed = (
        ~timed & ~rows["decoding"] & (np.isnan(rows["ttft_s"]) | rows["pools"]) & np.isfinite(rows["tpot_s"])
    )
    share = np.flatnonzero(untimed & (rows["output"] > 2) & usable)
    return ttft, share


def decode_share(design: Design) -> np.ndarray:
    """Give the measured share of a request's latency after its first token, (g − 1)·TPOT/L, shape (observation,)."""
    rows = design.rows
    return (rows["output"] - 1.0) * rows["tpot_s"] / rows["latency_s"]
