"""Reads what InferenceX's API answers: a JSON list of cells, the same closed loops as in its CSV, times in seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.measurements.readers import inferencex
from bayes_sd.measurements.readers.jsonscan import members
from bayes_sd.measurements.readers.members import number, section
from bayes_sd.measurements.readers.reading import Cell, Reading

RELEASE = re.compile(r":v?(\d+\.\d+(?:\.\d+)?(?:\.?(?:post|rc)\d+)?)")
"""An engine's release in the name of its container image."""
MODELS = {
    "dsr1": "DeepSeek-R1-0528",
    "gptoss120b": "gpt-oss-120b",
    "llama70b": "Llama-3.3-70B-Instruct",
}
"""The API's short names of models."""
TIMES = {"E2E Latency": "e2el", "TTFT": "ttft", "TPOT": "tpot"}
STATISTICS = {"Mean": "mean", "Median": "median", "P99": "p99"}


def read(path: Path) -> Iterator[Cell]:
    """Read the cells of an answer.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    Reading or Unusable
        One for each cell, in order.

    Raises
    ------
    DataError
        If the file is not JSON.
    """
    for index, entry in enumerate(members(path), start=1):
        cell = inferencex.read_row(f"{path}, entry {index}", _as_row(entry), "s", 1.0)
        if isinstance(cell, Reading):
            _put_parallelism(cell, entry)
        yield cell


def _as_row(entry: Mapping[str, object]) -> dict[str, str]:
    """Write an entry as the row of the CSV export that it stands for."""
    metrics = section(entry, "metrics")
    model = str(entry.get("model") or "")
    split = entry.get("disagg") is True
    row = {
        "Model": MODELS.get(model, model),
        "Hardware": _text(entry, "hardware"),
        "Hardware Key": _text(entry, "hardware"),
        "Framework": _engine(entry),
        "Precision": _text(entry, "precision"),
        "TP": _figure(entry, "decode_tp"),
        "EP": _figure(entry, "decode_ep"),
        "DP Attention": str(entry.get("decode_dp_attention")),
        "Disaggregated": str(split),
        "Num Prefill Chips": _figure(entry, "num_prefill_gpu"),
        "Num Decode Chips": _figure(entry, "num_decode_gpu"),
        "Physical Chips": _figure(entry, "num_decode_gpu"),
        "Concurrency": _figure(entry, "conc"),
        "ISL": _figure(entry, "isl"),
        "OSL": _figure(entry, "osl"),
        "Date": _text(entry, "date"),
        "Spec Decoding": _text(entry, "spec_method"),
        "Throughput/Chip (tok/s)": _figure(metrics, "tput_per_gpu"),
        "Output Throughput/Chip (tok/s)": _figure(metrics, "output_tput_per_gpu"),
        "Input Throughput/Chip (tok/s)": _figure(metrics, "input_tput_per_gpu"),
    }
    for statistic, short in STATISTICS.items():
        for what, key in TIMES.items():
            row[f"{statistic} {what} (s)"] = _figure(metrics, f"{short}_{key}")
    return row


def _put_parallelism(cell: Reading, entry: Mapping[str, object]) -> None:
    cell.put("ep", number(entry, "decode_ep"))
    if entry.get("is_multinode") is True:
        cell.remarks.append("several machines")


def _engine(entry: Mapping[str, object]) -> str:
    release = RELEASE.search(str(entry.get("image") or ""))
    name = _text(entry, "framework")
    return f"{name}-{release[1]}" if name and release else name


def _text(entry: Mapping[str, object], name: str) -> str:
    value = entry.get(name)
    return value.strip() if isinstance(value, str) else ""


def _figure(entry: Mapping[str, object], name: str) -> str:
    value = number(entry, name)
    return "" if value is None else repr(value)
