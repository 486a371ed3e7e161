"""Points measured by GuideLLM instead of this package's own client: one run of its command a point, its report read back.

GuideLLM runs as a program of its own, from whatever environment it is installed in. It is told the target as the only address,
a tokenizer that lies on disk, and to leave the model hub alone.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from bayes_sd.errors import DataError, TargetError, shown
from bayes_sd.files import scratch_folder
from bayes_sd.interrupts import undone
from bayes_sd.measure.guidellm_tool import GuideLLM
from bayes_sd.measure.plan import Point
from bayes_sd.measure.sweep import Sweep
from bayes_sd.measurements.readers import guidellm as report_reader
from bayes_sd.measurements.readers.reading import Reading

START_S = 120.0
"""Time that GuideLLM may take beside its measuring: importing its libraries, making prompts, writing its report [s]."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
KINDS = {arrivals: kind for kind, arrivals in report_reader.ARRIVALS.items()}
"""Arrivals to what GuideLLM calls them."""


def scenario(
    sweep: Sweep, point: Point, requests: int, seconds: float, report: Path, tokenizer: str
) -> dict[str, Any]:
    """Describe a point's run in GuideLLM's own terms.

    Parameters
    ----------
    sweep : Sweep
    point : Point
    requests : int
        Most requests to send, warm-up included.
    seconds : float
        Longest time to send them for [s].
    report : Path
        Where its report goes.
    tokenizer : str
        Folder.

    Returns
    -------
    dict
        A GuideLLM scenario (``guidellm run --config``), version 0.8.
    """
    profile: dict[str, Any]
    if point.load.kind == "concurrency":
        profile = {"kind": "concurrent", "streams": [int(point.load.value)]}
        warm_up = max(sweep.length.warm_up, int(point.load.value))
    else:
        profile = {"kind": KINDS[sweep.plan.arrivals], "rate": [point.load.value]}
        warm_up = sweep.length.warm_up
    profile["warmup"] = {"value": warm_up, "mode": "requests"}
    backend: dict[str, Any] = {
        "kind": "openai_http",
        "target": sweep.target,
        "model": sweep.model,
        "request_format": "/v1/completions",
        "timeout": sweep.timeout_s,
        "extras": {"body": {"temperature": 0, "ignore_eos": True, **sweep.extra}},
    }
    if sweep.api_key:
        backend["api_key"] = sweep.api_key
    return {
        "spec": {
            "backend": backend,
            "profile": profile,
            "constraints": [
                {"kind": "max_requests", "count": min(requests, sweep.length.most + warm_up)},
                {"kind": "max_duration", "seconds": seconds},
            ],
            "tokenizer": {"kind": "huggingface_auto", "model": tokenizer},
            "data": [
                {
                    "kind": "synthetic_text",
                    "prompt_tokens": point.shape.prompt_tokens,
                    "output_tokens": point.shape.output_tokens,
                }
            ],
            "seed": {"kind": "static", "value": sweep.seed + 1000 * point.repeat},
            "outputs": [{"kind": "json", "path": str(report)}],
        }
    }


async def guidellm_cell(sweep: Sweep, point: Point, requests: int, seconds: float, tool: GuideLLM) -> Reading:
    """Measure a point by GuideLLM.

    Parameters
    ----------
    sweep : Sweep
    point : Point
    requests : int
        Most requests to send, warm-up included.
    seconds : float
        Longest time to send them for [s].
    tool : GuideLLM
        From :meth:`GuideLLM.checked`.

    Returns
    -------
    Reading
        With the load, lengths and latencies as its report says them.

    Raises
    ------
    TargetError
        If it fails, takes too long, or no request succeeded.
    """
    with scratch_folder() as folder:
        report, plan = folder / "report.json", folder / "scenario.json"
        plan.touch(mode=0o600)  # it may hold the key
        plan.write_text(
            json.dumps(scenario(sweep, point, requests, seconds, report, tool.tokenizer)), encoding="utf-8"
        )
        await _run([tool.command, "run", "--config", str(plan), "--disable-console"], seconds)
        if not report.is_file():
            raise TargetError("GuideLLM wrote no report")
        try:
            cells = list(report_reader.read(report))
        except DataError as error:
            raise TargetError(f"GuideLLM's report cannot be used: {error}") from error
    cell = cells[0]
    if not isinstance(cell, Reading):
        raise TargetError(f"GuideLLM: {cell.reason}")
    return _named(cell, point)


def _named(cell: Reading, point: Point) -> Reading:
    """Say which point of the plan a reading is; the verifier is the user's to name."""
    cell.where = point.name
    cell.columns |= {
        "load_kind": point.load.kind,
        "load_value": point.load.value,
        "config_id": point.name,
        "repeat": str(point.repeat),
        "measured_by": cell.tool,
    }
    cell.columns.pop("verifier", None)
    return cell


async def _run(command: list[str], seconds: float) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **OFFLINE},
    )
    limit_s = 2.0 * seconds + START_S
    try:
        with undone(process.kill):
            output, _ = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError:
        raise TargetError(f"GuideLLM did not end within {limit_s:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
        last = shown(said[-1]) if said else "it said nothing"
        raise TargetError(f"GuideLLM failed with exit code {process.returncode}: {last}")
