"""Conditions in one call: what a program states, the rest as the posterior's own rows have it."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.question import Question, base_condition
from bayes_sd.errors import ConditionError
from bayes_sd.measurements.schema import BY_NAME

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior


def conditions(
    posterior: Posterior,
    *,
    deployment: str | None = None,
    rate_rps: Any = None,
    concurrency: Any = None,
    cards: Cards | None = None,
    **columns: Any,
) -> pd.DataFrame:
    """Put conditions together for :func:`bayes_sd.predict` and the decisions.

    Parameters
    ----------
    posterior : Posterior
    deployment : str, optional
        A deployment of the posterior, by its name or words of it; by default the one with most speculating rows.
    rate_rps, concurrency : number or sequence of numbers, optional
        The load: requests a second of an open loop, or clients of a closed one. By default one request a second.
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.
    **columns
        Columns of the schema by name, such as ``workload="humaneval"`` or ``k=3``. A sequence gives a row to each of its
        values; of several sequences every combination.

    Returns
    -------
    DataFrame
        One row a condition, with all columns of one. ``attrs["chosen"]``: sentences that say what was taken from the
        posterior's rows.

    Raises
    ------
    ConditionError, DataError
        If the deployment or a column is not known, a needed value is nowhere to be had, or values contradict each other.

    Examples
    --------
    >>> import bayes_sd as sd
    >>> posterior = sd.load("traces/llama.nc")                               # doctest: +SKIP
    >>> sd.conditions(posterior, workload="humaneval", k=[0, 3, 5], rate_rps=[1, 4])      # doctest: +SKIP
    """
    import pandas as pd

    kind, loads = _load(rate_rps, concurrency, columns)
    cards = posterior.cards() if cards is None else cards
    frames, chosen = [], []
    for values in product(*(_each(value) for value in columns.values())):
        given = dict(zip(columns, values, strict=True))
        frame, words = _one(posterior, cards, deployment, kind, loads[0], given)
        frames.append(frame.iloc[[0] * len(loads)].assign(load_value=loads))
        chosen += words
    result = pd.concat(frames, ignore_index=True)
    result.attrs["chosen"] = list(dict.fromkeys(chosen))
    return result


def _one(
    posterior: Posterior,
    cards: Cards,
    deployment: str | None,
    kind: str,
    load: float,
    given: dict[str, Any],
) -> tuple[pd.DataFrame, list[str]]:
    drafter = given.pop("drafter", None)
    if given.get("k") == 0:
        given.setdefault("method", "none")
    plain = given.get("method") == "none"
    asked = Question(given, drafters=() if plain or not drafter else (str(drafter),), deployment=deployment)
    return base_condition(posterior, cards, asked, kind, load, speculate=not plain)


def _load(rate_rps: Any, concurrency: Any, columns: dict[str, Any]) -> tuple[str, list[float]]:
    """Give the kind of load and its values, from the arguments or the columns of their own."""
    if rate_rps is not None and concurrency is not None:
        raise ConditionError("rate_rps and concurrency are both given: keep one")
    kind = str(columns.pop("load_kind", "rate" if concurrency is None else "concurrency"))
    value = columns.pop("load_value", None)
    for stated in (rate_rps, concurrency):
        value = stated if stated is not None else value
    if kind not in BY_NAME["load_kind"].choices:
        raise ConditionError(f"load_kind {kind!r}: write concurrency (a closed loop) or rate (an open one)")
    loads = [float(v) for v in _each(1.0 if value is None else value)]
    wrong = [v for v in loads if not (np.isfinite(v) and v > 0) or (kind == "concurrency" and v != round(v))]
    if wrong:
        what = "a whole number of clients above 0" if kind == "concurrency" else "a rate above 0"
        raise ConditionError(f"a load of {wrong[0]:g}: give {what}")
    return kind, loads


def _each(value: Any) -> list[Any]:
    """Give the values that were stated: those of a sequence, or the one."""
    if isinstance(value, str) or np.ndim(value) == 0:
        return [value]
    values = list(value)
    if not values:
        raise ConditionError("a column is given as an empty sequence: give at least one value")
    return values
