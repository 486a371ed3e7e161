"""Which benchmark tool wrote a file, told by its content; its name does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers.inferencex import NEEDED, header
from bayes_sd.measurements.readers.jsonscan import documents, open_binary
from bayes_sd.measurements.readers.reading import Cell

MODULES = {
    "guidellm": "guidellm",
    "vllm-bench-serve": "vllm_serve",
    "sglang-bench-serving": "sglang",
    "aiperf": "aiperf",
    "inference-perf": "inference_perf",
    "inferencex": "inferencex",
}
"""Tool to the module of this package that reads its files."""

# Keys that stand together at the top of a tool's first document, in the order in which they are tried.
SIGNATURES: tuple[tuple[str, frozenset[str]], ...] = (
    ("guidellm", frozenset({"metadata", "benchmarks"})),
    ("sglang-bench-serving", frozenset({"sharegpt_output_len", "request_rate", "completed"})),
    ("vllm-bench-serve", frozenset({"tokenizer_id", "num_prompts", "completed"})),
    ("aiperf", frozenset({"aiperf_version"})),
    ("aiperf", frozenset({"request_latency", "request_throughput", "input_config"})),
    ("inference-perf", frozenset({"load_summary", "successes", "failures"})),
)
KNOWN = ", ".join(MODULES)


def recognise(path: str | Path) -> str:
    """Say which tool wrote a file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    str
        ``guidellm``, ``vllm-bench-serve``, ``sglang-bench-serving``, ``aiperf``, ``inference-perf`` or
        ``inferencex``.

    Raises
    ------
    DataError
        If the file cannot be read, is cut short, or is of none of them.
    """
    path = Path(path)
    start = _start(path)
    if start.startswith(b"{"):
        return _by_keys(path)
    names = header(path)
    if names and set(NEEDED) <= set(names):
        return "inferencex"
    if start.startswith((b"# HELP", b"# TYPE")):
        raise DataError(f"{path}: a server's metrics, not a benchmark: give it as --metrics {path}")
    if start.startswith(b"["):
        raise DataError(f"{path}: a JSON list, perhaps of single requests: give the tool's report ({KNOWN})")
    raise DataError(f"{path}: not the file of a benchmark tool that is known ({KNOWN})")


def reader(tool: str) -> Callable[[Path], Iterator[Cell]]:
    """Give the function that reads a tool's files.

    Parameters
    ----------
    tool : str
        As from :func:`recognise`.

    Returns
    -------
    callable
        From a path to its benchmarks.
    """
    module = import_module(f"bayes_sd.measurements.readers.{MODULES[tool]}")
    return cast(Callable[[Path], Iterator[Cell]], module.read)


def _start(path: Path) -> bytes:
    with open_binary(path) as handle:
        return handle.read(4096).lstrip()


def _by_keys(path: Path) -> str:
    seen: set[str] = set()
    for document in documents(path):
        for key in document:
            seen.add(key)
            for tool, signature in SIGNATURES:
                if key in signature and signature <= seen:
                    return tool
        break
    some = ", ".join(sorted(seen)[:5]) or "none"
    raise DataError(
        f"{path}: not the file of a benchmark tool that is known ({KNOWN}); its first keys are {some}"
    )
