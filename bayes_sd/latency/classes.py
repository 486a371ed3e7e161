"""A mixture of classes of requests on one server, each with its own lengths, acceptance and draft length.

All requests that decode share a step, so a class's drafts lengthen the steps of all. A request of class c meets, with b in flight,
itself and b − 1 others, of whom the share q_j is of class j::

    step_c(b) = fixed + Σ over itself and the others of what each adds + passes of the longest draft among them
    A_c = c1p_c + r_c + W_c·step_c,      q_c ∝ w_c·A_c,      S(b) = Σ w_c·A_c + (b − 1)·Σ w_c·r_c

with w the shares of arrivals, r the seconds of reading a prompt, W the cycles of an output. A request's stay grows by the prompts of
those that take the others' places, in proportion to its length: S_c = A_c·S/Σ w·A. With one class it is the curve of
:mod:`bayes_sd.latency.service`. If the pace hung on b alone, requests of all classes would be one processor-sharing queue, whose law
does not depend on how work is spread (Kelly, Reversibility and Stochastic Networks, chapter 3): P(b) ∝ Π λ·S(j)/j, and class c holds
the share q_c of those in flight. That steps depend on who is there too is taken at the mean of q.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

ROUNDS = 4
"""Steps towards the shares of those in flight: lengths of classes differ far more than what their drafts do to each other."""


@dataclass(frozen=True)
class ClassOfRequests:
    """What requests of one class ask for; arrays broadcast to (draw, n).

    Attributes
    ----------
    share : float
        w, of arrivals.
    prefill_fixed_s, prefill_s : array
        c1p, and seconds of reading its prompt, r [s].
    cycles : array
        Verify steps that an output takes, W.
    request_s, tokens_s : array
        What one of them adds to a verify step: what does not wait for a busiest expert, and what does [s].
    verified : array
        V, tokens that a cycle verifies of it.
    drafting_s : array
        What one of them adds to a cycle's drafting [s].
    draft_length : int array, shape (n,)
        k at each number in flight.
    """

    share: float
    prefill_fixed_s: Any
    prefill_s: Any
    cycles: Any
    request_s: Any
    tokens_s: Any
    verified: Any
    drafting_s: Any
    draft_length: np.ndarray


@dataclass(frozen=True)
class SharedStep:
    """What a step costs whoever is in it; arrays broadcast to (draw, n).

    Attributes
    ----------
    verify : callable
        From the verified tokens of each request on average, and the requests in the step, to the fixed part of a verify step [s],
        the factor on the work of tokens, and that of the kernels.
    draft_fixed_s : array
        A pass of the drafter [s].
    passes : array, shape (k + 1,)
        Passes for a batch whose longest draft has 0, 1, ... tokens.
    extra_steps, cycle_s : array
        Fixed cost of a cycle in which anybody drafts, in passes, and in seconds.
    ranks : float
        Groups of GPUs with requests of their own.
    """

    verify: Callable[[Any, np.ndarray], tuple[Any, Any, Any]]
    draft_fixed_s: Any
    passes: np.ndarray
    extra_steps: Any = 0.0
    cycle_s: Any = 0.0
    ranks: float = 1.0


class MixedCurve(NamedTuple):
    """Service curve of a mixture.

    Attributes
    ----------
    service_s : array, shape (draw, n)
        S(n), mean over the requests that arrive [s].
    by_class_s : array, shape (class, draw, n)
    in_flight_share : array, shape (class, draw, n)
        q.
    step_s : array, shape (draw, n)
        Mean step that a request meets [s].
    """

    service_s: np.ndarray
    by_class_s: np.ndarray
    in_flight_share: np.ndarray
    step_s: np.ndarray


def mixed_curve(classes: Sequence[ClassOfRequests], shared: SharedStep, in_flight: np.ndarray) -> MixedCurve:
    """Compute the service curve of a mixture of classes.

    Parameters
    ----------
    classes : sequence of ClassOfRequests
        Shares sum to 1.
    shared : SharedStep
    in_flight : array, shape (n,)

    Returns
    -------
    MixedCurve
    """
    met = 1.0 + (np.asarray(in_flight, dtype=float) - 1.0) / shared.ranks
    weight = np.array([c.share for c in classes])[:, None, None]
    read = sum(c.share * c.prefill_s for c in classes)
    alone = np.stack(np.broadcast_arrays(*(np.atleast_2d(c.cycles * np.ones_like(met)) for c in classes)))
    held = weight * alone / (weight * alone).sum(axis=0)
    for _ in range(ROUNDS if len(classes) > 1 else 1):
        steps = [_step(c, classes, held, shared, met) for c in classes]
        own = [
            c.prefill_fixed_s + c.prefill_s + c.cycles * step for c, step in zip(classes, steps, strict=True)
        ]
        alone = np.stack(np.broadcast_arrays(*own))
        held = weight * alone / (weight * alone).sum(axis=0)
    mean = (weight * alone).sum(axis=0)
    service = mean + (met - 1.0) * read
    return MixedCurve(
        service, alone * service / mean, held, (held * np.stack(np.broadcast_arrays(*steps))).sum(axis=0)
    )


def _step(
    own: ClassOfRequests,
    classes: Sequence[ClassOfRequests],
    held: np.ndarray,
    shared: SharedStep,
    met: np.ndarray,
) -> Any:
    """Seconds of a cycle that a request of one class meets, shape (draw, n)."""

    def together(name: str) -> Any:
        others = sum(q * getattr(c, name) for q, c in zip(held, classes, strict=True))
        return getattr(own, name) + (met - 1.0) * others

    fixed, wait, kernel = shared.verify(together("verified") / met, met)
    verify = (fixed + together("request_s") + together("tokens_s") * wait) * kernel
    lengths = np.arange(1, len(shared.passes))[:, None, None]
    longer = sum(q * (c.draft_length >= lengths) for q, c in zip(held, classes, strict=True))
    # That any draft of the batch has this many tokens.
    reached = np.where(
        own.draft_length >= lengths, 1.0, -np.expm1((met - 1.0) * np.log1p(-np.minimum(longer, 1.0 - 1e-12)))
    )
    further = np.diff(shared.passes)[:, None, None]
    any_drafts = reached[0] if len(reached) else 0.0
    passes = (further * reached).sum(axis=0) + any_drafts * shared.extra_steps
    return verify + passes * shared.draft_fixed_s + together("drafting_s") + any_drafts * shared.cycle_s
