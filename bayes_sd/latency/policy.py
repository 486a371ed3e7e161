"""Policies of drafting: a draft length by batch size, and drafts that end where the drafter is not confident.

*By batch size.* A server that drafts k(b) tokens while b requests run has the service curve S(b) of draft length k(b) at each b: a
request progresses at rate 1/S(b) whatever k was before, so the queue's laws hold for the spliced curve, and the load that they give
is the one that the policy itself brings about.

*By confidence.* Let the drafter's confidence in position j, given that those before were drafted, be C_j, and let the draft end before
the first position with C_j < τ. If confidence is calibrated, a position is accepted with probability C_j. Then with q_j = P(C_j ≥ τ)
and a_j = E[C_j | C_j ≥ τ],

    P(L ≥ j) = Π_{i ≤ j} q_i,    E = 1 + Σ_j Π_{i ≤ j} q_i·a_i,    V = 1 + Σ_j P(L ≥ j).

The pass that finds a position wanting is made and its token thrown away, so a request takes min(L + 1, K) passes, and a batch of b as
many as its longest draft: Σ_{j ≤ K} 1 − (1 − P(L ≥ j − 1))^b. Confidence saves verifying in any batch, and passes in small ones only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError

Table = Sequence[tuple[int, int, int]]
"""Ranges of batch sizes with their draft length: first, last (both included), k."""


def length_at(table: Table, batch: Any, otherwise: int = 0) -> np.ndarray:
    """Give the draft length at batch sizes.

    Parameters
    ----------
    table : sequence of (int, int, int)
        First range from 1, each next one where the last ended; batches after the last keep its k. Empty: always `otherwise`.
    batch : array
        Requests decoding.
    otherwise : int
        Longest draft of the server.

    Returns
    -------
    int array

    Raises
    ------
    ConditionError
        If ranges overlap or leave gaps, or a k is negative or above `otherwise`.
    """
    batch = np.asarray(batch)
    if not table:
        return np.full(batch.shape, otherwise, dtype=np.int64)
    after = 0
    for first, last, k in table:
        if first != after + 1 or last < first or not 0 <= k <= otherwise:
            raise ConditionError(
                f"draft lengths by batch size: [{first}, {last}, {k}] must begin at {after + 1}, not end before, and have k from 0 to "
                f"{otherwise}"
            )
        after = last
    ends = np.array([last for _, last, _ in table])
    lengths = np.array([k for _, _, k in table], dtype=np.int64)
    return lengths[np.minimum(np.searchsorted(ends, batch), len(ends) - 1)]


def confidence_law(acceptance: Any, threshold: float, concentration: Any) -> tuple[np.ndarray, np.ndarray]:
    """Compute how often a drafter is confident, and what is then accepted, if its confidence is calibrated.

    Confidence in a position is Beta distributed round the acceptance α_j with a + b = ν: a small ν is a drafter that is nearly
    always either sure or lost.

    Parameters
    ----------
    acceptance : array, shape (..., position)
        α_j, of drafts that never stop.
    threshold : float
        τ in [0, 1): below it drafting ends.
    concentration : array, shape (...)
        ν, above 0.

    Returns
    -------
    confident, accepted : array, shape (..., position)
        q_j and a_j.

    Raises
    ------
    ConditionError
        If the threshold is outside [0, 1).
    """
    from scipy.special import betaincc

    if not 0.0 <= threshold < 1.0:
        raise ConditionError(f"a confidence threshold of {threshold:g}: it must be from 0 to below 1")
    alpha = np.clip(np.asarray(acceptance, dtype=float), 1e-6, 1.0 - 1e-6)
    nu = np.asarray(concentration, dtype=float)[..., None]
    confident = betaincc(alpha * nu, (1.0 - alpha) * nu, threshold)
    both = alpha * betaincc(alpha * nu + 1.0, (1.0 - alpha) * nu, threshold)
    return confident, np.divide(both, confident, out=np.ones_like(both), where=confident > 0)


def drafted_shares(confident: Any) -> np.ndarray:
    """Compute P(L ≥ j), the share of drafts that have each position, shape (..., position)."""
    return np.cumprod(np.asarray(confident, dtype=float), axis=-1)


def batch_passes(confident: Any, batch: Any) -> np.ndarray:
    """Compute the expected passes of the drafter in a batch, those of its longest draft.

    Parameters
    ----------
    confident : array, shape (..., position)
        q_j.
    batch : array, shape (n,)
        Requests decoding.

    Returns
    -------
    array, shape (..., n)
    """
    shares = drafted_shares(confident)
    reached = np.concatenate([np.ones_like(shares[..., :1]), shares[..., :-1]], axis=-1)
    none = (1.0 - reached)[..., None, :] ** np.asarray(batch, dtype=float)[:, None]
    return (1.0 - none).sum(axis=-1)


def own_passes(confident: Any) -> np.ndarray:
    """Compute the expected passes of one request's draft, min(L + 1, K), shape (...)."""
    return batch_passes(confident, np.ones(1))[..., 0]
