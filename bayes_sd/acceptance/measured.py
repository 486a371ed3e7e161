"""Takes counts and lengths from measurement tables, where speculating rows state them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bayes_sd.acceptance.fields import COUNT_FIELDS, LENGTH_FIELDS, empty_rows
from bayes_sd.model.stated import measured_committed

if TYPE_CHECKING:
    import pandas as pd


def counts_from_measurements(frame: pd.DataFrame) -> pd.DataFrame:
    """Take counts by position from measurement rows that state ``accepted_per_position`` and ``n_drafts``.

    Parameters
    ----------
    frame : DataFrame
        As :func:`bayes_sd.measurements.load_family` gives it.

    Returns
    -------
    DataFrame
        Columns :data:`COUNT_FIELDS`; a run's source is its row's, with the row number.
    """
    import pandas as pd

    records = []
    for row in _stated(frame, "accepted_per_position", "n_drafts"):
        accepted = json.loads(row["accepted_per_position"])
        drafts = int(row["n_drafts"])
        length = int(row["k"]) if row["k"] >= len(accepted) else len(accepted)
        reached = [drafts, *accepted[:-1]]
        for j, (n, a) in enumerate(zip(reached, accepted, strict=True), 1):
            if n:
                records.append([*_who(row), f"{row['source']} row {row['row']}", length, j, n, a])
    return pd.DataFrame(records, columns=list(COUNT_FIELDS)) if records else empty_rows(COUNT_FIELDS)


def lengths_from_measurements(frame: pd.DataFrame) -> pd.DataFrame:
    """Take mean accepted lengths from measurement rows without counts by position, averaged over a cell's rows.

    Parameters
    ----------
    frame : DataFrame
        As :func:`bayes_sd.measurements.load_family` gives it.

    Returns
    -------
    DataFrame
        Columns :data:`LENGTH_FIELDS`, one row a verifier, drafter, dataset, source and draft length.
    """
    import pandas as pd

    frame = frame.assign(committed=measured_committed(frame))
    fine = frame["committed"].notna() & (frame["k"] > 0)
    if "accepted_per_position" in frame:
        fine &= ~(frame["accepted_per_position"].fillna("").astype(str).str.len() > 0)
    records = [
        [*_who(row), row["source"], int(row["k"]), row["committed"]] for _, row in frame[fine].iterrows()
    ]
    if not records:
        return empty_rows(LENGTH_FIELDS)
    table = pd.DataFrame(records, columns=list(LENGTH_FIELDS))
    mean = table.groupby(list(LENGTH_FIELDS[:-1]), sort=False)["mean_accepted_len"].mean()
    return mean.reset_index()


def _stated(frame: pd.DataFrame, *columns: str) -> list[dict[str, Any]]:
    if any(c not in frame for c in columns):
        return []
    rows: list[Any] = frame[frame["k"] > 0].to_dict("records")
    return [r for r in rows if r[columns[0]] and isinstance(r[columns[0]], str) and r[columns[1]] > 0]


def _who(row: Any) -> list[str]:
    text = {name: row.get(name) for name in ("drafter", "workload")}
    drafter, workload = (t if isinstance(t, str) and t else "" for t in text.values())
    return [row["verifier"], row["method"], drafter, workload or "?"]
