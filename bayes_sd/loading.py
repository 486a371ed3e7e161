"""Reads what others wrote: whole files, JSON, TOML and CSV, each by one loader with bounds.

Nothing that is read may take the program down: a file of another kind, without an end, nested a thousand deep, or with
numbers of ten thousand digits is refused in one message. Readers of single formats start from what these loaders give.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import json
import os
import select
import stat
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from bayes_sd.errors import BayesSdError, DataError, shown

MIB = 1 << 20
MOST_BYTES = 64 * MIB
"""Of a file that is read whole."""
MOST_BYTES_TOML = MIB
"""Of a TOML file, which a person writes."""
MOST_DOTS = 10_000_000
"""Of a TOML file, squared for each line and added up."""
MOST_BYTES_YAML = 4 * MIB
"""Of a YAML text: a report of means and percentiles, without its requests."""
MOST_NODES = 1_000_000
"""Values of a YAML text, each counted wherever it is referred to: a few lines of references can stand for more than memory holds."""
MOST_DEPTH = 64
"""Lists and tables inside each other."""
MOST_INTEGER = 2**63 - 1
MOST_CELLS = 5_000_000
"""Of a CSV table."""
MOST_COLUMNS = 1000
"""Of a CSV table: the schema has some 50."""
MOST_FIELD = MIB
"""Characters of a CSV cell."""
BLOCK = 64 << 10
"""Bytes of a stream that are taken at once."""
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


def parse_json(text: str | bytes, where: str, error: Callable[[str], Exception] = DataError) -> Any:
    """Decode a JSON value; ``NaN`` and ``Infinity``, which some tools write, are taken as Python writes them.

    Parameters
    ----------
    text : str or bytes
    where : str
        Place, for the message.
    error : callable
        From a message to what is raised.

    Returns
    -------
    object
        dict, list, str, float, int, bool or None, nested at most :data:`MOST_DEPTH` deep.

    Raises
    ------
    Exception
        What `error` gives, if it is not JSON, or nested or long beyond reason.
    """
    import orjson

    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(text, parse_int=_integer)
        except RecursionError as reason:
            raise error(
                f"{where}: JSON nested more than {MOST_DEPTH} deep; is it the right text?"
            ) from reason
        except UnicodeDecodeError as reason:
            raise error(f"{where}: not valid JSON: not UTF-8 text; write it again") from reason
        except ValueError as reason:
            raise error(f"{where}: not valid JSON: {shown(str(reason))}; write it again") from reason
    _check_depth(value, where, "JSON", error)
    return value


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def load_toml(path: Path, error: Raises = DataError) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : Path
    error : type of BayesSdError

    Returns
    -------
    dict
        Nested at most :data:`MOST_DEPTH` deep; whole numbers are at most 2^63 - 1.

    Raises
    ------
    BayesSdError
        As :func:`read_text`, and if it is no TOML, or has such numbers.
    """
    text = read_text(path, error, MOST_BYTES_TOML)
    # The parser takes the square of the parts of a dotted key, which is on one line.
    if sum(line.count(".") ** 2 for line in text.split("\n")) > MOST_DOTS:
        raise error(f"{path}: TOML with thousands of dots in a line; is it the right file?")
    try:
        content = tomllib.loads(text)
    except RecursionError as reason:
        raise error(f"{path}: TOML nested more than {MOST_DEPTH} deep; is it the right file?") from reason
    except ValueError as reason:
        raise error(f"{path}: not valid TOML: {shown(str(reason))}") from reason
    _check_depth(content, str(path), "TOML", error)
    return content


def parse_yaml(text: bytes, where: str, error: Callable[[str], Exception] = DataError) -> Any:
    """Decode a YAML text of plain values.

    Parameters
    ----------
    text : bytes
        At most :data:`MOST_BYTES_YAML`.
    where : str
        Place, for the message.
    error : callable
        From a message to what is raised.

    Returns
    -------
    object
        Nested at most :data:`MOST_DEPTH` deep, of at most :data:`MOST_NODES` values with references followed.

    Raises
    ------
    Exception
        What `error` gives, if it is no YAML, or nested or long beyond reason.
    """
    import yaml

    if len(text) > MOST_BYTES_YAML:
        raise error(
            f"{where}: too large: more than {MOST_BYTES_YAML // MIB} MiB of YAML; is it the right file?"
        )
    try:
        value = yaml.safe_load(text)
    except RecursionError as reason:
        raise error(f"{where}: YAML nested more than {MOST_DEPTH} deep; is it the right file?") from reason
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as reason:
        raise error(f"{where}: not valid YAML: {shown(str(reason))}") from reason
    _check_depth(value, where, "YAML", error)
    return value


def _check_depth(value: Any, where: str, form: str, error: Callable[[str], Exception]) -> None:
    """Refuse deep nesting, in TOML the long integers that its standard forbids, in YAML too many values; without recursion."""
    level, depth, nodes = [value], 0, 0
    while level:
        depth += 1
        nodes += len(level)
        if form == "YAML" and nodes > MOST_NODES:
            raise error(
                f"{where}: YAML of more than {MOST_NODES:,} values, references followed; is it the right file?"
            )
        if depth > MOST_DEPTH + 1:
            raise error(f"{where}: {form} nested more than {MOST_DEPTH} deep; is it the right file?")
        # A list of a number for every token has nothing below, which its types say at once.
        if form == "JSON" and not {dict, list} & set(map(type, level)):
            return
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, int) and form == "TOML" and abs(item) > MOST_INTEGER:
                raise error(f"{where}: a whole number of {item.bit_length()} bits: 63 are the most")
        level = below


