"""What `advise` loses against an oracle while load and acceptance drift, beside fixed draft lengths and a bandit.

    uv run python benchmarks/advise.py TRACE.nc [--windows 240] [--seeds 2] [--scenario bursts] [--json OUT.json] [--figure FILE.svg]

The server is one draw of the posterior that the advisor does not see: its own costs, and its own way for acceptance to change
with draft length. Each window of a minute has a Poisson number of requests, their mean latency by the queue law with the luck of
requests on it and 2 % beside, and the tokens per cycle of its drafts. Every learner chooses the next window's draft length from the
windows so far. Regret is the share of the attainable speed given away, 1 − L_best/L by the law without luck. Beside the best fixed
length in hindsight stands the best one for each load and acceptance of the window before: hearing one window late goes no further.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scoring.regret_figure import draw as draw_regret
from scoring.scores import mean_and_error

from bayes_sd.baseline.bandit import DraftLengthBandit
from bayes_sd.decide.advise import Advisor
from bayes_sd.decide.windows import Window
from bayes_sd.posterior import load_posterior

WINDOW_S, LONGEST = 60.0, 8
FIXED = "best fixed length"
LAGGED = "best by the window before"
LATENCY_CV, JITTER, REQUEST_SD = 0.5, 0.02, 0.3
BANDITS = {
    "D-UCB, B = 0.05": {"discount": 0.98, "bound": 0.05},
    "D-UCB, B = 0.2": {"discount": 0.98, "bound": 0.2},
    "D-UCB, quick": {"discount": 0.9, "bound": 0.05},
    "UCB1": {"discount": 1.0, "bound": 0.05},
}


@dataclass(frozen=True)
class Scenario:
    """Arrival rate as a share of what the server can hold, and tokens per cycle at four drafts, by window."""

    name: str
    share: np.ndarray
    committed: np.ndarray


def scenarios(n: int) -> list[Scenario]:
    t = np.arange(n) / n
    day = 0.06 + 0.34 * (1.0 - np.cos(2 * np.pi * 2 * t))
    burst = np.where((t * 8) % 1.0 > 0.75, 0.7, 0.12)
    switch = np.where((t * 4).astype(int) % 2 == 0, 3.3, 1.9)
    fall = np.clip(3.3 - 1.4 * (t - 0.2) / 0.6, 1.9, 3.3)
    same = np.full(n, 3.3)
    return [
        Scenario("day curve", day, same),
        Scenario("bursts", burst, same),
        Scenario("workload switch, 3.3 to 1.9", np.full(n, 0.35), switch),
        Scenario("acceptance falls, 3.3 to 1.9", np.full(n, 0.35), fall),
        Scenario("day curve and switch", day, switch),
    ]


class World:
    """One server whose numbers are known: the law of each draft length, and windows with luck in them."""

    def __init__(self, posterior, condition, cards, draw: int, seed: int) -> None:
        tree = posterior.tree.isel(draw=slice(draw, draw + 1), chain=slice(0, 1))
        self._law = Advisor(
            replace(posterior, tree=tree), condition, cards, longest=LONGEST, seed=seed + 1000
        )
        self._rng = np.random.default_rng(seed)
        self._levels = np.linspace(-5.0, 6.0, 1101)
        self._law._committed = lambda *_: self._now[None]  # type: ignore[method-assign]
        self.set(3.3)
        self.limit = float(self._latency(1.0)[1].max())

    def set(self, committed_at_four: float) -> None:
        """Change acceptance, said as the tokens that four drafts commit."""
        curve = self._expected(4, self._levels)
        self._level = float(np.interp(committed_at_four, curve, self._levels))
        self._now = np.array([self._expected(k, np.array([self._level]))[0] for k in self._law.lengths])

    def _expected(self, k: int, level: np.ndarray) -> np.ndarray:
        from bayes_sd.latency.acceptance import expected_committed_profile

        return expected_committed_profile(level + self._law._shift[0, k], self._law._profile, k)

    def _latency(self, rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Latency [s] and limit [requests/s] of each draft length, as an Advisor computes them."""
        return self._law._latency(np.array([rate]), np.zeros(1, dtype=int))

    def latency(self, rate: float) -> np.ndarray:
        """Mean latency of each draft length at a rate [s]."""
        return self._latency(rate)[0][0, :, 0]

    def window(self, rate: float, k: int) -> Window:
        """What a scraper sees of a minute."""
        rng, latency = self._rng, self.latency(rate)[k]
        if not np.isfinite(latency):
            rate = 0.98 * float(self._latency(1.0)[1][0, k])
            latency = 3.0 * self.latency(rate)[k]
        n = int(rng.poisson(rate * WINDOW_S))
        if n == 0:
            return Window(float("nan"), 0.0, requests=0.0)
        seen = latency * np.exp(JITTER * rng.normal()) * (1.0 + LATENCY_CV / np.sqrt(n) * rng.normal())
        committed = 1.0
        if k:
            step = 1e-3
            slope = float(np.diff(self._expected(k, self._level + np.array([0.0, step])))[0]) / step
            cycles = n * self._law._own_sizes()[1] / self._now[k]
            # Accepted drafts per cycle spread by about their mean; requests differ in how easy they are.
            sd = np.hypot((self._now[k] - 1.0) / np.sqrt(cycles), REQUEST_SD * slope / np.sqrt(n))
            committed = float(np.clip(self._now[k] + sd * rng.normal(), 1.0, k + 1.0))
        return Window(max(seen, 1e-3), n / WINDOW_S, requests=n, accepted_len=committed)


