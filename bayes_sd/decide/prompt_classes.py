"""A mixture of classes of requests at one server: their costs under the posterior, and the service curve of a policy for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.policy_curves import Curve
from bayes_sd.decide.request_classes import PromptClass, checked_classes
from bayes_sd.decide.tune import prepare_choices
from bayes_sd.forecast.curves import condition_work, take
from bayes_sd.forecast.grid import whole_points
from bayes_sd.forecast.latency import running_cap
from bayes_sd.latency.between import straight_between
from bayes_sd.latency.classes import ClassOfRequests, SharedStep, mixed_curve
from bayes_sd.latency.kernel import kernel_deviation
from bayes_sd.latency.service import prefill_tokens, verify_fixed_s, verify_tokens_s

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.forecast.alternatives import Prepared
    from bayes_sd.posterior.posterior import Posterior


@dataclass(frozen=True)
class Mixture:
    """Classes of requests at one server, with the draws of their costs.

    Attributes
    ----------
    names : list of str
    shares : array, shape (class,)
    prepared : list of Prepared
        Draft lengths from 0 on for each class.
    points : array, shape (point,)
        Numbers in flight at which curves are worked out.
    cap : int array, shape (draw,)
        Most requests that run at once.
    """

    names: list[str]
    shares: np.ndarray
    prepared: list[Prepared]
    points: np.ndarray
    cap: np.ndarray

    @property
    def longest(self) -> int:
        """Longest draft that is looked at."""
        return len(self.prepared[0].alternatives) - 1


def mixture(
    posterior: Posterior,
    base: pd.DataFrame,
    classes: Sequence[PromptClass],
    longest: int,
    cards: Cards | None = None,
    seed: int = 0,
    thin: int = 1,
    configured: bool = True,
) -> Mixture:
    """Draw the costs of every draft length for each class of requests.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row that names a way of drafting.
    classes : sequence of PromptClass
    longest : int
    cards, seed, thin, configured
        As in :func:`bayes_sd.decide.tune.prepare_choices`; by default a class that is not drafted for shares its server with others
        that are.

    Returns
    -------
    Mixture

    Raises
    ------
    ConditionError
        As :func:`checked_classes` and :func:`bayes_sd.decide.tune.prepare_choices`.
    """
    classes = checked_classes(classes)
    prepared = [
        prepare_choices(
            posterior, base.assign(**_filled(base, c)), range(longest + 1), (), cards, seed, thin, configured
        )
        for c in classes
    ]
    shares = np.array([c.share for c in classes])
    # A request of each class holds its share of the cache: with the shares of arrivals, a request holds their mean.
    held = 1.0 / sum(
        w / running_cap(p.costs, p.conditions, longest) for w, p in zip(shares, prepared, strict=True)
    )
    cap = np.maximum(np.floor(held + 1e-9), 1).astype(int)
    return Mixture([c.name for c in classes], shares, prepared, whole_points(int(cap.max())), cap)


def _filled(base: pd.DataFrame, one: PromptClass) -> dict[str, Any]:
    """Columns of a class; an acceptance that the base states is of its own workload."""
    columns = dict(one.columns)
    if "workload" in columns and columns["workload"] != base["workload"].iloc[0]:
        blank = [name for name in ("acceptance", "mean_accepted_len") if name in base]
        columns = dict.fromkeys(blank, np.nan) | columns
    return columns


def class_curve(
    mixed: Mixture, name: str, kind: str, lengths: np.ndarray, common: np.ndarray | None = None
) -> Curve:
    """Compute the service curve of a mixture under draft lengths by class and number in flight.

    Parameters
    ----------
    mixed : Mixture
    name, kind : str
    lengths : int array, shape (class, point)
    common : array, shape (draw,), optional
        Log misfit that stands outside of the queue's law; by default the mean over the requests.

    Returns
    -------
    Curve
    """
    n, first = int(mixed.cap.max()), mixed.prepared[0]
    classes = [
        _requests(p, w, k, mixed.points)
        for p, w, k in zip(mixed.prepared, mixed.shares, lengths, strict=True)
    ]
    found = mixed_curve(classes, _shared(first), mixed.points)
    misfits = np.stack([p.costs.misfit[:, k] for p, k in zip(mixed.prepared, lengths, strict=True)])
    if common is None:
        common = np.einsum("c,cdn->d", mixed.shares, misfits) / misfits.shape[2]
    service = (mixed.shares[:, None, None] * found.by_class_s * np.exp(misfits - common[None, :, None])).sum(
        axis=0
    )
    # What differs between classes is part of how requests' work varies.
    own = np.stack(
        [
            p.spread.work_cv(p.costs, p.conditions, int(k[len(k) // 2]))
            for p, k in zip(mixed.prepared, lengths, strict=True)
        ]
    )
    middle = found.by_class_s[:, :, found.by_class_s.shape[2] // 2]
    mean = np.einsum("c,cd->d", mixed.shares, middle)
    square = np.einsum("c,cd->d", mixed.shares, middle**2 * (1.0 + own**2))
    work_cv = np.sqrt(np.maximum(square / mean**2 - 1.0, 0.0))
    return Curve(
        name, kind, service @ straight_between(mixed.points, n), common, work_cv, np.full(len(common), np.nan)
    )


def _requests(prepared: Prepared, share: float, lengths: np.ndarray, points: np.ndarray) -> ClassOfRequests:
    """Put together what requests of a class ask for at each number in flight."""
    columns: dict[str, list[Any]] = {
        n: [] for n in ("cycles", "request_s", "tokens_s", "verified", "drafting_s")
    }
    each: dict[int, tuple[Any, ...]] = {}
    for k in np.unique(lengths):
        costs, work = (
            take(prepared.costs.costs, int(k)),
            condition_work(prepared.costs, prepared.conditions, int(k)),
        )
        request = costs.sequence_s + work.context_tokens * costs.kv_token_s
        one = (
            work.cycles,
            request,
            verify_tokens_s(costs, work),
            work.verified,
            work.draft_length * costs.draft_token_s,
        )
        each[int(k)] = tuple(np.broadcast_to(v, (prepared.costs.n_draws, 1)) for v in one)
    for j, name in enumerate(columns):
        columns[name] = [each[int(k)][j] for k in lengths]
    costs, work = take(prepared.costs.costs, 0), condition_work(prepared.costs, prepared.conditions, 0)
    return ClassOfRequests(
        share=share,
        prefill_fixed_s=costs.prefill_fixed_s,
        prefill_s=prefill_tokens(costs, work) * costs.prefill_token_s,
        draft_length=np.asarray(lengths),
        **{name: np.concatenate(values, axis=1) for name, values in columns.items()},
    )


def _shared(prepared: Prepared) -> SharedStep:
    """Put together what a step costs whoever is in it: the longest alternative's costs of drafting, anyone's of verifying."""
    predicted, conditions = prepared.costs, prepared.conditions
    last = len(prepared.alternatives) - 1
    costs, work = take(predicted.costs, last), condition_work(predicted, conditions, last)
    rows = conditions.design.rows

    def verify(verified: Any, met: np.ndarray) -> tuple[Any, Any, Any]:
        in_flight = 1.0 + (met[None, :] - 1.0) * work.ranks
        covered, wait = predicted.experts.at(int(predicted.sparse[last]), verified - 1.0, in_flight)
        deviation = kernel_deviation(
            predicted.kernel(last), np.broadcast_to(met * verified, (predicted.n_draws, len(met)))
        )
        return verify_fixed_s(costs, covered), wait, np.exp(deviation)

    return SharedStep(
        verify=verify,
        draft_fixed_s=costs.draft_fixed_s,
        passes=np.asarray(rows["passes"], dtype=float),
        extra_steps=costs.draft_extra_steps,
        cycle_s=costs.cycle_s,
        ranks=float(work.ranks),
    )
