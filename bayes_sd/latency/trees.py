"""Trees of drafts: what a tree commits, and the best tree that a verify step of given width can hold.

A drafter that proposes its most probable continuations makes a tree; one verify step checks all of it, and the longest path that
the verifier agrees with is committed. With p[d, r] the probability that the child of rank r is the accepted one, given that its
parent at depth d was accepted (at most one child is), the expected number of tokens committed per cycle is a sum over nodes,

    E(T) = Σ_{v ∈ T} Π_{(d, r) on the path to v} p[d, r],

the root with its empty product being the verifier's own token. A chain is the tree with rank 0 only, and E the sum of
:func:`bayes_sd.latency.acceptance.expected_committed`.

The best tree of n tokens follows by dynamic programming, since the subtrees of siblings do not interact (Chen et al. 2024, Sequoia,
arXiv:2402.12374): with T(d, n) the most that a subtree of n tokens under an accepted node at depth d commits, and M(d, r, m) the most
that children of rank r and later make of m tokens,

    T(d, n) = 1 + M(d, 0, n − 1),    M(d, r, m) = max_{j ≤ m} p[d, r]·T(d + 1, j) + M(d, r + 1, m − j).

What acceptance is by rank must be measured, or assumed: see :func:`rank_acceptance` and :func:`power_law_caught`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_sd.errors import ConditionError

Path = tuple[int, ...]
"""Ranks on the way from the root to a node, from 0: the most probable child."""


@dataclass(frozen=True)
class DraftTree:
    """A tree of drafted tokens.

    Attributes
    ----------
    paths : tuple of tuple of int
        One path a drafted token, shorter ones first; the root, which is no draft, is left out.
    """

    paths: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        ordered = tuple(sorted({tuple(int(r) for r in p) for p in self.paths}, key=lambda p: (len(p), p)))
        known = {(), *ordered}
        for path in ordered:
            if not path or min(path) < 0 or path[:-1] not in known:
                raise ConditionError(f"no tree of drafts: the node {path} has no parent among the others")
        object.__setattr__(self, "paths", ordered)

    @property
    def depth(self) -> int:
        """Passes of the drafter that the tree takes: the length of its longest path."""
        return max((len(p) for p in self.paths), default=0)

    @property
    def verify_tokens(self) -> int:
        """Tokens that a cycle verifies, the root included."""
        return 1 + len(self.paths)

    @property
    def expanded(self) -> int:
        """Tokens that the drafter reads per cycle: the nodes that have children."""
        return len({p[:-1] for p in self.paths})

    @property
    def widest(self) -> int:
        """Most children of one node: the drafter's top-k."""
        return max((p[-1] + 1 for p in self.paths), default=0)

    @property
    def widths(self) -> tuple[int, ...]:
        """Nodes at each depth, from 1."""
        return tuple(sum(len(p) == d for p in self.paths) for d in range(1, self.depth + 1))


def chain(length: int) -> DraftTree:
    """Give the tree that is a chain of so many drafts."""
    return DraftTree(tuple((0,) * d for d in range(1, length + 1)))


def rank_acceptance(first: Any, caught: Any) -> np.ndarray:
    """Put acceptance by depth and rank together.

    Parameters
    ----------
    first : array, shape (..., depth)
        Acceptance of the most probable child, given that its parent was accepted.
    caught : array, shape (..., rank − 1)
        Share of the first child's misses that the second, third, ... child catches; they sum to 1 at most.

    Returns
    -------
    array, shape (..., depth, rank)
        p[d, r]; never rising with the rank.

    Raises
    ------
    ConditionError
        If a number is outside [0, 1] or the shares sum to more than 1.
    """
    first, caught = np.asarray(first, dtype=float), np.asarray(caught, dtype=float)
    inside = np.all((first >= 0) & (first <= 1)) and np.all((caught >= 0) & (caught <= 1))
    if not inside or np.any(caught.sum(axis=-1) > 1.0 + 1e-9):
        raise ConditionError(
            "acceptance by rank: give the share of misses that each further rank catches, each in [0, 1] and 1 together at most"
        )
    further = (1.0 - first)[..., None] * caught[..., None, :]
    joined = np.concatenate([np.broadcast_to(first[..., None], (*further.shape[:-1], 1)), further], axis=-1)
    return np.minimum.accumulate(joined, axis=-1)


def power_law_caught(exponent: Any, ranks: int) -> np.ndarray:
    """Give what further ranks catch if the first r of them miss a share r^(−b) of what the first one misses.

    Parameters
    ----------
    exponent : array, shape (...)
        b, above 0.
    ranks : int
        Children of a node, at least 1.

    Returns
    -------
    array, shape (..., ranks − 1)
    """
    missed = np.arange(1.0, ranks + 1.0) ** -np.asarray(exponent, dtype=float)[..., None]
    return missed[..., :-1] - missed[..., 1:]


