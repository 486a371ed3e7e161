"""How an answer stands on the terminal: sentences first, then tables that fit, then what to mind.

Nothing is wider than :data:`WIDTH` columns and no cell is cut. Colour and weight only help: a pipe, a file and a terminal under
``NO_COLOR`` get the same words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

from bayes_sd.errors import masked, visible

WIDTH = 80
"""Columns at most; a narrower terminal gets folded cells."""
NARROWEST = 40


class Page:
    """Collects what a command says and prints it at once.

    Parameters
    ----------
    explain : bool
        Whether :meth:`more` is said.
    """

    def __init__(self, explain: bool = False) -> None:
        from rich.console import Console

        self._explain = explain
        self._text = StringIO()
        terminal = bool(sys.stdout.isatty())
        width = min(Console().width, WIDTH) if terminal else WIDTH
        self._console = Console(
            file=self._text, width=max(width, NARROWEST), force_terminal=terminal, highlight=False
        )

    def answer(self, *sentences: str) -> None:
        """Say what the reader came for."""
        self._paragraph(" ".join(sentences), style="bold")

    def say(self, *sentences: str) -> None:
        """Say sentences, a paragraph."""
        if sentences:
            self._paragraph(" ".join(sentences))

    def lines(self, *lines: str, style: str = "") -> None:
        """Say lines, each by itself; those that are too long go on indented."""
        from rich.padding import Padding
        from rich.text import Text

        for line in lines:
            text = Text(_safe(line), style=style)
            wrapped = text.wrap(self._console, self._console.width - 2)
            for i, part in enumerate(wrapped):
                part.rstrip()
                self._console.print(Padding(part, (0, 0, 0, 2 if i else 0)), overflow="fold")

    def as_is(self, line: str) -> None:
        """Say a line that is to be copied: whole, however long it is."""
        self._text.write(_safe(line) + "\n")

    def gap(self) -> None:
        """Leave a line blank."""
        self._console.print()

    def table(self, title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> None:
        """Say a table: the first column to the right unless `left` columns stand to the left."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        self.gap()
        if title:
            self._paragraph(title, style="underline")
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
        for i, head in enumerate(heads):
            numeric = i >= left
            table.add_column(
                Text(_safe(head)), justify="right" if numeric else "left", overflow="fold", no_wrap=False
            )
        for row in rows:
            table.add_row(*[Text(_safe(cell)) for cell in row])
        self._console.print(table)

    def notes(self, title: str, sentences: Sequence[str], most: int | None = None) -> None:
        """Say points, each after a dash; nothing where there are none, and the rest of more than `most` with ``--explain``."""
        if not sentences:
            return
        self.gap()
        self._paragraph(title, style="bold")
        whole = most is None or self._explain or len(sentences) <= most
        for sentence in sentences if whole else sentences[:most]:
            self.lines(f"- {sentence}")
        if not whole:
            self.lines(f"- {len(sentences) - (most or 0)} more with --explain.")

    def more(self, title: str, sentences: Sequence[str]) -> None:
        """Say points that only ``--explain`` asks for."""
        if self._explain:
            self.notes(title, sentences)

    def print(self) -> None:
        """Print the page."""
        text = "\n".join(line.rstrip() for line in self._text.getvalue().rstrip().split("\n"))
        send: Any = getattr(sys.stdout, "write_styled", sys.stdout.write)
        send(text + "\n")

    def _paragraph(self, text: str, style: str = "") -> None:
        from rich.text import Text

        self._console.print(Text(_safe(text), style=style), overflow="fold")


def _safe(text: str) -> str:
    """Mask secrets and show control characters of names that come from files and servers."""
    return visible(masked(str(text)))
