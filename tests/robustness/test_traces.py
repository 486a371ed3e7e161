"""Files of fits that are damaged, changed by hand, or none: one line, whatever is wrong with them."""

import json
import os
import shutil
import socket

import numpy as np
import pytest
import xarray as xr
from bad_cases import FIRST_SEED

from bayes_sd.errors import TraceError
from bayes_sd.posterior.posterior import load_posterior
from bayes_sd.posterior.validate import CHECKSUM, checksum, validated_context


@pytest.fixture(scope="module")
def tree(small_trace):
    with xr.open_datatree(small_trace, engine="h5netcdf") as opened:
        return opened.load()


def refused(path, *words):
    with pytest.raises(TraceError) as caught:
        load_posterior(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    for word in (path.name, *words):
        assert word in message


def stored(tree, path, context=None, sign=True):
    """Write a tree with another context; signed as if it were genuine, so that the schema itself is asked."""
    tree = relabelled(tree, context, sign)
    tree.to_netcdf(path, engine="h5netcdf")
    return path


def relabelled(tree, context, sign=True):
    """Give a tree another context."""
    tree = tree.copy()
    if context is not None:
        tree.attrs["bayes_sd"] = context
    if sign:
        tree.attrs[CHECKSUM] = checksum(tree)
    return tree


@pytest.fixture
def with_context(tree, small_trace, tmp_path):
    """Gives the trace with another context in it; only that is written anew, which takes no time."""
    import h5py

    def put(context):
        path = shutil.copy(small_trace, tmp_path / "t.nc")
        with h5py.File(path, "a") as file:
            file.attrs.update(relabelled(tree, context).attrs)
        return path

    return put


def test_a_trace_is_relabelled_as_it_is_written(tree, with_context):
    assert load_posterior(with_context(tree.attrs["bayes_sd"])).passed


@pytest.mark.parametrize(
    "context",
    [
        "", "{", "[]", "3", "null", "{}", "true", '"text"', "9" * 5000, '{"format_version": %s}' % ("9" * 5000), "[" * 5000,
        '{"a":' * 5000, '{"format_version": "3"}', '{"format_version": -1}', '{"format_version": 3.5}', '{"format_version": true}',
        '{"format_version": 1e400}', '{"format_version": 3, "gate": {"passed": 1}}', '{"format_version": NaN}',
    ],
)  # fmt: skip
def test_a_context_that_is_none(with_context, context):
    refused(with_context(context), "context")


@pytest.mark.parametrize("name", ["bayes_sd", CHECKSUM])
@pytest.mark.parametrize(
    "value",
    [
        3, -1.5, np.nan, True, np.arange(4), np.zeros(0), np.zeros((2, 2)), np.bytes_(b"\xff\xfe"), np.void(b"\x00\x01"),
        np.array(["{}", "[]"], dtype=object), np.zeros(1, dtype=[("a", "i4"), ("b", "S3")]), 1j, b"\xed\xa0\x80", None,
    ],
    ids=repr,
)  # fmt: skip
def test_a_context_or_checksum_that_is_no_text(small_trace, tmp_path, name, value):
    import h5py

    path = shutil.copy(small_trace, tmp_path / "t.nc")
    with h5py.File(path, "a") as file:
        text = h5py.string_dtype("utf-8") if isinstance(value, bytes) else None
        if isinstance(value, np.ndarray) and value.dtype == object:
            text = h5py.string_dtype("utf-8")
        del file.attrs[name]
        file.attrs.create(name, h5py.Empty("f8") if value is None else value, dtype=text)
    refused(path)


def without(about, *path):
    about = json.loads(json.dumps(about))
    at = about
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    return about


def changed(about, value, *path):
    about = json.loads(json.dumps(about))
    at = about
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return about


PLACES = (
    ("format_version",), ("gate",), ("gate", "passed"), ("gate", "failures"), ("coords",), ("coords", "pair"), ("family",),
    ("spec",), ("spec", "priors"), ("levels",), ("levels", "deployments"), ("levels", "names"),
    ("levels", "member"), ("levels", "roofline"), ("levels", "log2_tp"), ("cell_drafter",), ("pair_roofline_s",), ("measured",),
    ("n_observations",), ("levels", "deployments", 0), ("levels", "deployments", 0, "tp"), ("measured", 0, "prompt"),
)  # fmt: skip


FREE = (
    ("family",),
    ("coords", "pair"),
    ("gate", "failures"),
    ("measured", 0, "prompt"),
    ("levels", "deployments", 0),
)
"""Places that may hold another of the values tried."""


def told(read, *what):
    """Read something; None if it is refused in one line."""
    try:
        return read(*what)
    except TraceError as error:
        return None if "\n" not in str(error) else error


@pytest.mark.parametrize("place", PLACES)
def test_each_part_of_the_context_is_needed_and_typed(tree, place):
    about = json.loads(tree.attrs["bayes_sd"])
    assert validated_context(json.dumps(about)) == about
    assert told(validated_context, json.dumps(without(about, *place))) is None
    for value in [None, "text", 3.5, [1], {"a": 1}, [[[]]], -7, float("nan")]:
        found = told(validated_context, json.dumps(changed(about, value, *place)))
        assert found is None or place in FREE


@pytest.mark.parametrize("version", [1, 2])
def test_a_format_relabelled_as_an_older_one(tree, with_context, version):
    about = json.loads(tree.attrs["bayes_sd"]) | {"format_version": version}
    refused(with_context(json.dumps(about)), f"format, {version}")


@pytest.mark.parametrize("group", ["posterior", "observed"])
def test_a_missing_group(tree, tmp_path, group):
    others = {name: tree[name].to_dataset() for name in tree.children if name != group}
    rest = xr.DataTree.from_dict(others)
    rest.attrs = dict(tree.attrs)
    refused(stored(rest, tmp_path / "t.nc"), group)


@pytest.mark.parametrize("kind", ["external link", "soft link", "external values", "virtual"])
def test_what_stands_elsewhere(small_trace, tmp_path, kind):
    import h5py

    path, other = shutil.copy(small_trace, tmp_path / "t.nc"), tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["values"] = np.zeros(3)
    with h5py.File(path, "a") as file:
        if kind == "external link":
            file["more"] = h5py.ExternalLink(str(other), "/values")
        elif kind == "soft link":
            file["posterior/more"] = h5py.SoftLink("/observed")
        elif kind == "external values":
            file["posterior"].create_dataset("more", (3,), "f8", external=[("/etc/passwd", 0, 24)])
        else:
            layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
            layout[:] = h5py.VirtualSource(str(other), "values", shape=(3,))
            file["posterior"].create_virtual_dataset("more", layout)
    refused(path, "more", "another")


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_what_is_no_file(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    path = tmp_path / "t.nc"
    if kind == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    refused(path, "write it to a file")


@pytest.mark.parametrize("name", ["hardware", "prompt_tokens", "latency_s"])
def test_a_column_of_the_observations_that_is_missing(tree, tmp_path, name):
    other = tree.copy()
    other["observed"] = xr.DataTree(tree["observed"].to_dataset().drop_vars(name))
    refused(stored(other, tmp_path / "t.nc"), name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("load_kind", "x"), ("arrivals", "often"), ("load_value", -1.0), ("load_value", 1e300), ("prompt_tokens", np.inf), ("tp", 0.0),
        ("latency_s", "slow"), ("output_tokens", 0.5), ("k", 1e6),
    ],
)  # fmt: skip
def test_rows_that_no_table_can_have(tree, tmp_path, name, value):
    other = tree.copy()
    rows = tree["observed"].to_dataset()
    other["observed"] = xr.DataTree(rows.assign({name: ("observation", [value] * rows.sizes["observation"])}))
    refused(stored(other, tmp_path / "t.nc"), name)


def test_a_copy_in_another_byte_order_is_the_same(tree, small_trace, tmp_path):
    import h5py

    path = shutil.copy(small_trace, tmp_path / "t.nc")
    with h5py.File(path, "a") as file:
        group = file["observed"]
        for name in ("latency_s", "load_value"):
            old = group[name]
            values, dims = old[()], old.attrs["DIMENSION_LIST"]
            del group[name]
            group.create_dataset(name, data=values.astype(values.dtype.newbyteorder(">")))
            group[name].attrs.create("DIMENSION_LIST", dims, dtype=h5py.special_dtype(vlen=h5py.ref_dtype))
    found = load_posterior(path)
    assert found.observed["latency_s"].tolist() == tree["observed"]["latency_s"].to_numpy().tolist()
    assert found.observed.sort_values("load_value")["load_value"].iloc[0] > 0


def test_draws_that_are_no_numbers(tree, tmp_path):
    draws = tree["posterior"].to_dataset().copy(deep=True)
    draws["log_cost"][0, 0] = np.nan
    other = tree.copy()
    other["posterior"] = xr.DataTree(draws)
    refused(stored(other, tmp_path / "t.nc"), "log_cost")


def test_more_than_any_fit_holds(tmp_path, small_trace):
    import h5py

    path = shutil.copy(small_trace, tmp_path / "t.nc")
    with h5py.File(path, "a") as file:  # an array of zeros that takes no room on disk
        file["posterior"].create_dataset(
            "bomb", shape=(1 << 40,), dtype="f8", chunks=(1 << 20,), compression="gzip"
        )
    refused(path)


def test_a_changed_value_does_not_match_the_checksum(tree, small_trace, tmp_path):
    assert load_posterior(small_trace).passed
    other = tree.copy(deep=True)
    other["posterior"]["log_cost"][0, 0, 0, 0] += 1e-3
    refused(stored(other, tmp_path / "a.nc", sign=False), "checksum")
    text = tree.attrs["bayes_sd"].replace('"family": "llama"', '"family": "lllma"', 1)
    refused(stored(tree, tmp_path / "b.nc", text, sign=False), "checksum")


def test_flipped_bytes_and_cut_files(small_trace, tmp_path):
    whole, rng = small_trace.read_bytes(), np.random.default_rng(3 + FIRST_SEED)
    reference = load_posterior(small_trace)
    for number in range(30):
        damaged = bytearray(whole)
        if number % 3 == 0:
            damaged = damaged[: rng.integers(len(whole))]
        else:
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path = tmp_path / "t.nc"
        path.write_bytes(damaged)
        found = told(load_posterior, path)
        # A byte may say nothing of draws or context.
        assert found is None or checksum(found.tree) == checksum(reference.tree)


@pytest.mark.parametrize(
    "content", [b"", b"\x89HDF\r\n\x1a\n", b"CDF\x01" + bytes(100), b"PK\x03\x04", b"hardware,verifier\n"]
)
def test_files_of_other_kinds(tmp_path, content):
    path = tmp_path / "t.nc"
    path.write_bytes(content)
    refused(path)


def test_another_program_s_netcdf(tmp_path):
    path = tmp_path / "t.nc"
    xr.DataTree.from_dict({"posterior": xr.Dataset({"mu": (("chain", "draw"), np.zeros((2, 3)))})}).to_netcdf(
        path, engine="h5netcdf"
    )
    refused(path, "not written by bayes_sd")


@pytest.mark.parametrize("inside", ["posterior", "observed"])
def test_a_group_that_holds_itself_or_another(tmp_path, inside):
    """Walking it would have no end."""
    import h5py

    path = tmp_path / "t.nc"
    xr.DataTree.from_dict(
        {"posterior": xr.Dataset({"mu": (("chain", "draw"), np.zeros((2, 3)))}), "observed": xr.Dataset()}
    ).to_netcdf(path, engine="h5netcdf")
    with h5py.File(path, "a") as file:
        file["posterior/again"] = file[inside]
    refused(path, "holds another one, 'again'")
