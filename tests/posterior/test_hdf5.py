"""The quick way to read a file of a fit gives what netCDF's own layers give, and leaves to them what no fit writes."""

import shutil

import h5py
import numpy as np
import pytest
import xarray as xr

from bayes_sd.posterior import load_posterior
from bayes_sd.posterior.hdf5 import Unusual, read_groups


def by_layers(path):
    with xr.open_datatree(path, engine="h5netcdf") as opened:
        return opened.load()


def test_groups_are_those_that_netcdf_reads(small_trace):
    quick, slow = read_groups(small_trace, "bayes_sd"), by_layers(small_trace)
    assert quick.identical(slow)
    for node in slow.subtree:
        one, other = (tree[node.path].to_dataset(inherit=False) for tree in (quick, slow))
        assert set(one.coords) == set(other.coords)
        for name, values in other.coords.items():
            assert one[name].dtype == values.dtype, name


def test_flags_gaps_and_single_numbers_keep_their_meaning(tmp_path):
    written = xr.Dataset(
        {
            "flag": (("row",), np.array([True, False])),
            "gap": (("row",), np.array([1.0, np.nan])),
            "text": (("row",), np.array(["å", ""], dtype=object)),
            "one": ((), 3.0),
            "count": (("row", "column"), np.arange(4).reshape(2, 2)),
        },
        coords={"column": ["x", "y"], "beside": (("row",), [0.5, 1.5])},
        attrs={"said": "of the group", "number": 3},
    )
    tree = xr.DataTree.from_dict({"posterior": written})
    tree.attrs = {"bayes_sd": "{}"}
    path = tmp_path / "t.nc"
    tree.to_netcdf(path, engine="h5netcdf")
    quick, slow = read_groups(path, "bayes_sd"), by_layers(path)
    assert quick.identical(slow)
    assert quick["posterior"]["flag"].dtype == bool


def test_what_no_fit_writes_is_left_to_netcdf(small_trace, tmp_path):
    path = tmp_path / "t.nc"
    shutil.copy(small_trace, path)
    with h5py.File(path, "a") as raw:
        raw["posterior"]["odd"] = np.zeros(2, dtype=[("a", "f8"), ("b", "i4")])
    with pytest.raises(Unusual):
        read_groups(path, "bayes_sd")


def test_a_file_without_the_attribute_is_none_of_ours(tmp_path):
    path = tmp_path / "t.nc"
    xr.Dataset({"x": (("d",), [1.0])}).to_netcdf(path, engine="h5netcdf")
    assert read_groups(path, "bayes_sd") is None


def test_a_posterior_is_the_same_either_way(small_trace, monkeypatch):
    def unusual(*_):
        raise Unusual

    quick = load_posterior(small_trace)
    monkeypatch.setattr("bayes_sd.posterior.file.read_groups", unusual)
    slow = load_posterior(small_trace)
    assert quick.tree.identical(slow.tree) and quick.about == slow.about
