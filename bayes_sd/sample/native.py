"""The compiled density as C functions, so that chains run side by side without Python.

nutpie takes the addresses of two C functions and of one block of memory. The block holds where the density is, the arrays of a
frame and the arrays of a table, as Numba's machine code knows arrays. A few lines hand them to the density, which they call by its
address: what was compiled once, and is found on disk, is not compiled again for them.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from bayes_sd.sample.triangle import compiled, solve, solve_transposed

FAILED, NO_NUMBER = 1, 3
"""What a call answers where the density stumbled, and for a value or gradient that is no number: either ends a trajectory."""
_NUMBERS, _INTEGERS = types.Array(types.float64, 1, "C"), types.Array(types.int64, 1, "C")
_TABLE = types.Array(types.float64, 2, "C")
FRAME = types.Tuple([_NUMBERS, _INTEGERS, _INTEGERS, _INTEGERS, _NUMBERS, _TABLE, _NUMBERS])
"""Types of a frame's arrays: shift, order, start, column, entry, along, stretch."""
_POINTER = types.CPointer(types.float64)
_LOGP = types.int64(types.uint64, _POINTER, _POINTER, _POINTER, types.voidptr)
_EXPAND = types.int64(types.uint64, types.uint64, _POINTER, _POINTER, types.voidptr)


def _words(kind: Any) -> int:
    """Count the words by which machine code knows an array: owner, parent, items, bytes an item, data, shape and strides."""
    return 5 + 2 * kind.ndim


NO_FRAME = tuple(np.empty((0,) * kind.ndim, dtype=str(kind.dtype)) for kind in FRAME.types)
"""A frame that leaves coordinates as they are."""
FRAME_AT = 1
FACTS_AT = FRAME_AT + sum(_words(kind) for kind in FRAME.types)


@dataclass(frozen=True)
class Native:
    """A density in machine code, for all tables of one structure.

    Attributes
    ----------
    address : int
        Where the density is: from coordinates and facts to (log density, gradient).
    logp : Numba C function
        What nutpie calls: the density in a frame.
    python : callable
        The same, to call from Python; it gives Python's lock up while it runs.
    """

    address: int
    logp: Any
    python: Any

    def block(self, facts: tuple[np.ndarray, ...], frame: tuple[np.ndarray, ...] = NO_FRAME) -> np.ndarray:
        """Lay out what a call needs, as words; whoever holds it must hold the arrays too.

        Parameters
        ----------
        facts : tuple of array
            As the density takes them.
        frame : tuple of array
            A frame's arrays in the order of :data:`FRAME`.

        Returns
        -------
        array of unsigned words
        """
        words = [self.address]
        for a in (*frame, *facts):
            words += [0, 0, a.size, a.itemsize, a.ctypes.data, *a.shape, *a.strides]
        return np.array(words, dtype=np.uintp)

    def __call__(self, x: np.ndarray, block: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute log density and gradient; NaN as the density where either is no number."""
        x = np.ascontiguousarray(x, dtype=float)
        gradient, value = np.empty_like(x), np.empty(1)
        status = self.python(x.size, *(a.ctypes.data for a in (x, gradient, value, block)))
        if status == FAILED:
            raise RuntimeError("the compiled density failed")
        return (float(value[0]) if status == 0 else np.nan), gradient


def make_native(density: Any, kinds: tuple[tuple[str, int], ...]) -> Native:
    """Put a function compiled by Numba behind C functions.

    Parameters
    ----------
    density : Numba function
        From coordinates and facts to (log density, gradient), arrays of shape () and (unknown,).
    kinds : sequence of (str, int)
        Number type and dims of each of the facts. They are C-contiguous and writable as far as machine code knows.

    Returns
    -------
    Native
    """
    facts = tuple(types.Array(numba.from_dtype(np.dtype(kind)), ndim, "C") for kind, ndim in kinds)
    taken = (_NUMBERS, *facts)
    density.compile(taken)
    compiled = density.overloads[taken]
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    logp = _logp(_caller(facts, compiled.signature.return_type))
    arguments = (ctypes.c_uint64, *[ctypes.c_void_p] * 4)
    return Native(address, logp, ctypes.CFUNCTYPE(ctypes.c_int64, *arguments)(logp.address))


@intrinsic
def _frame_of(typingctx: Any, block: Any) -> Any:
    """Take the frame's arrays from a block."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _loaded(context, builder, args[0], FRAME_AT, FRAME)

    return FRAME(block), codegen


def _caller(facts: tuple[Any, ...], result: Any) -> Any:
    """Make what calls a density by the address that stands in a block, with coordinates and the facts in the block."""

    @intrinsic
    def call(typingctx: Any, x: Any, block: Any) -> Any:
        taken = (x, *facts)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = context.call_conv.get_function_type(result, taken)
            address = _loaded(context, builder, args[1], 0, types.uintp)
            given, at = [args[0]], FACTS_AT
            for fact in facts:
                given.append(_loaded(context, builder, args[1], at, fact))
                at += _words(fact)
            function = builder.inttoptr(address, kind.as_pointer())
            status, value = context.call_conv.call_function(builder, function, result, taken, given)
            with builder.if_then(status.is_error, likely=False):
                context.call_conv.return_status_propagate(builder, status)
            return value

        return result(x, block), codegen

    return call


def _loaded(context: Any, builder: Any, block: Any, at: int, kind: Any) -> Any:
    """Load a value that starts at a word of a block."""
    words = builder.bitcast(block, context.get_value_type(types.uintp).as_pointer())
    place = builder.gep(words, [context.get_constant(types.intp, at)])
    return builder.load(builder.bitcast(place, context.get_value_type(kind).as_pointer()))


@compiled
def _from_frame(z, frame):
    return solve(z, *frame)


@compiled
def _to_frame(gradient, frame):
    return solve_transposed(gradient, *frame[1:])


def _logp(call: Any) -> Any:
    @numba.cfunc(_LOGP)
    def logp(dim, z_, gradient_, value_, block):
        try:
            frame: Any = _frame_of(block)  # type: ignore[call-arg]
            framed = frame[0].size > 0
            x = numba.carray(z_, (dim,))
            if framed:
                x = _from_frame(x, frame)
            value, gradient = call(x, block)
            if framed:
                gradient = _to_frame(gradient, frame)
            total = value.item()
            numba.carray(value_, (1,))[0] = total
            out, good = numba.carray(gradient_, (dim,)), np.isfinite(total)
            for i in range(out.size):
                out[i] = gradient[i]
                good &= np.isfinite(gradient[i])
            return 0 if good else NO_NUMBER
        except Exception:  # Numba knows no finer one; it ends in Python
            return FAILED

    return logp


@numba.cfunc(_EXPAND, cache=True)
def expand(dim, expanded, z_, out_, block):
    """Turn the frame's coordinates into those that the data inform."""
    frame: Any = _frame_of(block)  # type: ignore[call-arg]
    z = numba.carray(z_, (dim,))
    numba.carray(out_, (dim,))[:] = _from_frame(z, frame) if frame[0].size > 0 else z
    return 0
