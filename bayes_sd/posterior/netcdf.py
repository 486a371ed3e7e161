"""Reads the netCDF-4 files that fits write: groups of plain arrays, straight from HDF5.

xarray reads any netCDF file, at four times the time: it looks every variable's dims up again for each of its properties. Fits
write few kinds of array, which are named here; a file with another kind is no fit's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import TraceError
from bayes_sd.posterior.validate import DAMAGED, MOST_BYTES

if TYPE_CHECKING:
    import h5py
    import xarray as xr

OWN = (
    "CLASS",
    "NAME",
    "REFERENCE_LIST",
    "DIMENSION_LIST",
    "_Netcdf4Coordinates",
    "_Netcdf4Dimid",
    "_NCProperties",
)
"""Attributes by which the format keeps its books."""
ENCODING = ("_FillValue", "dtype")
"""Attributes that say how an array is written."""
WITHOUT_NAMES = b"This is a netCDF dimension but not a netCDF variable"
"""How the name of a dim begins that has a length alone."""


def read_groups(path: Path, attribute: str) -> xr.DataTree | None:
    """Read all groups of a file into memory.

    Parameters
    ----------
    path : Path
    attribute : str
        Name of the attribute that its kind of file has, a text.

    Returns
    -------
    DataTree or None
        None where it has no such attribute.

    Raises
    ------
    TraceError
        If it holds what no fit writes: a link, a group in a group, an array of another kind, or more than fits have.
    OSError, RuntimeError, KeyError, ValueError, TypeError
        If it is no such file, or a damaged one.
    """
    import h5py
    import xarray as xr

    with h5py.File(path, "r") as raw:
        _refuse_elsewhere(raw)
        groups = {name: item for name, item in raw.items() if isinstance(item, h5py.Group)}
        for name, group in groups.items():
            _refuse_elsewhere(group)
            _refuse_nested(name, group)
        attributes = _attributes(raw)
        if not isinstance(attributes.get(attribute), str):
            return None
        size = sum(_bytes(item) for group in (raw, *groups.values()) for item in _arrays(group).values())
        if size > MOST_BYTES:
            raise TraceError(f"its groups unpack to {size / 2**30:,.0f} GiB; {DAMAGED}")
        found = {name: _dataset(group) for name, group in groups.items()}
        top = _dataset(raw)
    return xr.DataTree.from_dict({"/": top.assign_attrs(attributes), **found})


def _refuse_elsewhere(group: h5py.Group) -> None:
    """Refuse what stands in another file, or in another place of this one: links, and values stored outside."""
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise TraceError(f"its {name!r} is a link to another place; {DAMAGED}")
        item = group[name] if group.get(name, getclass=True) is h5py.Dataset else None
        if item is not None and (item.external or item.is_virtual):
            raise TraceError(f"its {name!r} is stored in another file; {DAMAGED}")


def _refuse_nested(name: str, group: h5py.Group) -> None:
    """Refuse a group inside a group: no fit writes one, and a group that holds itself has no end."""
    import h5py

    inside = next((n for n in group if group.get(n, getclass=True) is h5py.Group), None)
    if inside is not None:
        raise TraceError(f"its group {name!r} holds another one, {inside!r}; {DAMAGED}")


def _arrays(group: h5py.Group) -> dict[str, h5py.Dataset]:
    import h5py

    return {name: item for name, item in group.items() if isinstance(item, h5py.Dataset)}


def _bytes(array: h5py.Dataset) -> int:
    return int(array.size) * int(array.dtype.itemsize)


def _dataset(group: h5py.Group) -> xr.Dataset:
    """Read the arrays of a group, with their dims and what the file says of them."""
    import xarray as xr

    arrays = _arrays(group)
    # By address in the file: references lead there, and asking an object for its name takes long.
    names = {_address(item): name for name, item in arrays.items()}
    kept = {}
    for name, item in arrays.items():
        about = item.attrs
        scale = about.get("CLASS") == b"DIMENSION_SCALE"
        if scale and bytes(about.get("NAME", b"")).startswith(WITHOUT_NAMES):
            continue
        dims = (name,) if scale else _dims(group, item, about.get("DIMENSION_LIST"), names)
        kept[name] = xr.Variable(dims, _values(name, item, about), _attributes(item))
    coords = {name: variable for name, variable in kept.items() if variable.dims == (name,)}
    others = {name: variable for name, variable in kept.items() if name not in coords}
    return xr.Dataset(others, coords, _attributes(group) if group.name != "/" else None)


def _address(item: h5py.Dataset) -> Any:
    import h5py

    return h5py.h5o.get_info(item.id).addr


def _dims(group: h5py.Group, item: h5py.Dataset, listed: Any, names: dict[Any, str]) -> tuple[str, ...]:
    """Name the dims of an array by the references to them."""
    if listed is None:
        if item.ndim:
            raise TraceError(f"its array {item.name} names no dims; {DAMAGED}")
        return ()
    return tuple(names[_address(group[references[0]])] for references in listed)


def _values(name: str, item: h5py.Dataset, about: h5py.AttributeManager) -> np.ndarray:
    """Read an array of numbers, of yes and no, or of texts."""
    import h5py

    if h5py.check_string_dtype(item.dtype) is not None:
        texts = np.asarray(item.asstr()[()], dtype=object)
        return texts.astype(str) if texts.size else texts
    fill = about.get("_FillValue")
    if item.dtype.kind not in "fiu" or (fill is not None and not np.isnan(fill).all()):
        raise TraceError(f"its array {name} is of a kind that no fit writes; {DAMAGED}")
    values = np.asarray(item[()])
    # Other programs copy a file in the byte order of their machine.
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return values.astype(bool) if about.get("dtype") == "bool" else values


def _attributes(item: Any) -> dict[str, Any]:
    """Give what a file says of a group or an array, the format's own books and encoding left out."""
    found = {name: item.attrs[name] for name in item.attrs if name not in (*OWN, *ENCODING)}
    return {n: v[0] if isinstance(v, np.ndarray) and v.shape == (1,) else v for n, v in found.items()}
