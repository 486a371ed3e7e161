"""Runs that might be measured: what each would show under every draw, how noisily, and how long it would take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bayes_sd.forecast.sweep import Alternative, LoadAxis, Prepared, prepare, sweep
from bayes_sd.latency.acceptance import committed_by_positions
from bayes_sd.latency.tails import cv_of, draft_luck, work_log_sd
from bayes_sd.measure.loops import Length
from bayes_sd.model.evaluate import evaluate
from bayes_sd.model.observed import MOST_AMPLIFIED, QUEUED_NOISE
from bayes_sd.model.terms.acceptance import cell_level
from bayes_sd.model.terms.cache import smooth_minimum
from bayes_sd.model.unseen import StandardNormals

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

LOG_ODDS = np.linspace(-8.0, 8.0, 321)
"""Log odds of acceptance between which log E is straight enough."""
NUDGE = 0.02
"""Step of log E by which the elasticity of latency in E is taken."""
OPEN_LOOP_CV = 0.5
"""Least coefficient of variation of latencies in an open loop, where requests meet different company."""
SAME_SERVER = ("k", "method", "drafter")
"""Columns that, beside those of a deployment, decide which server must run."""


@dataclass(frozen=True)
class Runs:
    """Candidate runs.

    Attributes
    ----------
    frame : DataFrame or None
        One condition a candidate.
    server : list of str
        Deployment, drafter and draft length: runs of one need no restart between them.
    names : list of str
    log_latency : array, shape (draw, run)
        Expected log of the mean latency; inf in draws without a steady state.
    elasticity : array, shape (draw, run)
        -d log latency / d log E.
    noise : array, shape (draw, run)
        Scale of the measured log latency.
    level, log_committed : array, shape (draw, run)
        Log odds of acceptance, NaN where a run would show none; log E at the luck that `log_latency` has.
    run_sd : array, shape (draw, run)
        Scale of a run's own luck of acceptance, that of its requests included [log odds].
    committed_table : array, shape (log odds, run)
        log E at the log odds :data:`LOG_ODDS`, the same in all draws.
    tails : float
        Degrees of freedom of the noise.
    seconds : array, shape (run,)
        Of the measurement itself, median over draws.
    """

    frame: pd.DataFrame | None
    server: list[str]
    names: list[str]
    log_latency: np.ndarray
    elasticity: np.ndarray
    noise: np.ndarray
    level: np.ndarray
    log_committed: np.ndarray
    run_sd: np.ndarray
    committed_table: np.ndarray
    tails: float
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.names)


class OtherRuns(StandardNormals):
    """Normals whose luck of a run is not that of the run which a decision is about; all levels are the same."""

    def normal(self, *name: object, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Give draws of shape (draw, *shape) for a name."""
        mine = ("another run", *name[1:]) if name[0] == "acceptance run" else name
        return super().normal(*mine, shape=shape)


def candidate_runs(
    posterior: Posterior,
    frame: pd.DataFrame,
    cards: Cards,
    seed: int = 0,
    length: Length | None = None,
) -> Runs:
    """Predict what candidate runs would show.

    Parameters
    ----------
    posterior : Posterior
    frame : DataFrame
        One condition a candidate, from :func:`bayes_sd.condition.as_conditions`.
    cards : Cards
    seed : int
        That of the decision: levels that nothing is known of have the same draws in both.
    length : Length, optional
        How long a point is measured, as `measure` does it.

    Returns
    -------
    Runs

    Raises
    ------
    CardError, ConditionError
        As :func:`bayes_sd.forecast.sweep.prepare`.
    """
    length = Length() if length is None else length
    groups = _groups(frame)
    parts: dict[str, np.ndarray] = {}
    server = [""] * len(frame)
    for rows in groups:
        base = frame.iloc[[rows[0]]]
        own = base.iloc[0]
        drafting = Alternative(int(own["k"]), str(own["drafter"]), str(own["method"]))
        prepared = prepare(posterior, base, [drafting], cards, seed)
        found = _predicted(posterior, prepared, frame.iloc[rows]["load_value"].to_numpy(float), seed, length)
        for name, value in found.items():
            parts.setdefault(name, np.empty((*value.shape[:-1], len(frame))))[..., rows] = value
        key = prepared.conditions.deployments[0].key
        for row in rows:
            server[row] = " | ".join([key, prepared.conditions.drafter[0], f"k={own['k']:g}"])
    return Runs(
        frame=frame.reset_index(drop=True),
        server=server,
        names=_names(frame),
        tails=float(posterior.spec.priors["noise"]["tails"]),
        **parts,
    )


def _groups(frame: pd.DataFrame) -> list[np.ndarray]:
    """Rows that differ in load only: their service curve is worked out once."""
    columns = [n for n in frame if n not in ("load_value", "row", "file", "config_id", "repeat", "notes")]
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(frame[columns].to_dict("records")):
        groups.setdefault(tuple(map(str, row.values())), []).append(i)
    return [np.array(rows) for rows in groups.values()]


def _names(frame: pd.DataFrame) -> list[str]:
    """Name the runs by what differs between them."""
    named = ("hardware", "engine", "verifier", "drafter")
    several = [n for n in named if len({str(v) for v in frame[n]} - {"", "nan"}) > 1]
    lengths = frame[["prompt_tokens", "output_tokens"]].drop_duplicates().shape[0] > 1
    names = []
    for row in frame.to_dict("records"):
        words = [str(row[n]) for n in several if str(row[n]) not in ("", "nan")]
        words.append("no speculation" if row["k"] == 0 else f"k={row['k']:g}")
        if lengths:
            words.append(f"{row['prompt_tokens']:.0f}+{row['output_tokens']:.0f} tokens")
        value = f"{row['load_value']:.3g}"
        closed = row["load_kind"] == "concurrency"
        plural = "" if value == "1" else "s"
        words.append(f"{value} client{plural}" if closed else f"{value} requests/s")
        names.append(", ".join(words))
    return names