def reached_depths(tree: DraftTree, acceptance: Any) -> np.ndarray:
    """Compute the probability that the accepted path reaches each depth.

    Parameters
    ----------
    tree : DraftTree
    acceptance : array, shape (..., depth, rank)
        p[d, r].

    Returns
    -------
    array, shape (..., depth)
        Of depths 1 to the tree's; their sum is E − 1.

    Raises
    ------
    ConditionError
        If the tree is deeper or wider than the acceptance that is given.
    """
    acceptance = np.asarray(acceptance, dtype=float)
    deepest, ranks = acceptance.shape[-2:]
    if tree.depth > deepest or tree.widest > ranks:
        raise ConditionError(
            f"a tree of depth {tree.depth} and up to {tree.widest} children: acceptance is given for {deepest} depths and "
            f"{ranks} ranks"
        )
    value: dict[Path, Any] = {(): np.ones(acceptance.shape[:-2])}
    reached = np.zeros((*acceptance.shape[:-2], tree.depth))
    for path in tree.paths:
        value[path] = value[path[:-1]] * acceptance[..., len(path) - 1, path[-1]]
        reached[..., len(path) - 1] += value[path]
    return reached


def tree_committed(tree: DraftTree, acceptance: Any) -> np.ndarray:
    """Compute the tokens that a tree commits per cycle, E(T).

    Parameters
    ----------
    tree, acceptance
        As in :func:`reached_depths`.

    Returns
    -------
    array, shape (...)
        Tokens per cycle, the verifier's own included.
    """
    return 1.0 + reached_depths(tree, acceptance).sum(axis=-1)


def best_committed(acceptance: Any, most_tokens: int) -> np.ndarray:
    """Compute the most that trees of each size commit, no deeper than the acceptance that is given.

    Parameters
    ----------
    acceptance : array, shape (..., depth, rank)
        p[d, r], never rising with the rank.
    most_tokens : int
        Largest number of verified tokens, the root included.

    Returns
    -------
    array, shape (..., most_tokens)
        E of the best tree of at most 1, 2, ... verified tokens [tokens/cycle].
    """
    return _tables(np.asarray(acceptance, dtype=float), most_tokens)[0][0][..., 1:]


def best_tree(acceptance: Any, most_tokens: int) -> DraftTree:
    """Find the tree of at most so many verified tokens that commits most.

    Parameters
    ----------
    acceptance : array, shape (depth, rank)
        p[d, r], never rising with the rank; the tree is no deeper.
    most_tokens : int
        The root included, at least 1.

    Returns
    -------
    DraftTree
    """
    p = np.asarray(acceptance, dtype=float)
    below, children = _tables(p, most_tokens)
    paths: list[Path] = []
    open_nodes: list[tuple[Path, int]] = [((), most_tokens)]
    while open_nodes:
        path, size = open_nodes.pop()
        depth, left = len(path), size - 1
        for rank in range(p.shape[1] if depth < len(p) else 0):
            if left == 0 or children[depth][rank][left] <= 0.0:
                break
            sizes = np.arange(1, left + 1)
            value = p[depth, rank] * below[depth + 1][sizes] + children[depth][rank + 1][left - sizes]
            # The smallest subtree of those that are equally good: no token is verified for nothing.
            own = int(sizes[np.flatnonzero(value >= value.max() - 1e-12)[0]])
            paths.append((*path, rank))
            open_nodes.append((paths[-1], own))
            left -= own
    return DraftTree(tuple(paths))


def _tables(p: np.ndarray, most_tokens: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Fill T by depth and M by depth and rank, each of shape (..., size), sizes from 0 to the most."""
    if most_tokens < 1:
        raise ConditionError(f"a tree of {most_tokens} verified tokens: it has at least its root")
    shape = (*p.shape[:-2], most_tokens + 1)
    leaf = np.ones(shape)
    leaf[..., 0] = 0.0
    below: list[np.ndarray] = [leaf]
    children: list[list[np.ndarray]] = []
    for depth in range(p.shape[-2] - 1, -1, -1):
        after = [np.zeros(shape)]
        for rank in range(p.shape[-1] - 1, -1, -1):
            best = np.zeros(shape)
            for size in range(1, most_tokens + 1):
                own = p[..., depth, rank] * below[0][..., size]
                rest = after[0][..., : most_tokens + 1 - size]
                np.maximum(best[..., size:], own[..., None] + rest, out=best[..., size:])
            after.insert(0, best)
        own = np.zeros(shape)
        own[..., 1:] = 1.0 + after[0][..., :-1]
        below.insert(0, own)
        children.insert(0, after)
    return below, children


def trees_of_depth(acceptance: Any, sizes: Sequence[int]) -> list[DraftTree]:
    """Give the chain and the best trees of one depth, each once.

    Parameters
    ----------
    acceptance : array, shape (depth, rank)
        p[d, r], never rising with the rank.
    sizes : sequence of int
        Most verified tokens of a tree, the root included.

    Returns
    -------
    list of DraftTree
        Small ones first; none that is better with fewer passes.
    """
    p = np.asarray(acceptance, dtype=float)
    found = {chain(len(p)): None}
    for size in sorted({s for s in sizes if s > len(p) + 1}):
        tree = best_tree(p, size)
        if tree.depth == len(p):
            found[tree] = None
    return list(found)