def csv_rows(path: Path, error: Raises = DataError) -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a CSV file as text.

    Parameters
    ----------
    path : Path
        Comma-separated, UTF-8; a byte order mark is allowed.
    error : type of BayesSdError

    Yields
    ------
    line : int
        Of the file, from 1; the last one of a row that spans several.
    cells : list of str
        Blanks round them removed.

    Raises
    ------
    BayesSdError
        As :func:`open_input`, and if it is no such text, or has more columns or cells than a table can have.
    """
    cells = 0
    with open_input(path, error) as handle, _csv_limit():
        text = io.TextIOWrapper(handle, encoding="utf-8-sig", newline="")
        reader = csv.reader(
            _of_bounded_length(bounded_lines(text, str(path), error), path, error), strict=True
        )
        try:
            for row in reader:
                cells += len(row)
                if len(row) > MOST_COLUMNS or cells > MOST_CELLS:
                    raise error(
                        f"{path}, line {reader.line_num}: more than {MOST_COLUMNS} columns or {MOST_CELLS:,} cells; "
                        "keep the columns that are needed"
                    )
                yield reader.line_num, [cell.strip() for cell in row]
        except OSError as reason:
            raise error(f"{path}: cannot be read: {reason.strerror}") from reason
        except UnicodeDecodeError as reason:
            raise error(f"{path}: not UTF-8 text: save it as CSV in UTF-8") from reason
        except csv.Error as reason:
            raise error(f"{path}, line {reader.line_num}: not a CSV table: {reason}") from reason


def csv_line(line: str, where: str, error: Raises = DataError) -> list[str]:
    """Take one line of CSV apart.

    Parameters
    ----------
    line : str
    where : str
        Place, for the message.
    error : type of BayesSdError

    Returns
    -------
    list of str
        Blanks round the cells removed; empty for a blank line.

    Raises
    ------
    BayesSdError
        If it is no such line, or too long.
    """
    try:
        with _csv_limit():
            row = next(csv.reader([line], strict=True), [])
    except csv.Error as reason:
        raise error(f"{where}: not a line of CSV: {reason}") from reason
    if len(row) > MOST_COLUMNS:
        raise error(f"{where}: more than {MOST_COLUMNS} cells; keep the columns that are needed")
    return [cell.strip() for cell in row]


def bounded_lines(stream: Any, where: str, error: Raises = DataError) -> Iterator[str]:
    """Give the lines of a stream of text, none longer than :data:`MOST_FIELD`.

    Parameters
    ----------
    stream : text file, or iterable of str
    where : str
        Name of the stream, for the message.
    error : type of BayesSdError

    Yields
    ------
    str

    Raises
    ------
    BayesSdError
        If a line is longer, or the stream is no text.
    """
    if not hasattr(stream, "readline"):
        yield from stream
        return
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(MOST_FIELD + 1)
        except UnicodeDecodeError as reason:
            raise error(f"{where}, line {number}: not UTF-8 text") from reason
        if len(line) > MOST_FIELD:
            raise error(f"{where}, line {number}: longer than {MOST_FIELD:,} characters; is it text?")
        if not line:
            return
        yield line


def line_blocks(stream: Any, where: str, error: Raises = DataError) -> Iterator[list[str]]:
    """Give the lines of a stream of text as they arrive, those together that are there already.

    Parameters
    ----------
    stream : text file, or iterable of str
        A line by itself where it is no file.
    where : str
        Name of the stream, for the message.
    error : type of BayesSdError

    Yields
    ------
    list of str

    Raises
    ------
    BayesSdError
        As :func:`bounded_lines`.
    """
    source: Any = getattr(stream, "buffer", None)
    if source is None or not hasattr(source, "read1"):
        for line in bounded_lines(stream, where, error):
            yield [line]
        return
    decoder, rest, number = codecs.getincrementaldecoder("utf-8-sig")(), "", 0
    more = True
    while more:
        found = source.read1(BLOCK)
        more = bool(found)
        try:
            *lines, rest = (rest + decoder.decode(found, final=not more)).split("\n")
        except UnicodeDecodeError as reason:
            raise error(f"{where}, after line {number}: not UTF-8 text") from reason
        if not more and rest:
            lines.append(rest)
        if max(map(len, (rest, *lines))) > MOST_FIELD:
            raise error(f"{where}, after line {number}: longer than {MOST_FIELD:,} characters; is it text?")
        number += len(lines)
        if lines:
            yield lines


def _of_bounded_length(lines: Iterator[str], path: Path, error: Raises) -> Iterator[str]:
    length = 0
    for line in lines:
        length += len(line)
        if length > 4 * MOST_BYTES:
            raise error(f"{path}: too large: more than {4 * MOST_BYTES // MIB} MiB; is it the right file?")
        yield line


@contextlib.contextmanager
def _csv_limit() -> Iterator[None]:
    """Allow cells as long as lines may be; the module's own bound, 131,072 characters, is the whole program's."""
    before = csv.field_size_limit(MOST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
