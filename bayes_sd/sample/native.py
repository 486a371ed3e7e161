"""The compiled density as C callbacks, so that chains run side by side without Python.

A sampler that calls back into Python holds one lock for all chains, and here a call would cost more than the density.
nutpie takes the addresses of two C functions and of one block of memory, which holds the :class:`Problem`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.sample.density import HEADER, expand_callback, logp_callback
from bayes_sd.sample.problem import Frame, Problem

if TYPE_CHECKING:
    from collections.abc import Callable


def pack(problem: Problem, frame: Frame) -> np.ndarray:
    """Lay a problem and a frame out as one block of 8-byte words.

    Parameters
    ----------
    problem : Problem
    frame : Frame

    Returns
    -------
    int64 array
        Total length, headers, then all fields; floats keep their bits.
    """
    fields = [np.ascontiguousarray(field) for field in (*problem, *frame)]
    start = 1 + HEADER * len(fields)
    header, pieces = [], []
    for field in fields:
        columns = field.shape[1] if field.ndim == 2 else 0
        header += [start, field.shape[0], columns]
        pieces.append(field.reshape(-1).view(np.int64))
        start += field.size
    return np.concatenate([[start], header, *pieces]).astype(np.int64)


def compiled_model(problem: Problem, frame: Frame, first_point: Callable[[int], np.ndarray]) -> Any:
    """Make what ``nutpie.sample`` takes.

    Parameters
    ----------
    problem : Problem
    frame : Frame
        Coordinates that the sampler moves.
    first_point : callable
        From a seed to a starting vector in the frame's coordinates.

    Returns
    -------
    nutpie compiled model
        With one variable, ``parameters``: what the data inform, as one vector (see
        :func:`~bayes_sd.sample.density.to_natural`).
    """
    from nutpie.compile_pymc import CompiledPyMCModel

    block, size = pack(problem, frame), len(frame.shift)
    return CompiledPyMCModel(
        dims={},
        compiled_logp_func=logp_callback,
        compiled_expand_func=expand_callback,
        initial_point_func=first_point,
        shared_data={},
        shared_var_keys={},
        user_data=block,
        n_expanded=size,
        shape_info=(["parameters"], [slice(0, size)], [(size,)]),
        logp_func=None,
        expand_func=None,
        _n_dim=size,
        _shapes={"parameters": (size,)},
        _coords={},
    )
