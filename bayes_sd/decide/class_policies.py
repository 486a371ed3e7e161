"""Draft lengths by class of requests: prompts of different lengths and kinds, each with a length or a table of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bayes_sd.decide.policy_curves import Curve
from bayes_sd.decide.prompt_classes import Mixture, class_curve
from bayes_sd.latency.policy import Table

WORTH_CHANGING = 0.001
"""Share of the latency that another draft length must save to be chosen in place of that of the next smaller batch."""
ROUNDS = 6


def fixed_class_curves(mixed: Mixture) -> list[Curve]:
    """Compute the curves of one draft length for all classes, no speculation first."""
    shape = (len(mixed.names), len(mixed.points))
    return [
        class_curve(mixed, f"k={k}" if k else "none", "fixed" if k else "none", np.full(shape, k))
        for k in range(mixed.longest + 1)
    ]


def chosen_class_curves(
    mixed: Mixture, fixed: Sequence[Curve], lost: Callable[[Curve], float]
) -> tuple[list[Curve], dict[str, Table]]:
    """Choose a table by batch, a draft length for each class, and a table for each, and compute their curves.

    Parameters
    ----------
    mixed : Mixture
    fixed : sequence of Curve
        From :func:`fixed_class_curves`.
    lost : callable
        From a curve to what is to be small over all loads, by which the one length of each class is chosen.

    Returns
    -------
    curves : list of Curve
    tables : dict of str to table
        Draft lengths by batch size; those by class are named ``by class, NAME`` and ``by class and batch, NAME``.
    """
    common = fixed[int(np.argmin([lost(c) for c in fixed]))].misfit
    single = _best_single(mixed, common, lost)
    together, apart = (_best_lengths(mixed, common, both) for both in (True, False))
    tables: dict[str, Table] = {"by batch": _table(mixed, together[0])}
    for label, lengths in (("by class", single), ("by class and batch", apart)):
        tables |= {
            f"{label}, {name}": _table(mixed, own) for name, own in zip(mixed.names, lengths, strict=True)
        }
    ways = (
        ("by batch", "table", together),
        ("by class", "classes", single),
        ("by class and batch", "classes", apart),
    )
    return [class_curve(mixed, *way, common) for way in ways], tables


def _score(mixed: Mixture, lengths: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Mean log of S at each point, shape (point,)."""
    n = int(mixed.cap.max())
    curve = class_curve(mixed, "", "", lengths, common).service_s
    return np.log(curve[:, np.minimum(mixed.points.astype(int), n) - 1]).mean(axis=0)


def _best_lengths(mixed: Mixture, common: np.ndarray, together: bool) -> np.ndarray:
    """Choose draft lengths at each batch size, one class after another until none changes, shape (class, point).

    A smaller S at one number in flight makes fewer of them whatever the others are, so each is chosen by itself.
    """
    groups = [slice(None)] if together else [slice(c, c + 1) for c in range(len(mixed.names))]
    shape = (len(mixed.names), len(mixed.points))
    start = np.stack([_score(mixed, np.full(shape, k), common) for k in range(mixed.longest + 1)])
    lengths = np.broadcast_to(start.argmin(axis=0), shape).copy()
    for _ in range(1 if together else ROUNDS):
        before = lengths.copy()
        for group in groups:
            tried = []
            for k in range(mixed.longest + 1):
                other = lengths.copy()
                other[group] = k
                tried.append(_score(mixed, other, common))
            lengths[group] = _few_changes(np.stack(tried))
        if np.array_equal(before, lengths):
            break
    return lengths


def _few_changes(scores: np.ndarray) -> np.ndarray:
    """Take the best length at each point, that of the point before where it is as good, shape (point,)."""
    chosen = scores.argmin(axis=0)
    for i in range(1, len(chosen)):
        if scores[chosen[i - 1], i] <= scores[chosen[i], i] + WORTH_CHANGING:
            chosen[i] = chosen[i - 1]
    return chosen


def _best_single(mixed: Mixture, common: np.ndarray, lost: Callable[[Curve], float]) -> np.ndarray:
    """Choose one draft length for each class over all loads, one class after another until none changes, shape (class, point)."""
    n, each = len(mixed.points), range(mixed.longest + 1)

    def loss(choice: tuple[int, ...]) -> float:
        lengths = np.repeat(np.array(choice)[:, None], n, axis=1)
        return lost(class_curve(mixed, "", "", lengths, common))

    known: dict[tuple[int, ...], float] = {}
    best = min(((k,) * len(mixed.names) for k in each), key=lambda c: known.setdefault(c, loss(c)))
    for _ in range(ROUNDS):
        before = best
        for c in range(len(mixed.names)):
            for k in each:
                other = (*best[:c], k, *best[c + 1 :])
                if other not in known:
                    known[other] = loss(other)
            best = min(((*best[:c], k, *best[c + 1 :]) for k in each), key=lambda choice: known[choice])
        if best == before:
            break
    return np.repeat(np.array(best)[:, None], n, axis=1)


def _table(mixed: Mixture, lengths: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    """Write draft lengths at points as ranges of batch sizes, each up to the next point."""
    starts = np.flatnonzero(np.r_[True, lengths[1:] != lengths[:-1]])
    first = mixed.points[starts].astype(int)
    last = np.r_[first[1:] - 1, int(mixed.points[-1])]
    return tuple((int(a), int(b), int(lengths[s])) for a, b, s in zip(first, last, starts, strict=True))
