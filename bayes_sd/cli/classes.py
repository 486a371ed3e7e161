"""Option ``--classes``: a mixture of classes of requests, in a file or in short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bayes_sd.cli.output import is_read
from bayes_sd.decide.request_classes import PromptClass
from bayes_sd.errors import ConditionError
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.csvfile import read_rows
from bayes_sd.measurements.schema import BY_NAME

SHORT = "PROMPT:SHARE,PROMPT+OUTPUT:SHARE,... in tokens, as 300:0.7,4000+150:0.3"


class Classes(click.ParamType):
    """Classes as ``300:0.7,4000:0.3``, or the name of a table with columns class and share."""

    name = "classes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Turn the text into classes; whether they are a mixture is checked with the condition."""
        if not isinstance(value, str):
            return value
        if not value.endswith(".csv"):
            return _from_text(value)
        is_read(value, ctx)
        return _from_file(Path(value))


def _from_text(text: str) -> tuple[PromptClass, ...]:
    classes = []
    for part in text.split(","):
        lengths, colon, share = part.partition(":")
        prompt, plus, output = lengths.partition("+")
        if not colon:
            raise ConditionError(f"--classes {text!r}: write {SHORT}, or name a table FILE.csv")
        columns = {"prompt_tokens": prompt} | ({"output_tokens": output} if plus else {})
        name = f"{lengths.strip()} tokens"
        classes.append(PromptClass(name, _share(share, "--classes"), _cells(columns, "--classes")))
    return tuple(classes)


def _from_file(path: Path) -> tuple[PromptClass, ...]:
    header, rows = read_rows(path)
    if not {"class", "share"} <= set(header):
        raise ConditionError(
            f"{path}: a table of classes has the columns class and share, and a row for each class"
        )
    classes = []
    for number, cells in rows:
        where = f"{path}, row {number}"
        given = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        name, share = given.pop("class", ""), given.pop("share", "")
        classes.append(PromptClass(name, _share(share, where), _cells(given, where)))
    return tuple(classes)


def _share(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConditionError(f"{where}: share {text!r} is not a number, as 0.3") from None


def _cells(columns: dict[str, str], where: str) -> dict[str, Any]:
    """Read cells as the measurement table does; columns that it lacks are refused with the classes."""
    read: dict[str, Any] = {}
    for name, cell in columns.items():
        try:
            read[name] = parse_cell(cell.strip(), BY_NAME[name]) if name in BY_NAME else cell
        except CellError as error:
            raise ConditionError(f"{where}: {name}: {error}") from error
    return read
