"""Where the shipped cards and tables are, and how a file is written without harming what stood there."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bayes_sd.errors import BayesSdError, CardError, DataError, OutputError

ShippedKind = Literal["models", "data"]

_MISSING: dict[str, type[BayesSdError]] = {"models": CardError, "data": DataError}


def shipped(kind: ShippedKind) -> Path:
    """Give the folder of the cards or the tables that come with the package.

    An installed wheel carries them inside the package, a checkout has them at its top level. The wheel's
    place is looked at first: the folder above an installed package is ``site-packages``, where a stranger's
    ``data`` may be.

    Parameters
    ----------
    kind : {"models", "data"}
        Family and hardware cards, or measurement tables.

    Returns
    -------
    Path
        An existing folder.

    Raises
    ------
    CardError, DataError
        If neither place has the folder (a damaged installation).
    """
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / kind
    if inside.is_dir():
        return inside
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    raise _MISSING[kind](
        f"the shipped folder {kind!r} is in neither {inside} nor {checkout}: install bayes_sd again"
    )


def write_atomically(path: str | os.PathLike[str], writer: Callable[[Path], object]) -> Path:
    """Write a file beside its destination, flush it to disk, and rename it into place.

    Whatever goes wrong, the destination holds either all of the new content or exactly what it held before,
    and no half-written file is left behind. A missing last folder of `path` is made; one further up is
    taken for a typing error.

    Parameters
    ----------
    path : path-like
        Destination. A symbolic link is followed, so the link itself survives.
    writer : callable
        Called once with the path of an empty file beside the destination, with the same suffix; must fill it.

    Returns
    -------
    Path
        The destination.

    Raises
    ------
    OutputError
        If the operating system refuses (no folder, no permission, disk full, destination is a folder).
        Errors of `writer` other than OSError pass through unchanged.
    """
    given = Path(path)
    target = given.resolve()
    if target.is_dir():
        raise OutputError(f"cannot write {given}: it is a folder; name a file")
    # A random name and mode "x": two runs that write the same destination never share a temporary file.
    beside = target.with_name(f".{target.stem}.{secrets.token_hex(4)}.part{target.suffix}")
    try:
        target.parent.mkdir(exist_ok=True)
        beside.open("xb").close()
        writer(beside)
        _flush(beside)
        os.replace(beside, target)
    except OSError as error:
        raise OutputError(f"cannot write {given}: {_reason(error)}; {_remedy(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # some file systems cannot flush a folder; the content is safe already
        _flush(target.parent)
    return target


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).splitlines()[0]


def _remedy(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "make the folder first"
    if isinstance(error, PermissionError):
        return "choose a place that you may write to"
    return "choose another place or make room there"


def check_writable(path: str | Path) -> None:
    """Find out before a long computation whether its result can be written.

    Parameters
    ----------
    path : path
        File to be written; its folder is made if its parent exists.

    Raises
    ------
    OutputError
        If it cannot.
    """
    file = Path(path)
    if file.is_dir():
        raise OutputError(f"{file}: is a folder; give a file name with --output")
    try:
        file.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise OutputError(f"{file}: cannot be written ({error.strerror}); choose another --output") from error
