"""``ingest``: files of benchmark tools into a measurement table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bayes_sd.cli.output import ToWrite, folded
from bayes_sd.cli.progress import CountShown
from bayes_sd.errors import DataError, OutputError
from bayes_sd.files import write_atomically
from bayes_sd.measurements import readers

if TYPE_CHECKING:
    from bayes_sd.measurements.readers import IngestReport

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
    ("arrivals", "spacing of an open loop: even, poisson, or gamma SHAPE"),
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
    type=ToWrite(),
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
@click.option(
    "--recursive", "-r", is_flag=True, help="Read folders too; what is no benchmark in them is left out."
)
@click.option(
    "--report",
    "report_file",
    type=ToWrite(),
    help="JSON file of what came of each file, and every note with its places.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@_column_options
def ingest(
    files: tuple[Path, ...],
    output: Path,
    meta_file: Path | None,
    pairs: tuple[str, ...],
    metrics: tuple[Path, ...],
    skip_failed: bool,
    recursive: bool,
    report_file: Path | None,
    as_json: bool,
    **columns: str | None,
) -> None:
    """Read FILEs of benchmark tools into one measurement table.

    Known by their content: GuideLLM benchmarks.json, vllm bench serve and sweep results, SGLang bench_serving JSON
    lines, AIPerf and GenAI-Perf profile exports, inference-perf stage_N_lifecycle_metrics.json, InferenceX CSV and JSON,
    llm-d benchmark reports, LLMPerf summaries. What a file does not say comes from the options below, from FILE.toml
    beside it, or from --meta, in this order, and is asked for by name where it is missing. A load that is given goes
    before the file's, with a note: tools write down the load that they were asked for.
    """
    _refuse_inputs(output, report_file, files)
    values = {name.removeprefix("column_"): value for name, value in columns.items() if value is not None}
    with CountShown(quiet=as_json) as shown:
        report = readers.ingest(
            files,
            {**_pairs(pairs), **values},
            meta_file=meta_file,
            metrics=metrics,
            skip_failed=skip_failed,
            recursive=recursive,
            progress=lambda done, total, path: shown(done, total, path.name),
        )
    _refuse_inputs(output, report_file, [file.path for file in report.files if file.rows])
    readers.write_table(report.table, output)
    if report_file:
        _write_report(report, output, report_file)
    if as_json:
        click.echo(json.dumps(_summary(report, output), indent=2))
    else:
        _show(report, output)


def _refuse_inputs(output: Path, report: Path | None, files: Sequence[Path]) -> None:
    """Refuse to write over a benchmark file, or two results over each other."""
    inputs = {file.resolve() for file in files}
    for target in (output, report):
        if target is not None and target.resolve() in inputs:
            raise OutputError(f"cannot write {target}: it is one of the files to read; name another")
    if report is not None and report.resolve() == output.resolve():
        raise OutputError(f"cannot write {report}: --report and --output name the same file; name another")


def _show(report: IngestReport, output: Path) -> None:
    """Print what was read, what was left out and why, and the notes, those alike in one line."""
    rows, count = len(report.table), len(report.files)
    click.echo(f"{output}: {rows} row{'' if rows == 1 else 's'} from {count} file{'' if count == 1 else 's'}")
    if count > 1:
        for tool in dict.fromkeys(file.tool for file in report.files if file.rows):
            made = [file.rows for file in report.files if file.tool == tool and file.rows]
            click.echo(f"  read     {len(made):5d}  {tool}: {sum(made)} rows")
        for reason, number in report.left_out().items():
            click.echo(f"  left out {number:5d}  {reason}")
    for group in report.groups:
        click.echo("\n".join(folded(f"note: {group}")))


def _summary(report: IngestReport, output: Path) -> dict[str, object]:
    return {
        "output": str(output),
        "rows": len(report.table),
        "notes": [str(group) for group in report.groups],
        "left_out": report.left_out(),
    }


def _write_report(report: IngestReport, output: Path, path: Path) -> None:
    whole = _summary(report, output) | {
        "files": [
            {
                "file": str(file.path),
                "tool": file.tool or None,
                "rows": file.rows,
                "left_out": list(file.left_out),
            }
            for file in report.files
        ],
        "notes": [
            {"note": group.text, "count": len(group.places), "places": list(group.places)}
            for group in report.groups
        ],
    }
    write_atomically(path, lambda beside: beside.write_text(json.dumps(whole, indent=2), encoding="utf-8"))


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
