"""Minutes of measuring until a decision gives away 1 %: `next` against a ladder, a sweep of ten strategies, and runs at random.

    uv run python benchmarks/next.py TRACE.nc [--draws 1200] [--orders 6] [--restart 120] [--json OUT.json]

A decision is the draft length, from none to eight, at five numbers in flight, of a server whose prompts, whose GPU or whose drafter
the posterior was not fitted to. Half of the draws plan; the other half are truths in turn, in which the runs are simulated with the
noise of a measurement. After each run the choice is made by the expected losses given all that was measured, the truth left out,
and its loss is paid in the truth. So `next` is judged by draws that it did not see. Regret is the mean over the truths.

* next: the runs of one plan, by what each gains a minute beside those before it, going on where `next` itself would stop, since it is
  then asked again;
* ladder: one server after another, 1, 2, 4, ... 128 clients each;
* sweep: one server after another, ten strategies each as GuideLLM's sweep has them: one request at a time, as many as the server
  takes, and eight constant rates evenly between what these two reach;
* random: runs of the ladder in random order.

Servers of ladder and sweep come in random order, several times, and the measurements are simulated anew each time. Another draft
length is another server and costs a restart, of two minutes or what `--restart` says, 0 to compare minutes of measuring alone; a run
takes what `measure` would take for it. "Least" is the shortest time in which any one run reaches the aim, the server's start included:
no plan can be quicker.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scoring.scores import mean_and_error
from threadpoolctl import threadpool_limits

from bayes_sd.condition import base_condition
from bayes_sd.condition.frame import as_conditions
from bayes_sd.condition.question import Question
from bayes_sd.learn.decision import latency_decision
from bayes_sd.learn.next_runs import choose, default_candidates
from bayes_sd.learn.runs import candidate_runs
from bayes_sd.learn.search import RESTART_S, Sought
from bayes_sd.learn.value import simulated, value_of
from bayes_sd.posterior import load_posterior

STRATEGIES = ("next", "ladder", "sweep", "random")
MOST_MINUTES = 30.0
AIMS, AFTER = (0.01, 0.005), (3, 5, 10, 20)
"""Regrets to reach, and minutes after which to look."""


class Point(NamedTuple):
    """Regret after some minutes of measuring."""

    minutes: float
    regret: float
    error: float


def questions(posterior, cards) -> Iterator[tuple[str, pd.DataFrame]]:
    """The trace's most measured server, with prompts, with a GPU, and with a drafter that were never measured."""
    known = set(posterior.observed["hardware"])
    other = next(h for h in ("H100-SXM", "A100-SXM-80GB", "L40S", "H200-SXM") if h not in known)
    changes = {
        "unknown prompts": {"workload": "never seen"},
        f"unknown GPU ({other})": {"hardware": other, "workload": "never seen"},
        "unknown drafter": {
            "method": "draft_model",
            "drafter": "Llama-3.2-1B-Instruct",
            "workload": "never seen",
        },
    }
    for name, columns in changes.items():
        asked = Question({k: v for k, v in columns.items() if k == "workload"})
        base = base_condition(posterior, cards, asked, "concurrency", speculate=True, draft_length=4)[0]
        rest = {k: v for k, v in columns.items() if k in base}
        yield name, as_conditions(base.assign(**rest), posterior=posterior)


