"""Takes from a vLLM result what it says of the deployment: the model, ``--metadata``, and the settings of a sweep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bayes_sd.errors import DataError
from bayes_sd.loading import parse_json
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.readers.drafting import is_own_head, method_of
from bayes_sd.measurements.readers.reading import Reading
from bayes_sd.measurements.readers.sglang_server import DISAGGREGATED, SPLIT
from bayes_sd.measurements.schema import BY_NAME, Column

STATED_AS = {
    "run_number": "repeat",
    "tensor_parallel_size": "tp",
    "data_parallel_size": "dp",
    "pipeline_parallel_size": "pp",
    "num_speculative_tokens": "k",
}
"""Names of the server's settings, as a sweep writes them, for columns that are called otherwise."""
MEASURED = re.compile(
    r"(mean|median|std|p\d+(\.\d+)?|total|peak|spec_decode)_.*|(request|output|input)_(throughput|rate|goodput).*"
    r"|max_(output_tokens_per_s|concurrent_requests)|rtfx"
)
SPECULATION, TRANSFER = "speculative_config", "kv_transfer_config"
"""Settings of the server that are objects, or their JSON as text."""
SPREAD_EXPERTS = "enable_expert_parallel"
APART = re.compile(r"nixl|mooncake|p2p|pynccl", re.I)
"""Connectors by which one server's prompts are read on another."""
ROLES = ("kv_producer", "kv_consumer")
SAID_APART = re.compile(r"(?<!non)(?<!not)(?<!no)(?<!un)(?:^|[\s_/,;(+:=-])disagg")
"""The word in a label or a setting, but for "non-disaggregated" and its like."""
NAMES = frozenset({"model_id", "tokenizer_id"})
OFF = frozenset({"false", "0", "0.0", "no", "none", "null", "off", ""})
OF_THE_CLIENT = frozenset(
    {
        "date",
        "label",
        "duration",
        "completed",
        "failed",
        "num_prompts",
        "max_concurrency",
        "burstiness",
        "seed",
    }
    | {"result_filename", "bench_id", "_benchmark_name"}
)
"""Members that vary from result to result and are no settings of a server."""
Result = Mapping[str, object]


def put_stated(cell: Reading, result: Result, swept: frozenset[str]) -> None:
    """Take what a result says of the deployment.

    Parameters
    ----------
    cell : Reading
        Receives the columns; settings without a column go into `engine_options`, which sets deployments apart.
    result : mapping
        One result.
    swept : frozenset of str
        Settings without a column that vary over the file, as from :func:`varied`.

    Raises
    ------
    DataError
        If a member with the name of a column holds what the column cannot.
    """
    cell.put("verifier", result.get("model_id"))
    by_short = {_short(name): value for name, value in result.items()}
    _put_speculation(cell, _object(by_short.get(SPECULATION)))
    transfer = _transferred(_object(by_short.get(TRANSFER)))
    for name, value in result.items():
        column = _column(name)
        if column is None or not _is_setting(value) or isinstance(value, bool):
            continue
        try:
            cell.put(column.name, parse_cell(str(value).strip(), column))
        except CellError as error:
            raise DataError(f"{cell.where}: metadata {name}: {error}") from error
    cell.experts_spread = by_short.get(SPREAD_EXPERTS) in (True, "true", "True", 1)
    if not any(option.startswith(DISAGGREGATED) for option in transfer) and _says_apart(result):
        transfer.append(DISAGGREGATED)
    if any(option.startswith(DISAGGREGATED) for option in transfer):
        cell.notes.append(SPLIT)
    options = [f"{name}={result[name]}" for name in sorted(swept) if _is_setting(result.get(name))] + transfer
    if options:
        stated = cell.columns.get("engine_options")
        cell.put("engine_options", ", ".join([*([str(stated)] if stated else []), *options]))


def varied(results: Sequence[Result]) -> frozenset[str]:
    """Find the settings of a sweep that no column holds: scalars that differ from result to result.

    Parameters
    ----------
    results : sequence of mapping
        All results of a file.

    Returns
    -------
    frozenset of str
        Their names: results that differ in them are of different deployments, not repeats.
    """
    names = {name for result in results for name in result if _may_be_swept(name)}
    return frozenset(
        name
        for name in names
        if len({repr(result.get(name)) for result in results if _is_setting(result.get(name))}) > 1
    )


def _put_speculation(cell: Reading, config: Result) -> None:
    """Take method, drafter and draft length from what ``--speculative-config`` was."""
    drafter, verifier = config.get("model"), cell.columns.get("verifier")
    method = method_of(config, verifier)
    head = method == "ngram" or (isinstance(drafter, str) and is_own_head(drafter, str(verifier or "")))
    for name, value in (
        ("method", method),
        ("drafter", None if head else drafter),
        ("k", config.get("num_speculative_tokens")),
    ):
        if value is None or name in cell.columns or isinstance(value, bool) or not _is_setting(value):
            continue
        try:
            cell.put(name, parse_cell(str(value).strip(), BY_NAME[name]))
        except CellError as error:
            raise DataError(f"{cell.where}: metadata {SPECULATION}, {name}: {error}") from error


def _transferred(config: Result) -> list[str]:
    """Say by which connector caches go between servers, if they do."""
    connector, role = str(config.get("kv_connector") or ""), str(config.get("kv_role") or "")
    if not connector:
        return []
    apart = role in ROLES or APART.search(connector) is not None
    return [f"{DISAGGREGATED + ' ' if apart else ''}{connector}"]


def _says_apart(result: Result) -> bool:
    """Tell whether a member says, in whatever words, that prompts are read on other GPUs than answers are written."""
    for name, value in result.items():
        if _column(name) is not None or name in NAMES or not _is_setting(value) or MEASURED.fullmatch(name):
            continue
        text = str(value).strip().casefold()
        if text in OFF:
            continue
        short = _short(name).casefold()
        if "disagg" in short or (short == "kv_role" and text in ROLES) or SAID_APART.search(text):
            return True
    return False


def _object(value: object) -> Result:
    """Give an object, or one that is written as JSON text; empty where it is neither."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = parse_json(value, "metadata", DataError)
        except DataError:
            return {}
    return value if isinstance(value, dict) else {}


def _short(name: str) -> str:
    return name.replace("-", "_").rpartition(".")[2]


def _column(name: str) -> Column | None:
    short = _short(name)
    column = BY_NAME.get(STATED_AS.get(short, short))
    if column is None or (column.condition == "result" and column.name != "repeat"):
        return None
    return column


def _may_be_swept(name: str) -> bool:
    if _short(name) in (SPECULATION, TRANSFER, SPREAD_EXPERTS):
        return False
    return _column(name) is None and name not in OF_THE_CLIENT and not MEASURED.fullmatch(name)


def _is_setting(value: object) -> bool:
    return isinstance(value, bool | int | float | str) and bool(str(value).strip())
