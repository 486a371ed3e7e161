"""How an answer stands on the terminal: sentences first, then tables that fit, then what to mind.

Nothing is wider than :data:`WIDTH` columns, no cell is cut, and without ``--explain`` a page has :data:`MOST_LINES` lines: what
may be said shorter gives way until it fits. Colour and weight only help: a pipe, a file and a terminal under ``NO_COLOR`` get the
same words.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from bayes_sd.cli.output import WIDTH, lines_of_files
from bayes_sd.errors import masked, visible

NARROWEST = 40
MOST_LINES = 40
"""Lines of a page at most, with those that say which files were written."""
FEWEST = 3
"""Rows that a table over load keeps."""
MOST_ROWS = 8
"""Rows of a ranked table that are printed."""


@dataclass
class _Block:
    """A part of a page: how it is printed with so many of its points or rows, and how few there may be."""

    write: Callable[[int], None]
    size: int = 0
    least: int = 0


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
        terminal = bool(sys.stdout.isatty())
        width = min(Console().width, WIDTH) if terminal else WIDTH
        self._console = Console(
            file=StringIO(), width=max(width, NARROWEST), force_terminal=terminal, highlight=False
        )
        self._blocks: list[_Block] = []

    def answer(self, *sentences: str) -> None:
        """Say what the reader came for."""
        self._blocks.append(_Block(lambda _: self._paragraph(" ".join(sentences), style="bold")))

    def say(self, *sentences: str) -> None:
        """Say sentences, a paragraph."""
        if sentences:
            self._blocks.append(_Block(lambda _: self._paragraph(" ".join(sentences))))

    def lines(self, *lines: str, style: str = "") -> None:
        """Say lines, each by itself; those that are too long go on indented."""
        self._blocks.append(_Block(lambda _: self._lines(lines, style)))

    def paste(self, head: str, words: Sequence[str], mark: str = "") -> None:
        r"""Say what is to be copied: parts that stay whole, at most a line each, and may go on in the next line.

        Parameters
        ----------
        head : str
            What it is for.
        words : sequence of str
        mark : str
            What ends a line that goes on: ``"\\"`` for a shell's options.
        """
        parts, line = [], head
        for word in words:
            if len(line) + 1 + len(word) + len(mark) > self._console.width and line.strip():
                parts.append(line + mark)
                line = "  " + word
            else:
                line = f"{line} {word}"
        self._blocks.append(_Block(lambda _: self._as_is([*parts, line])))

    def gap(self) -> None:
        """Leave a line blank."""
        self._blocks.append(_Block(lambda _: self._console.print()))

    def table(
        self,
        title: str,
        heads: Sequence[str],
        rows: Iterable[Sequence[str]],
        left: int = 0,
        thin: bool = False,
        rest: str = "",
    ) -> None:
        """Say a table: the first column to the right unless `left` columns stand to the left.

        With `thin`, rows between the first and the last may give way; with `rest`, a sentence with {} for their number, the last ones.
        """
        whole = list(rows)

        def write(count: int) -> None:
            self._console.print()
            if title:
                self._paragraph(title, style="underline")
            self._table(heads, whole[:count] if rest else _evenly(whole, count), left)
            if rest and count < len(whole):
                self._paragraph(rest.format(len(whole) - count))

        shown = min(MOST_ROWS, len(whole)) if rest else len(whole)
        self._blocks.append(_Block(write, shown, min(FEWEST, len(whole)) if thin or rest else len(whole)))

    def notes(self, title: str, sentences: Sequence[str], most: int | None = None) -> None:
        """Say points, each after a dash; nothing where there are none, and the rest of more than `most` with ``--explain``."""
        if not sentences:
            return

        def write(count: int) -> None:
            self._console.print()
            self._paragraph(title, style="bold")
            self._lines([f"- {sentence}" for sentence in sentences[:count]])
            if count < len(sentences):
                self._lines([f"- {len(sentences) - count} more with --explain."])

        total = len(sentences)
        shown = total if most is None or self._explain else min(most, total)
        self._blocks.append(_Block(write, shown, 1 if most is not None else shown))

    def more(self, title: str, sentences: Sequence[str]) -> None:
        """Say points that only ``--explain`` asks for."""
        if self._explain:
            self.notes(title, sentences)

    def print(self) -> None:
        """Print the page; the lines that name the files of its command are reckoned with."""
        sizes, after = [block.size for block in self._blocks], lines_of_files()
        text = self._render(sizes)
        while not self._explain and text.count("\n") + 1 + after > MOST_LINES:
            # What is last on the page matters least.
            shrinkable = [i for i, block in enumerate(self._blocks) if sizes[i] > block.least]
            if not shrinkable:
                break
            sizes[shrinkable[-1]] -= 1
            text = self._render(sizes)
        send: Any = getattr(sys.stdout, "write_styled", sys.stdout.write)
        send(text + "\n")

    def _render(self, sizes: Sequence[int]) -> str:
        self._console.file = StringIO()
        for block, size in zip(self._blocks, sizes, strict=True):
            block.write(size)
        return "\n".join(line.rstrip() for line in self._console.file.getvalue().rstrip().split("\n"))

    def _lines(self, lines: Sequence[str], style: str = "") -> None:
        from rich.padding import Padding
        from rich.text import Text

        for line in lines:
            text = Text(_safe(line), style=style)
            wrapped = text.wrap(self._console, self._console.width - 2)
            for i, part in enumerate(wrapped):
                part.rstrip()
                self._console.print(Padding(part, (0, 0, 0, 2 if i else 0)), overflow="fold")

    def _as_is(self, lines: Sequence[str]) -> None:
        self._console.file.write("".join(_safe(line) + "\n" for line in lines))

    def _table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> None:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
        for i, head in enumerate(heads):
            numeric = i >= left
            table.add_column(
                Text(_safe(head)), justify="right" if numeric else "left", overflow="fold", no_wrap=False
            )
        for row in rows:
            table.add_row(*[Text(_safe(cell)) for cell in row])
        self._console.print(table)

    def _paragraph(self, text: str, style: str = "") -> None:
        from rich.text import Text

        self._console.print(Text(_safe(text), style=style), overflow="fold")


def paste_parts(text: str) -> list[str]:
    """Part JSON in a shell's quotes where a line may end: behind the commas between its items, never within a text."""
    parts, quoted, start = [], False, 0
    for i, letter in enumerate(text):
        quoted ^= letter == '"' and text[i - 1] != "\\"
        if letter == " " and not quoted:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _evenly(rows: list[Sequence[str]], count: int) -> list[Sequence[str]]:
    """Take so many rows, the first and the last among them."""
    if count >= len(rows) or count < 2:
        return rows
    return [rows[round(i * (len(rows) - 1) / (count - 1))] for i in range(count)]


def _safe(text: str) -> str:
    """Mask secrets and show control characters of names that come from files and servers."""
    return visible(masked(str(text)))