def _predicted(
    posterior: Posterior, prepared: Prepared, loads: np.ndarray, seed: int, length: Length
) -> dict[str, np.ndarray]:
    """What runs of one server would show at loads, arrays of shape (draw, load)."""
    conditions, k = prepared.conditions, prepared.alternatives[0].k
    found = evaluate(posterior, posterior.spec, conditions.design, OtherRuns(posterior.n_draws, seed))
    n, shape = posterior.n_draws, (posterior.n_draws, len(loads))
    committed = np.broadcast_to(found.quantities.committed, (n, 1))
    closed = not conditions.open_loop[0]
    axis: LoadAxis = "in-flight" if closed else "rate"

    def log_latency(factor: float) -> tuple[np.ndarray, np.ndarray]:
        costs = replace(prepared.costs, committed=committed * factor)
        swept = sweep(replace(prepared, costs=costs), loads, axis, ttft=False)
        limit = swept["limit"].to_numpy() if not closed else np.full((n, 1), np.inf)
        return np.log(swept["latency"].to_numpy()[:, 0]), limit

    at, limit = log_latency(1.0)
    faster = log_latency(np.exp(NUDGE))[0] if k > 0 else at
    both = np.isfinite(at) & np.isfinite(faster)
    elasticity = np.where(both, np.where(both, at, 0.0) - np.where(both, faster, 0.0), 0.0) / NUDGE
    shown = k > 0 and bool(np.isnan(conditions.committed[0]))
    level, table = np.full((n, 1), np.nan), np.zeros((len(LOG_ODDS), 1))
    if shown:
        u, f = found.unknowns, found.facts
        level = cell_level(u, f["latent_cell"], f["latent_doublings"])[:, :1]
        odds = LOG_ODDS[:, None]
        table = np.log(committed_by_positions(odds, f["latent_profile"], f["latent_positions"]))
    plan = _lasting(prepared, loads, at, length)
    noise = np.hypot(prepared.costs.noise[:, [0]] * _noise_factor(prepared, loads, limit), plan.latency_sd)
    own = (
        np.exp(posterior.draws("log_acceptance_run")) if posterior.has("log_acceptance_run") else np.zeros(n)
    )
    return {
        "log_latency": at,
        "elasticity": elasticity,
        "noise": np.broadcast_to(noise, shape),
        "level": np.broadcast_to(level, shape),
        "log_committed": np.broadcast_to(np.log(committed), shape),
        "run_sd": np.hypot(own[:, None], plan.log_odds_sd),
        "committed_table": np.broadcast_to(table, (len(LOG_ODDS), len(loads))),
        "seconds": plan.seconds,
    }


def _noise_factor(prepared: Prepared, loads: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Noise in units of a closed loop's that does not queue, as a prediction has it, shape (draw, load)."""
    conditions = prepared.conditions
    if conditions.open_loop[0]:
        headroom = np.clip(1.0 - loads[None, :] / limit, 1.0 / MOST_AMPLIFIED**2, 1.0)
        return 1.0 / np.sqrt(headroom)
    offered = np.minimum(loads, conditions.cap[0])[None, :]
    running = smooth_minimum(prepared.costs.cache_requests[:, [0]], offered)
    return np.where(running < 0.9 * offered, QUEUED_NOISE, 1.0)


class _Lasting(NamedTuple):
    """How long runs last, shape (load,) [s], and what the luck of their requests leaves open.

    `log_odds_sd` (draw, load) is that of acceptance, `latency_sd` (load,) that of log latency at a given acceptance.
    """

    seconds: np.ndarray
    log_odds_sd: np.ndarray
    latency_sd: np.ndarray


def _lasting(prepared: Prepared, loads: np.ndarray, log_latency: np.ndarray, length: Length) -> _Lasting:
    """Find how long points last by the rules of `measure`: warm-up, window, and the last requests.

    `measure` asks for outputs of one length: requests differ in the luck of their drafts, and in an open loop in their company.
    """
    conditions, committed = prepared.conditions, prepared.costs.committed[:, 0]
    k = int(conditions.k[0])
    work_sd = work_log_sd(0.0, committed, k, conditions.output[0], prepared.spread.draft_log_odds_sd[:, 0])
    closed = not conditions.open_loop[0]
    cv = float(np.median(cv_of(work_sd)))
    latency = np.exp(np.median(log_latency, axis=0))
    rate = loads / latency if closed else loads
    company = 0.0 if closed else OPEN_LOOP_CV
    wanted = np.clip((max(cv, company) / length.standard_error) ** 2, length.least, length.most)
    warm_up = np.maximum(length.warm_up, loads if closed else 1.0)
    window = np.minimum(np.maximum(wanted, loads if closed else 1.0) / rate, length.seconds)
    requests = np.maximum(window * rate, 1.0)
    slope = np.maximum(draft_luck(committed, k)[1], 1e-3) if k else np.ones(len(committed))
    return _Lasting(
        seconds=np.where(np.isfinite(latency), warm_up / rate + window + latency, np.inf),
        log_odds_sd=(work_sd / slope)[:, None] / np.sqrt(requests),
        latency_sd=company / np.sqrt(requests),
    )