def run_advisor(advisor: Advisor, world: World, scenario: Scenario) -> list[int]:
    chosen, k = [], 4
    for share, committed in zip(scenario.share, scenario.committed, strict=True):
        world.set(committed)
        chosen.append(k)
        advisor.see(world.window(share * world.limit, k), k, WINDOW_S)
        k = advisor.advise().k
    return chosen


def run_bandit(bandit: DraftLengthBandit, world: World, scenario: Scenario) -> list[int]:
    chosen, k, fastest = [], 4, np.inf
    for share, committed in zip(scenario.share, scenario.committed, strict=True):
        world.set(committed)
        chosen.append(k)
        seen = world.window(share * world.limit, k)
        rate = seen.rate_rps or 0.0
        if np.isfinite(seen.latency_s):
            fastest = min(fastest, seen.latency_s)
            bandit.learn(rate, k, fastest / seen.latency_s)
        k = bandit.choose(rate)
    return chosen


def regrets(world: World, scenario: Scenario) -> np.ndarray:
    """Share of the attainable speed that each draft length gives away in each window, shape (window, length)."""
    rows = []
    for share, committed in zip(scenario.share, scenario.committed, strict=True):
        world.set(committed)
        latency = world.latency(share * world.limit)
        best = latency.min()
        rows.append(1.0 - best / latency if np.isfinite(best) else np.zeros_like(latency))
    return np.array(rows)


def by_last_window(scenario: Scenario, lost: np.ndarray) -> np.ndarray:
    """Choose the best draft length in hindsight for each load and acceptance that the window before had, shape (window,).

    No learner that hears of a window when it is over can do better, unless it knows the scenario.
    """
    chosen = np.full(len(lost), int(lost.mean(axis=0).argmin()))
    before = np.stack([scenario.share, scenario.committed], axis=1)[:-1].round(3)
    for state in np.unique(before, axis=0):
        then = 1 + np.flatnonzero((before == state).all(axis=1))
        chosen[then] = lost[then].mean(axis=0).argmin()
    return chosen


@dataclass(frozen=True)
class Trial:
    """One server in a scenario: regret by window of each learner and of the best fixed length, and what the advisor chose."""

    regret: dict[str, np.ndarray]
    fixed: int
    chosen: list[int]

    def mean(self, name: str) -> float:
        """Mean regret of a learner."""
        return float(self.regret[name].mean())

    @property
    def switches(self) -> int:
        """How often the advisor changed the draft length."""
        return int((np.diff(self.chosen) != 0).sum())


