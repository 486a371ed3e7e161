"""Files of fits: a tree of draws with its context in one attribute, written beside and renamed, read whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.errors import ConvergenceError, OutputError, TraceError
from bayes_sd.files import netcdf_content, write_atomically
from bayes_sd.loading import exists
from bayes_sd.posterior.netcdf import read_groups
from bayes_sd.posterior.validate import (
    CHECKSUM,
    DAMAGED,
    check_groups,
    checksum,
    validated_context,
)

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class FileKind:
    """What sets one kind of file apart, and the words that its errors use.

    Attributes
    ----------
    attribute : str
        Name of the attribute that holds the context as JSON.
    version : int
        Newest format that this package reads.
    noun, content : str
        What the file is called, and what is in it.
    command : str
        The command that makes one.
    foreign : str
        What is said of a readable file of another kind.
    remedy : str
        What helps against a fit without convergence.
    """

    attribute: str
    version: int
    noun: str
    content: str
    command: str
    foreign: str
    remedy: str


def write_tree(tree: xr.DataTree, about: dict[str, Any], path: str | Path, kind: FileKind) -> Path:
    """Write a tree and its context as netCDF-4.

    Parameters
    ----------
    tree : DataTree
    about : dict
        Plain values.
    path : path
    kind : FileKind

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the place cannot be written; what stood there stays.
    """
    tree = tree.copy()
    tree.attrs = {kind.attribute: json.dumps(about, sort_keys=True), "format_version": kind.version}
    tree.attrs[CHECKSUM] = checksum(tree)

    try:
        content = netcdf_content(tree)
    except Exception as error:
        raise OutputError(
            f"{path}: cannot write the {kind.content} ({error}); choose another --output"
        ) from error
    return write_atomically(Path(path), lambda beside: beside.write_bytes(content))


def read_tree(path: str | Path, kind: FileKind) -> tuple[xr.DataTree, dict[str, Any]]:
    """Read a tree and its context into memory.

    Parameters
    ----------
    path : path
    kind : FileKind

    Returns
    -------
    tree : DataTree
    about : dict

    Raises
    ------
    TraceError
        If the file is missing, truncated, of another kind, or of a newer format.
    """
    file = Path(path)
    if not exists(file):
        raise TraceError(
            f"{file}: no such {kind.noun}; make one with `uv run bayes_sd {kind.command} --output {file}`"
        )
    if not file.is_file():
        raise TraceError(
            f"{file}: is a pipe or a device, and a {kind.noun} is read in parts: write it to a file first"
        )
    try:
        tree = read_groups(file, kind.attribute)
    except TraceError as error:
        raise TraceError(f"{file}: {error}") from error
    except Exception as error:
        raise TraceError(
            f"{file}: not a readable {kind.noun} ({type(error).__name__}); it may be truncated: fit again"
        ) from error
    if tree is None:
        raise TraceError(f"{file}: {kind.foreign}; give a file that `{kind.command}` wrote")
    try:
        about = validated_context(tree.attrs[kind.attribute], kind.attribute, kind.version)
        check_groups(tree, about)
    except TraceError as error:
        raise TraceError(f"{file}: {error}") from error
    stated = tree.attrs.get(CHECKSUM)
    if CHECKSUM in tree.attrs and not (isinstance(stated, str) and stated == checksum(tree)):
        raise TraceError(f"{file}: its checksum is not that of its contents; {DAMAGED}")
    return tree, about


def require_converged(about: dict[str, Any], path: str | Path, kind: FileKind) -> None:
    """Refuse a fit that did not pass its convergence gate.

    Parameters
    ----------
    about : dict
        With ``gate``.
    path : path
    kind : FileKind

    Raises
    ------
    ConvergenceError
        If the gate was not passed.
    """
    gate = about["gate"]
    if not gate["passed"]:
        raise ConvergenceError(
            f"{Path(path)}: the fit did not pass its convergence gate ({'; '.join(gate['failures'])}); {kind.remedy}"
        )
