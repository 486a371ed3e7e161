"""Reads the groups of a netCDF-4 file straight from HDF5, of which it is made.

netCDF's layers look every variable up some forty times, which takes longer than a decision. This reads what xarray writes with
h5netcdf, as it is stored; xarray gives the values their meaning. A file that holds anything else is left to those layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import TraceError
from bayes_sd.posterior.validate import DAMAGED, check_bytes

if TYPE_CHECKING:
    import h5py
    import xarray as xr

HIDDEN = frozenset(
    {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_NCProperties", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_nc3_strict"}
)  # fmt: skip
"""Attributes by which netCDF-4 says what is which in an HDF5 file."""
NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
"""How the name of a dimension begins that has no values of its own."""


class Unusual(Exception):
    """A file that holds something which no fit writes."""


def read_groups(file: Path, attribute: str) -> xr.DataTree | None:
    """Read a file's groups into memory.

    Parameters
    ----------
    file : Path
    attribute : str
        Of the file, whose text says that its groups are worth reading.

    Returns
    -------
    DataTree or None
        None for a file without that attribute.

    Raises
    ------
    Unusual
        If it holds what no fit writes, so that netCDF's own layers must read it.
    TraceError
        Without the file's name: if it has a group within a group, or is larger unpacked than any fit.
    OSError
        If it is no HDF5 file.
    """
    import h5py
    import xarray as xr

    with h5py.File(file, "r") as raw:
        check_nesting(raw)
        attributes = _attributes(raw)
        if not isinstance(attributes.get(attribute), str):
            return None
        groups = {name: item for name, item in raw.items() if isinstance(item, h5py.Group)}
        if len(groups) != len(raw):
            raise Unusual("variables outside groups")
        stored = {name: _variables(group) for name, group in groups.items()}
        check_bytes(
            sum(item.size * item.dtype.itemsize for items in stored.values() for item in items.values())
        )
        found = {name: _dataset(groups[name], items) for name, items in stored.items()}
    tree = xr.DataTree.from_dict({name: xr.decode_cf(dataset).load() for name, dataset in found.items()})
    tree.attrs = attributes
    return tree


def check_nesting(raw: h5py.File) -> None:
    """Refuse a file with groups inside its groups: no fit writes them, and a group that holds itself has no end.

    Parameters
    ----------
    raw : h5py.File

    Raises
    ------
    TraceError
        Without the file's name.
    """
    import h5py

    for name, group in raw.items():
        if not isinstance(group, h5py.Group):
            continue
        inside = next((n for n in group if group.get(n, getclass=True) is h5py.Group), None)
        if inside is not None:
            raise TraceError(f"its group {name!r} holds another one, {inside!r}; {DAMAGED}")


def _variables(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Give a group's variables, dimensions without values left out."""
    found = {}
    for name, item in group.items():
        if not hasattr(item, "shape") or item.shape is None or item.dtype.kind not in "fiuO":
            raise Unusual(f"{name} is no array of numbers or text")
        if not bytes(item.attrs.get("NAME", b"")).startswith(NO_VARIABLE):
            found[name] = item
    return found


def _dataset(group: h5py.Group, items: dict[str, h5py.Dataset]) -> xr.Dataset:
    """Read variables as they are stored."""
    import xarray as xr

    variables: dict[str, Any] = {}
    named: dict[Any, str] = {}
    for name, item in items.items():
        attributes = _attributes(item)
        fill = attributes.get("_FillValue")
        if item.dtype.kind == "f" and fill is not None and np.isnan(fill):
            del attributes["_FillValue"]  # what is no number stays none
        dims = _dims(group, item, named)
        values = item.asstr()[()] if item.dtype.kind == "O" else item[()]
        if item.dtype.kind == "O" and dims == (name,):
            values = values.astype(str)  # names along a dimension are an index
        variables[name] = (dims, values, attributes)
    return xr.Dataset(variables, attrs=_attributes(group))


def _dims(group: h5py.Group, item: h5py.Dataset, named: dict[Any, str]) -> tuple[str, ...]:
    """Name the dimensions of a variable: what it refers to, or itself."""
    import h5py

    if "DIMENSION_LIST" not in item.attrs:
        if item.ndim == 1 and bytes(item.attrs.get("CLASS", b"")) == b"DIMENSION_SCALE":
            return (item.name.rsplit("/", 1)[-1],)
        if item.ndim:
            raise Unusual(f"{item.name} has no named dimensions")
        return ()
    dims = []
    for references in item.attrs["DIMENSION_LIST"]:
        if len(references) != 1:
            raise Unusual(f"{item.name} has a dimension of several names")
        where = h5py.h5o.get_info(h5py.h5r.dereference(references[0], item.id)).addr
        if where not in named:
            named[where] = group.file[references[0]].name.rsplit("/", 1)[-1]
        dims.append(named[where])
    return tuple(dims)


def _attributes(item: Any) -> dict[str, Any]:
    """Read what is said of a file, a group or a variable."""
    found = {}
    for name in item.attrs:
        if name in HIDDEN:
            continue
        value = item.attrs[name]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "surrogateescape")
        if isinstance(value, np.ndarray) and value.shape == (1,):
            value = value[0]
        found[name] = value
    return found
