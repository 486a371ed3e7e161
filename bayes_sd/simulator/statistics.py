"""Averages over a simulated run, and their Monte Carlo errors."""

import numpy as np

N_BATCHES = 40


def batch_means_error(values: np.ndarray, n_batches: int = N_BATCHES) -> float:
    """Estimate the standard error of a mean of correlated values by batch means.

    The values, in time order, are cut into batches much longer than their correlation, whose means are then
    nearly independent.

    Parameters
    ----------
    values : array, shape (n,)
        In time order; a remainder that fills no batch is left out of the estimate.
    n_batches : int
        Batches; fewer if there are fewer values.

    Returns
    -------
    float
        In the unit of the values; NaN for fewer than two values.
    """
    values = np.asarray(values, dtype=float)
    n_batches = min(n_batches, len(values))
    if n_batches < 2:
        return float("nan")
    size = len(values) // n_batches
    means = values[: size * n_batches].reshape(n_batches, size).mean(axis=1)
    return float(means.std(ddof=1) / np.sqrt(n_batches))


def time_in_state(
    start: np.ndarray, end: np.ndarray, window: tuple[float, float], n_batches: int = N_BATCHES
) -> np.ndarray:
    """Measure how long each number of intervals is open at once, over batches of a time window.

    Parameters
    ----------
    start, end : array, shape (n,)
        Beginning and end of each interval [s]; an end of infinity is one that never came.
    window : (float, float)
        Beginning and end of what counts [s].
    n_batches : int
        Equal pieces of the window.

    Returns
    -------
    array, shape (n_batches, state)
        Share of each piece with 0, 1, 2, ... intervals open.
    """
    begin, finish = window
    edges = np.linspace(begin, finish, n_batches + 1)
    inside = (start < finish) & (end > begin)
    opened = np.maximum(start[inside], begin)
    closed = np.minimum(end[inside], finish)
    time = np.concatenate([edges, opened, closed])
    change = np.concatenate([np.zeros(len(edges)), np.ones(len(opened)), -np.ones(len(closed))])
    order = np.argsort(time, kind="stable")
    time, open_now = time[order], np.cumsum(change[order])
    # Openings and closings at one instant pass through counts that last no time.
    lasting = np.diff(time) > 0
    length, state = np.diff(time)[lasting], open_now[:-1][lasting].astype(np.int64)
    batch = np.clip(np.searchsorted(edges, time[:-1][lasting], side="right") - 1, 0, n_batches - 1)
    n_states = int(state.max(initial=0)) + 1
    total = np.bincount(batch * n_states + state, weights=length, minlength=n_batches * n_states)
    return total.reshape(n_batches, n_states) * (n_batches / (finish - begin))
