"""``ingest``: files of benchmark tools into a measurement table."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bayes_sd.errors import DataError, OutputError
from bayes_sd.measurements import readers

OPTIONS = (
    ("hardware", "GPU, a name of a hardware card"),
    ("tp", "tensor-parallel size"),
    ("n_gpu", "GPUs of the deployment, if more than tp"),
    ("engine", "serving engine and version, as vllm-0.24.0"),
    ("verifier", "the model served"),
    ("precision", "number formats, as fp8 or 'w:w4a16 kv:fp16'"),
    ("method", "how tokens are drafted: none, eagle3, draft_model, ..."),
    ("drafter", "the drafting model"),
    ("k", "draft length; unknown if it is not known"),
    ("prompt_tokens", "mean prompt length"),
    ("output_tokens", "mean output length"),
    ("load_kind", "concurrency (closed loop) or rate (open loop)"),
    ("load_value", "clients, or requests a second"),
    ("arrivals", "spacing of an open loop: even or poisson"),
    ("max_num_seqs", "the engine's cap on running requests"),
    ("client_cap", "the client's cap on requests in flight"),
    ("workload", "name of the prompts"),
    ("source", "where the rows come from"),
    ("repeat", "which repeat of the cell"),
)
"""Columns that have an option of their own, with its help; any other is given with --set."""


def _column_options(command):
    for name, meaning in reversed(OPTIONS):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, f"column_{name}", metavar="VALUE", help=meaning)(command)
    return command


@click.command(name="ingest")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV table to write; replaced if there.",
)
@click.option(
    "--meta", "meta_file", type=click.Path(path_type=Path), help="TOML file of columns for all FILEs."
)
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Any other column; may be repeated."
)
@click.option(
    "--metrics",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Text of a vLLM server's /metrics, for acceptance counts; twice: before and after.",
)
@click.option("--skip-failed", is_flag=True, help="Leave out benchmarks without a successful request.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@_column_options
def ingest(
    files: tuple[Path, ...],
    output: Path,
    meta_file: Path | None,
    pairs: tuple[str, ...],
    metrics: tuple[Path, ...],
    skip_failed: bool,
    as_json: bool,
    **columns: str | None,
) -> None:
    """Read FILEs of benchmark tools into one measurement table.

    Known by their content: GuideLLM benchmarks.json, vllm bench serve results, SGLang bench_serving JSON
    lines, AIPerf profile_export_aiperf.json, inference-perf stage_N_lifecycle_metrics.json, InferenceX CSV.
    What a file does not say comes from the options below, from FILE.toml beside it, or from --meta, in this
    order, and is asked for by name where it is missing.
    """
    if any(output.resolve() == file.resolve() for file in files):
        raise OutputError(f"cannot write {output}: it is one of the files to read; name another")
    values = {name.removeprefix("column_"): value for name, value in columns.items() if value is not None}
    report = readers.ingest(
        files,
        {**_pairs(pairs), **values},
        meta_file=meta_file,
        metrics=metrics,
        skip_failed=skip_failed,
    )
    readers.write_table(report.table, output)
    if as_json:
        summary = {"output": str(output), "rows": len(report.table), "notes": report.notes}
        click.echo(json.dumps(summary, indent=2))
        return
    rows, count = len(report.table), len(files)
    click.echo(f"{output}: {rows} row{'' if rows == 1 else 's'} from {count} file{'' if count == 1 else 's'}")
    for note in report.notes:
        click.echo(f"note: {note}")


def _pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    """Take NAME=VALUE apart."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise DataError(f"--set {pair!r}: write it as NAME=VALUE")
        if name.strip() in values:
            raise DataError(f"--set {name.strip()} is given twice: keep one")
        values[name.strip()] = value.strip()
    return values
