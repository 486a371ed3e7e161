"""Time of the sweep under the decisions, of each decision, and of the commands.

    uv run python benchmarks/decisions.py TRACE [--loads 50] [--longest 8] [--repeats 5] [--json OUT.json]

Each figure is the least of the repeats, with the largest beside it: other work on the machine only ever adds. Processor
time is that of all threads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bayes_sd.cards import load_cards
from bayes_sd.condition import Question, base_condition
from bayes_sd.decide.schedule import schedule, sweep_batch_sizes
from bayes_sd.decide.speedup import speedup
from bayes_sd.decide.tune import prepare_choices, tune
from bayes_sd.forecast.sweep import Alternative, prepare, stability_limits, sweep
from bayes_sd.posterior.posterior import load_posterior


def timed(run: Callable[[], object], repeats: int) -> dict[str, float]:
    wall, processor = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return {"least_s": min(wall), "largest_s": max(wall), "processor_s": min(processor)}


def command(*args: str) -> Callable[[], object]:
    line = [sys.executable, "-m", "bayes_sd", *args]
    return lambda: subprocess.run(line, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", type=Path)
    parser.add_argument("--loads", type=int, default=50)
    parser.add_argument("--longest", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="OUT")
    options = parser.parse_args()
    cards = load_cards()
    posterior = load_posterior(options.trace, accept_unconverged=True)
    base, _ = base_condition(posterior, cards, Question({}), speculate=True)
    lengths = range(options.longest + 1)

    def swept(axis: str, arrivals: str | None, ttft: bool) -> object:
        prepared = prepare(posterior, base, [Alternative(k) for k in lengths], cards)
        limit = np.median(stability_limits(prepared))
        loads = np.linspace(0.02, 1.0, options.loads) * (256 if axis == "in-flight" else limit)
        return sweep(prepared, np.maximum(loads, 1.0) if axis == "in-flight" else loads, axis, arrivals, ttft)

    def table() -> object:
        return schedule(sweep_batch_sizes(prepare_choices(posterior, base, lengths, cards=cards)))

    cases: dict[str, Callable[[], object]] = {
        "sweep, poisson": lambda: swept("rate", "poisson", False),
        "sweep, poisson, with time to first token": lambda: swept("rate", "poisson", True),
        "sweep, even": lambda: swept("rate", "even", False),
        "sweep, in flight": lambda: swept("in-flight", None, False),
        "speedup": lambda: speedup(posterior, base, cards=cards),
        "tune": lambda: tune(posterior, base, draft_lengths=lengths, cards=cards),
        "table by batch size": table,
    }
    trace = str(options.trace)
    commands = {
        "command --help": command("--help"),
        "command speedup": command("speedup", trace, "--accept-unconverged"),
        "command tune": command("tune", trace, "--accept-unconverged"),
    }
    print(f"{posterior.n_draws} draws, {options.loads} loads, draft lengths 0 to {options.longest}")
    figures = {}
    for name, run in (cases | commands).items():
        run()
        figures[name] = timed(run, options.repeats)
        found = figures[name]
        used = "" if name in commands else f", processor {found['processor_s']:.2f} s"
        print(f"{name:42s} {found['least_s']:6.2f} s (largest {found['largest_s']:.2f}{used})")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    if options.json:
        report = {"draws": posterior.n_draws, "seconds": figures, "load_average": os.getloadavg()[0]}
        Path(options.json).write_text(json.dumps(report, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
