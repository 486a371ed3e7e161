"""Expert coverage of a mixture of experts: which fraction of the expert weights a step must read.

Uniform popularity: φ(T) = 1 − (1 − m/M)^T for T independent tokens in the step, m of M experts routed per
token (Kong et al. 2026, arXiv:2605.15051; MoESD, arXiv:2505.19645).

Uneven popularity is one parameter, the `skew` s ≥ 0, of a threshold law (Thurstone, case V): the router's
score of expert e for a token is s·z_e + noise, z_e a standard normal trait of the expert and the noise
standard normal; the token goes to the experts over the threshold that m of M pass on average. An expert is
then chosen with probability

    q(z) = Φ(a + s·z),   a = √(1 + s²)·Φ⁻¹(m/M),   and E[q(z)] = m/M exactly, in closed form, for every s.

s = 0 is uniform. In a long step the busiest of 128 experts (4 routed) takes 2.7 times the mean load at
s = 0.2, 4 times at 0.3 and 7 times at 0.5. Expectations over z are sums over fixed nodes (trapezoid rule,
which converges geometrically for a normal weight), so everything is differentiable in T and s and runs
inside PyTensor: pass ``xp=pytensor.tensor``.

All quantities are dimensionless; T is in tokens per step.
"""

from collections.abc import Callable
from statistics import NormalDist
from types import ModuleType
from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError

N_NODES = 33
"""Quadrature nodes over popularity: φ is good to 1e-4 for s ≤ 1 and to 0.01 for s ≤ 2, at any T."""

FIT_NODES = 21
"""Nodes inside a fit, where each costs time: φ is good to 1e-5 for s ≤ 0.5, and to 2e-4 for s ≤ 0.8."""

_NODE_RANGE, _SHORT_NODE_RANGE = 5.5, 4.7
_ALMOST_ONE = 1.0 - 2.0**-53


def effective_tokens(in_flight: Any, k: Any, psi: Any = 1.0, routed: str = "k+1") -> Any:
    """Count the independent tokens in a verify step, T = b(1 + ψk), or T = b(1 + ψ(k − 1)).

    Each request brings its last token and k draft tokens; tokens of one sequence route alike, so a draft
    token counts as ψ of an independent one. ψ = 1 makes it b(k + 1), ψ = 0 makes it b.

    Parameters
    ----------
    in_flight : array or tensor
        Requests in the step, b.
    k : array
        Draft length in tokens.
    psi : array or tensor
        Worth of a draft token in independent tokens, in [0, 1].
    routed : {"k+1", "k"}
        Tokens of a request that a verify step routes: its drafts and the token before them, or its drafts only
        (where there are any). The paper writes both.

    Returns
    -------
    array or tensor
        T in tokens per step.
    """
    return in_flight * (1.0 + psi * further_tokens(k, routed))


def further_tokens(k: Any, routed: str = "k+1") -> Any:
    """Count the tokens of a request that a verify step routes beside its first, arguments as in :func:`effective_tokens`."""
    return k if routed == "k+1" else np.maximum(k - 1.0, 0.0)


def coverage(tokens: Any, n_experts: Any, n_active: Any, xp: ModuleType = np) -> Any:
    """Compute the expected fraction of experts touched by independent tokens under uniform popularity.

    φ(T) = 1 − (1 − m/M)^T, as −expm1(T·log1p(−m/M)): exact for any M, also where φ is tiny, and for
    fractional T.

    Parameters
    ----------
    tokens : array or tensor
        T in tokens per step, ≥ 0.
    n_experts, n_active : array
        M experts in a layer and m experts routed per token, 1 ≤ m ≤ M; plain numbers.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor
        φ in [0, 1].

    Raises
    ------
    ConditionError
        If m > M or m < 1.
    """
    share = np.minimum(routed_share(n_experts, n_active), _ALMOST_ONE)
    return -xp.expm1(tokens * np.log1p(-share))


