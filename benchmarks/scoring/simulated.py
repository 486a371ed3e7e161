"""Tables that the model itself makes: a truth is drawn, and what a table's rows would have measured under it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.acceptance import expected_committed_profile
from bayes_sd.model.build import model_inputs
from bayes_sd.model.expected import tails_of
from bayes_sd.model.likelihood import expected, facts_of, rows_of_terms
from bayes_sd.model.unseen import StandardNormals, draw_unknowns

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.build import Inputs
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.model.term import Values

SETTLED = 1e-3
"""Change of log latency from which on the points at which the service curve is known stand where they would be placed."""
ROUNDS = 15
MOST_IN_FLIGHT = 500.0
"""Requests in flight of an open loop that no run of a benchmark reaches: such a load has no steady state."""


class NothingLearned:
    """A posterior without data: every unknown comes from its prior."""

    n_draws = 1

    def has(self, name: str) -> bool:
        """No unknown was fitted."""
        return False

    def draws(self, name: str) -> np.ndarray:
        """There are none."""
        raise KeyError(name)

    def names(self, dim: str) -> list[str]:
        """No level was fitted."""
        return []


def draw_truth(inputs: Inputs, seed: int) -> Values:
    """Draw all unknowns of a model from their prior, shape (1, *dims) each."""
    normals = StandardNormals(1, seed)
    return draw_unknowns(inputs.unknowns, NothingLearned(), inputs.coords, facts_of(inputs), normals)


def simulate(
    design: Design, spec: ModelSpec, truth: Values, rng: np.random.Generator, new: np.ndarray | None = None
) -> Design | None:
    """Measure a table's rows once more, in a world where the unknowns are these.

    What a row states of acceptance comes first, as its latency goes by it; then the mean latency, then times to first and per
    further token, which go by the requests in flight that were measured.

    Parameters
    ----------
    design : Design
    spec : ModelSpec
    truth : dict of str to array, shape (1, *dims)
    rng : Generator
    new : bool array, shape (row,), optional
        Rows that are measured anew; all by default. The others keep what was measured.

    Returns
    -------
    Design or None
        None if some open loop has no steady state under this truth: rules leave such rows out of a table, so that a table with
        them all comes from another truth.
    """
    n, facts = len(design.frame), model_inputs(design, spec).arrays
    new = np.ones(n, dtype=bool) if new is None else new

    def measured(name: str, values: np.ndarray) -> Design:
        return replace(design, rows=design.rows | {name: np.where(new, values, design.rows[name])})

    def drawn(found: dict[str, tuple], name: str) -> np.ndarray:
        """Value of each row, NaN where the row has none."""
        values = np.full(n, np.nan)
        mean, scale, _ = found[name]
        error = rng.standard_t(tails_of(name, facts), size=mean.shape[1])
        values[rows_of_terms(design)[name]] = mean[0] + scale[0] * error
        return values

    first = expected(model_inputs(design, spec), truth)
    if "acceptance" in first:
        design = measured("committed", _committed(design, spec, drawn(first, "acceptance")))
    settled = _settled(design, spec, truth)
    if settled is None:
        return None
    found = expected(model_inputs(settled, spec), truth)
    design = measured("latency_s", np.exp(drawn(found, "latency")))
    found = expected(model_inputs(design, spec), truth)
    first_s, share = np.exp(drawn(found, "ttft")), drawn(found, "decode_share")
    design = measured("ttft_s", np.where(np.isnan(first_s), design.rows["ttft_s"], first_s))
    token_s = share * design.rows["latency_s"] / np.maximum(design.rows["output"] - 1.0, 1.0)
    return measured("tpot_s", np.where(np.isnan(share), design.rows["tpot_s"], token_s))


def _committed(design: Design, spec: ModelSpec, logit: np.ndarray) -> np.ndarray:
    """Tokens per cycle that rows with these log odds of acceptance state."""
    rows = design.rows
    seen = np.isfinite(logit)
    profile, k = design.row_profile(spec)[seen], rows["k"][seen].astype(int)
    committed = rows["committed"].copy()
    committed[seen] = expected_committed_profile(logit[seen], profile, k)
    return committed


def _settled(design: Design, spec: ModelSpec, truth: Values) -> Design | None:
    """Give rows their mean latency as measured, with the service curve known at the points that go with it; None if there is none."""
    for _ in range(ROUNDS):
        mean, _, measured = expected(model_inputs(design, spec), truth)["latency"]
        latency = np.exp(mean[0])
        present = (design.rows["load"] * latency)[design.rows["open_loop"]]
        if not np.isfinite(latency).all() or (present > MOST_IN_FLIGHT).any():
            return None
        design = replace(design, rows=design.rows | {"latency_s": latency})
        if np.abs(mean[0] - measured).max() < SETTLED:
            return design
    return None


def first_simulation(
    design: Design, spec: ModelSpec, seed: int, tries: int = 1000
) -> tuple[Values, Design, int]:
    """Draw truths from the prior until all of the table's loads have a steady state, and simulate.

    Returns
    -------
    truth : dict of str to array, shape (1, *dims)
    simulated : Design
    tried : int
        Truths that were drawn.
    """
    inputs = model_inputs(design, spec)
    for tried in range(tries):
        truth = draw_truth(inputs, seed + tried)
        simulated: Any = simulate(design, spec, truth, np.random.default_rng([seed, tried]))
        if simulated is not None:
            return truth, simulated, tried + 1
    raise SystemExit(f"none of {tries} truths of the prior has a steady state at all of the table's loads")
