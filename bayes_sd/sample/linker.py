"""How a graph becomes machine code that is called by its address and found on disk by the next process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any


def merged(value: Any) -> Any:
    """Let equal parts of a graph be one, before the gradient is derived part by part."""
    from pytensor.graph.fg import FunctionGraph
    from pytensor.graph.rewriting.basic import MergeOptimizer

    graph = FunctionGraph(outputs=[value], clone=False)
    MergeOptimizer().rewrite(graph)
    return graph.outputs[0]


def native_function(inputs: Sequence[Any], graph: list[Any]) -> Any:
    """Compile a graph to one Numba function, ``vm.jit_fn`` of what is returned, that rounds alike in every process.

    Numba's fast arithmetic may add up in another order wherever one function is compiled into another, which is so in the process that
    compiles them and not in the next one that finds them on disk: its gradients differ in the last digit, and its chains by all.

    Parameters
    ----------
    inputs : sequence of variable
    graph : list of variable
        Outputs.

    Returns
    -------
    PyTensor function
    """
    import pytensor

    with pytensor.config.change_flags(numba__fastmath=False):
        return pytensor.function(list(inputs), graph, mode=_native_mode())


@lru_cache(maxsize=1)
def _native_mode() -> Any:
    """Compilation by Numba without in-place rewrites, whose search for cycles takes longer than all others together."""
    import pymc  # noqa: F401  # it registers a rewrite that is named below, and cannot once the name was asked for
    from pytensor.compile.mode import Mode, get_mode
    from pytensor.link.numba.linker import NumbaLinker

    class Native(NumbaLinker):
        """Numba's linker for a function that is called by its address only, and compiled once, not once more in a wrapper."""

        def fgraph_convert(self, fgraph: Any, *args: Any, **kwargs: Any) -> Any:
            from pytensor.link.numba.dispatch.basic import numba_funcify_FunctionGraph

            return numba_funcify_FunctionGraph(fgraph, *args, **kwargs)

        def jit_compile(self, fn_and_cache: Any) -> Any:
            from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS
            from pytensor.link.numba.dispatch.basic import numba_njit

            function, key = fn_and_cache
            if key is not None:
                # Machine code is found again by this key and the name of the source's file, which is another every time.
                function.py_func.__code__ = function.py_func.__code__.replace(co_filename="density")
                CACHED_SRC_FUNCTIONS[function.py_func] = key
            return numba_njit(function.py_func, cache=key is not None)

    query = (
        get_mode("NUMBA")
        .excluding("inplace", "fuse_indexed_into_elemwise", "ShapeOpt", "reassociate_matmul_chain")
        .including("local_remove_check_parameter")
    )
    return Mode(linker=Native(), optimizer=query.provided_optimizer)
