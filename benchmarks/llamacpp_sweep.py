"""Measures llama.cpp's server on this CPU with small models of known acceptance: makes data/llamacpp-cpu.csv.

    uv run python benchmarks/llamacpp_sweep.py --output data/llamacpp-cpu.csv

Two dense verifiers and a mixture of experts, two drafters, draft lengths 0, 2, 4 and 8, three workloads whose acceptance is
known by construction, two shapes, six loads. Finished points are kept: after a stop the same command goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bayes_sd.engine import DRAFTERS, VERIFIERS, WORKLOADS, ServerSettings, serve, successors, write_model
from bayes_sd.engine.server import engine_name
from bayes_sd.measure import Length, Plan, Progress, Prompts, Shape, Sweep, measure

HARDWARE = "EPYC-core"
SEED = 7
SLOTS = 8
SHORT, LONG = Shape(24, 24), Shape(72, 32)
LOADS = {"clients": (1, 2, 3, 4), "shares": (0.6, 0.85), "arrivals": "even"}
LENGTH = Length(standard_error=0.02, warm_up=2, least=12, most=200, seconds=1.3)


@dataclass(frozen=True)
class Served:
    """One server: a verifier, with or without a drafter and a draft length."""

    verifier: str
    drafter: str = ""
    draft_length: int = 0


def servers() -> Iterator[Served]:
    """Give all servers, the light ones first; the mixture of experts with one drafter only."""
    for verifier, shape in sorted(VERIFIERS.items(), key=lambda item: item[1].active_params):
        yield Served(verifier)
        for drafter in list(DRAFTERS)[: 1 if shape.experts else None]:
            for k in (4, 2, 8):
                yield Served(verifier, drafter, k)


def plans(served: Served) -> Iterator[tuple[str, Plan]]:
    """Give (workload, plan): two shapes at acceptance .7, one at .5 and .9; repeats without drafter and with k = 4."""
    yield "agree-70", Plan(shapes=(SHORT, LONG), repeats=1, **LOADS)
    if served.draft_length in (0, 4):
        yield "agree-70", Plan(shapes=(SHORT,), repeats=2, **LOADS)
    if served.draft_length:
        yield "agree-50", Plan(shapes=(SHORT,), repeats=1, **LOADS)
        yield "agree-90", Plan(shapes=(SHORT,), repeats=1, **LOADS)


def about(served: Served, workload: str) -> dict[str, object]:
    columns = {
        "source": "llamacpp_cpu",
        "hardware": HARDWARE,
        "tp": 1,
        "engine": engine_name(),
        "verifier": served.verifier,
        "precision": "q8_0",
        "method": "draft_model" if served.drafter else "none",
        "max_num_seqs": SLOTS,
        "workload": workload,
        "family": "llamacpp-cpu",
    }
    return columns | ({"drafter": served.drafter, "k": served.draft_length} if served.drafter else {})


def models(folder: Path) -> dict[str, Path]:
    """Write the models that are not there yet; the same seed gives the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for drafter, shapes in ((False, VERIFIERS), (True, DRAFTERS)):
        for name, shape in shapes.items():
            found[name] = folder / f"{name}-{SEED}.gguf"
            if not found[name].exists():
                write_model(shape, successors(SEED, drafter), SEED + drafter, found[name])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("data/llamacpp-cpu.csv"))
    parser.add_argument(
        "--models", type=Path, default=Path("traces/llamacpp"), help="folder of the model files"
    )
    parser.add_argument("--only", default="", help="servers whose 'verifier drafter k' holds this text")
    parser.add_argument("--max-seconds", type=float, default=1800.0)
    args = parser.parse_args()
    files = models(args.models)
    start = time.monotonic()
    chosen = [s for s in servers() if args.only in f"{s.verifier} {s.drafter} {s.draft_length}"]

    def shown(progress: Progress) -> None:
        if progress.cell is not None:
            latency = progress.cell.number("mean_e2e_s")
            print(f"  {progress.point.name}, repeat {progress.point.repeat}: {latency:.4g} s", flush=True)

    for number, served in enumerate(chosen, start=1):
        left = args.max_seconds - (time.monotonic() - start)
        if left <= 0:
            raise SystemExit(f"stopped after {args.max_seconds:g} s: the same command goes on")
        drafter = str(files[served.drafter]) if served.drafter else ""
        settings = ServerSettings(str(files[served.verifier]), drafter, served.draft_length, SLOTS)
        print(f"{number}/{len(chosen)} at {time.monotonic() - start:.0f} s: {served}", flush=True)
        with serve(settings, args.models / "server.log") as server:
            for workload, plan in plans(served):
                sweep = Sweep(
                    target=server.url,
                    about=about(served, workload),
                    plan=plan,
                    length=LENGTH,
                    prompts=Prompts(vocabulary=WORKLOADS[workload].tokens),
                    max_seconds=max(left, 1.0),
                    seed=SEED,
                )
                measure(sweep, args.output, shown)
    print(f"done in {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