def coverage_skewed(
    tokens: Any, n_experts: Any, n_active: Any, skew: Any, xp: ModuleType = np, n_nodes: int = N_NODES
) -> Any:
    """Compute the expected fraction of experts touched when popularity is uneven.

    φ(T) = E_z[1 − (1 − q(z))^T] with q of the module's description; at s = 0 equal to :func:`coverage`,
    below it for every T > 1, and equal to m/M at T = 1 whatever the skew.

    Parameters
    ----------
    tokens : array or tensor, shape (...)
        T in tokens per step, ≥ 0.
    n_experts, n_active : array, broadcastable
        M and m, plain numbers, 1 ≤ m ≤ M.
    skew : array or tensor, broadcastable
        s ≥ 0, spread of the experts' popularity on the router's score scale.
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    n_nodes : int
        Quadrature nodes.

    Returns
    -------
    array or tensor, shape (...)
        φ in [0, 1].

    Raises
    ------
    ConditionError
        If m > M or m < 1.
    """
    base = normal_quantile(routed_share(n_experts, n_active))
    if xp is np:
        # One node after another: φ over a grid of draws × in flight stays within memory.
        nodes, weights = popularity_nodes(n_nodes)
        missed = (log_missed_at(node, base, skew) for node in nodes)
        return -sum(w * np.expm1(tokens * m) for w, m in zip(weights, missed, strict=True))
    return covered_share(log_missed(base, xp.as_tensor_variable(skew), xp, n_nodes), tokens, xp, n_nodes)


def log_missed_at(node: Any, base: Any, skew: Any, xp: ModuleType = np) -> Any:
    """Log probability that a token misses an expert of trait `node`, log(1 − q(z)).

    Parameters
    ----------
    node : array or tensor
        z, in standard deviations.
    base : array or tensor
        Φ⁻¹(m/M), from :func:`normal_quantile`.
    skew : array or tensor
        s ≥ 0.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor
    """
    threshold = xp.sqrt(1.0 + skew * skew) * base
    return xp.log1p(-xp.minimum(normal_cdf(threshold + skew * node, xp), _ALMOST_ONE))


def log_missed(base: Any, skew: Any, xp: ModuleType = np, n_nodes: int = N_NODES) -> Any:
    """Tabulate :func:`log_missed_at` over the popularity law, shape (..., node).

    Parameters
    ----------
    base, skew : array or tensor, shape (...)
        Φ⁻¹(m/M) and the skew of each verifier.
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    n_nodes : int
        Quadrature nodes.

    Returns
    -------
    array or tensor, shape (..., node)
    """
    return log_missed_at(popularity_nodes(n_nodes)[0], base[..., None], skew[..., None], xp)


def covered_share(missed: Any, tokens: Any, xp: ModuleType = np, n_nodes: int = N_NODES) -> Any:
    """Average the share of experts that T tokens touch over the popularity law.

    Parameters
    ----------
    missed : array or tensor, shape (..., node)
        From :func:`log_missed`.
    tokens : array or tensor, shape (...)
        T in tokens per step.
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    n_nodes : int
        Nodes of the table.

    Returns
    -------
    array or tensor, shape (...)
        φ in [0, 1].
    """
    _, weights = popularity_nodes(n_nodes)
    each = tokens if isinstance(tokens, float) else tokens[..., None]
    return -xp.sum(weights * xp.expm1(each * missed), axis=-1)


def normal_quantile(share: Any) -> np.ndarray:
    """Give Φ⁻¹ of the share of experts that a token is routed to; the largest finite one where it is all of them."""
    if not np.size(share):  # no mixture: the library need not be loaded
        return np.zeros(np.shape(share))
    from scipy.special import ndtri

    return ndtri(np.minimum(share, _ALMOST_ONE))


def popularity_squared_cv(
    n_experts: Any, n_active: Any, skew: Any, xp: ModuleType = np, n_nodes: int = N_NODES
) -> Any:
    """Compute the squared coefficient of variation of the experts' popularity, Var(q)/(m/M)².

    Parameters
    ----------
    n_experts, n_active : array
        M and m, plain numbers, 1 ≤ m ≤ M.
    skew : array or tensor, broadcastable
        s ≥ 0.
    xp : module
        ``numpy`` or ``pytensor.tensor``.
    n_nodes : int
        Quadrature nodes.

    Returns
    -------
    array or tensor
        0 at s = 0, growing with s to M/m − 1.
    """
    share = routed_share(n_experts, n_active)
    threshold = popularity_threshold(n_experts, n_active, skew, xp)

    def squared_deviation(node: Any, threshold: Any, skew: Any, share: Any) -> Any:
        return (normal_cdf(threshold + skew * node, xp) / share - 1.0) ** 2

    return _mean_over_popularity(squared_deviation, (threshold, skew, share), xp, n_nodes)


