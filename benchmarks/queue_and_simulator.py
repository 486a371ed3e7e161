"""Speed of the queue law over many draws and of the simulators.

    uv run python benchmarks/queue_and_simulator.py [--draws 4000] [--conditions 100] [--states 512]
        [--json OUT.json]

The law's curves are made condition by condition, as a prediction does; making them is not counted. Each
figure is the least of the repeats, with the largest beside it: other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time

import numpy as np

from bayes_sd.latency import queue
from bayes_sd.latency.service import StageCosts
from bayes_sd.simulator import LoadSpec, ServerSpec, TokenLaw, simulate_server, simulate_sharing


def law_seconds(protocol: str, draws: int, conditions: int, states: int) -> float:
    rng = np.random.default_rng(0)
    c1 = rng.lognormal(0.0, 0.05, draws)[:, None]
    c2 = 0.015 * rng.lognormal(0.0, 0.05, draws)[:, None]
    in_flight = np.arange(1.0, states + 1)
    # From nearly idle to nearly saturated.
    rates = np.linspace(0.02, 0.93, conditions) * states / (1.0 + 0.015 * states)
    spent = 0.0
    for rate in rates:
        service = c1 + c2 * in_flight
        start = time.perf_counter()
        queue.in_flight_law(service, protocol, rate, n_max=states)
        spent += time.perf_counter() - start
    return spent


def engine_seconds(n_requests: int) -> float:
    costs = StageCosts(0.01, 2e-5, 0.008, 0.0, 2e-5, 1e-5, 1e-8, 8e-4, 2e-6, 0.5)
    server = ServerSpec(costs, TokenLaw(500), TokenLaw(200, 80), acceptance=(0.8, 0.7, 0.6), n_max=256)
    start = time.perf_counter()
    simulate_server(server, LoadSpec("poisson", 20.0, n_requests), 0)
    return time.perf_counter() - start


def sharing_seconds(n_requests: int) -> float:
    service = 1.0 + 0.1 * np.arange(1.0, 513)
    start = time.perf_counter()
    simulate_sharing(service, LoadSpec("poisson", 7.0, n_requests), 0)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--conditions", type=int, default=100)
    parser.add_argument("--states", type=int, default=512)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="OUT")
    options = parser.parse_args()
    engine_seconds(100)
    sharing_seconds(100)
    shape = (options.draws, options.conditions, options.states)
    cases = {
        f"law, {protocol}": lambda p=protocol: law_seconds(p, *shape) for protocol in ("poisson", "even")
    }
    cases |= {
        "engine": lambda: engine_seconds(options.requests),
        "shared processor": lambda: sharing_seconds(options.requests),
    }
    figures = {}
    for name, run in cases.items():
        seconds = [run() for _ in range(options.repeats)]
        figures[name] = {"least_s": min(seconds), "largest_s": max(seconds)}
        print(f"{name:18s} {min(seconds):7.2f} s (largest {max(seconds):.2f})")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    load = os.getloadavg()[0]
    print(f"peak memory {peak:.0f} MiB, load average {load:.1f} on {os.cpu_count()} CPUs")
    if options.json:
        report = {"options": vars(options), "seconds": figures, "peak_mib": peak, "load_average": load}
        with open(options.json, "w", encoding="utf-8") as handle:
            json.dump(report, handle, indent=2)


if __name__ == "__main__":
    main()
