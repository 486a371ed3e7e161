"""Decisions as tables and plain values: what ``--output`` and ``--json`` hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import OutputError
from bayes_sd.files import netcdf_content, write_atomically
from bayes_sd.measurements.csvfile import write_csv

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

BOUNDS = ("lower", "median", "upper")
FORMATS = (".csv", ".json", ".nc")
PLAIN = (".csv", ".json")
"""Formats of an answer without draws."""


def speedup_table(result: xr.Dataset) -> pd.DataFrame:
    """Give a speedup over load as a table, one row a load.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.

    Returns
    -------
    DataFrame
        ``load`` (and ``rate_rps`` of an open loop), ``speedup_lower, _median, _upper``, ``p_faster``, ``plain_latency_*_s``
        and ``speculative_latency_*_s``, ``p_stable_plain``, ``p_stable_speculative``.
    """
    import pandas as pd

    columns: dict[str, Any] = {"load": result["load"].to_numpy()}
    if "rate_rps" in result.coords:
        columns["rate_rps"] = result["rate_rps"].to_numpy()
    columns |= _bounds("speedup", result["speedup_band"].to_numpy())
    columns["p_faster"] = result["p_faster"].to_numpy()
    for i, name in enumerate(("plain", "speculative")):
        columns |= _bounds(f"{name}_latency", result["latency_band"].to_numpy()[:, i], "_s")
    for i, name in enumerate(("plain", "speculative")):
        columns[f"p_stable_{name}"] = result["p_stable"].to_numpy()[i]
    return pd.DataFrame(columns)


def speedup_summary(result: xr.Dataset) -> dict[str, Any]:
    """Give what a speedup says as a whole.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.speedup.speedup`.

    Returns
    -------
    dict
        Plain values: the attributes, ``zero_load_speedup``, ``c1_ratio``, ``c2_ratio``, ``committed`` and ``break_even``
        ([lower, median, upper] each, null where there is none), ``p_verdict``, ``p_several`` and ``p_regime``.
    """
    ci = result.attrs["ci"]
    levels = [(1.0 - ci) / 2.0, 0.5, (1.0 + ci) / 2.0]
    summary: dict[str, Any] = dict(result.attrs)
    for name in ("zero_load_speedup", "c1_ratio", "c2_ratio", "committed"):
        summary[name] = np.quantile(result[name].to_numpy(), levels).tolist()
    summary["break_even"] = result["break_even_band"].to_numpy().tolist()
    summary["p_verdict"] = dict(
        zip(_text(result["verdict"]), result["p_verdict"].to_numpy().tolist(), strict=True)
    )
    summary["p_several"] = float(result["p_several"])
    summary["p_regime"] = dict(
        zip(_text(result["regime"]), result["p_regime"].to_numpy().tolist(), strict=True)
    )
    return plain(summary)


def tune_table(result: xr.Dataset) -> pd.DataFrame:
    """Give a comparison of draft lengths as a table, one row a load and alternative.

    Parameters
    ----------
    result : Dataset
        From :func:`bayes_sd.decide.tune.judge`.

    Returns
    -------
    DataFrame
        ``load``, ``alternative``, ``drafter``, ``k``, ``latency_mean_s``, ``latency_lower_s, _median_s, _upper_s``,
        ``p_best``, ``relative_regret``, ``regret_ms``, ``p_stable``, ``safe`` and ``probable`` (whether it is that choice).
    """
    import pandas as pd

    frames = []
    for i, load in enumerate(result["load"].to_numpy()):
        one = result.isel(load=i)
        columns = {
            "load": load,
            "alternative": _text(result["alternative"]),
            "drafter": _text(result["drafter"]),
            "k": result["k"].to_numpy(),
            "latency_mean_s": one["latency_mean"].to_numpy(),
            **_bounds("latency", one["latency_band"].to_numpy(), "_s"),
            "p_best": one["p_best"].to_numpy(),
            "relative_regret": one["relative_regret"].to_numpy(),
            "regret_ms": 1e3 * one["regret"].to_numpy(),
            "p_stable": one["p_stable"].to_numpy(),
            "safe": np.arange(result.sizes["alternative"]) == int(one["safe"]),
            "probable": np.arange(result.sizes["alternative"]) == int(one["probable"]),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def plain(value: Any) -> Any:
    """Turn a value into what JSON holds: no NaN or infinity, which are not numbers there, but null and "inf"."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return None if np.isnan(value) else "inf" if np.isinf(value) else value
    return value


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a table's rows as plain values."""
    return [plain({str(name): value for name, value in row.items()}) for row in table.to_dict("records")]


def check_format(path: Path | None, formats: tuple[str, ...] = FORMATS) -> None:
    """Find out before computing whether the name of an output says a format.

    Parameters
    ----------
    path : Path or None
    formats : tuple of str
        Suffixes that there are.

    Raises
    ------
    OutputError
        If it ends on none of them.
    """
    if path is not None and path.suffix.lower() not in formats:
        raise OutputError(f"{path}: end the name of --output on one of {', '.join(formats)}")


def write_result(
    path: Path, result: xr.Dataset | None, table: pd.DataFrame, summary: dict[str, Any], rows: str = "loads"
) -> None:
    """Write a decision: a table (.csv), the summary and the table (.json), or the whole Dataset with its draws (.nc).

    Parameters
    ----------
    path : Path
        Its suffix chooses.
    result : Dataset, optional
        None of an answer that has no draws, which is no .nc file then.
    table : DataFrame
    summary : dict
    rows : str
        What the table's rows are, in JSON.

    Raises
    ------
    OutputError
        If it cannot be written; what stood there stays.
    """
    check_format(path, FORMATS if result is not None else PLAIN)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        write_csv(table, path)
    elif suffix == ".json":
        text = json.dumps(summary | {rows: records(table)}, indent=1)
        write_atomically(path, lambda beside: beside.write_text(text + "\n", encoding="utf-8"))
    elif result is not None:
        # netCDF knows no lists of sentences, no tables in tables, and nothing that is not there.
        attrs = {n: _attribute(v) for n, v in result.attrs.items() if v is not None}
        content = netcdf_content(result.assign_attrs(attrs))
        write_atomically(path, lambda beside: beside.write_bytes(content))


def _attribute(value: Any) -> Any:
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else value


def _bounds(name: str, band: np.ndarray, unit: str = "") -> dict[str, np.ndarray]:
    return {f"{name}_{bound}{unit}": row for bound, row in zip(BOUNDS, band, strict=True)}


def _text(values: xr.DataArray) -> list[str]:
    return [str(v) for v in values.to_numpy()]
