"""What is sampled: the PyMC model's log density in coordinates that the data inform, its gradient derived, compiled once.

The graph takes one vector of coordinates and the facts of a table. Each term turns its coordinates into its unknowns (forward
map and log volume only); PyMC says the log density of these; PyTensor derives the gradient and Numba compiles both.
Everything that differs between tables, families and priors is an input, so that one compiled function serves all models of
one structure in a process, and machine code is found on disk in the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.build import Built, Inputs, Layout, assemble
from bayes_sd.model.term import INNER, Unknown, Values
from bayes_sd.sample.linker import merged, native_function

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

    from bayes_sd.sample.native import Native

PLAIN = ("prior_mean", "prior_sd")
_COMPILED: dict[tuple, Compiled] = {}


@dataclass(frozen=True)
class Compiled:
    """A compiled log density for all tables of one structure.

    Attributes
    ----------
    native : Native
        From coordinates and facts to (log density, gradient).
    facts : dict of str to str
        Names of the arrays that it takes, in order, and their number types.
    layout : list of (dim, names)
        Order of what is looked up for points.
    nodes : int
        Operations of the compiled graph, which decide how long compiling takes.
    """

    native: Native
    facts: dict[str, str]
    layout: Layout
    nodes: int


@dataclass(frozen=True)
class Target:
    """The log density of one table.

    Attributes
    ----------
    inputs : Inputs
    compiled : Compiled
    arrays : tuple of array
        The facts, in the order that the function takes them.
    prior_sd : array, shape (unknown,)
        Prior standard deviations, NaN for unknowns of hierarchies.
    """

    inputs: Inputs
    compiled: Compiled
    arrays: tuple[np.ndarray, ...]
    prior_sd: np.ndarray

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self.prior_sd)

    @property
    def spans(self) -> dict[str, slice]:
        """Where each unknown lies in the vector."""
        found, start = {}, 0
        for unknown in ordered(self.inputs):
            size = int(np.prod(unknown.shape(self.inputs.coords), dtype=int))
            found[unknown.name] = slice(start, start + size)
            start += size
        return found

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute log density, up to a constant, and gradient in the coordinates that the data inform."""
        return self.compiled.native(x, self._block)

    @cached_property
    def _block(self) -> np.ndarray:
        return self.compiled.native.block(self.arrays)

    def named(self, x: np.ndarray) -> Values:
        """Give coordinates by name, shape (..., *dims)."""
        shapes = {u.name: u.shape(self.inputs.coords) for u in self.inputs.unknowns}
        return {
            name: x[..., span].reshape((*x.shape[:-1], *shapes[name])) for name, span in self.spans.items()
        }

    def to_natural(self, x: np.ndarray) -> Values:
        """Turn coordinates, shape (..., unknown), into unknowns by name, shape (..., *dims)."""
        return self._changed(x)[0]

    def log_volume(self, x: np.ndarray) -> Any:
        """Give the log volume of the change of coordinates, shape (...)."""
        return self._changed(x)[1]

    def _changed(self, x: np.ndarray) -> tuple[Values, Any]:
        values, volume = self.named(x), 0.0
        for term in self.inputs.terms:
            volume = volume + term.to_natural(values, self.facts, np)
        return values, volume

    def to_coordinates(self, unknowns: Values) -> np.ndarray:
        """Turn unknowns by name, shape (..., *dims), into coordinates, shape (..., unknown)."""
        values = dict(unknowns)
        for term in reversed(self.inputs.terms):
            term.to_coordinates(values, self.facts)
        dims = {u.name: len(u.dims) for u in self.inputs.unknowns}
        pieces = []
        for name, span in self.spans.items():
            value = np.asarray(values[name])
            pieces.append(value.reshape((*value.shape[: value.ndim - dims[name]], span.stop - span.start)))
        return np.concatenate(pieces, axis=-1)

    @property
    def facts(self) -> Values:
        """Facts as the terms take them."""
        return self.inputs.arrays | {"coefficients": self.inputs.coords["coefficient"]}

    def start(self) -> np.ndarray:
        """Give the prior's centre in coordinates: hierarchies at the centre of their parents."""
        values: Values = {}
        for unknown in self.inputs.unknowns:
            shape = unknown.shape(self.inputs.coords)
            centre = unknown.mean if unknown.centre is None else unknown.centre(values, self.facts, np)
            values[unknown.name] = np.broadcast_to(np.asarray(centre, dtype=float), shape).copy()
        return self.to_coordinates(values)


def make_target(inputs: Inputs) -> Target:
    """Give the log density of a table, compiled if no table of its structure was before.

    Parameters
    ----------
    inputs : Inputs

    Returns
    -------
    Target
    """
    if inputs.structure not in _COMPILED:
        _COMPILED[inputs.structure] = compile_density(assemble(inputs))
    compiled = _COMPILED[inputs.structure]
    arrays = dict(inputs.arrays)
    arrays |= inputs.lookup(compiled.layout)
    mean, sd = plain_priors(inputs)
    arrays |= dict(zip(PLAIN, (mean, sd[np.isfinite(sd)]), strict=True)) | _widths(inputs)
    return Target(
        inputs,
        compiled,
        tuple(np.require(arrays[name], kind, "C") for name, kind in compiled.facts.items()),
        sd,
    )


