"""Acceptance arithmetic of speculative decoding: from acceptance to tokens committed per cycle.

"Acceptance rate" has three meanings in the wild, and one number under the wrong one is off by a factor of
two:

====================  ==============================================================================
``"per_token"``       probability that a draft token is accepted given that all before it were (the i.i.d. α)
``"accepted_share"``  accepted draft tokens over drafted ones, (E − 1)/k
``"mean_length"``     tokens committed per cycle, E, the verifier's own token included
====================  ==============================================================================

A fourth quantity, the share of drafts in which position j was accepted (what vLLM reports per position), is
the running product of the conditional acceptances; see :func:`conditional_from_survival`.

Source of the i.i.d. form: Leviathan, Kalman and Matias, arXiv:2211.17192, equation 1. Everything here is
dimensionless; E is in tokens per cycle. Functions with an ``xp`` argument take ``numpy`` (the default) or
``pytensor.tensor`` and are then differentiable.
"""

from types import ModuleType
from typing import Any, Literal

import numpy as np

from bayes_sd.errors import ConditionError

AcceptanceMeaning = Literal["per_token", "accepted_share", "mean_length"]
ACCEPTANCE_MEANINGS: tuple[AcceptanceMeaning, ...] = ("per_token", "accepted_share", "mean_length")


def expected_committed_iid(alpha: Any, k: Any, xp: ModuleType = np) -> Any:
    """Compute the tokens committed per cycle when each draft token is accepted alike and independently.

    E = Σ_{j=0..k} α^j = (1 − α^{k+1})/(1 − α), summed by Horner's rule: no cancellation near α = 1, no
    special case at α = 1, and a finite gradient at both ends.

    Parameters
    ----------
    alpha : array or tensor, any shape
        Acceptance probability per draft token, in [0, 1].
    k : int array, broadcastable against `alpha`
        Draft length in tokens; plain numbers also when `alpha` is symbolic.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor
        E in tokens per cycle, between 1 and k + 1.
    """
    k = _checked_draft_length(k)
    committed = xp.ones_like(alpha * np.ones(np.shape(k)))
    for j in range(int(k.max(initial=0))):
        committed = xp.where(k > j, 1.0 + alpha * committed, committed)
    return committed


def expected_committed(alpha_by_position: Any, k: Any = None, xp: ModuleType = np) -> Any:
    """Compute the tokens committed per cycle from the conditional acceptance at each draft position.

    E = 1 + Σ_{j=1..k} Π_{i≤j} α_i. Real curves are not geometric, so this is the general form.

    Parameters
    ----------
    alpha_by_position : array or tensor, shape (..., position)
        Probability that position j is accepted given that positions before it were, in [0, 1].
    k : int array, broadcastable against the leading dims, optional
        Draft length in tokens, at most the number of positions (the default: all of them).
    xp : module
        ``numpy`` or ``pytensor.tensor``; a tensor's last dimension must have a static length.

    Returns
    -------
    array or tensor, shape (...)
        E in tokens per cycle.

    Raises
    ------
    ConditionError
        If `k` is longer than the curve or is not a whole number ≥ 0.
    """
    alpha = np.asarray(alpha_by_position, dtype=float) if xp is np else alpha_by_position
    positions = _static_length(alpha)
    k = _checked_draft_length(positions if k is None else k)
    if k.max(initial=0) > positions:
        raise ConditionError(
            f"draft length {k.max()} is longer than the acceptance curve, which has {positions} positions; "
            "give the acceptance of the later positions or a shorter draft"
        )
    committed = 1.0
    for j in range(positions - 1, -1, -1):
        committed = 1.0 + xp.where(k > j, alpha[..., j], 0.0) * committed
    return committed if positions else xp.ones_like(xp.sum(alpha, axis=-1))


