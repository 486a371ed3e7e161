"""Which benchmark tool wrote a file, told by its content; its name does not matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers.inferencex import NEEDED, header
from bayes_sd.measurements.readers.jsonscan import documents
from bayes_sd.measurements.readers.packed import open_binary
from bayes_sd.measurements.readers.reading import Cell

MODULES = {
    "guidellm": "guidellm",
    "vllm-bench-serve": "vllm_serve",
    "sglang-bench-serving": "sglang",
    "aiperf": "aiperf",
    "inference-perf": "inference_perf",
    "inferencex": "inferencex",
    "inferencex-api": "inferencex_json",
    "llm-d-benchmark": "llmd",
    "llmperf": "llmperf",
}
"""Tool to the module of this package that reads its files."""

# Keys that stand together at the top of a tool's first document, in the order in which they are tried.
SIGNATURES: tuple[tuple[str, frozenset[str]], ...] = (
    ("guidellm", frozenset({"metadata", "benchmarks"})),
    ("sglang-bench-serving", frozenset({"sharegpt_output_len", "request_rate", "completed"})),
    ("vllm-bench-serve", frozenset({"tokenizer_id", "num_prompts", "completed"})),
    ("vllm-bench-serve", frozenset({"max_concurrency", "request_throughput", "completed", "mean_ttft_ms"})),
    ("aiperf", frozenset({"aiperf_version"})),
    ("aiperf", frozenset({"request_latency", "request_throughput", "input_config"})),
    ("inference-perf", frozenset({"load_summary", "successes", "failures"})),
    ("inferencex-api", frozenset({"framework", "precision", "conc", "isl", "metrics"})),
    ("llm-d-benchmark", frozenset({"scenario", "metrics", "version"})),
    ("llm-d-benchmark", frozenset({"scenario", "results", "version"})),
    ("llmperf", frozenset({"num_concurrent_requests", "results_end_to_end_latency_s_mean"})),
)
KNOWN = ", ".join(MODULES)
LLAMA_BENCH = "what llama-bench writes: the speed of one sequence without a server; measure the server with `bayes_sd measure`"
# Keys of files that are known and not read, with what they are and what to give instead.
OTHERS: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset({"avg_latency", "latencies", "percentiles"}),
        "what `vllm bench latency` writes: whole batches without arrivals; measure with `vllm bench serve`",
    ),
    (
        frozenset({"elapsed_time", "num_requests", "requests_per_second"}),
        "what `vllm bench throughput` writes: an offline batch has no latency; measure with `vllm bench serve`",
    ),
    (
        frozenset({"build_commit", "n_prompt", "n_gen"}),
        LLAMA_BENCH,
    ),
    (
        frozenset({"n_kv_max", "pl", "pp", "tg"}),
        "what llama-batched-bench writes: whole batches without a server; measure the server with `bayes_sd measure`",
    ),
    (
        frozenset({"last_batch_size", "overall_throughput"}),
        "what SGLang's offline batch benchmark writes; measure with bench_serving",
    ),
    (
        frozenset({"engine", "request_info", "performance"}),
        "what trtllm-bench writes: an offline run without arrivals; measure the server with one of the tools that are read",
    ),
    (
        frozenset({"metrics", "root_group"}),
        "k6's summary: it has no tokens; measure the server with one of the tools that are read",
    ),
    (
        frozenset({"benchmark", "metric", "model"}),
        "vLLM's results in PyTorch's benchmark format: give the tool's own .json beside it",
    ),
    (
        frozenset({"experiments", "version"}),
        "GenAI-Perf's single requests: give profile_export_genai_perf.json beside it",
    ),
    (
        frozenset({"metadata", "metrics", "error"}),
        "AIPerf's single requests: give profile_export_aiperf.json beside it",
    ),
    (
        frozenset({"summary", "metrics"}),
        "what a server's own metrics came to over a run (AIPerf's server_metrics_export.json): give the benchmark's report",
    ),
    (
        frozenset({"ttft_s", "end_to_end_latency_s"}),
        "LLMPerf's single requests: give the *_summary.json beside it",
    ),
    (
        frozenset({"status", "data"}),
        "a Prometheus query's answer: give the benchmark's report, and the server's /metrics text as --metrics",
    ),
)
GUIDELLM_OTHER = "a GuideLLM report as YAML or CSV: write it as JSON, which every figure can be read from"
PRINTED: tuple[tuple[bytes, str], ...] = (
    (
        b" Serving Benchmark Result ",
        "what a serving benchmark prints: give the file that it writes (--save-result of `vllm bench serve`, --output-file of "
        "SGLang's bench_serving)",
    ),
    (
        b"MLPerf Results Summary",
        "MLPerf's summary: it has no lengths; measure with one of the tools that are read",
    ),
    (
        b"Type,Name,Request Count,Failure Count",
        "Locust's table: it has no tokens; measure with one of the tools that are read",
    ),
    (b"| Successful requests", "a table that a tool printed: give the JSON file that it writes"),
    (
        b"llama_bench",
        LLAMA_BENCH,
    ),
    (
        b"request_throughput,",
        "a summary.csv of `vllm bench sweep`: give the summary.json or the runs' own .json beside it",
    ),
    (b"Metric,avg,min,max", "the table of AIPerf or GenAI-Perf: give the profile_export_*.json beside it"),
    (b"Metric,Avg,Min,Max", "the table of AIPerf or GenAI-Perf: give the profile_export_*.json beside it"),
    (b"\nbenchmarks:", GUIDELLM_OTHER),
    (b"Run Info,Run Info", GUIDELLM_OTHER),
    (b"Type,Benchmark", GUIDELLM_OTHER),
    (b"<html", "a page of HTML: give the tool's JSON report"),
    (b"<!doctype", "a page of HTML: give the tool's JSON report"),
)
"""Words in texts that are known and not read."""
YAML_STARTS = (b"version:", b"scenario:", b"metrics:", b"run:", b"results:", b"---")
LLAMA_BENCH_STARTS = (b"build_commit,", b"| model ")
OLD_GUIDELLM = (
    "a GuideLLM report from before 0.3 (it has no metadata): write it again with a newer GuideLLM, whose report says its "
    "version"
)


def recognise(path: str | Path) -> str:
    """Say which tool wrote a file.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    str
        A key of :data:`MODULES`.

    Raises
    ------
    DataError
        If the file cannot be read, is cut short, or is of none of them.
    """
    path = Path(path)
    start = _start(path)
    if start.startswith((b"{", b"[")):
        return _by_keys(path, listed=start.startswith(b"["))
    names = header(path)
    if names and set(NEEDED) <= set(names):
        return "inferencex"
    if start.startswith((b"# HELP", b"# TYPE")):
        raise DataError(f"{path}: a server's metrics, not a benchmark: give it as --metrics {path}")
    if start.startswith(LLAMA_BENCH_STARTS):
        raise DataError(f"{path}: {LLAMA_BENCH}")
    if start.startswith(YAML_STARTS):
        return "llm-d-benchmark"
    for words, what in PRINTED:
        if words in start or words in start.lower():
            raise DataError(f"{path}: {what}")
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


def _by_keys(path: Path, listed: bool) -> str:
    seen: set[str] = set()
    for document in documents(path):
        for key in document:
            seen.add(key)
            for tool, signature in SIGNATURES:
                if key in signature and signature <= seen:
                    return tool
        break
    for signature, what in OTHERS:
        if signature <= seen:
            raise DataError(f"{path}: {what}")
    if "benchmarks" in seen:
        raise DataError(f"{path}: {OLD_GUIDELLM}")
    some = ", ".join(sorted(seen)[:5]) or "none"
    kind = "a JSON list, perhaps of single requests: give the tool's report; " if listed else ""
    raise DataError(
        f"{path}: {kind}not the file of a benchmark tool that is known ({KNOWN}); its first keys are {some}"
    )
