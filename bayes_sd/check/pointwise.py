"""Log likelihood of every measured row under every draw, worked out from a posterior file and the model's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.errors import TraceError
from bayes_sd.model.build import model_inputs
from bayes_sd.model.design import build_design
from bayes_sd.model.likelihood import row_log_density, rows_of_terms

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.build import Inputs
    from bayes_sd.posterior.posterior import Posterior


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

    design = fitted_design(posterior, cards, name)
    tree = posterior.tree["posterior"]
    chains, draws = int(tree.sizes["chain"]), int(tree.sizes["draw"])
    step = max(1, -(-chains * draws // most_draws))
    kept = np.arange(0, draws, step)
    inputs = model_inputs(design, posterior.spec)
    u, n_rows = drawn_unknowns(posterior, inputs, kept, name), len(design.frame)
    summed = row_log_density(inputs, design, u).reshape(chains, len(kept), n_rows)
    dims = ("chain", "draw", "observation")
    coords = {"chain": np.arange(chains), "draw": np.arange(len(kept)), "observation": np.arange(n_rows)}
    terms = np.bincount(np.concatenate(list(rows_of_terms(design).values())), minlength=n_rows)
    return xr.Dataset({"log_likelihood": (dims, summed), "terms": (("observation",), terms)}, coords=coords)


def fitted_design(posterior: Posterior, cards: Cards, name: str = "posterior") -> Design:
    """Build the design that a posterior was fitted with, and refuse other cards.

    Raises
    ------
    TraceError
        If the cards differ from those of the fit.
    """
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


def drawn_unknowns(
    posterior: Posterior, inputs: Inputs, kept: np.ndarray, name: str
) -> dict[str, np.ndarray]:
    """Take the unknowns of the kept draws of each chain, chains joined, shape (draw, *dims).

    Raises
    ------
    TraceError
        If they are not those of the model as this version builds it.
    """
    tree, found = posterior.tree["posterior"], {}
    for unknown in inputs.unknowns:
        shape = tree[unknown.name].shape[2:] if unknown.name in tree else None
        if shape != unknown.shape(inputs.coords):
            raise TraceError(
                f"{name}: was fitted by another version of the model ({unknown.name} differs); fit it again to compare"
            )
        values = tree[unknown.name].to_numpy()[:, kept].astype(float)
        found[unknown.name] = values.reshape(-1, *values.shape[2:])
    return found
