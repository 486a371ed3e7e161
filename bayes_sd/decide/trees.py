"""Which tree of drafts at which load: the best tree of each depth and width, judged under the posterior."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.decide.against import against
from bayes_sd.decide.caveats import caveats
from bayes_sd.decide.ranks import RankLaw
from bayes_sd.decide.speedup import check_band
from bayes_sd.decide.tune import judge, loads_to_compare, prepare_choices
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.alternatives import Alternative, Prepared, prepare
from bayes_sd.forecast.sweep import LoadAxis, sweep
from bayes_sd.latency.acceptance import extended_profile
from bayes_sd.latency.trees import DraftTree, rank_acceptance, tree_committed, trees_of_depth
from bayes_sd.model.stated import PROFILE_POSITIONS, acceptance_logit, method_profile
from bayes_sd.model.term import sigmoid

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Verified tokens per request that are looked at."""
DEEPEST, MOST_TOKENS = 8, 64
LARGEST = 256
"""Verified tokens per request that can be asked for."""
N_LOADS = 15
DRAWS = 400


@dataclass(frozen=True)
class TreeAlternative(Alternative):
    """A tree of drafts, `k` being its depth.

    Attributes
    ----------
    tree : DraftTree
    """

    tree: DraftTree = field(default_factory=DraftTree)

    def row(self, base: pd.Series) -> pd.Series:
        """Give the base condition's row with this tree in it."""
        row = super().row(base)
        if self.k:
            row["verify_tokens"] = float(self.tree.verify_tokens)
        return row