def committed_by_positions(level: Any, profile: Any, counted: Any, xp: ModuleType = np) -> Any:
    """Compute the expected tokens committed per cycle when the log odds of acceptance are a level plus a profile.

    E = 1 + Σ_j counted_j·Π_{i≤j} α_i with logit α_j = level + profile_j, in a graph the products as sums of logarithms.

    Parameters
    ----------
    level : array or tensor, shape (...)
        Log odds that hold for a workload and drafter.
    profile : array or tensor, shape (..., position)
        How log odds differ by draft position.
    counted : array or tensor, shape (..., position)
        1 for the positions that are drafted (j ≤ k), 0 for those beyond.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor, shape (...)
        E in tokens per cycle.
    """
    if xp is np:
        return _committed_position_by_position(np.asarray(level, dtype=float), profile, counted)
    log_odds = level[..., None] + profile
    return 1.0 + xp.sum(counted * xp.exp(xp.cumsum(-xp.softplus(-log_odds), axis=-1)), axis=-1)


def logistic(x: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Give the inverse of the log odds, 1 / (1 + exp(−x)).

    NumPy's own functions are exact enough (a few units in the last place) and spare a process of one decision the load of SciPy.

    Parameters
    ----------
    x : array
    out : array, optional
        Where to write it; may be `x`.

    Returns
    -------
    array
        In [0, 1].
    """
    with np.errstate(over="ignore"):  # exp of a large number is infinite, and its inverse 0 as it should be
        down = np.exp(np.negative(x, out=out), out=out)
        return np.reciprocal(np.add(down, 1.0, out=out), out=out)


def _committed_position_by_position(
    level: np.ndarray, profile: np.ndarray, counted: np.ndarray
) -> np.ndarray:
    """Compute :func:`committed_by_positions` without an axis of positions, which for many draws takes most of the time."""
    shape = np.broadcast_shapes(level.shape, profile.shape[:-1], counted.shape[:-1])
    reached, committed, work = np.ones(shape), np.ones(shape), np.empty(shape)
    drafted = counted.reshape(-1, counted.shape[-1]).any(axis=0)
    for j in range(int(drafted.nonzero()[0].max(initial=-1)) + 1):
        np.add(level, profile[..., j], out=work)
        logistic(work, work)
        reached *= work
        np.multiply(reached, counted[..., j], out=work)
        committed += work
    return committed


def counted_positions(k: Any, positions: int) -> np.ndarray:
    """Mark the draft positions of each draft length.

    Parameters
    ----------
    k : int array, shape (...)
        Draft length in tokens.
    positions : int
        How many positions to mark, at least the largest `k`.

    Returns
    -------
    array, shape (..., position)
        1 up to k, 0 beyond.

    Raises
    ------
    ConditionError
        If `k` is not a whole number ≥ 0.
    """
    return (np.arange(positions) < _checked_draft_length(k)[..., None]).astype(float)


def extended_profile(profile: np.ndarray, positions: int) -> np.ndarray:
    """Extend or cut a profile to a number of positions; those beyond its end are like its last, shape (..., position)."""
    return profile[..., np.minimum(np.arange(positions), profile.shape[-1] - 1)]


def expected_committed_profile(level: Any, profile: np.ndarray, k: Any, xp: ModuleType = np) -> Any:
    """Compute :func:`committed_by_positions` at draft lengths.

    Parameters
    ----------
    level : array or tensor, shape (...)
        Log odds that hold for a workload and drafter.
    profile : array, shape (..., position)
        How log odds differ by draft position, plain numbers; positions beyond the profile's are like its last.
    k : int array, broadcastable to (...)
        Draft length in tokens.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor, shape (...)
        E in tokens per cycle.

    Raises
    ------
    ConditionError
        If `k` is not a whole number ≥ 0.
    """
    longest = int(np.max(_checked_draft_length(k), initial=0))
    if longest == 0:
        return xp.ones_like(level)
    counted = counted_positions(k, longest)
    return committed_by_positions(level, extended_profile(np.asarray(profile), longest), counted, xp)


def committed_variance(alpha_by_position: Any, k: int | None = None) -> Any:
    """Compute the variance of the tokens committed in one cycle.

    Parameters
    ----------
    alpha_by_position : array, shape (..., position)
        Conditional acceptance per position, in [0, 1].
    k : int, optional
        Draft length in tokens (default: all positions).

    Returns
    -------
    array, shape (...)
        Variance in tokens².
    """
    survival = survival_by_position(alpha_by_position)[..., :k]
    accepted_before = np.arange(survival.shape[-1])
    mean = survival.sum(axis=-1)
    second_moment = ((2 * accepted_before + 1) * survival).sum(axis=-1)
    return second_moment - mean**2


def survival_by_position(alpha_by_position: Any) -> np.ndarray:
    """Compute the probability that positions 1..j are all accepted, the product of their acceptances.

    Parameters
    ----------
    alpha_by_position : array, shape (..., position)
        Conditional acceptance per position.

    Returns
    -------
    array, shape (..., position)
        Share of cycles in which position j is accepted.
    """
    return np.cumprod(np.asarray(alpha_by_position, dtype=float), axis=-1)


def conditional_from_survival(survival: Any) -> np.ndarray:
    """Compute the acceptance per position from the share of cycles in which each position was accepted.

    The share per position is what vLLM calls the per-position acceptance rate. Positions after one that was
    never accepted were never reached: they get NaN.

    Parameters
    ----------
    survival : array, shape (..., position)
        Share of cycles in which position j was accepted, not increasing in j.

    Returns
    -------
    array, shape (..., position)
        α_j, the acceptance of position j given that those before it were accepted.

    Raises
    ------
    ConditionError
        If a share is outside [0, 1] or larger than the one before it.
    """
    survival = np.asarray(survival, dtype=float)
    before = np.concatenate([np.ones((*survival.shape[:-1], 1)), survival[..., :-1]], axis=-1)
    if not np.all((survival >= 0) & (survival <= before)):
        raise ConditionError(
            "shares of accepted drafts per position must lie in [0, 1] and never rise with the position; "
            "if they do rise they are conditional acceptances already"
        )
    return np.divide(survival, before, out=np.full_like(survival, np.nan), where=before > 0)


def alpha_iid_from_committed(committed: Any, k: Any) -> np.ndarray:
    """Invert the i.i.d. form: the acceptance per token α that gives E tokens per cycle at draft length k.

    Parameters
    ----------
    committed : array
        E in tokens per cycle, in [1, k + 1].
    k : int array, broadcastable
        Draft length in tokens, at least 1.

    Returns
    -------
    array
        α in [0, 1].

    Raises
    ------
    ConditionError
        If E is outside [1, k + 1] or k < 1.
    """
    k = _checked_draft_length(k, shortest=1)
    committed, k = np.broadcast_arrays(np.asarray(committed, dtype=float), k)
    if not np.all((committed >= 1) & (committed <= k + 1)):
        raise ConditionError(
            f"{committed.min():g} to {committed.max():g} tokens per cycle cannot come from draft length "
            f"{k.min()} to {k.max()}: it must lie between 1 and k + 1 (is the verifier's own token counted?)"
        )
    # E is increasing and convex in α, so Newton from α = 1 falls monotonically to the root.
    alpha = np.ones(committed.shape)
    for _ in range(100):
        value, slope = _committed_and_slope(alpha, k)
        step = np.where(slope > 0, (value - committed) / np.where(slope > 0, slope, 1.0), 0.0)
        alpha = np.clip(alpha - step, 0.0, 1.0)
        if np.all(np.abs(step) < 1e-14):
            break
    return alpha


def accepted_share_from_committed(committed: Any, k: Any) -> Any:
    """Compute accepted over drafted tokens, (E − 1)/k.

    Parameters
    ----------
    committed : array or tensor
        E in tokens per cycle.
    k : int array
        Draft length in tokens, at least 1.

    Returns
    -------
    array or tensor
        Share of drafted tokens that were accepted.
    """
    return (committed - 1.0) / _checked_draft_length(k, shortest=1)


def committed_from_accepted_share(accepted_share: Any, k: Any) -> Any:
    """Compute the tokens committed per cycle from accepted over drafted tokens, E = 1 + k·share.

    Parameters
    ----------
    accepted_share : array or tensor
        Accepted over drafted tokens, in [0, 1].
    k : int array
        Draft length in tokens.

    Returns
    -------
    array or tensor
        E in tokens per cycle.
    """
    return 1.0 + _checked_draft_length(k) * accepted_share


def convert_acceptance(
    value: Any, k: Any, source: AcceptanceMeaning, target: AcceptanceMeaning
) -> np.ndarray:
    """Turn one meaning of "acceptance rate" into another (i.i.d. where ``per_token`` is on either side).

    Parameters
    ----------
    value : array
        The number in the meaning `source`.
    k : int array, broadcastable
        Draft length in tokens, at least 1.
    source, target : {"per_token", "accepted_share", "mean_length"}
        Meanings, as the module's table has them.

    Returns
    -------
    array
        The same acceptance in the meaning `target`.

    Raises
    ------
    ConditionError
        If a meaning is unknown, or the value impossible in it.
    """
    for meaning in (source, target):
        if meaning not in ACCEPTANCE_MEANINGS:
            raise ConditionError(
                f"unknown meaning of acceptance {meaning!r}: say one of {', '.join(ACCEPTANCE_MEANINGS)}"
            )
    k = _checked_draft_length(k, shortest=1)
    value = np.asarray(value, dtype=float)
    if source != "mean_length" and not np.all((value >= 0) & (value <= 1)):
        raise ConditionError(f"an acceptance of {value.max():g} is not in [0, 1]: per cent or a mean length?")
    if source == "mean_length":
        committed = value
    elif source == "accepted_share":
        committed = committed_from_accepted_share(value, k)
    else:
        committed = expected_committed_iid(value, k)
    if target == "mean_length":
        return np.asarray(committed)
    if target == "accepted_share":
        return np.asarray(accepted_share_from_committed(committed, k))
    return alpha_iid_from_committed(committed, k)


def expected_cycles(alpha_by_position: Any, n_tokens: int) -> float:
    """Compute the mean number of cycles that commit `n_tokens` tokens, the cut-off last one included.

    Larger than n_tokens/E, because the last cycle's surplus tokens are thrown away: a renewal equation,
    N(n) = 1 + Σ_a P(a accepted)·N(n − 1 − a) with N(n ≤ 0) = 0.

    Parameters
    ----------
    alpha_by_position : array, shape (position,)
        Conditional acceptance per position; its length is the draft length k (empty: k = 0).
    n_tokens : int
        Tokens to commit.

    Returns
    -------
    float
        Cycles.
    """
    survival = np.concatenate([[1.0], survival_by_position(alpha_by_position), [0.0]])
    probability = survival[:-1] - survival[1:]
    width = len(probability)
    cycles = np.zeros(max(n_tokens, 0) + width)
    for n in range(width, len(cycles)):
        # cycles[n] holds N(n − width + 1); the slice before it holds N for one to k + 1 tokens fewer.
        cycles[n] = 1.0 + probability @ cycles[n - width : n][::-1]
    return float(cycles[-1])


def _committed_and_slope(alpha: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = np.ones_like(alpha)
    slope = np.zeros_like(alpha)
    for j in range(int(k.max(initial=0))):
        slope = np.where(k > j, value + alpha * slope, slope)
        value = np.where(k > j, 1.0 + alpha * value, value)
    return value, slope


def _checked_draft_length(k: Any, shortest: int = 0) -> np.ndarray:
    k = np.asarray(k)
    if not np.all(np.isfinite(k)) or np.any(k < shortest) or np.any(k != np.floor(k)):
        raise ConditionError(f"draft length must be a whole number of tokens, at least {shortest}; got {k}")
    return k.astype(int)


def _static_length(alpha: Any) -> int:
    shape = alpha.shape if isinstance(alpha, np.ndarray) else alpha.type.shape
    if not shape or shape[-1] is None:
        raise ConditionError("the acceptance curve needs a last dimension of known length")
    return int(shape[-1])
