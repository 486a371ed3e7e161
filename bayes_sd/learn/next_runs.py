"""Which runs to measure next: by what they are worth to a decision, a minute of measuring, and the best set within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from bayes_sd.condition.frame import as_conditions
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.mixture import thinned
from bayes_sd.forecast.sweep import LoadAxis, stability_limits
from bayes_sd.learn.decision import KINDS, Decision, Kind, latency_decision, replicas_decision
from bayes_sd.learn.runs import Runs, candidate_runs
from bayes_sd.learn.search import AIMS, Search, Sought, Step

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.learn.value import Value
    from bayes_sd.posterior.posterior import Posterior

DRAWS = 1000
"""Draws to work with: each is a truth to simulate in."""
CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Closed loops that are candidates by default, up to the engine's cap."""
SHARES = (0.5, 0.85)
"""Open loops that are candidates by default where the decision is about rates, as shares of the lowest median stability limit."""
KEPT = (
    "hardware", "tp", "n_gpu", "engine", "verifier", "precision", "method", "drafter", "k", "max_num_seqs", "workload",
    "prompt_tokens", "output_tokens", "load_kind", "load_value", "arrivals",
)  # fmt: skip
"""Columns of a candidate that a result keeps."""


def next_runs(
    posterior: Posterior,
    base: pd.DataFrame,
    decide: Kind = "k",
    *,
    candidates: pd.DataFrame | None = None,
    loads: Any = None,
    axis: LoadAxis = "in-flight",
    drafters: Sequence[tuple[str, str]] = (),
    draft_lengths: Sequence[int] = tuple(range(9)),
    slo: str | Sequence[str] = (),
    rate_rps: float | None = None,
    probability: float = 0.9,
    sought: Sought | None = None,
    cards: Cards | None = None,
    draws: int = DRAWS,
) -> xr.Dataset:
    """Say which runs to measure next for a decision.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row: the server and requests that the decision is about.
    decide : {"k", "speculate", "drafter", "replicas"}
    candidates : DataFrame, optional
        Runs that could be measured, one condition each, of any server; by default the decision's own servers in closed loops of
        1, 2, 4, ... clients and, if it is about rates, at two of those.
    loads, axis : array and {"in-flight", "rate", "utilisation"}, optional
        Where the decision is made, see :func:`bayes_sd.tune`. Not for replicas.
    drafters : sequence of (method, drafter)
        To choose among; needed for ``decide="drafter"``.
    draft_lengths : sequence of int
        To choose among for ``decide="k"``; 0 is no speculation.
    slo, rate_rps, probability
        For ``decide="replicas"``, see :func:`bayes_sd.plan`.
    sought : Sought, optional
        Budget, time of a restart, aim.
    cards : Cards, optional
    draws : int
        Draws to work with, at most.

    Returns
    -------
    Dataset
        Dims ``run`` (candidates) and ``step`` (those chosen, in order).

        * ``regret_fall``, ``regret_fall_error`` (run): what a single run is worth, and the Monte Carlo error;
        * ``width_fall`` (run): share by which the interval of what the decision is about gets narrower;
        * ``seconds`` (run) [s]: of measuring, a restart of the server not included;
        * ``p_stable`` (run);
        * ``chosen`` (step): index of the run; ``regret`` and ``width`` (step): what is left after it; ``elapsed_s`` (step) [s],
          restarts included.

        Coords ``run`` (names), ``server`` (run), and the columns :data:`KEPT` of the candidates. Attributes: ``decide``,
        ``regret`` (now), ``noise`` (median of one run), ``choice`` (the safe choice now at each load), ``verdict`` (a
        sentence), ``aim``, ``budget_s``, ``restart_s``, ``deployment``, ``axis``, ``arrivals``.

    Raises
    ------
    ConditionError
        If there is nothing to choose among, no candidate, or none that the budget is enough for.
    """
    sought = sought or Sought()
    _check(decide, sought, slo, rate_rps)
    posterior = thinned(posterior, draws)
    cards = posterior.cards() if cards is None else cards
    base = as_conditions(base, load_needed=False, posterior=posterior)
    if decide == "replicas":
        decision = replicas_decision(
            posterior, base, slo, rate_rps or 0.0, probability=probability, cards=cards, seed=sought.seed
        )
    else:
        decision = latency_decision(
            posterior, base, decide, loads=loads, axis=axis, draft_lengths=draft_lengths, drafters=drafters,
            cards=cards, seed=sought.seed,
        )  # fmt: skip
    by_rate = decide == "replicas" or axis != "in-flight"
    if candidates is None:
        candidates = default_candidates(decision, base, by_rate)
    candidates = as_conditions(candidates, posterior=posterior).reset_index(drop=True)
    runs = candidate_runs(posterior, candidates, cards, sought.seed)
    result = choose(decision, runs, sought)
    protocol = "closed" if axis == "in-flight" else str(base["arrivals"].iloc[0])
    return result.assign_attrs(
        deployment=decision.prepared.conditions.deployments[0].key,
        axis="" if decide == "replicas" else axis,
        arrivals=protocol,
    )


