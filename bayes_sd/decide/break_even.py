"""The load at which two servers are equally fast, per draw."""

from __future__ import annotations

import numpy as np

VERDICTS = ("never", "below", "above", "always")
"""Where speculation helps, among the loads at which one of the two servers has a steady state."""


def break_even_loads(
    loads: np.ndarray, plain_s: np.ndarray, speculative_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the load above which speculation stops helping, per draw.

    Between loads the difference of inverse latencies is interpolated: for straight service curves it is exactly linear in
    the rate, and an inverse latency runs into saturation at 0.

    Parameters
    ----------
    loads : array, shape (load,)
        Rising.
    plain_s, speculative_s : array, shape (sample, load)
        Mean latencies [s], infinite without a steady state.

    Returns
    -------
    break_even : array, shape (sample,)
        The first crossing from helping to hurting; NaN where there is none.
    verdict : int array, shape (sample,)
        Index in :data:`VERDICTS`.
    crossings : int array, shape (sample,)
        How often the speedup crosses 1.

    Examples
    --------
    >>> loads = np.linspace(0.1, 2.0, 20)
    >>> plain_s, speculative_s = 1.0 / (1.0 - 0.3 * loads), 0.5 / (1.0 - 0.45 * loads)
    >>> break_even, verdict, _ = break_even_loads(loads, plain_s[None], speculative_s[None])
    >>> round(float(break_even[0]), 3), VERDICTS[verdict[0]]
    (1.667, 'below')
    """
    gain = 1.0 / speculative_s - 1.0 / plain_s
    known = np.isfinite(plain_s) | np.isfinite(speculative_s)
    helps = gain > 0.0
    both = known[:, :-1] & known[:, 1:]
    stops, starts = helps[:, :-1] & ~helps[:, 1:] & both, ~helps[:, :-1] & helps[:, 1:] & both
    row, at = np.arange(len(gain)), np.argmax(stops, axis=1)
    before, after = gain[row, at], gain[row, at + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        crossing = loads[at] + (loads[at + 1] - loads[at]) * before / (before - after)
    crossing = np.where(stops.any(axis=1), crossing, np.nan)
    some, all_ = (helps & known).any(axis=1), (helps | ~known).all(axis=1)
    verdict = np.select([~some, all_, stops.any(axis=1)], [0, 3, 1], default=2)
    return crossing, verdict, stops.sum(axis=1) + starts.sum(axis=1)
