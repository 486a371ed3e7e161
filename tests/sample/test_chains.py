"""The density as C functions: what they compute, in a frame and without; and chains of nutpie on them."""

import dataclasses
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from bayes_sd.sample.chains import run_chains
from bayes_sd.sample.frame import curved_frame, stretched_frame
from bayes_sd.sample.native import make_native
from bayes_sd.sample.settings import SamplerSettings

SIZE = 5
CENTRE, SCALE, TIMES = np.arange(SIZE, dtype=float), np.full((2, 3), 0.5), np.array(3, dtype=np.int32)
FACTS = (CENTRE, SCALE, TIMES)


@numba.njit
def gaussian(x, centre, scale, times):
    """A density that takes facts of several types, refuses large coordinates and has no number for others."""
    if x[0] > 100.0:
        raise ValueError("too large")
    precision = scale[1, 2] * times[()]
    value = -0.5 * np.sum((x - centre) ** 2) * precision
    return np.array(np.nan if x[0] < -100.0 else value), (centre - x) * precision


@pytest.fixture(scope="module")
def native():
    return make_native(gaussian, (("float64", 1), ("float64", 2), ("int32", 0)))


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    factor = np.tril(rng.normal(size=(SIZE, SIZE))) + SIZE * np.eye(SIZE)
    wide = stretched_frame(
        curved_frame(rng.normal(size=SIZE), factor @ factor.T), 100.0 * rng.normal(size=(200, SIZE))
    )
    assert len(wide.stretch)
    return wide


def test_python_gets_what_the_density_says(native):
    block, x = native.block(FACTS), np.linspace(-1.0, 2.0, SIZE)
    for at in (x, np.repeat(x, 2)[::2], x.astype(np.float32).astype(float)):
        value, gradient = native(at, block)
        expected, slope = gaussian(at, *FACTS)
        assert value == expected and np.array_equal(gradient, slope)


def test_a_frame_s_density_is_the_density_where_the_frame_leads(native, frame):
    z = np.random.default_rng(1).normal(size=SIZE)
    value, gradient = native(z, native.block(FACTS, frame.arrays))
    expected, slope = gaussian(frame.to_coordinates(z), *FACTS)
    assert value == expected and np.array_equal(gradient, frame.to_frame_gradient(slope))


def test_no_number_and_a_failure_are_told_apart(native):
    block = native.block(FACTS)
    assert np.isnan(native(np.full(SIZE, -200.0), block)[0])
    assert np.isnan(native(np.full(SIZE, np.nan), block)[0])
    with pytest.raises(RuntimeError, match="failed"):
        native(np.full(SIZE, 200.0), block)


def test_chains_draw_from_the_density_whatever_the_frame(native, frame):
    target = SimpleNamespace(size=SIZE, arrays=FACTS, compiled=SimpleNamespace(native=native))
    settings = SamplerSettings(draws=500, tune=300, chains=4, cores=2, seed=3)
    stats, drawn = run_chains(target, frame, settings)
    assert drawn.shape == (4, 500, SIZE) and not stats["diverging"].any()
    flat, sd = drawn.reshape(-1, SIZE), 1.5**-0.5
    # NUTS on a Gaussian: a draw is worth about half an independent one or more; five standard errors.
    error = 5.0 * sd / np.sqrt(len(flat) / 2)
    assert np.abs(flat.mean(axis=0) - CENTRE).max() < error
    assert np.abs(flat.std(axis=0) - sd).max() < error
    again = run_chains(target, frame, dataclasses.replace(settings, cores=1))[1]
    assert np.array_equal(drawn, again)


def test_nutpie_s_model_of_c_functions_has_the_fields_that_chains_give():
    """nutpie documents no way to a model of own C functions: this says when the one in use has changed."""
    from nutpie.compile_pymc import CompiledPyMCModel

    needed = {f.name for f in dataclasses.fields(CompiledPyMCModel) if f.default is dataclasses.MISSING}
    assert needed == {
        "dims", "compiled_logp_func", "compiled_expand_func", "initial_point_func", "shared_data", "shared_var_keys",
        "user_data", "n_expanded", "shape_info", "logp_func", "expand_func", "_n_dim", "_shapes", "_coords",
    }, "nutpie has changed: bayes_sd/sample/chains.py must give its model what it takes now"  # fmt: skip


def test_machine_code_of_a_graph_is_found_on_disk():
    """PyTensor documents no key of a function that is compiled without its wrapper: this says when the one in use has changed."""
    import pytensor.tensor as pt
    from numba.core import types

    from bayes_sd.sample.linker import native_function

    kind = types.Array(types.float64, 1, "C")
    for _ in range(2):
        x = pt.dvector("x")
        made = native_function([x], [pt.sum(x**2), 2.0 * x]).vm.jit_fn
        made.compile((kind,))
    assert made.stats.cache_hits[(kind,)] == 1, "each process compiles anew: see sample/linker.py"
    assert not made.targetoptions["fastmath"], (
        "the process that compiles would round otherwise than those that find its code"
    )
