"""Log likelihood of every measured row under every draw, worked out from a posterior file and the model's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import TraceError
from bayes_sd.model.build import assemble, model_inputs
from bayes_sd.model.observed import timed_rows
from bayes_sd.model.points import place_points

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.model.arranged import Design
    from bayes_sd.posterior.posterior import Posterior

COMPILED_FROM = 500
"""With more draws than this the model is compiled to machine code; compiling takes longer than evaluating fewer."""


def row_log_likelihood(
    posterior: Posterior, cards: Cards, name: str = "posterior", most_draws: int = 1000
) -> xr.Dataset:
    """Compute the log likelihood of each row: the sum over its latency, times and acceptance.

    A row contributes its latency and, where it has them, its time to first token or per output token and its acceptance: the
    row is the unit, since its terms come from one run.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards
        Those that it was fitted with.
    name : str
        What to call it in messages.
    most_draws : int
        Draws to use, all chains together, evenly spaced.

    Returns
    -------
    Dataset
        ``log_likelihood`` (chain, draw, observation) [log density], ``terms`` (observation): how many terms a row has.

    Raises
    ------
    TraceError
        If the observations or parameters are not those of the model as this version builds it, or the cards differ.
    CardError
        If a card is missing.
    """
    import xarray as xr

    design = _design(posterior, cards, name)
    tree = posterior.tree["posterior"]
    chains, draws = int(tree.sizes["chain"]), int(tree.sizes["draw"])
    step = max(1, -(-chains * draws // most_draws))
    kept = np.arange(0, draws, step)
    # Machine code pays from a few hundred evaluations on.
    mode = "NUMBA" if chains * len(kept) > COMPILED_FROM else "FAST_COMPILE"
    evaluate, rows = _compiled(posterior, design, name, mode)
    n_rows = len(design.frame)
    summed = np.zeros((chains, len(kept), n_rows))
    values = [tree[parameter].to_numpy()[:, kept].astype(float) for parameter in evaluate.names]
    for chain in range(chains):
        for place in range(len(kept)):
            terms = evaluate.function(*[value[chain, place] for value in values])
            for index, term in zip(rows, terms, strict=True):
                summed[chain, place, index] += term
    dims = ("chain", "draw", "observation")
    coords = {"chain": np.arange(chains), "draw": np.arange(len(kept)), "observation": np.arange(n_rows)}
    terms = np.bincount(np.concatenate(rows), minlength=n_rows)
    return xr.Dataset({"log_likelihood": (dims, summed), "terms": (("observation",), terms)}, coords=coords)


def _design(posterior: Posterior, cards: Cards, name: str) -> Design:
    from bayes_sd.model.design import build_design

    design = build_design(posterior.observed, cards)
    stored, built = posterior.levels, design.levels
    same = [d.key for d in stored.deployments] == [d.key for d in built.deployments] and all(
        np.allclose(stored.roofline[c], built.roofline[c], rtol=1e-6)
        for c in stored.roofline
        if c in built.roofline
    )
    if not same:
        raise TraceError(
            f"{name}: its cards differ from those given now; add --models with the folder it was fitted with, or fit again"
        )
    return design


class _Evaluate:
    """A compiled function and the names of its arguments."""

    def __init__(self, function: Any, names: list[str]) -> None:
        self.function, self.names = function, names


def _compiled(
    posterior: Posterior, design: Design, name: str, mode: str
) -> tuple[_Evaluate, list[np.ndarray]]:
    import pytensor

    inputs_of_model = model_inputs(design, posterior.spec)
    model = assemble(inputs_of_model).model
    free = [v.name for v in model.free_RVs]
    drawn = posterior.tree["posterior"]
    for unknown in inputs_of_model.unknowns:
        shape = drawn[unknown.name].shape[2:] if unknown.name in drawn else None
        if shape != unknown.shape(inputs_of_model.coords):
            raise TraceError(
                f"{name}: was fitted by another version of the model ({unknown.name} differs); fit it again to compare"
            )
    places = rows_of_terms(design)
    terms = [v for v in model.observed_RVs if v.name in places]
    inputs = [model.rvs_to_values[v] for v in model.free_RVs]
    outputs = model.logp(vars=terms, sum=False)
    function = pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")
    return _Evaluate(function, free), [places[v.name] for v in terms]


def rows_of_terms(design: Design) -> dict[str, np.ndarray]:
    """Say which observation each value of the model's observed variables belongs to.

    Parameters
    ----------
    design : Design

    Returns
    -------
    dict of str to int array
        By the observed variable's name.
    """
    rows = design.rows
    ttft, share = timed_rows(design, place_points(rows))
    accepted = np.flatnonzero((rows["k"] > 0) & np.isfinite(rows["committed"]))
    return {
        "latency": np.arange(len(design.frame)),
        "ttft": ttft,
        "decode_share": share,
        "acceptance": accepted,
    }
