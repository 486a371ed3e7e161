"""The PyMC model, assembled from the terms: the one that is sampled, prior-predicted and drawn as a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import ModelError
from bayes_sd.model.expected import expected_values, row_means, tails_of
from bayes_sd.model.facts import coordinate_facts, level_facts, model_coords
from bayes_sd.model.latency import Served, contribute, gather_index, per_level, put_under_load, service
from bayes_sd.model.points import place_points
from bayes_sd.model.rowfacts import left_knots, level_of_points, point_facts, row_facts, size_facts
from bayes_sd.model.term import INNER, PerLevel, Term, Unknown, Values
from bayes_sd.model.terms import active_terms

if TYPE_CHECKING:
    import pymc as pm

    from bayes_sd.model.arranged import Design
    from bayes_sd.model.spec import ModelSpec


Layout = list[tuple[str, tuple[str, ...]]]
"""Dims and names of what is looked up for points, in order."""


@dataclass(frozen=True)
class Inputs:
    """What one table and spec give the model's graph.

    Attributes
    ----------
    structure : tuple
        Everything that decides which graph it is: active terms, coefficients, pooling, and load protocols.
    terms : list of Term
    unknowns : list of Unknown
    coords : dict of str to list
    arrays : dict of str to array
        Facts by name.
    level_of : dict of str to int array, shape (point,)
    """

    structure: tuple
    terms: list[Term]
    unknowns: list[Unknown]
    coords: dict[str, list]
    arrays: Values
    level_of: dict[str, np.ndarray]

    @property
    def moved(self) -> frozenset[str]:
        """Unknowns that are sampled in other coordinates than their own."""
        return frozenset(name for term in self.terms for name in term.moved)

    def tables(self, u: Values, f: Values) -> list[PerLevel]:
        """Give what terms compute once a level, on numpy arrays."""
        return per_level(self.terms, u, f, np)

    def lookup(self, layout: Layout) -> Values:
        """Give what looks quantities up for all points: index, elements of each quantity, and elements of all levels."""
        sizes = {name: len(values) for name, values in self.coords.items()}
        sizes["left_knot"] = sizes["right_knot"] = sizes["stack"] * sizes["knot"]
        n_quantities = sum(len(names) for _, names in layout)
        return {
            "lookup": gather_index(layout, sizes, self.level_of),
            "lookup_widths": np.full(n_quantities, len(self.level_of["deployment"])),
            "n_flat": np.array(sum(sizes[dim] * len(names) for dim, names in layout)),
        }


def model_inputs(design: Design, spec: ModelSpec) -> Inputs:
    """Turn a design and a spec into what the graph takes.

    Parameters
    ----------
    design : Design
    spec : ModelSpec

    Returns
    -------
    Inputs
    """
    coords, points = model_coords(design), place_points(design.rows)
    facts = level_facts(design, spec) | point_facts(design, points) | row_facts(design, spec, points)
    facts |= size_facts(design, points, facts, spec.routed)
    facts |= {f"n_{dim}": np.array(len(names)) for dim, names in coords.items()}
    facts["n_points"] = np.array(len(points.row))
    facts |= coordinate_facts(design, spec, points, left_knots(design, points)[0])
    terms = active_terms(spec, coords)
    return Inputs(
        structure=(
            tuple(t.name for t in terms),
            tuple(coords["coefficient"]),
            "pooled" if spec.pooled else "not pooled",
            *(name for name in ("closed", "even", "poisson", "pools") if getattr(points, name)),
            *(("decoding",) if design.rows["decoding"].any() else ()),
        ),
        terms=terms,
        unknowns=[unknown for term in terms for unknown in term.unknowns(spec, coords)],
        coords=coords,
        arrays=facts,
        level_of=level_of_points(design, points),
    )


@dataclass(frozen=True)
class Built:
    """The PyMC model with the handles that sampling needs.

    Attributes
    ----------
    model : pymc.Model
        Observed: ``latency`` (log s), ``ttft`` (log s), ``decode_share``, ``acceptance`` (logit), as the rows have them.
    inputs : Inputs
    facts : dict of str to tensor
        Shared variables that hold the arrays.
    layout : list of (dim, names)
        Order of what is looked up for points.
    service : (tensor, tensor)
        S(n) and the time to first token at each point [s].
    """

    model: pm.Model
    inputs: Inputs
    facts: Values
    layout: Layout
    service: tuple[Any, Any]


def build_model(design: Design, spec: ModelSpec) -> pm.Model:
    """Build the latency model.

    Parameters
    ----------
    design : Design
        Observations in protocol order.
    spec : ModelSpec

    Returns
    -------
    pymc.Model
    """
    return assemble(model_inputs(design, spec)).model


def assemble(inputs: Inputs) -> Built:
    """Assemble the model from its terms.

    Parameters
    ----------
    inputs : Inputs

    Returns
    -------
    Built
    """
    import pymc as pm
    import pytensor.tensor as pt

    with pm.Model(coords=inputs.coords, check_bounds=False) as model:
        f: Values = {name: pm.Data(name, value) for name, value in inputs.arrays.items()}
        f["coefficients"] = inputs.coords["coefficient"]
        u: Values = {}
        for unknown in inputs.unknowns:
            u[unknown.name] = _random_variable(unknown, u, f)
        tables = per_level(inputs.terms, u, f, pt)
        layout = [(table.dim, table.names) for table in tables]
        f |= {name: pm.Data(name, value) for name, value in inputs.lookup(layout).items()}
        names = [name for table in tables for name in table.names]
        flat = pt.join(0, *[t.table[0] if len(t.names) == 1 else t.table.flatten() for t in tables])
        # Lengths are stated wherever something is looked up: without, the gradient's graph works them out again.
        flat = pt.specify_shape(flat, (f["n_flat"],))
        columns = pt.split(flat[f["lookup"]], f["lookup_widths"], n_splits=len(names))
        q = contribute(inputs.terms, dict(zip(names, columns, strict=True)), u, f, pt)
        put_under_load(inputs.terms, q, u, f, pt)
        served = Served(*(_of_length(s, f["n_points"]) for s in service(q, u, f, pt)))
        rows = row_means(inputs.structure, served, q.in_flight, f, pt)
        for name, (mean, scale, measured) in expected_values(rows, served.first_s, u, f, pt).items():
            pm.StudentT(name, nu=tails_of(name, f), mu=mean, sigma=scale, observed=measured)
    return Built(model, inputs, f, layout, (served.whole_s, served.first_s))


def _random_variable(unknown: Unknown, u: Values, f: Values) -> Any:
    import pymc as pm
    import pytensor.tensor as pt

    if unknown.centre is None or unknown.spread is None:
        return pm.Normal(unknown.name, unknown.mean, unknown.sd, dims=unknown.dims or None)
    # Without a size of its own: centre and spread have the shape, and the density needs no broadcasting to it.
    variable = pm.Normal.dist(unknown.centre(u, f, pt), unknown.spread(u, f, pt))
    stuck = [d for d, n in zip(unknown.dims, variable.type.shape, strict=True) if n == 1 and d not in INNER]
    if stuck:
        raise ModelError(
            f"term of {unknown.name}: centre and spread have one value for all of {', '.join(stuck)}; "
            "add a fact with a value for each, zeros if need be"
        )
    return pm.modelcontext(None).register_rv(variable, unknown.name, dims=unknown.dims)


def _of_length(value: Any, length: Any) -> Any:
    """State the length of what has one, so that the gradient need not work it out."""
    import pytensor.tensor as pt

    value = pt.as_tensor(value)
    return pt.specify_shape(value, (length,)) if value.ndim else value
