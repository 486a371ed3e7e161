"""Takes from a vLLM result what it says of the deployment: the model, ``--metadata``, and the settings of a sweep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bayes_sd.errors import DataError
from bayes_sd.measurements.cells import CellError, parse_cell
from bayes_sd.measurements.readers.reading import Reading
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
    for name, value in result.items():
        column = _column(name)
        if column is None or not _is_setting(value) or isinstance(value, bool):
            continue
        try:
            cell.put(column.name, parse_cell(str(value).strip(), column))
        except CellError as error:
            raise DataError(f"{cell.where}: metadata {name}: {error}") from error
    options = [f"{name}={result[name]}" for name in sorted(swept) if _is_setting(result.get(name))]
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


def _column(name: str) -> Column | None:
    short = name.replace("-", "_").rpartition(".")[2]
    column = BY_NAME.get(STATED_AS.get(short, short))
    if column is None or (column.condition == "result" and column.name != "repeat"):
        return None
    return column


def _may_be_swept(name: str) -> bool:
    return _column(name) is None and name not in OF_THE_CLIENT and not MEASURED.fullmatch(name)


def _is_setting(value: object) -> bool:
    return isinstance(value, bool | int | float | str) and bool(str(value).strip())
