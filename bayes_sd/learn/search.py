"""The best set of runs within a budget: greedy in sessions of one server, whose start is counted once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayes_sd.learn.value import Value, simulated, value_of

if TYPE_CHECKING:
    from bayes_sd.learn.decision import Decision
    from bayes_sd.learn.runs import Runs

RESTART_S = 120.0
"""Time that starting another server takes, by default."""
BEYOND = 2.0
"""A value counts as one if it is larger than so many of its standard errors."""
AHEAD = 3
"""Runs of one server that are looked ahead, before its start is found not to be worth it."""
WIDTH_ERROR = 0.005
"""Monte Carlo error of the width of an interval."""
AIMS = ("regret", "width")


@dataclass(frozen=True)
class Sought:
    """What runs are sought for.

    Attributes
    ----------
    budget_s, restart_s : float
        Time for measuring, and for starting another server [s].
    aim : {"regret", "width"}
        What a run is to lower: the decision's expected regret, or the width of its interval.
    most : int
        Runs at most.
    seed : int
    beyond : float
        Standard errors that a further run must gain to be added.
    """

    budget_s: float = 600.0
    restart_s: float = RESTART_S
    aim: str = "regret"
    most: int = 8
    seed: int = 0
    beyond: float = BEYOND


class Step(NamedTuple):
    """A run of a set.

    Attributes
    ----------
    run : int
    value : Value
        Of all runs up to this one.
    elapsed_s : float
        Time after it, restarts included.
    """

    run: int
    value: Value
    elapsed_s: float


class _Gain(NamedTuple):
    """What runs add to those that were chosen before, its standard error, and what it costs [s]."""

    added: float
    error: float
    seconds: float

    @property
    def rate(self) -> float:
        return self.added / self.seconds


class Search:
    """Looks for the best set of runs.

    Parameters
    ----------
    decision : Decision
    runs : Runs
    sought : Sought

    Attributes
    ----------
    single : list of Value
        Of each run by itself.
    """

    def __init__(self, decision: Decision, runs: Runs, sought: Sought) -> None:
        self._decision, self._runs, self._sought = decision, runs, sought
        n = len(runs)
        self._measured = [simulated(runs, i, np.random.default_rng([sought.seed, 31, i])) for i in range(n)]
        self.single = [value_of(decision, [measured]) for measured in self._measured]

    def best_set(self) -> list[Step]:
        """Add the session that gains most a minute, until the budget is used up or nothing gains beyond its error.

        A session is one to :data:`AHEAD` runs of one server: the first of them may be worth its server's start only beside the next.
        What a session gains falls as more is known. So its last gain bounds it from above, and most need not be valued anew
        (Minoux 1978, doi:10.1007/BFb0006528).

        Returns
        -------
        list of Step
        """
        steps: list[Step] = []
        bounds = dict.fromkeys(self._runs.server, np.inf)
        while len(steps) < self._sought.most:
            if steps:  # its runs need no start any more, and are worth more a minute than before
                bounds[self._runs.server[steps[-1].run]] = np.inf
            best = self._best_session(steps, bounds)
            if best is None:
                break
            steps += best
        return steps[: self._sought.most]

    def _best_session(self, before: list[Step], bounds: dict[str, float]) -> list[Step] | None:
        """Give the runs of the session that gains most a minute, None where none gains beyond its error; lowers the bounds."""
        best, highest = None, -np.inf
        for server in sorted(bounds, key=lambda name: -bounds[name]):
            if bounds[server] <= highest:
                break
            sessions = [(self._gain(steps[-1], before), steps) for steps in self._sessions(server, before)]
            bounds[server] = max((gain.rate for gain, _ in sessions), default=-np.inf)
            for gain, steps in sessions:
                if gain.rate > highest and self._counts(gain):
                    best, highest = steps, gain.rate
        return best

    def _sessions(self, server: str, before: list[Step]) -> list[list[Step]]:
        """Give the best next run of a server, the best two and so on, within the budget.

        The last run of each gains beyond its error beside the others. A second version leaves out those that did not when they were
        added: it is the better one unless the last one needs them.
        """
        found: list[list[Step]] = []
        steps = list(before)
        useful: list[int] = []
        for _ in range(AHEAD):
            further = self._further(server, steps)
            if not further:
                break
            best = max(further, key=lambda step: self._gain(step, before).rate)
            counts = self._counts(self._gain(best, steps))
            steps.append(best)
            if counts or len(steps) == len(before) + 1:
                found.append(steps[len(before) :])
            if counts:
                useful.append(best.run)
                if len(useful) < len(found[-1]):
                    found.append(self._again(useful, before))
        return found

    def _further(self, server: str, before: list[Step]) -> list[Step]:
        """Give the runs of a server that may follow within the budget."""
        taken = {step.run for step in before}
        open_to = [i for i, own in enumerate(self._runs.server) if own == server and i not in taken]
        steps = [self._step(i, before) for i in open_to]
        return [step for step in steps if step.elapsed_s <= self._sought.budget_s]

    def _again(self, runs: list[int], before: list[Step]) -> list[Step]:
        """Value runs one after the other."""
        steps = list(before)
        for run in runs:
            steps.append(self._step(run, steps))
        return steps[len(before) :]

    def _counts(self, gain: _Gain) -> bool:
        """Whether a gain is beyond its error."""
        return gain.added > self._sought.beyond * gain.error

    def _step(self, run: int, before: list[Step]) -> Step:
        runs, sought = self._runs, self._sought
        running = runs.server[before[-1].run] if before else ""
        spent = before[-1].elapsed_s if before else 0.0
        seconds = float(runs.seconds[run]) + (0.0 if runs.server[run] == running else sought.restart_s)
        if spent + seconds > sought.budget_s:
            return Step(run, self.single[run], np.inf)
        chosen = [self._measured[step.run] for step in before]
        value = value_of(self._decision, [*chosen, self._measured[run]]) if chosen else self.single[run]
        return Step(run, value, spent + seconds)

    def _gain(self, step: Step, before: list[Step]) -> _Gain:
        """Give what all steps up to one add to those before."""
        last = before[-1] if before else None
        seconds = step.elapsed_s - (last.elapsed_s if last else 0.0)
        if self._sought.aim == "width":
            return _Gain(step.value.width - (last.value.width if last else 0.0), WIDTH_ERROR, seconds)
        added = step.value.gain - (last.value.gain if last else 0.0)
        return _Gain(float(added.mean()), float(added.std() / np.sqrt(len(added))), seconds)
