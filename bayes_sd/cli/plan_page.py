"""What ``plan`` prints and writes: how many replicas, what they are asked to hold, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.cli.page import Page
from bayes_sd.cli.setting import show_setting

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

READING = (
    "Promised: the rate that one replica holds within the objective with that probability; so many draws of the posterior "
    "hold more.",
    "Saturates at: the rate past which there is no steady state, whatever the objective.",
    "P(infeasible): probability that even an idle replica misses the objective.",
    "Replicas share what is not known: a plan that is wrong is wrong for all of them. A short measurement varies more.",
)
SHOWN = {
    "highest_rate": ("req/s a replica", ".3g"),
    "promised_rate": ("promised", ".3g"),
    "limit": ("saturates at", ".3g"),
    "p_infeasible": ("P(infeasible)", ".2f"),
    "replicas": ("replicas", ".0f"),
    "promised_replicas": ("enough", ".0f"),
    "gpus": ("GPUs", ".0f"),
    "cost_per_hour": ("cost an hour", ".2f"),
    "cost_per_million_tokens": ("cost of 1M tokens", ".3g"),
}
"""Rows of the printed table: what each is called, and how its numbers are written."""


def print_plan(result: xr.Dataset, base: pd.DataFrame, words: list[str], explain: bool) -> None:
    """Print a plan.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.plan.plan`.
    base : DataFrame
        The condition.
    words : list of str
        How it came about.
    explain : bool
    """
    page, about = Page(explain), result.attrs
    page.answer(*about["words"])
    show_setting(page, base, words)
    names = [_called(str(name)) for name in result["alternative"].to_numpy()]
    interval = f"[{about['ci']:.0%} interval]"
    rows = [(label, *cells) for label, cells in _rows(result).items()]
    page.table(
        f"{about['slo']}, median {interval}; promised with {about['probability']:.0%}",
        ("", *names),
        rows,
        left=1,
    )
    page.notes("Mind:", [*about["caveats"]])
    page.more("How to read it:", READING)
    page.print()


def told(result: xr.Dataset, words: list[str]) -> dict[str, Any]:
    """Give everything but the draws, for JSON; infinite and unknown numbers as null."""
    kept = result.drop_vars([name for name in result.data_vars if "sample" in result[name].dims])
    numbers: dict[str, Any] = {str(name): _plain(kept[name].to_numpy().tolist()) for name in kept.variables}
    return {**numbers, **result.attrs, "answer": result.attrs["words"], "chosen": words}


def plan_table(result: xr.Dataset) -> pd.DataFrame:
    """Give a plan as a table, one row an alternative: medians and bounds, units in the names."""
    import pandas as pd

    columns: dict[str, Any] = {"alternative": [str(a) for a in result["alternative"].to_numpy()]}
    for name in ("highest_rate", "limit", "replicas"):
        if f"{name}_band" in result:
            unit = "" if name == "replicas" else "_rps"
            for end, values in zip(
                ("lower", "median", "upper"), result[f"{name}_band"].to_numpy(), strict=True
            ):
                columns[f"{name}_{end}{unit}"] = values
    singles = (
        "promised_rate",
        "p_infeasible",
        "promised_replicas",
        "gpus",
        "cost_per_hour",
        "cost_per_million_tokens",
    )
    for name in singles:
        if name in result:
            columns[name] = result[name].to_numpy()
    return pd.DataFrame(columns)


def _called(name: str) -> str:
    return "no speculation" if name == "none" else "speculation, k=" + name.rsplit("=", 1)[-1]


def _rows(result: xr.Dataset) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for name, (label, form) in SHOWN.items():
        band = f"{name}_band"
        if band in result:
            cells = [_band(values, form) for values in result[band].to_numpy().T]
        elif name in result:
            cells = [_one(float(value), form) for value in result[name].to_numpy()]
        else:
            continue
        rows[label] = cells
    return rows


def _band(values: np.ndarray, form: str) -> str:
    low, middle, high = values
    return f"{_one(middle, form)} [{_one(low, form)}, {_one(high, form)}]" if np.isfinite(middle) else "-"


def _one(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value
