"""Gives the lines of a text that arrives, none longer than a bound, in memory that does not grow."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any

from bayes_sd.errors import DataError
from bayes_sd.loading.whole import MIB, Raises

MOST_LINE = MIB
"""Characters of a line, and of a cell in it."""
BLOCK = 64 << 10
"""Bytes of a stream that are taken at once."""


def bounded_lines(stream: Any, where: str, error: Raises = DataError) -> Iterator[str]:
    """Give the lines of a stream of text, none longer than :data:`MOST_LINE`.

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
            line = stream.readline(MOST_LINE + 1)
        except UnicodeDecodeError as reason:
            raise error(f"{where}, line {number}: not UTF-8 text") from reason
        if len(line) > MOST_LINE:
            raise error(f"{where}, line {number}: longer than {MOST_LINE:,} characters; is it text?")
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
        if max(map(len, (rest, *lines))) > MOST_LINE:
            raise error(f"{where}, after line {number}: longer than {MOST_LINE:,} characters; is it text?")
        number += len(lines)
        if lines:
            yield lines
