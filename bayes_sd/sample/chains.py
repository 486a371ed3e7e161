"""Chains: nutpie's NUTS on the compiled density, in a frame."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.sample.settings import TARGET

if TYPE_CHECKING:
    from collections.abc import Callable

    from bayes_sd.sample.frame import Frame
    from bayes_sd.sample.native import Native
    from bayes_sd.sample.settings import SamplerSettings
    from bayes_sd.sample.target import Target

START_SPREAD = 0.3
"""Spread of the chains' starts in the frame's coordinates, in which the posterior has a spread of about one."""
VARIABLE = "coordinates"
"""Name under which nutpie keeps the vector of a draw."""


def run_chains(
    target: Target, frame: Frame, settings: SamplerSettings, progress: bool = False
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Run nutpie's NUTS in a frame.

    Parameters
    ----------
    target : Target
    frame : Frame
    settings : SamplerSettings
    progress : bool

    Returns
    -------
    stats : dict of str to array, shape (chain, draw)
        What the sampler says of each kept draw; of divergences, cut trajectories and steps, of all iterations since the last.
    drawn : array, shape (chain, draw, unknown)
        In the coordinates that the data inform.

    Raises
    ------
    KeyboardInterrupt
        If interrupted.
    """

    def first(seed: int) -> np.ndarray:
        return START_SPREAD * np.random.default_rng(seed).normal(size=target.size)

    thin = settings.thin or 1
    block = target.compiled.native.block(target.arrays, frame.arrays)
    model = nutpie_model(target.compiled.native, block, first)
    careful = replace(settings, draws=settings.draws * thin, target_accept=settings.target_accept or TARGET)
    stats, drawn = sample_chains(model, careful, progress)
    return _kept_stats(stats, thin), drawn[:, thin - 1 :: thin]


def sample_chains(
    model: Any, settings: SamplerSettings, progress: bool, **adaptation: Any
) -> tuple[Any, np.ndarray]:
    """Run nutpie's NUTS to its end.

    Parameters
    ----------
    model : nutpie.compile_pymc.CompiledPyMCModel
        From :func:`nutpie_model`.
    settings : SamplerSettings
        Its ``target_accept`` is stated; all its draws are kept.
    progress : bool
        Show a bar on a terminal.
    **adaptation
        How nutpie is to adapt, where not as by default.

    Returns
    -------
    stats : nutpie's, by name
        Shape (chain, draw) each.
    drawn : array, shape (chain, draw, unknown)

    Raises
    ------
    KeyboardInterrupt
        If interrupted.
    """
    import nutpie

    trace = nutpie.sample(
        model,
        draws=settings.draws,
        tune=settings.tune,
        chains=settings.chains,
        cores=settings.cores,
        seed=settings.seed,
        progress_bar=progress and sys.stderr.isatty(),
        save_warmup=False,
        target_accept=settings.target_accept,
        maxdepth=settings.max_depth,
        **adaptation,
    )
    drawn = trace.posterior[VARIABLE].to_numpy()
    if drawn.shape[:2] != (settings.chains, settings.draws) or not np.isfinite(drawn[:, -1]).all():
        raise KeyboardInterrupt
    return trace.sample_stats, drawn


def nutpie_model(native: Native, block: np.ndarray, first_point: Callable[[int], np.ndarray]) -> Any:
    """Make what ``nutpie.sample`` takes: its model of two C functions, which chains call without Python.

    nutpie makes such models of PyMC's and documents no other way to one, so every field is given by its name, and
    ``tests/sample/test_chains.py`` says when the fields have changed.

    Parameters
    ----------
    native : Native
        The density.
    block : array of unsigned words
        What its calls need; whoever asks for the model must hold the arrays in it.
    first_point : callable
        From a seed to a chain's first point, shape (unknown,).

    Returns
    -------
    nutpie.compile_pymc.CompiledPyMCModel
    """
    from nutpie.compile_pymc import CompiledPyMCModel

    from bayes_sd.sample.native import expand

    size = len(first_point(0))
    return CompiledPyMCModel(
        dims={},
        compiled_logp_func=native.logp,
        compiled_expand_func=expand,
        initial_point_func=first_point,
        shared_data={},
        shared_var_keys={},
        user_data=block,
        n_expanded=size,
        shape_info=([VARIABLE], [slice(0, size)], [(size,)]),
        logp_func=None,
        expand_func=None,
        _n_dim=size,
        _shapes={VARIABLE: (size,)},
        _coords={},
    )


def _kept_stats(found: Any, thin: int) -> dict[str, np.ndarray]:
    collected: dict[str, Any] = {"diverging": np.any, "maxdepth_reached": np.any, "n_steps": np.sum}
    stats = {}
    for name in ("diverging", "depth", "n_steps", "energy", "step_size", "maxdepth_reached", "logp"):
        if name in found:
            values = found[name].to_numpy().reshape(found.sizes["chain"], -1, thin)
            stats[name] = collected[name](values, axis=2) if name in collected else values[:, :, -1]
    return stats
