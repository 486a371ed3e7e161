"""Whether a posterior can be trusted: its rows when left out, and how far its decisions rest on priors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.check.pointwise import drawn_unknowns, fitted_design
from bayes_sd.forecast.sweep import Alternative, prepare, sweep
from bayes_sd.model.build import model_inputs
from bayes_sd.model.likelihood import draw_blocks, expected, log_prior, row_log_density

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.model.build import Inputs
    from bayes_sd.posterior.posterior import Posterior

HIGH_K = 0.7
POWERS = (0.8, 1.25)
"""Powers that a group of priors is raised to."""
SENSITIVE = 0.05
"""Power-scaling sensitivity from which on a prior counts as one that matters (Kallioinen et al. 2024)."""


def rows_left_out(posterior: Posterior, cards: Cards) -> xr.Dataset:
    """Predict each fitted row from the others, by smoothed weights (PSIS-LOO).

    Parameters
    ----------
    posterior : Posterior
    cards : Cards
        Those that it was fitted with.

    Returns
    -------
    Dataset
        Dim ``observation``: ``pareto_k``, ``pit`` (probability of a latency below the measured one when the row is left out),
        ``deployment``.

    Raises
    ------
    TraceError
        If the posterior is of another version of the model, or the cards differ.
    """
    import xarray as xr
    from arviz_stats.base import array_stats
    from scipy.special import stdtr

    design = fitted_design(posterior, cards)
    inputs = model_inputs(design, posterior.spec)
    u = drawn_unknowns(posterior, inputs, np.arange(posterior.tree["posterior"].sizes["draw"]), "posterior")
    # ArviZ takes log likelihoods here: a row left out weighs a draw by one over its likelihood.
    log_weight, k = array_stats.psislw(row_log_density(inputs, design, u).T)
    tails, below = float(inputs.arrays["tails"]), []
    for block in draw_blocks(inputs, posterior.n_draws):
        mean, scale, measured = expected(inputs, {n: v[block] for n, v in u.items()})["latency"]
        below.append(stdtr(tails, (measured - mean) / scale))
    names = np.array([d.key for d in design.levels.deployments], dtype=object)
    dim = ("observation",)
    return xr.Dataset(
        {
            "pareto_k": (dim, k),
            "pit": (dim, np.sum(np.exp(log_weight) * np.concatenate(below).T, axis=1)),
            "deployment": (dim, names[design.rows["deployment"]]),
        }
    )


def prior_sensitivity(
    posterior: Posterior,
    base: pd.DataFrame,
    loads: Sequence[float],
    draft_lengths: Sequence[int],
    cards: Cards,
) -> xr.Dataset:
    """Say how far decisions move when a group of priors is weakened and strengthened.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row: the speculative server.
    loads : sequence of float
        Clients.
    draft_lengths : sequence of int
        To choose among beside no speculation.
    cards : Cards

    Returns
    -------
    Dataset
        Dims ``group`` (the model's terms) and ``load``: ``p_faster`` (load), ``p_faster_moves`` (group, load; largest change at either
        power), ``latency``, ``speedup`` (group, load; power-scaling sensitivity of their logs), ``best`` (load) and
        ``best_changes`` (group, load).
    """
    import xarray as xr
    from arviz_stats.base import array_stats

    row = base.iloc[0]
    own, method, drafter = int(row["k"]), str(row["method"]), str(row["drafter"])
    lengths = sorted({own, *draft_lengths} - {0})
    choices = [Alternative(0), *[Alternative(k, drafter, method) for k in lengths]]
    swept = sweep(prepare(posterior, base, choices, cards, 0), loads, "in-flight", ttft=False)
    latency = swept["latency"].to_numpy()
    at = 1 + lengths.index(own)
    with np.errstate(invalid="ignore"):
        speedup = np.log(latency[:, 0] / latency[:, at])
    loss = 1.0 - latency.min(axis=1, keepdims=True) / latency
    groups = _priors(posterior, cards)
    even = np.full(len(latency), 1.0 / len(latency))
    ks = np.array([0, *lengths])

    def judged(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.clip(weight @ (speedup > 0.0), 0.0, 1.0), ks[
            np.einsum("d,dal->al", weight, loss).argmin(axis=0)
        ]

    faster, best = judged(even)
    moves, changes, sensed = [], [], []
    for prior in groups.values():
        found = []
        for power in POWERS:
            log_weight, _ = array_stats.psislw(-(power - 1.0) * prior)
            found.append(judged(np.exp(log_weight)))
        moves.append(np.max([np.abs(p - faster) for p, _ in found], axis=0))
        changes.append(np.any([b != best for _, b in found], axis=0))
        sensed.append(_sensitivity(posterior, prior, np.log(latency[:, at]), speedup))
    dims = ("group", "load")
    variables: dict[str, Any] = {
        "p_faster": ("load", faster),
        "best": ("load", best),
        "p_faster_moves": (dims, np.array(moves)),
        "best_changes": (dims, np.array(changes)),
        "latency": (dims, np.array([s[0] for s in sensed])),
        "speedup": (dims, np.array([s[1] for s in sensed])),
    }
    return xr.Dataset(variables, coords={"group": list(groups), "load": np.asarray(loads, dtype=float)})


def _priors(posterior: Posterior, cards: Cards) -> dict[str, np.ndarray]:
    """Log density of the priors with numbers of each term, shape (draw,); hierarchies follow from them."""
    inputs: Inputs = model_inputs(fitted_design(posterior, cards), posterior.spec)
    u = drawn_unknowns(posterior, inputs, np.arange(posterior.tree["posterior"].sizes["draw"]), "posterior")
    each, found = log_prior(inputs, u), {}
    members = {one.spread_of for one in inputs.unknowns}  # standardised ones of a hierarchy have numbers too
    for term in inputs.terms:
        unknowns = term.unknowns(posterior.spec, inputs.coords)
        own = [each[one.name] for one in unknowns if one.plain and one.name not in members]
        if own:
            found[term.name] = np.sum(own, axis=0)
    return found


def _sensitivity(posterior: Posterior, prior: np.ndarray, *quantities: np.ndarray) -> list[np.ndarray]:
    """Power-scaling sensitivity of quantities, shape (load,) each."""
    import xarray as xr
    from arviz_stats import psense

    sizes = posterior.tree["posterior"].sizes
    shape, dims = (int(sizes["chain"]), int(sizes["draw"])), ("chain", "draw")
    drawn = {f"q{i}": ((*dims, "load"), q.reshape(*shape, -1)) for i, q in enumerate(quantities)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(drawn),
            "log_prior": xr.Dataset({"prior": (dims, prior.reshape(shape))}),
        }
    )
    found = psense(tree, group="prior")
    return [found[f"q{i}"].to_numpy() for i in range(len(quantities))]
