"""What the terminal gets: no control characters from files or servers, and nothing between a table's rows."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from bayes_sd.errors import masked, visible

_SUSPICIOUS = re.compile(r"[^\n\t -~\u00a0-\u1fff\u2010-\u2027\u2030-\u205f\u2070-\ufefe\uff00-\U0010ffff]")


class Shown:
    """Standard output that shows control characters instead of sending them, and masks secrets.

    Where a result itself went to standard output (``--output -``), words for a reader go to standard error instead.

    Parameters
    ----------
    stream : text file
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        files = sys.modules.get("bayes_sd.files")
        stream = sys.stderr if files is not None and 1 in files.streamed else self._stream
        text = masked(text)
        if _SUSPICIOUS.search(text):
            text = "\n".join(visible(line) for line in text.split("\n"))
        return stream.write(text)

    def write_styled(self, text: str) -> int:
        """Write text whose control characters are the program's own: colour and weight of letters, of words made safe before."""
        files = sys.modules.get("bayes_sd.files")
        return (sys.stderr if files is not None and 1 in files.streamed else self._stream).write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def shown_output() -> Iterator[None]:
    """Put :class:`Shown` before standard output for a while."""
    files = sys.modules.get("bayes_sd.files")
    if files is not None:
        files.streamed.clear()  # of an earlier command in this process
    before = sys.stdout
    sys.stdout = Shown(before)
    try:
        yield
    finally:
        sys.stdout = before