def _check(decide: str, sought: Sought, slo: str | Sequence[str], rate_rps: float | None) -> None:
    if decide not in KINDS:
        raise ConditionError(f"a decision for {decide!r}: say one of {', '.join(KINDS)}")
    if sought.aim not in AIMS:
        raise ConditionError(f"aim {sought.aim!r}: say one of {', '.join(AIMS)}")
    if decide == "replicas" and not (slo and rate_rps):
        raise ConditionError("replicas are needed for a rate within an objective: give both (--rate, --slo)")
    if not sought.budget_s > 0 or not sought.restart_s >= 0:
        raise ConditionError("a budget must be above 0, and the time of a restart not below")


def default_candidates(decision: Decision, base: pd.DataFrame, by_rate: bool) -> pd.DataFrame:
    """List the runs of a decision's own servers: closed loops of doubling clients, and open loops if it is about rates.

    Parameters
    ----------
    decision : Decision
    base : DataFrame
        One row.
    by_rate : bool

    Returns
    -------
    DataFrame
        One condition a run.
    """
    import pandas as pd

    prepared = decision.prepared
    limits = np.median(stability_limits(prepared), axis=0)
    rates = sorted(float(f"{share * limits.min():.2g}") for share in SHARES) if by_rate else []
    rows = []
    for i, alternative in enumerate(prepared.alternatives):
        row = alternative.row(base.iloc[0])
        cap = prepared.conditions.cap[i]
        rows += [
            {**row, "load_kind": "concurrency", "load_value": float(n), "arrivals": "even"}
            for n in CLIENTS
            if n <= cap
        ]
        rows += [
            {**row, "load_kind": "rate", "load_value": rate, "arrivals": str(row["arrivals"]) or "poisson"}
            for rate in rates
        ]
    return pd.DataFrame(rows)


def choose(decision: Decision, runs: Runs, sought: Sought) -> xr.Dataset:
    """Value candidate runs, and choose the best set within a budget.

    Parameters
    ----------
    decision : Decision
    runs : Runs
    sought : Sought

    Returns
    -------
    Dataset
        As of :func:`next_runs`.

    Raises
    ------
    ConditionError
        If the budget is not enough for any run.
    """
    shortest = sought.restart_s + np.nanmin(runs.seconds)
    if not shortest <= sought.budget_s:
        raise ConditionError(
            f"a budget of {minutes(sought.budget_s)} is shorter than any run: the shortest takes {minutes(shortest)}, the "
            "server's start included"
        )
    # Thousands of small regressions: threads would wait for each other far longer than they work.
    with threadpool_limits(limits=1):
        search = Search(decision, runs, sought)
        return _dataset(decision, runs, sought, search.single, search.best_set())


def _dataset(
    decision: Decision, runs: Runs, sought: Sought, single: list[Value], steps: list[Step]
) -> xr.Dataset:
    import xarray as xr

    noise = float(np.median(runs.noise))
    run, step = ("run",), ("step",)
    result = xr.Dataset(
        {
            "regret_fall": (run, [v.fall for v in single]),
            "regret_fall_error": (run, [v.error for v in single]),
            "width_fall": (run, [v.width for v in single]),
            "seconds": (run, runs.seconds, {"units": "s"}),
            "p_stable": (run, np.isfinite(runs.log_latency).mean(axis=0)),
            "chosen": (step, np.array([s.run for s in steps], dtype=int)),
            "regret": (step, [decision.regret - s.value.fall for s in steps]),
            "width": (step, [1.0 - s.value.width for s in steps]),
            "elapsed_s": (step, [s.elapsed_s for s in steps], {"units": "s"}),
        },
        coords={"run": runs.names, "server": ("run", runs.server), "step": np.arange(1, len(steps) + 1)},
    )
    for name in KEPT:
        if runs.frame is not None and name in runs.frame:
            column = runs.frame[name]
            values = column.to_numpy() if column.dtype.kind in "fiub" else column.fillna("").astype(str)
            result = result.assign_coords({name: ("run", np.asarray(values))})
    parts = np.arange(len(decision.parts))
    safe = [decision.choices[i] for i in decision.safe[parts]]
    result.attrs = {
        "decide": decision.kind,
        "regret": decision.regret,
        "noise": noise,
        "choice": [f"{part}: {choice}" for part, choice in zip(decision.parts, safe, strict=True)],
        "aim": sought.aim,
        "budget_s": sought.budget_s,
        "restart_s": sought.restart_s,
    }
    result.attrs["verdict"] = verdict(result)
    return result


def verdict(result: xr.Dataset) -> str:
    """Say in a sentence what is worth measuring, or why nothing is.

    Parameters
    ----------
    result : Dataset
        From :func:`choose`.

    Returns
    -------
    str
    """
    about = result.attrs
    now = f"Deciding now gives away {about['regret']:.2%} on average"
    if result.sizes["step"] == 0:
        if about["regret"] < about["noise"]:
            return f"{now}, less than the noise of one run ({about['noise']:.1%}): no decision is left to measure for."
        return f"{now}, and no run among the candidates is worth more than the Monte Carlo error."
    left, elapsed = float(result["regret"][-1]), float(result["elapsed_s"][-1])
    runs = result.sizes["step"]
    if about["aim"] == "width":
        narrower = 1.0 - float(result["width"][-1])
        return f"{runs} run{'s' if runs > 1 else ''} of {minutes(elapsed)} make the interval {narrower:.0%} narrower."
    return (
        f"{now}; after {'this run' if runs == 1 else f'these {runs} runs'}, {minutes(elapsed)}, it is expected to be "
        f"{max(left, 0.0):.2%}."
    )


def minutes(seconds: float) -> str:
    """Write a time as people say it: 45 s, 3.5 min."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