def best_trees(
    posterior: Posterior,
    base: pd.DataFrame,
    loads: Any = None,
    axis: LoadAxis = "in-flight",
    *,
    deepest: int = DEEPEST,
    most_tokens: int = MOST_TOKENS,
    ranks: RankLaw | None = None,
    arrivals: str | None = None,
    ci: float = 0.9,
    cards: Cards | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Compare trees of drafts with chains and with no speculation at each load.

    A tree costs a pass of the drafter for each depth, and the verifier's work on each of its tokens; what it commits follows from
    the posterior's acceptance by position and from acceptance by rank (:mod:`bayes_sd.latency.trees`). For each depth and number of
    tokens the tree that is best for the mean acceptance is a candidate.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row that names a way of drafting.
    loads, axis, arrivals, ci
        As in :func:`bayes_sd.decide.tune.tune`.
    deepest : int
        Most passes of the drafter.
    most_tokens : int
        Most tokens that a cycle verifies per request, the root included.
    ranks : RankLaw, optional
        Acceptance by rank; the stated default law where nobody counted.
    cards : Cards, optional
    seed : int

    Returns
    -------
    Dataset
        As :func:`bayes_sd.decide.tune.judge` gives, alternatives being trees; with coords ``depth``, ``verify_tokens``, ``expanded``
        and ``tree`` (its paths) per alternative; ``chosen`` (load): the smallest tree that is as good as any, −1 where none has a
        steady state; ``chosen_chain``: the same among chains and no speculation; ``gain_band`` (quantile, load): latency of that
        chain over that of the tree; ``p_faster`` (load): probability that the tree is the faster one; ``committed_mean``
        (alternative). Attributes say where acceptance by rank comes from.

    Raises
    ------
    ConditionError
        If a depth or width is out of range, and as :func:`bayes_sd.decide.tune.prepare_choices`.
    """
    if not 1 <= deepest <= PROFILE_POSITIONS or not 2 <= most_tokens <= LARGEST:
        raise ConditionError(
            f"trees of {deepest} passes and {most_tokens} tokens: 1 to {PROFILE_POSITIONS} passes, and 2 to {LARGEST} tokens"
        )
    check_band(ci)
    ranks = ranks or RankLaw()
    prepared, trees = prepare_trees(posterior, base, deepest, most_tokens, ranks, cards, seed)
    loads = loads_to_compare(prepared, loads, axis, N_LOADS)
    swept = sweep(prepared, loads, axis, arrivals, ttft=False)
    result = judge(swept, ci).assign_coords(alternative=[tree_name(t) for t in trees])
    result = _described(result, trees, prepared)
    result = result.assign(_chosen(result, swept["latency"].to_numpy(), trees, ci))
    result.attrs |= {"ranks": ranks.words(), "ranks_known": int(bool(ranks.shares))}
    result.attrs["caveats"] = [ranks.words(), *caveats(posterior, prepared, swept)]
    return result


def prepare_trees(
    posterior: Posterior,
    base: pd.DataFrame,
    deepest: int,
    most_tokens: int,
    ranks: RankLaw,
    cards: Cards | None = None,
    seed: int = 0,
) -> tuple[Prepared, list[DraftTree]]:
    """Draw the costs and committed tokens of trees, no speculation first.

    Parameters
    ----------
    posterior, base, deepest, most_tokens, ranks, cards, seed
        As in :func:`best_trees`.

    Returns
    -------
    prepared : Prepared
    trees : list of DraftTree
        One an alternative; the first is the root alone.
    """
    thin = max(1, posterior.n_draws // DRAWS)
    chains = prepare_choices(posterior, base, range(min(deepest, most_tokens - 1) + 1), (), cards, seed, thin)
    caught = ranks.caught(chains.costs.n_draws, seed)
    trees, committed = [DraftTree()], [np.ones(chains.costs.n_draws)]
    for i, alternative in enumerate(chains.alternatives):
        if alternative.k:
            acceptance = rank_acceptance(first_acceptance(chains, i), caught)
            own = trees_of_depth(acceptance.mean(axis=0), _sizes(most_tokens))
            trees += own
            committed += [tree_committed(tree, acceptance) for tree in own]
    way = chains.alternatives[-1]
    ways = [TreeAlternative(t.depth, way.drafter, way.method, tree=t) for t in trees]
    prepared = prepare(posterior, base, ways, cards, seed, thin)
    # The drafter reads the nodes that it expands; passes and width of the verify step stand in the rows.
    expanded = np.array([float(t.expanded) for t in trees])
    return replace(
        prepared,
        conditions=replace(prepared.conditions, k=expanded),
        costs=replace(prepared.costs, committed=np.stack(committed, axis=1)),
    ), trees


def first_acceptance(chains: Prepared, i: int) -> np.ndarray:
    """Give the acceptance of each position of a chain, per draw, from the tokens that it commits.

    Parameters
    ----------
    chains : Prepared
    i : int
        Which of the alternatives.

    Returns
    -------
    array, shape (draw, position)
    """
    k = int(chains.conditions.k[i])
    method = chains.conditions.frame["method"].iloc[i]
    profile = extended_profile(method_profile(method), k)
    committed = chains.costs.committed[:, i]
    n = len(committed)
    level = acceptance_logit(committed, np.full(n, float(k)), np.tile(profile, (n, 1)))
    return sigmoid(level[:, None] + profile)


def _sizes(most_tokens: int) -> list[int]:
    return sorted({size for size in SIZES if size <= most_tokens} | {most_tokens})


def tree_name(tree: DraftTree) -> str:
    """Name a tree by its tokens and depth: ``12 tokens, 4 deep``; a chain by its length."""
    if not tree.paths:
        return "none"
    if tree.widest == 1:
        return f"chain of {tree.depth}"
    return f"{tree.verify_tokens} tokens, {tree.depth} deep"


def _described(result: xr.Dataset, trees: list[DraftTree], prepared: Prepared) -> xr.Dataset:
    """Add what the alternatives are."""
    return result.assign_coords(
        depth=("alternative", [t.depth for t in trees]),
        verify_tokens=("alternative", [t.verify_tokens for t in trees]),
        expanded=("alternative", [t.expanded for t in trees]),
        top_k=("alternative", [t.widest for t in trees]),
        tree=("alternative", [str(list(t.paths)) for t in trees]),
    ).assign(
        committed_mean=("alternative", prepared.costs.committed.mean(axis=0), {"units": "tokens/cycle"}),
    )


def _chosen(result: xr.Dataset, latency: np.ndarray, trees: list[DraftTree], ci: float) -> dict[str, Any]:
    """Choose a tree and a chain for each load, and compare them draw by draw."""
    tokens = np.array([t.verify_tokens for t in trees])
    chains = np.array([t.widest <= 1 for t in trees])
    return against(result, latency, tokens, chains, ci, "chosen_chain")
