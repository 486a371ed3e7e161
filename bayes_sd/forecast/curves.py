"""The service curve of a condition, per draw: at given numbers in flight, seconds of a request, of a step, and to the first token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.forecast.remote import ahead_share
from bayes_sd.latency.kernel import kernel_deviation
from bayes_sd.latency.service import StageCosts, Work, first_token_s, service_latency_s, step_s

if TYPE_CHECKING:
    from bayes_sd.forecast.conditions import Conditions
    from bayes_sd.forecast.costs import PredictedCosts


def take(costs: StageCosts, i: int) -> StageCosts:
    """Give one condition's costs with a trailing axis for the number in flight, shape (draw, 1)."""

    def column(value: np.ndarray | float) -> np.ndarray:
        draws = np.asarray(value)
        return draws[:, [i]] if draws.ndim == 2 and draws.shape[1] > 1 else np.reshape(draws, (-1, 1))

    return StageCosts(**{name: column(getattr(costs, name)) for name in costs.__dataclass_fields__})


def curve(
    predicted: PredictedCosts, conditions: Conditions, i: int, in_flight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute a condition's service latency, step and time to first token at given numbers in flight.

    Parameters
    ----------
    predicted : PredictedCosts
    conditions : Conditions
    i : int
        Which condition.
    in_flight : array, broadcastable to (draw, n)

    Returns
    -------
    service_s, step, first_s : array, shape (draw, n)
        Seconds.
    """
    costs, work, n = _asked(predicted, conditions, i, in_flight)
    service, step = _served(predicted, conditions, i, costs, work, n)
    return service, step, first_token_s(costs, work, n, step, predicted.overlap[:, [i]])


def service_curve(
    predicted: PredictedCosts, conditions: Conditions, i: int, in_flight: np.ndarray, work: Work | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute a condition's service latency and step, without the time to first token.

    Parameters
    ----------
    predicted, conditions, i, in_flight
        As in :func:`curve`; fastest with the same numbers in flight for all draws, shape (1, n).
    work : Work, optional
        What requests ask for at each number in flight, shapes (1, n) or (draw, n); the condition's by default.

    Returns
    -------
    service_s, step : array, shape (draw, n)
        Seconds.
    """
    costs, own, n = _asked(predicted, conditions, i, in_flight)
    return _served(predicted, conditions, i, costs, work or own, n)


def _asked(
    predicted: PredictedCosts, conditions: Conditions, i: int, in_flight: np.ndarray
) -> tuple[StageCosts, Work, np.ndarray]:
    return take(predicted.costs, i), condition_work(predicted, conditions, i), np.atleast_2d(in_flight)


def _served(
    predicted: PredictedCosts, conditions: Conditions, i: int, costs: StageCosts, work: Work, n: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    verified = work.verified
    covered, wait = predicted.experts.at(int(predicted.sparse[i]), verified - 1.0, n)
    deviation = kernel_deviation(predicted.kernel(i), work.met(n) * verified)
    step = step_s(costs, work, n, covered, np.exp(deviation), wait)
    return service_latency_s(costs, work, n, step), step


def condition_work(predicted: PredictedCosts, conditions: Conditions, i: int) -> Work:
    """Give what a condition's requests ask for, with E of shape (draw, 1)."""
    rows = conditions.design.rows
    return Work(
        prompt_tokens=conditions.prompt[i],
        output_tokens=conditions.output[i],
        draft_length=conditions.k[i],
        committed=predicted.committed[:, [i]],
        draft_passes=rows["passes"][i],
        verify_tokens=rows["verified"][i],
        cached_tokens=rows["cached"][i],
        ranks=rows["ranks"][i],
        ahead=ahead_share(predicted.committed[:, i], conditions, i),
    )