def ordered(inputs: Inputs) -> list[Unknown]:
    """Order unknowns as the vector has them: single numbers, other plain ones, hierarchies; moved ones last."""
    return sorted(inputs.unknowns, key=lambda u: (bool(u.dims), not u.plain, u.name in inputs.moved))


def plain_priors(inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Give the prior means of the plain unknowns, and the standard deviations of all, NaN in hierarchies."""
    means, sds = [], []
    for unknown in ordered(inputs):
        shape = unknown.shape(inputs.coords)
        sd = unknown.sd if unknown.plain else np.nan
        sds.append(np.broadcast_to(np.asarray(sd, dtype=float), shape).ravel())
        if unknown.plain:
            means.append(np.broadcast_to(np.asarray(unknown.mean, dtype=float), shape).ravel())
    return np.concatenate(means), np.concatenate(sds)


def _widths(inputs: Inputs) -> Values:
    """Elements of each unknown, and their shapes, which the graph takes apart and reshapes by."""
    shapes = [unknown.shape(inputs.coords) for unknown in ordered(inputs)]
    still = [u for u in inputs.unknowns if u.plain and u.name not in inputs.moved]
    return {
        "widths": np.array([np.prod(s, dtype=int) for s in shapes if s]),
        "lengths_of_rows": np.array([s[1] for s in shapes if len(s) == 2], dtype=int),
        "n_still": np.array(sum(int(np.prod(u.shape(inputs.coords))) for u in still)),
    }


def compile_density(built: Built) -> Compiled:
    """Compile the log density of a model and its gradient.

    Parameters
    ----------
    built : Built

    Returns
    -------
    Compiled
    """
    import pytensor
    import pytensor.tensor as pt
    from pytensor.graph.replace import clone_replace
    from pytensor.graph.traversal import ancestors

    from bayes_sd.sample.native import make_native

    x = pt.dvector("x")
    inputs: Values = {}
    density = merged(log_density(built, x, inputs))
    graph = [density, pytensor.gradient.grad(density, x)]
    shared = {
        variable: variable.type.make_variable(name)
        for name, variable in built.facts.items()
        if name != "coefficients"
    }
    graph = clone_replace(graph, shared, copy_inputs_over=True)
    named = {variable.name: variable for variable in shared.values()} | inputs
    used = set(ancestors(graph))
    named = {name: variable for name, variable in named.items() if variable in used}
    function = native_function([x, *named.values()], graph)
    # Types of the inputs, not of a table's arrays: a read-only array is another type to Numba, and would be compiled for.
    kinds = tuple((variable.dtype, variable.ndim) for variable in named.values())
    return Compiled(
        make_native(function.vm.jit_fn, kinds),
        {name: variable.dtype for name, variable in named.items()},
        built.layout,
        len(function.maker.fgraph.apply_nodes),
    )


def log_density(built: Built, x: TensorVariable, inputs: Values) -> TensorVariable:
    """Write the log density of coordinates as a graph, up to a constant; `inputs` takes the graph's further inputs."""
    import pytensor.tensor as pt
    from pytensor.graph.replace import clone_replace

    unknowns, model = ordered(built.inputs), built.model
    inputs |= {name: pt.dvector(name) for name in PLAIN}
    inputs |= {name: pt.lvector(name) for name in ("widths", "lengths_of_rows")}
    inputs["n_still"] = pt.lscalar("n_still")
    values = _taken_apart(x, unknowns, inputs)
    volume: Any = 0.0
    for term in built.inputs.terms:
        volume = volume + term.to_natural(values, built.facts, pt)
    moved = built.inputs.moved
    for unknown in unknowns:
        if unknown.name in moved and unknown.dims:
            # Lengths are stated: without, the gradient's graph works them out again from all that made the values.
            lengths = [None if d in INNER else built.facts[f"n_{d}"] for d in unknown.dims]
            values[unknown.name] = pt.specify_shape(values[unknown.name], lengths)
    plain = [
        x[: inputs["n_still"]],
        *(values[u.name].flatten() for u in unknowns if u.plain and u.name in moved),
    ]
    deviation = (pt.join(0, *plain) - inputs["prior_mean"]) / inputs["prior_sd"]
    value = volume - 0.5 * pt.sum(deviation**2)
    rest = [model[u.name] for u in unknowns if not u.plain] + model.observed_RVs
    replaced = {model.rvs_to_values[model[u.name]]: values[u.name] for u in unknowns}
    return clone_replace(model.logp(vars=rest, jacobian=False), replaced) + value


def _taken_apart(x: TensorVariable, unknowns: list[Unknown], inputs: Values) -> Values:
    """Give the unknowns as pieces of the vector; single numbers stand first, so that their widths are known."""
    import pytensor.tensor as pt

    scalars = [u.name for u in unknowns if not u.dims]
    vectors = [u for u in unknowns if u.dims]
    n = len(scalars)
    ones = pt.split(x[:n], np.ones(n, dtype=int), n_splits=n)
    values: Values = {name: one.dimshuffle() for name, one in zip(scalars, ones, strict=True)}
    pieces = pt.split(x[n:], inputs["widths"], n_splits=len(vectors))
    tables = 0
    for unknown, piece in zip(vectors, pieces, strict=True):
        values[unknown.name] = piece
        if len(unknown.dims) == 2:
            values[unknown.name] = piece.reshape((-1, inputs["lengths_of_rows"][tables]))
            tables += 1
    return values
