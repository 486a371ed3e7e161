"""Opens benchmark files, and names those that no reader takes as they stand: packed ones, text in another encoding."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from bayes_sd.errors import DataError
from bayes_sd.loading import exists, open_input

UTF_16 = "is UTF-16 text, as a Windows shell redirects it: save it as UTF-8"
WRITTEN_FIRST = b"{[#-\r\n \t" + bytes(range(ord("A"), ord("z") + 1))
"""What JSON, YAML, CSV and metrics begin with; a byte of zero beside it is no text of one byte a letter."""
PACKED = (
    (b"\x1f\x8b", "is compressed with gzip: unpack it first (gunzip)"),
    (b"PK\x03\x04", "is a zip archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it first (unzstd)"),
    (b"BZh", "is compressed with bzip2: unpack it first (bunzip2)"),
    (b"\xfd7zX", "is compressed with xz: unpack it first (unxz)"),
    (b"\x04\x22\x4d\x18", "is compressed with lz4: unpack it first (unlz4)"),
    (b"\xff\xfe\x00\x00", "is UTF-32 text: save it as UTF-8"),
    (b"\x00\x00", "is UTF-32 text or none at all: save it as UTF-8"),
    *((mark, UTF_16) for mark in (b"\xff\xfe", b"\xfe\xff")),
    *((b"%c\x00" % letter, UTF_16) for letter in WRITTEN_FIRST),
    *((b"\x00%c" % letter, UTF_16) for letter in WRITTEN_FIRST),
    (b"PAR1", "is a Parquet file: give the tool's JSON report"),
)
"""First bytes of what no reader reads, and what to do about it."""


def packed_as(start: bytes) -> str:
    """Say what a file is that no reader reads as it stands, and what to do; empty for plain text.

    Parameters
    ----------
    start : bytes
        Its first four bytes.

    Returns
    -------
    str
    """
    return next((what for mark, what in PACKED if start.startswith(mark)), "")


def open_binary(path: Path) -> BinaryIO:
    """Open a benchmark file for reading.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    binary file
        Positioned at its start, after a byte order mark if it has one.

    Raises
    ------
    DataError
        If it is missing, a folder, a pipe or a device, empty, packed, or may not be read.
    """
    if os.path.isdir(path):
        raise DataError(f"{path}: is a folder; name the benchmark files in it")
    if exists(path) and not os.path.isfile(path):
        raise DataError(
            f"{path}: is a pipe or a device, and a benchmark file is read twice: write it to a file"
        )
    handle = open_input(path)
    try:
        start = handle.read(4)
    except OSError as error:
        handle.close()
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not start:
        handle.close()
        raise DataError(f"{path}: the file is empty")
    packed = packed_as(start)
    if packed:
        handle.close()
        raise DataError(f"{path}: {packed}")
    handle.seek(3 if start.startswith(b"\xef\xbb\xbf") else 0)
    return handle