def inclusion_probabilities(n_experts: int, n_active: int, skew: float) -> np.ndarray:
    """Compute the probability that a token is routed to each of M experts, for a router of finite size.

    The traits z_e stand at the plotting positions of M normal order statistics, and the threshold is set so
    that the probabilities sum to m. The simulator routes by these; the population formulas above are their
    large-M limit.

    Parameters
    ----------
    n_experts, n_active : int
        M and m, 1 ≤ m ≤ M.
    skew : float
        s ≥ 0.

    Returns
    -------
    array, shape (M,)
        q_e in [0, 1], from the least to the most popular, with sum m.

    Raises
    ------
    ConditionError
        If m > M or m < 1.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtr

    share = float(routed_share(n_experts, n_active))
    if share == 1.0:
        return np.ones(n_experts)
    normal = NormalDist()
    traits = np.array([normal.inv_cdf((e + 0.5) / n_experts) for e in range(n_experts)])
    reach = (abs(normal.inv_cdf(share)) + skew * traits[-1] + 1.0) * np.sqrt(1.0 + skew**2) + 10.0
    threshold = brentq(lambda a: ndtr(a + skew * traits).sum() - n_active, -reach, reach, xtol=1e-13)
    return ndtr(threshold + skew * traits)


def popularity_nodes(n_nodes: int = N_NODES) -> tuple[np.ndarray, np.ndarray]:
    """Place the nodes and weights of the trapezoid rule for an expectation over a standard normal trait.

    Parameters
    ----------
    n_nodes : int
        Number of nodes, odd to have one at 0.

    Returns
    -------
    nodes, weights : array, shape (n_nodes,)
        Nodes in standard deviations; weights with sum 1.
    """
    reach = _NODE_RANGE if n_nodes >= N_NODES else _SHORT_NODE_RANGE
    nodes = np.linspace(-reach, reach, n_nodes)
    weights = np.exp(-0.5 * nodes**2)
    return nodes, weights / weights.sum()


def popularity_threshold(n_experts: Any, n_active: Any, skew: Any, xp: ModuleType = np) -> Any:
    """Find the intercept a of q(z) = Φ(a + s·z) that makes the mean popularity m/M.

    Parameters
    ----------
    n_experts, n_active : array
        M and m, plain numbers, 1 ≤ m ≤ M.
    skew : array or tensor, broadcastable
        s ≥ 0.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor
        √(1 + s²)·Φ⁻¹(m/M), in standard deviations.
    """
    return xp.sqrt(1.0 + skew * skew) * normal_quantile(routed_share(n_experts, n_active))


def normal_cdf(x: Any, xp: ModuleType = np) -> Any:
    """Evaluate the standard normal distribution function.

    Parameters
    ----------
    x : array or tensor
        Standard deviations.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array or tensor
        Probability.
    """
    if xp is np:
        from scipy.special import ndtr

        return ndtr(x)
    return 0.5 * xp.erfc(-x / np.sqrt(2.0))


def routed_share(n_experts: Any, n_active: Any) -> np.ndarray:
    """Check m and M and return the share m/M of the experts that a token is routed to.

    Parameters
    ----------
    n_experts, n_active : array
        M and m, plain numbers.

    Returns
    -------
    array
        m/M in (0, 1].

    Raises
    ------
    ConditionError
        If m > M or m < 1.
    """
    n_experts, n_active = np.asarray(n_experts, dtype=float), np.asarray(n_active, dtype=float)
    wrong = ~((n_active >= 1) & (n_active <= n_experts))
    if np.any(wrong):
        total, active = (np.broadcast_to(x, wrong.shape)[wrong].flat[0] for x in (n_experts, n_active))
        raise ConditionError(
            f"{active:g} experts routed per token out of {total:g}: "
            "it takes at least 1 and no more than there are"
        )
    return n_active / n_experts


def _mean_over_popularity(
    term: Callable[..., Any], arguments: tuple[Any, ...], xp: ModuleType, n_nodes: int
) -> Any:
    """Average `term(node, *arguments)` over the popularity law."""
    nodes, weights = popularity_nodes(n_nodes)
    if xp is np:
        # One node after another: φ over a grid of draws × in flight stays within memory.
        return sum(weight * term(node, *arguments) for node, weight in zip(nodes, weights, strict=True))
    # One symbolic node axis instead of 33 copies of the graph, which would take minutes to compile.
    widened = [xp.as_tensor_variable(argument)[..., None] for argument in arguments]
    return xp.sum(weights * term(nodes, *widened), axis=-1)
