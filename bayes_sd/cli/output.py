"""What the terminal gets: no control characters from files or servers, and nothing between a table's rows."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from bayes_sd.errors import OutputError, masked, visible

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

WRITTEN = (
    "output",
    "figure",
    "collapse_figure",
    "stages_figure",
    "profiles",
    "planned",
    "report",
    "prometheus",
    "sglang",
)
"""Parameters of commands that name a file to write."""

_SUSPICIOUS = re.compile(r"[^\n\t -~\u00a0-\u1fff\u2010-\u2027\u2030-\u205f\u2070-\ufefe\uff00-\U0010ffff]")


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
    sys.stdout, sys.stderr = (Shown(stream, before[1]) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def plain_errors() -> TextIO:
    """Give standard error as it is, for a bar; words that it shows must be made :func:`~bayes_sd.errors.visible` before."""
    return getattr(sys.stderr, "plain", sys.stderr)


def refuse_output_over_input(parameters: Mapping[str, Any]) -> None:
    """Refuse before anything is computed to write over a file that the same command reads, over another result, or nowhere.

    Parameters
    ----------
    parameters : mapping
        A command's, by name.

    Raises
    ------
    OutputError
    """
    taken: dict[tuple[int, int], str] = {}
    for name, value in sorted(parameters.items(), key=lambda item: item[0] in WRITTEN):
        for one in value if isinstance(value, tuple | list) else (value,):
            if not isinstance(one, str | os.PathLike):
                continue
            try:
                found = os.stat(one)
            except OSError:
                if name in WRITTEN and os.fspath(one) != "-":
                    _check_folder(one, "--" + name.replace("_", "-"))
                continue
            except ValueError:
                continue
            place = (found.st_dev, found.st_ino)
            if name in WRITTEN and place in taken and os.path.isfile(one):
                raise OutputError(f"{os.fspath(one)} is {taken[place]}: choose another file to write")
            taken[place] = "written already" if name in WRITTEN else "read by this command"


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

    import click

    from bayes_sd.decide.tables import plain, records, write_result

    if output is not None:
        write_result(output, result, table, plain(summary), rows)
    if as_json:
        click.echo(json.dumps(plain(summary) | {rows: records(table)}, indent=1))
    return as_json
