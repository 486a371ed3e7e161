"""Opens files, pipes and devices for reading, and reads whole ones, within bounds of size and waiting."""

from __future__ import annotations

import io
import os
import select
import stat
from pathlib import Path
from typing import BinaryIO

from bayes_sd.errors import BayesSdError, DataError

MIB = 1 << 20
MOST_BYTES = 64 * MIB
"""Of a file that is read whole."""
SILENCE_S = 10.0
"""Longest wait for a pipe to say something more."""

Raises = type[BayesSdError]


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is a plain file, a pipe or a device of that name; False for names that none can have."""
    return os.path.exists(path) and not os.path.isdir(path)


def open_input(path: Path, error: Raises = DataError) -> BinaryIO:
    """Open a file for reading; what comes through a pipe or a device is read into memory first, bounded.

    Parameters
    ----------
    path : Path
    error : type of BayesSdError
        What to raise.

    Returns
    -------
    binary file
        At its start; it can be wound back.

    Raises
    ------
    BayesSdError
        If there is no such file, it is a folder, a socket or a disk, may not be read, or does not end.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError as reason:
        raise error(f"{path}: no such file") from reason
    except ValueError as reason:
        raise error(f"{path}: no such file: a name cannot hold the character NUL") from reason
    except OSError as reason:
        raise error(f"{path}: cannot be read: {reason.strerror}") from reason
    mode = os.fstat(handle).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        os.close(handle)
        raise error(f"{path}: is a {'folder' if stat.S_ISDIR(mode) else 'disk or socket'}; name a file")
    source = io.FileIO(handle)
    if stat.S_ISREG(mode):
        return io.BufferedReader(source)
    with source:
        return io.BytesIO(_drained(path, source, error))


def _drained(path: Path, source: io.RawIOBase, error: Raises) -> bytes:
    """Read a pipe or a device to its end."""
    found = bytearray()
    while True:
        if not select.select([source], [], [], SILENCE_S)[0]:
            raise error(f"{path}: nothing came through the pipe for {SILENCE_S:g} s; write the file first")
        block = source.read(MIB)
        if block == b"":
            return bytes(found)
        found += block or b""  # None: another reader was faster
        if len(found) > MOST_BYTES:
            raise error(f"{path}: more than {MOST_BYTES // MIB} MiB through a pipe or device; name a file")


def read_bytes(path: Path, error: Raises = DataError, most: int = MOST_BYTES) -> bytes:
    """Read a whole file.

    Parameters
    ----------
    path : Path
    error : type of BayesSdError
    most : int
        Bytes.

    Returns
    -------
    bytes

    Raises
    ------
    BayesSdError
        As :func:`open_input`, and if it is larger than allowed.
    """
    with open_input(path, error) as handle:
        try:
            found = handle.read(most + 1)
        except OSError as reason:
            raise error(f"{path}: cannot be read: {reason.strerror}") from reason
    if len(found) > most:
        raise error(f"{path}: too large: more than {most // MIB} MiB; is it the right file?")
    return found


def read_text(path: Path, error: Raises = DataError, most: int = MOST_BYTES) -> str:
    """Read a whole text in UTF-8; a byte order mark is left out.

    Parameters
    ----------
    path : Path
    error : type of BayesSdError
    most : int
        Bytes.

    Returns
    -------
    str

    Raises
    ------
    BayesSdError
        As :func:`read_bytes`, and if it is no such text.
    """
    try:
        return read_bytes(path, error, most).decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise error(f"{path}: not UTF-8 text: save it in UTF-8") from reason
