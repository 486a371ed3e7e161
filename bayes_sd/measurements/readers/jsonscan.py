"""Walks the top level of JSON documents of any size, decoding only the members that are asked for.

Benchmark tools write one object with a few hundred small members and some arrays with a number for every
token. Passing over those arrays without building them keeps memory bounded by what is kept, and is faster
than parsing them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bayes_sd.errors import DataError
from bayes_sd.loading import parse_json
from bayes_sd.measurements.readers.packed import open_binary

CHUNK_BYTES = 1 << 22
MOST_VALUE_BYTES = 64 << 20
"""Of one text, or of one member that is decoded; arrays that are passed over may be longer."""

STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
# Everything up to and including the next string or bracket; possessive, so that a long array is walked once.
STEP = re.compile(rb'[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}])', re.DOTALL)
SPACE = re.compile(rb"[ \t\r\n]*+")
WORD = re.compile(rb"[^\s,\]}]++")
OPEN, CLOSE, QUOTE = frozenset(b"[{"), frozenset(b"]}"), 0x22


def object_end(text: bytes, start: int = 0) -> int | None:
    """Find where the object or array that begins at `start` ends.

    Parameters
    ----------
    text : bytes
        JSON text.
    start : int
        Index of its opening bracket.

    Returns
    -------
    int or None
        Index after its closing bracket; None if the text ends before.
    """
    depth, at = 0, start
    while step := STEP.match(text, at):
        at = step.end()
        depth += _nesting(text[at - 1])
        if depth == 0:
            return at
    return None


def decode(text: bytes, where: str) -> object:
    """Decode a JSON value; `NaN` and `Infinity`, which some tools write, are taken as Python writes them.

    Parameters
    ----------
    text : bytes
        One JSON value.
    where : str
        File and member, for the message.

    Returns
    -------
    object
        dict, list, str, float, int, bool or None.

    Raises
    ------
    DataError
        If it is not JSON.
    """
    return parse_json(text, where)


class Document:
    """One top-level object of a file: iterate over its keys, and take the value of those that matter.

    A value that is not taken before the next key is passed over without being built.
    """

    def __init__(self, text: _Text) -> None:
        self._text = text
        self._pending = False

    def __iter__(self) -> Iterator[str]:
        text = self._text
        text.expect(b"{")
        if text.peek() == b"}":
            text.at += 1
            return
        while True:
            text.peek()
            raw = text.whole(STRING)
            if raw is None:
                raise text.broken("a key")
            self._key = str(decode(raw, str(text.path)))
            text.expect(b":")
            self._pending = True
            yield self._key
            if self._pending:
                self._pass_over()
            mark = text.peek()
            text.at += 1
            if mark == b"}":
                return
            if mark != b",":
                raise text.broken("a comma or the end of the object")

    def value(self) -> object:
        """Decode the value of the key last given.

        Returns
        -------
        object
            As from :func:`decode`.

        Raises
        ------
        DataError
            If it is not JSON, or the file ends in it.
        """
        self._text.peek()
        self._text.keep = self._text.at
        self._pass_over()
        raw = bytes(self._text.buffer[self._text.keep : self._text.at])
        self._text.keep = None
        return decode(raw, f"{self._text.path}, key {self._key!r}")

    def elements(self) -> Iterator[object]:
        """Decode the elements of the key last given one by one, if it holds an array.

        Yields
        ------
        object
            As from :func:`decode`; nothing where the value is no array.

        Raises
        ------
        DataError
            If it is not JSON, or the file ends in it.
        """
        if self._text.peek() != b"[":
            return
        self._pending = False
        yield from _elements(self._text, f"{self._text.path}, key {self._key!r}")

    def _pass_over(self) -> None:
        self._pending = False
        self._text.pass_over()


def _elements(text: _Text, where: str) -> Iterator[object]:
    """Decode the elements of the array that comes next: many at once where they are numbers or lists of them."""
    for _ in _places(text):
        if (several := _batch(text)) is not None:
            yield from several
            continue
        text.keep = text.at
        text.pass_over()
        raw = bytes(text.buffer[text.keep : text.at])
        text.keep = None
        yield decode(raw, where)


def _batch(text: _Text) -> list[object] | None:
    """Decode the elements that stand whole in the buffer and hold no text, and step over them; None where there are none.

    They end where a list does, or a number. Cut anywhere else, or behind the array's own end, brackets would not be in
    pairs, and the text no list.
    """
    import orjson

    quote = text.buffer.find(b'"', text.at)
    if quote >= 0:
        return None
    end = text.buffer.rfind(b"],", text.at) + 1 or text.buffer.rfind(b",", text.at)
    if end <= text.at:
        return None
    try:
        values: list[object] = orjson.loads(b"[" + text.buffer[text.at : end] + b"]")
    except orjson.JSONDecodeError:
        return None
    text.at = end
    return values


def _places(text: _Text) -> Iterator[None]:
    """Stop before each element of the array that comes next; whoever asks must step over it."""
    text.expect(b"[")
    if text.peek() == b"]":
        text.at += 1
        return
    while True:
        text.peek()
        yield
        mark = text.peek()
        text.at += 1
        if mark == b"]":
            return
        if mark != b",":
            raise text.broken("a comma or the end of the list")


def documents(path: Path) -> Iterator[Document]:
    """Give the top-level objects of a file one by one: one JSON text, a list, JSON lines, or texts put end to end.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    Document
        To be iterated over before the next one is asked for.

    Raises
    ------
    DataError
        If the file cannot be read, is cut short, or holds something else.
    """
    with open_binary(path) as handle:
        text = _Text(path, handle)
        while start := text.peek(at_end_ok=True):
            if start == b"[":
                for _ in _places(text):
                    yield Document(text)
            else:
                yield Document(text)


def members(path: Path, drop: frozenset[str] = frozenset()) -> Iterator[dict[str, object]]:
    """Decode the top-level objects of a file, leaving out some members unread.

    Parameters
    ----------
    path : Path
        The file.
    drop : frozenset of str
        Keys whose values are passed over.

    Yields
    ------
    dict
        One for each object.

    Raises
    ------
    DataError
        As :func:`documents`.
    """
    for document in documents(path):
        yield {key: document.value() for key in document if key not in drop}


class _Text:
    """A window onto the file: `buffer[at:]` is unread; what lies before `keep` (or `at`) may be let go."""

    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self.path, self._handle = path, handle
        self.buffer, self.at, self.keep = b"", 0, None  # type: bytes, int, int | None
        self._gone = 0

    def more(self) -> bool:
        start = self.at if self.keep is None else self.keep
        held = len(self.buffer) - start
        if held > MOST_VALUE_BYTES:
            raise DataError(
                f"{self.path}: a value of more than {MOST_VALUE_BYTES >> 20} MiB at byte {self._gone + start}; "
                "is it the right file?"
            )
        # As much again as is held: what is held is copied and looked through a few times at most, however long it gets.
        chunk = self._handle.read(max(CHUNK_BYTES, held))
        if not chunk:
            return False
        self.buffer = self.buffer[start:] + chunk
        self._gone += start
        self.at -= start
        if self.keep is not None:
            self.keep = 0
        return True

    def peek(self, at_end_ok: bool = False) -> bytes:
        """Step over white space and give the next byte; at the end of the file b"", or an error."""
        while True:
            space = SPACE.match(self.buffer, self.at)
            self.at = space.end() if space else self.at
            if self.at < len(self.buffer):
                return self.buffer[self.at : self.at + 1]
            if not self.more():
                if at_end_ok:
                    return b""
                raise self.cut_short()

    def expect(self, mark: bytes) -> None:
        if self.peek() != mark:
            raise self.broken(repr(mark.decode()))
        self.at += 1

    def whole(self, pattern: re.Pattern[bytes], closed: bool = True) -> bytes | None:
        """Take one match; a word (not `closed`) must end before the buffer: it may go on in the next one."""
        while True:
            found = pattern.match(self.buffer, self.at)
            if found and (closed or found.end() < len(self.buffer)):
                self.at = found.end()
                return found.group()
            if not found and self.buffer[self.at] != QUOTE:
                return None
            if not self.more():
                raise self.cut_short()

    def pass_over(self) -> None:
        """Step over one value."""
        first = self.peek()
        if first in (b"{", b"["):
            self.container()
        elif self.whole(STRING if first == b'"' else WORD, closed=first == b'"') is None:
            raise self.broken("a value")

    def container(self) -> None:
        depth = 0
        while True:
            step = STEP.match(self.buffer, self.at)
            if step is None:
                if not self.more():
                    raise self.cut_short()
                continue
            self.at = step.end()
            depth += _nesting(self.buffer[self.at - 1])
            if depth == 0:
                return

    def cut_short(self) -> DataError:
        size = self._gone + len(self.buffer)
        return DataError(
            f"{self.path}: the JSON is cut short: it ends at byte {size}; fetch or write it again"
        )

    def broken(self, wanted: str) -> DataError:
        return DataError(f"{self.path}: not valid JSON: {wanted} should stand at byte {self._gone + self.at}")


def _nesting(mark: int) -> int:
    return 1 if mark in OPEN else -1 if mark in CLOSE else 0
