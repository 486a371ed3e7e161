"""A posterior's draws: a pilot finds coordinates, chains run in them, and the draws get their names."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.model.parameters import Parameter, model_coords, parameters
from bayes_sd.sample.chains import run_chains
from bayes_sd.sample.settings import TARGET, TARGET_WITH_EXPERTS

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.model.design import Design
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.sample.settings import SamplerSettings

THIN, LARGE, THIN_LARGE = 2, 1500, 3
"""Iterations per kept draw, and those of a posterior of so many parameters, whose hyperparameters move slowly."""


def sample(design: Design, spec: ModelSpec, settings: SamplerSettings, progress: bool = False) -> xr.DataTree:
    """Draw from the posterior.

    A short pilot finds coordinates in which the posterior is about round (:mod:`bayes_sd.sample.frame`); then all
    chains are run in those, with a warm-up of their own.

    Parameters
    ----------
    design : Design
    spec : ModelSpec
    settings : SamplerSettings
    progress : bool
        Show a progress bar.

    Returns
    -------
    DataTree
        Groups ``posterior`` (dims chain, draw and those of :mod:`bayes_sd.model.parameters`) and ``sample_stats``.

    Raises
    ------
    KeyboardInterrupt
        If interrupted; nothing is returned then.
    """
    from bayes_sd.sample.density import to_natural
    from bayes_sd.sample.pilot import find_frame
    from bayes_sd.sample.problem import flatten

    # nutpie brings plotting libraries along, which take as long to import as the mode takes to find.
    Thread(target=import_module, args=("nutpie",), daemon=True).start()
    problem = flatten(design, spec)
    if settings.target_accept is None:
        bends = (design.deployment_sparse >= 0).any()
        settings = replace(settings, target_accept=TARGET_WITH_EXPERTS if bends else TARGET)
    if settings.thin is None:
        settings = replace(settings, thin=THIN_LARGE if len(problem.prior_sd) > LARGE else THIN)
    frame = find_frame(problem, design, spec, settings)
    stats, drawn = run_chains(problem, frame, settings, progress)
    natural = np.empty_like(drawn)
    for chain in range(len(drawn)):
        for draw in range(drawn.shape[1]):
            to_natural(drawn[chain, draw], natural[chain, draw], problem)
    return _named(natural, stats, design, spec)


def _named(drawn: np.ndarray, stats: dict[str, np.ndarray], design: Design, spec: ModelSpec) -> xr.DataTree:
    import xarray as xr

    listed = parameters(design, spec)
    coords = model_coords(design)
    chains, draws = drawn.shape[:2]
    ends = np.cumsum([p.size for p in listed])

    def variable(p: Parameter, end: int):
        values = drawn[:, :, end - p.size : end].reshape(chains, draws, *p.shape)
        return ("chain", "draw", *p.dims), values.astype(np.float32)

    used = {d for p in listed for d in p.dims}
    posterior = xr.Dataset(
        {p.name: variable(p, int(end)) for p, end in zip(listed, ends, strict=True)},
        coords={"chain": np.arange(chains), "draw": np.arange(draws)}
        | {d: coords[d] for d in coords if d in used},
    )
    stats_set = xr.Dataset(
        {name: (("chain", "draw"), values) for name, values in stats.items()},
        coords={"chain": np.arange(chains), "draw": np.arange(draws)},
    )
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats_set})
