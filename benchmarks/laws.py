"""Errors of the analytic laws against the simulated engine, below saturation: mean and 95th percentile of latency.

    uv run python benchmarks/laws.py [--runs 16] [--requests 6000] [--only policies,remote] [--json OUT.json]

Cases and formulas are those of the tests (`tests/simulator`, `tests/forecast/test_tails.py`), which run four times 6,000 requests of
each and hold the law to 2 % of the mean and 5 % of the 95th percentile beside their Monte Carlo error. Here more runs make that error
small, so that what is left is the law's own. For each group: cases, median and largest absolute error, the largest
Monte Carlo error, and how many cases lie beyond 2 % or 5 %.

* engine: closed loops, Poisson and even arrivals, with and without drafts and a cap, lengths fixed or spread;
* policies: one draft length, by batch, by confidence, and a tree;
* classes: two classes of requests, each with its own draft lengths;
* remote: a drafter on another GPU or a CPU, with messages each cycle, waiting for it or drafting ahead;
* pools: prefill ranks and decode workers, of which either binds or neither, with and without drafts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scoring.scores import mean_and_error

from bayes_sd.simulator import LoadSpec, ServerSpec, TokenLaw, simulate_server
from bayes_sd.simulator.pools import simulate_pools

TESTS = Path(__file__).parents[1] / "tests"
sys.path += [str(TESTS / "simulator"), str(TESTS / "forecast")]
GATES = {"mean": 0.02, "p95": 0.05}
SHARES = (0.15, 0.5, 0.75)


class Case(NamedTuple):
    """A server at a load: mean and 95th percentile by the law [s], and a run of the simulator, latencies [s] by seed."""

    name: str
    law: np.ndarray
    run: Callable[[int, int], np.ndarray]


def engine() -> Iterator[Case]:
    import test_tails as t

    for protocol, load, cap in t.CASES:
        for alpha in ((), t.ACCEPTANCE):
            for std in (0, 50, 120):
                server = ServerSpec(t.COSTS, TokenLaw(t.PROMPT), TokenLaw(t.OUTPUT, std), alpha, n_max=cap)
                found = t.predicted(alpha, protocol, load, std, cap)
                name = f"{protocol} {load:g}, cap {cap}, k={len(alpha)}, std {std}"
                yield Case(name, found[[0, 2]], served(server, protocol, load))


def policies() -> Iterator[Case]:
    import test_policies as t

    for name, made in t.POLICIES.items():
        for share in SHARES:
            service, step, committed, server = made()
            rate = share * t.formulas(service, step, committed, 1.0)[1]
            found = t.formulas(service, step, committed, rate)[0]
            yield Case(f"{name} at {share:.0%}", found, served(server, "poisson", rate))


def classes() -> Iterator[Case]:
    import test_classes as t

    for name, policy in t.POLICIES.items():
        for share in SHARES:
            rate, mean, _, p95 = t.formulas(policy, share)
            yield Case(
                f"{name} at {share:.0%}", np.array([mean, p95]), served(t.server_of(policy), "poisson", rate)
            )


def remote() -> Iterator[Case]:
    import test_remote as t

    for name, one in t.SERVERS.items():
        for share in (0.02, *SHARES):
            rate, found = t.formulas(*one, share)
            yield Case(f"{name} at {share:.0%}", found, served(t.server_of(*one), "poisson", rate))


def pools() -> Iterator[Case]:
    import test_two_pools_simulated as t

    for name, sizes in t.POOLS.items():
        for alpha in (t.ALPHA, ()):
            for share in SHARES:
                rate, found = t.law(*sizes, alpha, share)
                server = ServerSpec(
                    t.COSTS, TokenLaw(t.PROMPT), TokenLaw(t.OUTPUT, t.STD), alpha, n_max=len(t.N)
                )

                def run(requests: int, seed: int, server=server, sizes=sizes, rate=rate) -> np.ndarray:
                    return simulate_pools(server, *sizes, LoadSpec("poisson", rate, requests), seed).latency_s

                yield Case(f"{name}, k={len(alpha)} at {share:.0%}", found, run)


def served(server: ServerSpec, protocol: str, load: float) -> Callable[[int, int], np.ndarray]:
    """Give what runs a server at a load."""
    return lambda requests, seed: simulate_server(server, LoadSpec(protocol, load, requests), seed).latency_s


GROUPS = {"engine": engine, "policies": policies, "classes": classes, "remote": remote, "pools": pools}


def errors(case: Case, requests: int, runs: int) -> dict[str, float | str]:
    """Compare the law of a case with runs."""
    latencies = [case.run(requests, 100 + seed) for seed in range(runs)]
    seen = {
        "mean": np.array([x.mean() for x in latencies]),
        "p95": np.array([np.quantile(x, 0.95) for x in latencies]),
    }
    told: dict[str, float | str] = {"case": case.name}
    for (name, values), law in zip(seen.items(), case.law, strict=True):
        middle, error = mean_and_error(values)
        told |= {name: float(law / middle - 1.0), f"{name} error": error / middle}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, with commas between")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    told = {}
    for group in options.only.split(","):
        told[group] = rows = [errors(case, options.requests, options.runs) for case in GROUPS[group]()]
        for name, gate in GATES.items():
            off = np.abs([float(row[name]) for row in rows])
            worst = rows[int(off.argmax())]
            print(
                f"{group:9s} {name:4s} {len(rows)} cases: median {np.median(off):.2%}, largest {off.max():.2%} ({worst['case']}), "
                f"Monte Carlo error at most {max(float(row[f'{name} error']) for row in rows):.2%}, "
                f"{int((off > gate).sum())} beyond {gate:.0%}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