def part(posterior, start: int, draws: int):
    """Every second draw from a start on, at most so many."""
    chains = int(posterior.tree["posterior"].sizes["chain"])
    step = max(2, 2 * (posterior.n_draws // 2 // draws))
    most = max(1, draws // chains)
    return replace(posterior, tree=posterior.tree.isel(draw=slice(start, start + step * most, step)))


def sweep_rows(posterior, base: pd.DataFrame, rows: pd.DataFrame, cards) -> pd.DataFrame:
    """Ten strategies of each server: one client, all that it takes, and eight rates evenly between their throughputs."""
    made = []
    for _, own in rows.groupby("k", sort=False):
        ends = pd.DataFrame([own.iloc[0], own.iloc[-1]]).reset_index(drop=True)
        found = candidate_runs(posterior, as_conditions(ends, posterior=posterior), cards)
        reached = ends["load_value"].to_numpy() / np.exp(np.median(found.log_latency, axis=0))
        made += ends.to_dict("records")
        for rate in np.linspace(*reached, 10)[1:-1]:
            made.append({**ends.iloc[0], "load_kind": "rate", "load_value": float(rate), "arrivals": "even"})
    return as_conditions(pd.DataFrame(made), posterior=posterior).reset_index(drop=True)


def curve(decision, runs, order, seed: int, restart_s: float) -> list[Point]:
    """Regret after each run of an order, restarts included."""
    points, seen, spent, running = [Point(0.0, decision.regret, 0.0)], [], 0.0, ""
    for i in order:
        seen.append(simulated(runs, i, np.random.default_rng([seed, 71, i])))
        spent += float(runs.seconds[i]) + (restart_s if runs.server[i] != running else 0.0)
        running = runs.server[i]
        value = value_of(decision, seen)
        points.append(Point(spent / 60.0, decision.regret - value.fall, value.error))
        if spent > 60.0 * MOST_MINUTES:
            break
    return points


def least(decision, runs, restart_s: float) -> dict[str, float]:
    """Minutes of the shortest single run that reaches each aim."""
    left = []
    for i in range(len(runs)):
        seen = simulated(runs, i, np.random.default_rng([99, i]))
        left.append(decision.regret - value_of(decision, [seen]).fall)
    minutes = (runs.seconds + restart_s) / 60.0
    return {str(aim): float(np.min(minutes, where=np.array(left) <= aim, initial=np.inf)) for aim in AIMS}


def grouped(servers: list[str], rng: np.random.Generator) -> list[int]:
    """One server after another in random order, its runs as they stand."""
    names = list(dict.fromkeys(servers))
    rng.shuffle(names)
    return [i for name in names for i, own in enumerate(servers) if own == name]


def orders(strategy: str, runs, plan: list[int], n: int) -> list[list[int]]:
    """Orders of runs that a strategy takes; several where it leaves them to chance."""
    if strategy == "next":
        return [plan] * n
    generators = [np.random.default_rng([seed, 5]) for seed in range(n)]
    if strategy == "random":
        return [list(rng.permutation(len(runs.server))) for rng in generators]
    return [grouped(runs.server, rng) for rng in generators]


def reached(points: list[Point], aim: float) -> float:
    """Minutes until the regret is below the aim and stays there; inf where it does not."""
    below = np.array([p.regret <= aim for p in points])
    stays = np.flatnonzero(np.logical_and.accumulate(below[::-1])[::-1])
    return points[stays[0]].minutes if len(stays) else float("inf")


def regret_at(points: list[Point], minutes: float) -> float:
    """Regret of what is known after some minutes; the last, where a strategy has no more runs."""
    return [p.regret for p in points if p.minutes <= minutes][-1]


def compare(
    posterior, base: pd.DataFrame, cards, draws: int, n_orders: int, restart_s: float
) -> dict[str, Any]:
    halves = [part(posterior, start, draws) for start in (0, 1)]
    planned, judged = (latency_decision(half, base, "k", cards=cards) for half in halves)
    rows = as_conditions(default_candidates(planned, base, False), posterior=posterior).reset_index(drop=True)
    ladder = [candidate_runs(half, rows, cards) for half in halves]
    sought = Sought(budget_s=60.0 * MOST_MINUTES, restart_s=restart_s, most=12, beyond=-np.inf)
    plan = [int(i) for i in choose(planned, ladder[0], sought)["chosen"].to_numpy()]
    sweep = candidate_runs(halves[1], sweep_rows(halves[1], base, rows, cards), cards)
    found: dict[str, Any] = {"regret": judged.regret, "plan": [ladder[0].names[i] for i in plan]}
    found["least"] = least(judged, ladder[1], restart_s)
    for strategy in STRATEGIES:
        runs = sweep if strategy == "sweep" else ladder[1]
        curves = [
            curve(judged, runs, order, seed, restart_s)
            for seed, order in enumerate(orders(strategy, runs, plan, n_orders))
        ]
        found[strategy] = {
            "minutes": {str(aim): [reached(points, aim) for points in curves] for aim in AIMS},
            "regret": {str(m): [regret_at(points, m) for points in curves] for m in AFTER},
            "curves": [[p._asdict() for p in points] for points in curves],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path)
    parser.add_argument("--draws", type=int, default=1200)
    parser.add_argument("--orders", type=int, default=6)
    parser.add_argument("--restart", type=float, default=RESTART_S, help="time of a server's start [s]")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    posterior = load_posterior(options.trace, True)
    cards = posterior.cards()
    told = {}
    for name, base in questions(posterior, cards):
        with threadpool_limits(limits=1):
            told[name] = found = compare(
                posterior, base, cards, options.draws, options.orders, options.restart
            )
        print_one(name, found)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def print_one(name: str, found: dict[str, Any]) -> None:
    """Print what was found of a question."""
    print(
        f"{name}: deciding now gives away {found['regret']:.2%}; first runs {'; '.join(found['plan'][:3])}",
        flush=True,
    )
    for strategy in STRATEGIES:
        own = found[strategy]
        minutes = "  ".join(f"{float(aim):.1%}: {shown(np.array(v))}" for aim, v in own["minutes"].items())
        left = "  ".join(
            f"{m} min {np.mean(v):.2%} ± {mean_and_error(np.array(v))[1]:.2%}"
            for m, v in own["regret"].items()
        )
        print(f"  {strategy:7s} minutes to {minutes};  left after {left}", flush=True)
    for aim in map(str, AIMS):
        print(f"  to {float(aim):.1%}: least {found['least'][aim]:.1f} min; {ratio(found, aim)}", flush=True)


def ratio(found: dict[str, Any], aim: str) -> str:
    """Say `next`'s minutes over those of the quickest other strategy, and the error of that."""
    minutes = {name: np.array(found[name]["minutes"][aim]) for name in STRATEGIES}
    best = min(STRATEGIES[1:], key=lambda name: minutes[name].mean())
    if not np.isfinite(minutes[best]).all() or not np.isfinite(minutes["next"]).all():
        return f"no ratio, {best} is the best other"
    (own, own_error), (other, other_error) = (mean_and_error(minutes[name]) for name in ("next", best))
    error = own / other * np.hypot(own_error / own, other_error / other)
    return f"next takes {own / other:.2f} ± {error:.2f} of what {best} takes"


def shown(minutes: np.ndarray) -> str:
    """Mean and its error, or how often an aim was not reached."""
    never = int((~np.isfinite(minutes)).sum())
    return (
        f"never in {never} of {len(minutes)}"
        if never
        else f"{minutes.mean():.1f} ± {mean_and_error(minutes)[1]:.1f}"
    )


if __name__ == "__main__":
    main()
