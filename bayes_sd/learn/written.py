"""Candidate runs as a table, and those chosen as a plan to measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.learn.next_runs import KEPT

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

LOADS = ("prompt_tokens", "output_tokens", "load_kind", "load_value", "arrivals")
"""Columns of a run; the others are its server's."""


def runs_table(result: xr.Dataset) -> pd.DataFrame:
    """Give the candidates as a table, the most valuable a minute first.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.learn.next_runs.next_runs`.

    Returns
    -------
    DataFrame
        ``run, server, order`` (place among the chosen, 0 for none), ``regret_fall, regret_fall_error, width_fall, seconds,
        per_minute`` (of a single run, its server's start included), ``p_stable`` and the columns of its condition.
    """
    import pandas as pd

    order = np.zeros(result.sizes["run"], dtype=int)
    order[result["chosen"].to_numpy()] = np.arange(1, result.sizes["step"] + 1)
    columns: dict[str, Any] = {
        "run": result["run"].to_numpy(),
        "server": result["server"].to_numpy(),
        "order": order,
    }
    names = ("regret_fall", "regret_fall_error", "width_fall", "seconds", "p_stable")
    columns |= {name: result[name].to_numpy() for name in names}
    table = pd.DataFrame(columns)
    worth = table["regret_fall" if result.attrs["aim"] == "regret" else "width_fall"]
    table["per_minute"] = 60.0 * worth / (table["seconds"] + result.attrs["restart_s"])
    for name in KEPT:
        if name in result.coords:
            table[name] = result[name].to_numpy()
    return table.sort_values("per_minute", ascending=False, kind="stable").reset_index(drop=True)


def plan_of(result: xr.Dataset) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Give the chosen runs by server, as :func:`bayes_sd.measure.planned.write_plan` takes them.

    Parameters
    ----------
    result : Dataset

    Returns
    -------
    servers : list of dict
        In the order in which the first run of each was chosen.
    about : dict
        What the plan is for.
    """
    servers: dict[str, dict[str, Any]] = {}
    for i, chosen in enumerate(result["chosen"].to_numpy(), 1):
        one = result.isel(run=int(chosen))
        values = {name: one[name].to_numpy().item() for name in KEPT if name in one.coords}
        columns = {name: v for name, v in values.items() if name not in LOADS and not _blank(v)}
        workload = columns.pop("workload", "")
        found = servers.setdefault(
            str(one["server"].item()), {"columns": columns, "workload": workload, "runs": []}
        )
        run = {name: values[name] for name in LOADS if name in values and not _blank(values[name])}
        if run["load_kind"] == "concurrency":
            run.pop("arrivals", None)
        found["runs"].append(
            {"order": i, "name": str(one["run"].item()), "seconds": float(one["seconds"]), **run}
        )
    about = {name: result.attrs[name] for name in ("decide", "aim", "regret", "verdict")}
    return list(servers.values()), about


def _blank(value: Any) -> bool:
    return value is None or value == "" or value != value
