"""What the terminal gets: no control characters from files or servers, and nothing between a table's rows."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from bayes_sd.errors import OutputError, masked, visible

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

STDOUT = "-"
WIDTH = 80
"""Columns at most; a narrower terminal gets folded cells."""
_READ = "bayes_sd.read"
"""Where a command's context has the files that :func:`is_read` noted."""
_SUSPICIOUS = re.compile(
    r"[^\n\t -~\u00a0-\u1fff\u2010-\u2027\u2030-\u205f\u2070-\ud7ff\ue000-\ufefe\uff00-\U0010ffff]"
)


class Shown:
    """Standard output or error that shows control characters instead of sending them, and masks secrets.

    Where a result itself went to standard output (``--output -``), words for a reader go to standard error instead.

    Parameters
    ----------
    stream : text file
    errors : text file
        Standard error.
    """

    def __init__(self, stream: TextIO, errors: TextIO) -> None:
        self._stream, self._errors = stream, errors

    def write(self, text: str) -> int:
        """Write a text."""
        text = masked(text)
        if _SUSPICIOUS.search(text):
            text = "\n".join(visible(line) for line in text.split("\n"))
        return self.plain.write(text)

    def write_styled(self, text: str) -> int:
        """Write text whose control characters are the program's own: colour and weight of letters, of words made safe before."""
        return self.plain.write(text)

    @property
    def plain(self) -> TextIO:
        """Where it writes, as it is: for what moves the cursor itself, such as a bar."""
        files = sys.modules.get("bayes_sd.files")
        return self._errors if files is not None and 1 in files.streamed else self._stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def shown_output() -> Iterator[None]:
    """Put :class:`Shown` before standard output and standard error for a while."""
    files = sys.modules.get("bayes_sd.files")
    if files is not None:
        files.streamed.clear()  # of an earlier command in this process
    before = sys.stdout, sys.stderr
    # A terminal or a pipe of another encoding gets escapes in place of letters that it lacks.
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = (Shown(stream, before[1]) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def plain_errors() -> TextIO:
    """Give standard error as it is, for a bar; words that it shows must be made :func:`~bayes_sd.errors.visible` before."""
    return getattr(sys.stderr, "plain", sys.stderr)


class ToWrite(click.Path):
    """Type of an option that names a file to write: what the option is for is said where it is declared, once.

    Parameters
    ----------
    folder : bool
        A folder to write several files into.
    beside : str
        Suffix of a second file that is written beside it; "" for none.
    """

    def __init__(self, folder: bool = False, beside: str = "") -> None:
        super().__init__(path_type=Path, file_okay=not folder)
        self.beside = beside

    def files(self, path: str | os.PathLike[str]) -> list[Path]:
        """Give all files that are written."""
        return [
            Path(path),
            *([Path(path).with_suffix(self.beside)] if self.beside and Path(path).name else []),
        ]


def tell_written(*paths: str | os.PathLike[str] | None) -> None:
    """Name the files that were written, in one line or as few as they fit; nothing where there are none."""
    if lines := _lines_naming([str(path) for path in paths if path is not None]):
        click.echo("\n".join(lines))


def lines_of_files() -> int:
    """Count the lines in which the running command will name the files that it was asked to write."""
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return 0
    given = [
        (param.type, ctx.params.get(param.name or ""))
        for param in ctx.command.params
        if isinstance(param.type, ToWrite)
    ]
    names = [
        str(file)
        for kind, path in given
        if isinstance(kind, ToWrite) and path is not None
        for file in kind.files(path)
    ]
    return len(_lines_naming(names))


def _lines_naming(names: Sequence[str]) -> list[str]:
    return folded(f"wrote {', '.join(names)}") if names else []


def folded(line: str, width: int = WIDTH) -> list[str]:
    """Break a line at its blanks so that it fits, where a command says single lines and no page."""
    import textwrap

    wrap = textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return wrap or [""]


def is_read(path: str | os.PathLike[str], ctx: click.Context | None) -> None:
    """Note a file that an option reads while it is taken apart, and whose name no parameter has afterwards."""
    if ctx is not None:
        ctx.meta.setdefault(_READ, []).append(path)


def refuse_output_over_input(context: click.Context) -> None:
    """Refuse before anything is computed to write over a file that the same command reads, over another result, or nowhere.

    Parameters
    ----------
    context : click.Context
        Of the command, with its parameters.

    Raises
    ------
    OutputError
    """
    kinds = {p.name: p.type for p in context.command.params}
    taken: dict[object, str] = {}
    read = [value for name, value in context.params.items() if not isinstance(kinds.get(name), ToWrite)]
    for value in [*read, context.meta.get(_READ, ())]:
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, str | os.PathLike) and (place := _place(one)) is not None:
                taken[place] = "read by this command"
    for name, value in context.params.items():
        kind = kinds.get(name)
        if value is None or not isinstance(kind, ToWrite):
            continue
        for path in kind.files(value):
            there = _place(path)
            key: object = there
            if there is None:
                key = os.path.realpath(path) if "\0" not in str(path) else str(path)
                if os.fspath(path) != STDOUT:
                    _check_folder(path, "--" + str(name).replace("_", "-"))
            elif not os.path.isfile(path):
                continue
            if key in taken:
                raise OutputError(f"{path} is {taken[key]}: give each its own file to write")
            taken[key] = "written already"


def _place(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Tell a file from all others, by whatever name; None where there is none of that name."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _check_folder(path: str | os.PathLike[str], option: str) -> None:
    """Refuse a file to be written whose folder is missing and cannot be made: one level of it is."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder) and not os.path.isdir(os.path.dirname(folder)):
        raise OutputError(
            f"cannot write {os.fspath(path)}: no folder {folder}; make it first, or choose another {option}"
        )


def gave(
    summary: dict[str, Any],
    table: pd.DataFrame,
    rows: str,
    output: Path | None,
    as_json: bool,
    result: xr.Dataset | None = None,
) -> bool:
    """Write an answer to ``--output`` and print it under ``--json``, alike for every command.

    Parameters
    ----------
    summary : dict
        What holds for the answer as a whole.
    table : DataFrame
    rows : str
        What the table's rows are, in JSON.
    output : Path or None
    as_json : bool
    result : Dataset, optional
        With its draws, for a .nc file.

    Returns
    -------
    bool
        Whether all is said, so that no page is to be printed.
    """
    import json

    from bayes_sd.decide.tables import plain, records, write_result

    if output is not None:
        write_result(output, result, table, plain(summary), rows)
    if as_json:
        click.echo(json.dumps(plain(summary) | {rows: records(table)}, indent=1))
    return as_json
