"""Log densities of a table's rows and of unknowns under draws, by numpy: the PyMC model's, without compiling it.

Costs and service times are computed for all draws at once; the means under a load protocol, whose formulas take one draw, for
each in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.expected import RowMeans, expected_values, row_means, tails_of
from bayes_sd.model.latency import Served, contribute, put_under_load, service
from bayes_sd.model.observed import timed_rows
from bayes_sd.model.points import place_points
from bayes_sd.model.unseen import prior_of

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.build import Inputs
    from bayes_sd.model.term import Values

CELLS_AT_ONCE = 250_000
"""Draws times points that are computed at once: few enough for a processor's cache."""


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


def row_log_density(inputs: Inputs, design: Design, u: Values) -> np.ndarray:
    """Compute how likely each row is under every draw: its latency, time to first or per further token, and acceptance.

    Parameters
    ----------
    inputs : Inputs
        Of the rows, from :func:`bayes_sd.model.build.model_inputs`.
    design : Design
        The same rows'.
    u : dict of str to array, shape (draw, *dims)
        Unknowns at the levels of `inputs`.

    Returns
    -------
    array, shape (draw, observation)
        Log density.
    """
    n_draws, places = len(next(iter(u.values()))), rows_of_terms(design)
    found = np.zeros((n_draws, len(design.frame)))
    for block in draw_blocks(inputs, n_draws):
        terms = _terms(inputs, {name: values[block] for name, values in u.items()})
        for name, value in terms.items():
            found[block, places[name]] += value
    return found


def draw_blocks(inputs: Inputs, n_draws: int) -> list[slice]:
    """Cut draws into blocks whose points are few enough to compute at once."""
    step = max(1, CELLS_AT_ONCE // max(len(inputs.level_of["deployment"]), 1))
    return [slice(start, start + step) for start in range(0, n_draws, step)]


def log_prior(inputs: Inputs, u: Values) -> dict[str, np.ndarray]:
    """Compute the log density of each unknown given those it depends on.

    Parameters
    ----------
    inputs : Inputs
    u : dict of str to array, shape (draw, *dims)

    Returns
    -------
    dict of str to array, shape (draw,)
        By the unknown's name, summed over its elements.
    """
    facts, found = facts_of(inputs), {}
    for unknown in inputs.unknowns:
        value = u[unknown.name]
        centre, spread = prior_of(unknown, u, facts)
        z = (value - centre) / spread
        density = -0.5 * (z * z + np.log(2.0 * np.pi)) - np.log(np.broadcast_to(spread, z.shape))
        found[unknown.name] = density.reshape(len(value), -1).sum(axis=1)
    return found


def facts_of(inputs: Inputs) -> Values:
    """Give facts as the terms take them on numpy arrays."""
    return inputs.arrays | {
        "coefficients": inputs.coords["coefficient"],
        "n_stack": len(inputs.coords["stack"]),
    }


def _terms(inputs: Inputs, u: Values) -> Values:
    """Log density of each observed value, by the observed variable's name, shape (draw, value)."""
    return {
        name: _student(measured - mean, scale, tails_of(name, inputs.arrays))
        for name, (mean, scale, measured) in expected(inputs, u).items()
    }


def expected(inputs: Inputs, u: Values) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Give what every draw expects of each observed value.

    Parameters
    ----------
    inputs : Inputs
        Of the rows.
    u : dict of str to array, shape (draw, *dims)
        Unknowns at the levels of `inputs`; few draws at once, since all points are computed for each.

    Returns
    -------
    dict of str to (mean, scale, measured)
        By the observed variable's name: ``latency`` (log s), ``ttft`` (log s), ``decode_share``, ``acceptance`` (logit); mean and
        scale of the Student-t have shape (draw, value), what was measured (value,).
    """
    f = facts_of(inputs)
    served, in_flight = _served(inputs, u, f)
    each = [
        row_means(inputs.structure, Served(*(part[one] for part in served)), in_flight[one], f, np)
        for one in range(len(in_flight))
    ]
    rows = RowMeans(*(np.stack(parts) for parts in zip(*each, strict=True)))
    found = expected_values(rows, served.first_s, u, f, np)
    return {
        name: (mean, np.broadcast_to(scale, mean.shape), measured)
        for name, (mean, scale, measured) in found.items()
    }


def _served(inputs: Inputs, u: Values, f: Values) -> tuple[Served, np.ndarray]:
    """Service at each point, and the requests that run there, shape (draw, point)."""
    looked_up = {}
    for piece in inputs.tables(u, f):
        for i, name in enumerate(piece.names):
            looked_up[name] = piece.table[..., i, :][..., inputs.level_of[piece.dim]]
    q = contribute(inputs.terms, looked_up, u, f, np)
    put_under_load(inputs.terms, q, u, f, np)
    shape = (len(next(iter(u.values()))), len(inputs.level_of["deployment"]))
    served = Served(*(np.broadcast_to(part, shape) for part in service(q, u, f, np)))
    return served, np.broadcast_to(q.in_flight, shape)


def _student(deviation: Any, scale: Any, tails: Any) -> Any:
    """Student-t log density."""
    from scipy.special import gammaln

    constant = gammaln(0.5 * (tails + 1.0)) - gammaln(0.5 * tails) - 0.5 * np.log(tails * np.pi)
    z = deviation / scale
    return constant - np.log(scale) - 0.5 * (tails + 1.0) * np.log1p(z * z / tails)