def compare(posterior, condition, cards, scenario: Scenario, draw: int, seed: int) -> Trial:
    """Let each learner run a server through a scenario."""
    world = World(posterior, condition, cards, draw, seed)
    lost = regrets(world, scenario)
    at = np.arange(len(lost))
    keep = [i for i in range(posterior.tree["posterior"].sizes["draw"]) if i != draw]
    others = replace(posterior, tree=posterior.tree.isel(draw=keep))
    chosen = run_advisor(Advisor(others, condition, cards, longest=LONGEST, seed=seed), world, scenario)
    fixed = int(lost.mean(axis=0).argmin())
    regret = {
        "advise": lost[at, chosen],
        FIXED: lost[:, fixed],
        LAGGED: lost[at, by_last_window(scenario, lost)],
    }
    for name, options in BANDITS.items():
        regret[name] = lost[at, run_bandit(DraftLengthBandit(LONGEST + 1, **options), world, scenario)]
    return Trial(regret, fixed, chosen)


def summary(scenario: Scenario, trials: list[Trial]) -> dict[str, Any]:
    """Means over the servers and their errors, and the curves of a figure."""
    mean = {name: float(np.mean([t.mean(name) for t in trials])) for name in trials[0].regret}
    more = np.array([t.mean("advise") - t.mean(FIXED) for t in trials])
    bandit = min(BANDITS, key=lambda name: mean[name])
    shown = {"advise": "advise", FIXED: FIXED, "best bandit": bandit}
    return {
        "scenario": scenario.name,
        "seeds": len(trials),
        "window_s": WINDOW_S,
        **mean,
        "advise error": mean_and_error(np.array([t.mean("advise") for t in trials]))[1],
        "more than best fixed": float(more.mean()),
        "its error": mean_and_error(more)[1],
        "best bandit": bandit,
        "switches": float(np.mean([t.switches for t in trials])),
        "each": [
            {"fixed": t.fixed, "switches": t.switches, **{n: t.mean(n) for n in t.regret}} for t in trials
        ],
        "share": scenario.share.tolist(),
        "committed": scenario.committed.tolist(),
        "curves": {
            label: np.mean([t.regret[name] for t in trials], axis=0).tolist() for label, name in shown.items()
        },
    }


def condition_of(posterior, cards):
    from bayes_sd.condition import base_condition
    from bayes_sd.condition.question import Question

    return base_condition(posterior, cards, Question({}), "rate", speculate=True, draft_length=4)[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trace", type=Path)
    parser.add_argument("--windows", type=int, default=240)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--scenario", help="only those whose name begins so")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path, help="FILE.png or FILE.svg, which gets a dark twin")
    options = parser.parse_args()
    posterior = load_posterior(options.trace, True)
    cards = posterior.cards()
    condition = condition_of(posterior, cards)
    draws = posterior.tree["posterior"].sizes["draw"]
    rows = []
    for scenario in scenarios(options.windows):
        if options.scenario and not scenario.name.startswith(options.scenario):
            continue
        trials = [
            compare(posterior, condition, cards, scenario, (37 * seed + 11) % draws, seed)
            for seed in range(options.seeds)
        ]
        rows.append(row := summary(scenario, trials))
        print(
            f"{row['scenario']:32s} advise {row['advise']:6.2%} ± {row['advise error']:.2%}  best fixed {row[FIXED]:6.2%}  "
            f"{LAGGED} {row[LAGGED]:.2%}  "
            f"difference {row['more than best fixed']:+.2%} ± {row['its error']:.2%}  "
            f"best bandit {row[row['best bandit']]:6.2%}  switches {row['switches']:.0f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if options.figure:
        draw_regret(rows, options.figure)


if __name__ == "__main__":
    main()
