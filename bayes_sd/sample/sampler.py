"""A posterior's draws: a pilot finds coordinates, chains run in them, and the draws get their names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from bayes_sd.model.build import model_inputs
from bayes_sd.sample.chains import run_chains
from bayes_sd.sample.pilot import find_frame
from bayes_sd.sample.settings import MANY, TARGET, TARGET_CAREFUL
from bayes_sd.sample.target import make_target
from bayes_sd.sample.told import Told

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.model.arranged import Design
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.sample.frame import Frame
    from bayes_sd.sample.settings import SamplerSettings
    from bayes_sd.sample.target import Target

THIN = 2
"""Iterations per kept draw."""
SLOWER = (MANY, 1.75 * MANY, 4 * MANY)
"""Unknowns beyond each of which a kept draw takes one more: spreads of many levels move slowly."""


def sample(
    design: Design,
    spec: ModelSpec,
    settings: SamplerSettings,
    progress: bool = False,
    frame: Frame | None = None,
) -> xr.DataTree:
    """Draw from the posterior.

    The same seed gives the same draws on one machine, whatever the number of its cores; other processors and other versions
    of the libraries may round otherwise.

    A short pilot finds coordinates in which the posterior is about round (:mod:`bayes_sd.sample.frame`); then all
    chains are run in those, with a warm-up of their own.

    Parameters
    ----------
    design : Design
    spec : ModelSpec
    settings : SamplerSettings
    progress : bool
        Tell each stage on the error stream, and show a bar on a terminal.
    frame : Frame, optional
        Coordinates that a pilot found for a table with the same unknowns and a posterior much like this one's; without, a pilot
        looks for them.

    Returns
    -------
    DataTree
        Groups ``posterior`` (dims chain, draw and those of those of :mod:`bayes_sd.model.terms`) and ``sample_stats``.

    Raises
    ------
    KeyboardInterrupt
        If interrupted; nothing is returned then.
    """
    tell = Told(progress)
    rows = len(design.rows["load"])
    tell(f"compiling the model of {rows:,} rows: seconds, or some minutes if this machine never did")
    target = make_target(model_inputs(design, spec))
    if settings.target_accept is None:
        bends = (design.deployment_sparse >= 0).any()
        careful = bends or target.size > MANY
        settings = replace(settings, target_accept=TARGET_CAREFUL if careful else TARGET)
    if settings.thin is None:
        settings = replace(settings, thin=THIN + sum(target.size > size for size in SLOWER))
    # Linear algebra on several threads adds up in another order, and the search for a mode goes another way then.
    with threadpool_limits(limits=1):
        if frame is None:
            tell(f"looking for the posterior of {target.size:,} unknowns")
            frame = find_frame(target, settings)
        each = settings.tune + settings.draws * (settings.thin or 1)
        tell(f"sampling {settings.chains} chains of {each:,} iterations")
        stats, drawn = run_chains(target, frame, settings, progress)
    return _named(target, drawn, stats)


def _named(target: Target, drawn: np.ndarray, stats: dict[str, np.ndarray]) -> xr.DataTree:
    import xarray as xr

    natural, unknowns, coords = target.to_natural(drawn), target.inputs.unknowns, target.inputs.coords
    along = {"chain": np.arange(drawn.shape[0]), "draw": np.arange(drawn.shape[1])}
    posterior = xr.Dataset(
        {u.name: ((*along, *u.dims), natural[u.name].astype(np.float32)) for u in unknowns},
        coords=along | {d: coords[d] for u in unknowns for d in u.dims},
    )
    stats_set = xr.Dataset({name: (tuple(along), values) for name, values in stats.items()}, coords=along)
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats_set})
