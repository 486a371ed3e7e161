"""A small PyMC model sampled as it stands: in its own coordinates, with machine code that the next process finds on disk.

For models of normal unknowns that need no search for better coordinates. nutpie's own way from a PyMC model to chains compiles
anew in every process, which takes longer than a small model's chains. Here all that the model holds as ``pm.Data`` is an input
of the compiled density, so that tables of any length share the machine code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.sample.chains import nutpie_model, sample_chains
from bayes_sd.sample.linker import merged, native_function

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pymc as pm
    import xarray as xr

    from bayes_sd.sample.settings import SamplerSettings

START_SPREAD = 1.0
"""How far a chain starts at most from the model's initial point, in each coordinate."""
STATS = ("diverging", "depth", "n_steps", "energy", "step_size", "maxdepth_reached", "logp")


class PlainModel:
    """A compiled PyMC model, to be sampled with its data or with others of the same shapes.

    Parameters
    ----------
    model : pymc.Model
        Its unknowns have no transforms, so that their values are the coordinates.
    """

    def __init__(self, model: pm.Model) -> None:
        import pytensor
        import pytensor.tensor as pt
        from pytensor.compile.sharedvalue import SharedVariable
        from pytensor.graph.replace import clone_replace
        from pytensor.graph.traversal import ancestors

        from bayes_sd.sample.native import make_native

        self._model = model
        start = model.initial_point()
        self._shapes = {name: np.shape(value) for name, value in start.items()}
        self._start = np.concatenate([np.ravel(value) for value in start.values()])
        x = pt.dvector("x")
        sizes = {"widths": pt.lvector("widths"), "lengths_of_rows": pt.lvector("lengths_of_rows")}
        values = self._pieces(x, sizes)
        replaced = {value: values[str(value.name)] for value in model.value_vars}
        density = merged(clone_replace(model.logp(jacobian=False), replaced))
        graph = [density, pytensor.gradient.grad(density, x)]
        used = set(ancestors(graph))
        held = [v for v in used if isinstance(v, SharedVariable)]
        inputs = {str(v.name): v.type.make_variable(v.name) for v in sorted(held, key=lambda v: str(v.name))}
        given: dict[Any, Any] = {v: inputs[str(v.name)] for v in held}
        graph = clone_replace(graph, given, copy_inputs_over=True)
        inputs |= {name: variable for name, variable in sizes.items() if variable in used}
        function = native_function([x, *inputs.values()], graph)
        self._native = make_native(function.vm.jit_fn, tuple((v.dtype, v.ndim) for v in inputs.values()))
        self._facts = {name: variable.dtype for name, variable in inputs.items()}
        self._values = {str(v.name): v.get_value() for v in held} | {
            "widths": np.array([np.prod(s, dtype=int) for s in self._shapes.values()]),
            "lengths_of_rows": np.array([s[1] for s in self._shapes.values() if len(s) == 2], dtype=int),
        }

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return len(self._start)

    def density(self, x: np.ndarray, **data: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute log density and gradient at coordinates, with other data where some are given."""
        arrays = self._arrays(data)
        return self._native(x, self._native.block(arrays))

    def sample(
        self, settings: SamplerSettings, data: Mapping[str, np.ndarray], progress: bool = False
    ) -> xr.DataTree:
        """Draw from the posterior.

        Parameters
        ----------
        settings : SamplerSettings
            Its ``target_accept`` is stated.
        data : mapping of str to array
            What some of the model's ``pm.Data`` are instead.
        progress : bool
            Show a bar on a terminal.

        Returns
        -------
        DataTree
            Groups ``posterior``, with the model's deterministics, and ``sample_stats``.

        Raises
        ------
        KeyboardInterrupt
            If interrupted; nothing is returned then.
        """
        import xarray as xr

        def first(seed: int) -> np.ndarray:
            return self._start + START_SPREAD * np.random.default_rng(seed).uniform(-1.0, 1.0, size=self.size)

        arrays = self._arrays(data)
        model = nutpie_model(self._native, self._native.block(arrays), first)
        # Unknowns that move together are found by the sampler: a diagonal metric takes ten times the steps.
        found, drawn = sample_chains(model, settings, progress, adaptation="low_rank")
        along = {"chain": np.arange(settings.chains), "draw": np.arange(settings.draws)}
        stats = {name: (tuple(along), found[name].to_numpy()) for name in STATS if name in found}
        return xr.DataTree.from_dict(
            {"posterior": self._named(drawn, along), "sample_stats": xr.Dataset(stats, coords=along)}
        )

    def _arrays(self, data: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        values = self._values | dict(data)
        return tuple(np.require(values[name], kind, "C") for name, kind in self._facts.items())

    def _pieces(self, x: Any, sizes: Mapping[str, Any]) -> dict[str, Any]:
        """Take a vector of coordinates apart, symbolically."""
        import pytensor.tensor as pt

        values, tables = {}, 0
        pieces = pt.split(x, sizes["widths"], n_splits=len(self._shapes))
        for (name, shape), piece in zip(self._shapes.items(), pieces, strict=True):
            values[name] = piece if shape else piece[0]
            if len(shape) == 2:
                values[name] = piece.reshape((-1, sizes["lengths_of_rows"][tables]))
                tables += 1
        return values

    def _named(self, drawn: np.ndarray, along: Mapping[str, np.ndarray]) -> xr.Dataset:
        """Give draws their names, shape (chain, draw, ...), with what the model computes of them."""
        import xarray as xr

        values, start = {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape, dtype=int))
            values[name] = drawn[..., start : start + size].reshape((*drawn.shape[:2], *shape))
            start += size
        values |= self._computed(values)
        dims = {name: tuple(self._model.named_vars_to_dims.get(name, ())) for name in values}
        coords = {str(d): list(self._model.coords[d]) for own in dims.values() for d in own}
        return xr.Dataset(
            {name: ((*along, *dims[name]), value.astype(np.float32)) for name, value in values.items()},
            coords=dict(along) | coords,
        )

    def _computed(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Compute the model's deterministics for all draws at once; in Python, since a graph that runs once is not worth compiling."""
        import pytensor
        from pytensor.compile.mode import Mode
        from pytensor.graph.replace import vectorize_graph

        wanted = self._model.deterministics
        if not wanted:
            return {}
        value_of = {
            str(v.name): v
            for v in self._model.replace_rvs_by_values([*self._model.free_RVs])
            if v.name in values
        }
        graph = self._model.replace_rvs_by_values(wanted)
        many = {v: v.type.clone(shape=(None, None, *v.type.shape))(name) for name, v in value_of.items()}
        batched = vectorize_graph(graph, many)
        run = pytensor.function(
            list(many.values()), batched, mode=Mode(linker="py", optimizer="None"), on_unused_input="ignore"
        )
        found = run(*[values[name] for name in value_of])
        return {str(w.name): np.asarray(a) for w, a in zip(wanted, found, strict=True)}
