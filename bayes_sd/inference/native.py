"""The compiled density as C callbacks, so that chains run side by side without Python.

A sampler that calls back into Python holds one lock for all chains, and here a call would cost more than the density.
nutpie takes the addresses of two C functions and of one block of memory, which holds the :class:`Problem`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types

from bayes_sd.inference.density import sampled_density, to_natural
from bayes_sd.inference.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = 3
"""Words per field before the data: where it starts, its rows, its columns (0 for a vector)."""

_LOGP = types.int64(
    types.uint64,
    types.CPointer(types.double),
    types.CPointer(types.double),
    types.CPointer(types.double),
    types.voidptr,
)
_EXPAND = types.int64(
    types.uint64, types.uint64, types.CPointer(types.double), types.CPointer(types.double), types.voidptr
)
NOT_FINITE = 3


def pack(problem: Problem) -> np.ndarray:
    """Lay a problem out as one block of 8-byte words.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    int64 array
        Total length, headers, then all fields; floats keep their bits.
    """
    fields = [np.ascontiguousarray(field) for field in problem]
    start = 1 + HEADER * len(fields)
    header, pieces = [], []
    for field in fields:
        columns = field.shape[1] if field.ndim == 2 else 0
        header += [start, field.shape[0], columns]
        pieces.append(field.reshape(-1).view(np.int64))
        start += field.size
    return np.concatenate([[start], header, *pieces]).astype(np.int64)


@numba.njit(cache=True, error_model="numpy")
def _vector(words, values, field):
    start, rows = words[1 + HEADER * field], words[2 + HEADER * field]
    return values[start : start + rows]


@numba.njit(cache=True, error_model="numpy")
def _matrix(words, values, field):
    start, rows, columns = words[1 + HEADER * field], words[2 + HEADER * field], words[3 + HEADER * field]
    return values[start : start + rows * columns].reshape((rows, columns))


@numba.njit(cache=True, error_model="numpy")
def unpack(words, values):
    """Give the problem of a block, as views: `words` its integers, `values` the same memory as floats."""
    return Problem(
        _vector(words, words, 0),
        _vector(words, values, 1),
        _vector(words, values, 2),
        _vector(words, words, 3),
        _vector(words, values, 4),
        _matrix(words, values, 5),
        _vector(words, values, 6),
        _matrix(words, words, 7),
        _vector(words, words, 8),
        _matrix(words, words, 9),
        _matrix(words, values, 10),
        _vector(words, words, 11),
        _vector(words, values, 12),
        _vector(words, words, 13),
        _vector(words, values, 14),
        _matrix(words, values, 15),
        _vector(words, words, 16),
        _vector(words, words, 17),
        _vector(words, values, 18),
        _vector(words, values, 19),
        _vector(words, values, 20),
        _matrix(words, values, 21),
        _vector(words, words, 22),
        _vector(words, words, 23),
        _vector(words, words, 24),
        _vector(words, values, 25),
    )


@numba.cfunc(_LOGP, cache=True, error_model="numpy")
def _logp(size, x_, gradient_, value_, block_):
    length = numba.carray(block_, (1,), np.int64)[0]
    words = numba.carray(block_, (length,), np.int64)
    values = numba.carray(block_, (length,), np.float64)
    x = numba.carray(x_, (size,))
    gradient = numba.carray(gradient_, (size,))
    value = numba.carray(value_, (1,))
    natural = np.empty(x.size)
    value[0] = sampled_density(x, gradient, natural, unpack(words, values))
    if not np.isfinite(value[0]):
        return NOT_FINITE
    for g in gradient:
        if not np.isfinite(g):
            return NOT_FINITE
    return 0


@numba.cfunc(_EXPAND, cache=True, error_model="numpy")
def _expand(size, expanded, x_, out_, block_):
    length = numba.carray(block_, (1,), np.int64)[0]
    words = numba.carray(block_, (length,), np.int64)
    values = numba.carray(block_, (length,), np.float64)
    to_natural(numba.carray(x_, (size,)), numba.carray(out_, (expanded,)), unpack(words, values))
    return 0


def compiled_model(problem: Problem, size: int, first_point: Callable[[int], np.ndarray]) -> Any:
    """Make what ``nutpie.sample`` takes.

    Parameters
    ----------
    problem : Problem
    size : int
        Unknowns.
    first_point : callable
        From a seed to a starting vector.

    Returns
    -------
    nutpie compiled model
        With one variable, ``parameters``: the model's parameters as one vector.
    """
    from nutpie.compile_pymc import CompiledPyMCModel

    block = pack(problem)
    return CompiledPyMCModel(
        dims={},
        compiled_logp_func=_logp,
        compiled_expand_func=_expand,
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
