"""The table that a sweep fills: finished points are written at once, and a later run goes on from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_sd.errors import DataError, OutputError
from bayes_sd.files import check_writable
from bayes_sd.loading import exists
from bayes_sd.measure.plan import Done, Load, Plan, Point, cells
from bayes_sd.measurements.csvfile import read_rows
from bayes_sd.measurements.readers import unsaid
from bayes_sd.measurements.readers.pipeline import tabulate, write_table
from bayes_sd.measurements.readers.reading import Reading
from bayes_sd.measurements.schema import BY_NAME, COLUMNS, CONFIGURATION
from bayes_sd.measurements.table import read_table

if TYPE_CHECKING:
    import pandas as pd

SAME = ("n_gpu", *CONFIGURATION)
"""Columns that tell one configuration of a server from another."""
DETERMINED = (
    "load_kind", "load_value", "arrivals", "prompt_tokens", "output_tokens", "output_tokens_std", "repeat", "config_id",
    "n_requests", "n_drafts", "n_draft_tokens", "n_accepted_tokens", "accepted_per_position", "client_cap",
)  # fmt: skip
"""Columns that the sweep itself fills."""


class Table:
    """The rows on disk.

    Parameters
    ----------
    path : Path
        CSV; may not exist yet. Rows of other configurations in it are kept.
    about : mapping
        Column to value of the configuration under measurement.

    Raises
    ------
    DataError
        If a file is there that is no measurement table.
    OutputError
        If the place cannot be written to.
    """

    def __init__(self, path: Path, about: Mapping[str, object]) -> None:
        check_writable(path)
        self.path, self.about = path, dict(about)
        self.frame = _existing(path)
        self._identity = {name: _key(self.about.get(name)) for name in SAME}

    def done(self, plan: Plan) -> Done:
        """Give the points of a plan that stand in the table already.

        Returns
        -------
        Done
            Found by following the plan, since later loads depend on earlier throughputs.
        """
        rows = self._own()
        found = Done()
        for repeat in range(1, plan.repeats + 1):
            while True:
                points = [Point(shape, load, repeat) for shape, load in cells(plan, found.throughput_rps)]
                new = [
                    (point, rows[point.name, str(repeat)])
                    for point in points
                    if point not in found and (point.name, str(repeat)) in rows
                ]
                if not new:
                    break
                for point, throughput in new:
                    found.add(point, throughput)
        return found

    def _own(self) -> dict[tuple[str, str], float]:
        """Give (name, repeat) to throughput of the rows of this configuration."""
        if self.frame is None or not {"config_id", "repeat", "achieved_rps"} <= set(self.frame.columns):
            return {}
        found = {}
        for row in self.frame.to_dict("records"):
            if all(_key(row.get(name)) == value for name, value in self._identity.items()):
                found[str(row["config_id"]), str(row["repeat"])] = float(row["achieved_rps"] or "nan")
        return found

    def add(self, cell: Reading) -> None:
        """Write a finished point behind those that are there.

        Raises
        ------
        DataError
            If the row contradicts itself.
        OutputError
            If the table cannot be written; what it held before is still there.
        """
        import pandas as pd

        for name, value in self.about.items():
            cell.columns.setdefault(name, value)
        row = tabulate([cell])
        whole = row if self.frame is None else pd.concat([self.frame, row.astype(object)], ignore_index=True)
        order = [column.name for column in COLUMNS if column.name in whole]
        whole = whole[order + [name for name in whole if name not in order]]
        write_table(whole, self.path)
        self.frame = whole


def _existing(path: Path) -> pd.DataFrame | None:
    """Read the rows that are there, each cell as it stands."""
    import pandas as pd

    if not exists(path) or path.stat().st_size == 0:
        return None
    if not path.is_file():
        raise OutputError(f"{path}: no plain file; a sweep reads its table and adds to it: name a file")
    try:
        read_table(path)
        header, rows = read_rows(path)
    except DataError as error:
        raise DataError(f"{error}; or name another --output: rows are only ever added to a table") from error
    return pd.DataFrame([row for _, row in rows], columns=header, dtype=object)


def _key(value: object) -> str:
    """Write a value so that 4, 4.0 and "4" are the same."""
    if value is None or value != value:
        return ""
    text = str(value).strip()
    try:
        return f"{float(text):g}"
    except ValueError:
        return text.casefold()


def check_given(values: Mapping[str, object]) -> None:
    """Refuse columns that the sweep itself fills.

    Raises
    ------
    DataError
        Naming the first.
    """
    for name in values:
        if name in DETERMINED:
            raise DataError(
                f"{name} ({BY_NAME[name].meaning}) is what the sweep sets or counts: leave it out"
            )


def check_complete(about: Mapping[str, object], example: Load) -> None:
    """Ask for what only the user knows, before anything is measured.

    Raises
    ------
    DataError
        Naming each missing column and its option.
    """
    cell = Reading("", "", {**about, "load_kind": example.kind, "arrivals": "even"})
    cell.columns |= {"load_value": 1, "prompt_tokens": 1, "output_tokens": 1}
    asked = unsaid.missing(cell)
    if asked:
        names = ", ".join(f"{name} (--{name.replace('_', '-')})" for name in asked)
        raise DataError(f"a server does not say {names}: give the options")
    if about.get("method") == "none" and any(about.get(n) not in (None, 0, 0.0) for n in ("drafter", "k")):
        raise DataError(
            "a drafter or a draft length is given, and method none: name the method, or leave them out"
        )
