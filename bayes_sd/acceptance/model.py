"""The acceptance model in PyMC: log odds by position, beta-binomial counts, lengths at each draft length.

For cell c (verifier, drafter, workload) of method m and draft positions j = 1..K:

    logit α[c, j] = first[c] + profile[m, j] + slope[c]·log2(j)

    first[c] ~ Normal(pair[p], σ_cell),   pair[p] ~ Normal(level[m], σ_pair),   slope[c] ~ Normal(0, σ_slope)
    profile[m, 1] = 0,   profile[m, j] ~ Normal(profile[m, j−1], τ)

A method's profile is a random walk of the log odds, so it widens beyond the positions measured; a workload moves the
whole curve and tilts it. Methods that look their drafts up (n-gram, suffix) may find none, so their first position is
another matter: their level and their first step have wide priors of their own. Acceptance depends on the draft length
k in one place: a draft that follows a fully accepted one starts on easier text than a draft that follows a refusal.
With S_k the share of cycles in which all k positions are accepted,

    logit α₁(k) = logit α[c, 1] + restart[m]·S_k,     E(k) = 1 + (α₁(k)/α[c, 1])·Σ_{j≤k} Π_{i≤j} α[c, i].

Counts are beta-binomial, n_accepted ~ BetaBinomial(n_reached, α·φ, (1−α)·φ): drafts of one request are alike, so a
binomial is too narrow. A mean length is log(E − 1) ~ Normal(log(E(k) − 1), run sd of its source).

The i.i.d. special case has one α a cell: no profile, no slope, no restart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.acceptance import alpha_iid_from_committed

if TYPE_CHECKING:
    import pymc as pm

    from bayes_sd.acceptance.tables import AcceptanceData


LEAST_ACCEPTANCE = 1e-6
CONCENTRATION_LOG_SD = 1.0
LOOKUP = ("ngram", "suffix")
"""Methods that look their drafts up in the text so far, and may find none."""
COUNTED = ("position", "draft_length", "n_reached", "n_accepted")
"""Columns of counts that the likelihood takes."""
Facts = dict[str, Any]


@dataclass(frozen=True)
class AcceptanceSpec:
    """What the model assumes.

    Attributes
    ----------
    iid : bool
        Every position of a cell alike (Leviathan et al. arXiv:2211.17192, equation 1).
    restart : bool
        Drafts after a fully accepted draft start on easier text.
    level_mean, level_sd : float
        Log odds of the first position, of any method that computes its drafts.
    lookup_mean, lookup_sd, lookup_step_sd : float
        The same of one that looks them up, and of its second position against its first.
    pair_sd, cell_sd : float
        Medians of σ_pair and σ_cell [log odds].
    step : float
        Median of τ [log odds].
    slope_sd : float
        Median of σ_slope [log odds per doubling of the position].
    restart_mean, restart_sd : float
        Log odds.
    concentration : float
        Median of φ.
    run_sd : float
        Median spread of log(E − 1) from run to run.
    scale_log_sd : float
        Spread of the log of every scale above.
    """

    iid: bool = False
    restart: bool = True
    level_mean: float = 0.8
    level_sd: float = 0.7
    lookup_mean: float = -0.5
    lookup_sd: float = 1.5
    lookup_step_sd: float = 2.0
    pair_sd: float = 0.3
    cell_sd: float = 0.3
    step: float = 0.15
    slope_sd: float = 0.1
    restart_mean: float = 0.4
    restart_sd: float = 0.4
    concentration: float = 300.0
    run_sd: float = 0.03
    scale_log_sd: float = 0.5

    def level(self, method: str) -> tuple[float, float]:
        """Give the prior mean and sd of a method's first position [log odds]."""
        return (self.lookup_mean, self.lookup_sd) if method in LOOKUP else (self.level_mean, self.level_sd)

    def to_dict(self) -> dict[str, Any]:
        """Give the assumptions as plain values."""
        return asdict(self)


def coords(data: AcceptanceData) -> dict[str, list[Any]]:
    """Name what the parameters run over: later positions start at 2, runs with a stated length by source."""
    return {
        "method": data.methods,
        "pair": data.pairs,
        "cell": data.cells,
        "position": list(range(1, data.n_positions + 1)),
        "later": list(range(2, data.n_positions + 1)),
        "length_source": list(dict.fromkeys(data.lengths["source"])),
    }


def facts_of(data: AcceptanceData, spec: AcceptanceSpec) -> dict[str, np.ndarray]:
    """Give what the graph takes as data, so that what was compiled for one table serves all.

    Parameters
    ----------
    data : AcceptanceData
    spec : AcceptanceSpec

    Returns
    -------
    dict of str to array
    """
    believed = np.array([spec.level(method) for method in data.methods]).T
    looked_up = np.zeros((len(data.methods), data.n_positions - 1))
    looked_up[:, :1] = np.array([[method in LOOKUP] for method in data.methods])
    sources = list(dict.fromkeys(data.lengths["source"]))
    found = {
        "level_mean": believed[0],
        "level_sd": believed[1],
        "pair_method": data.pair_method,
        "cell_pair": data.cell_pair,
        "cell_method": data.pair_method[data.cell_pair],
        "looked_up": looked_up,
        "pinned": pinned_slopes(data).astype(float),
        "typical_survival": typical_survival(data),
        "doublings": np.log2(np.arange(1, data.n_positions + 1)),
    }
    if len(data.counts):
        found |= {f"counts_{name}": data.counts[name].to_numpy(dtype=int) for name in COUNTED}
        found |= {"counts_cell": data.count_cell, "counts_kept": np.ones(len(data.counts))}
    if len(data.lengths):
        committed = data.lengths["mean_accepted_len"].to_numpy(dtype=float)
        found |= {
            "lengths_k": data.lengths["k"].to_numpy(dtype=int),
            "lengths_cell": data.length_cell,
            "lengths_source": np.array([sources.index(s) for s in data.lengths["source"]]),
            "lengths_measured": np.log(committed - 1.0),
            "lengths_kept": np.ones(len(data.lengths)),
        }
    return found


def build_acceptance_model(data: AcceptanceData, spec: AcceptanceSpec) -> pm.Model:
    """Build the acceptance model.

    Parameters
    ----------
    data : AcceptanceData
    spec : AcceptanceSpec

    Returns
    -------
    pymc.Model
        Sampled: ``method_level`` (method), ``pair_level`` (pair), ``first`` (cell); unless i.i.d. also ``slope`` (cell),
        ``step`` (method, later) and ``restart`` (method); logs of scales, ``log_concentration``, ``log_run_sd`` (length_source).
        Data ``counts_kept`` and ``lengths_kept`` weigh the rows, so that one compiled model serves every hold-out.
    """
    import pymc as pm
    import pytensor.tensor as pt

    with pm.Model(coords=coords(data)) as model:
        f = {name: pm.Data(name, values) for name, values in facts_of(data, spec).items()}
        level = pm.Normal("method_level", f["level_mean"], f["level_sd"], dims="method")
        pair_sd = _scale("log_pair_sd", spec.pair_sd, spec)
        pair = pm.Normal("pair_level", level[f["pair_method"]], pair_sd, dims="pair")
        centre = pair[f["cell_pair"]]
        curved = not spec.iid and data.n_positions > 1
        restart: Any = pt.zeros_like(f["typical_survival"])
        if curved and spec.restart:
            gain = pm.Normal("restart", spec.restart_mean, spec.restart_sd, dims="method")
            restart = gain[f["cell_method"]]
        # Counts measure the first position with its restart included. That sum is sampled: it does not move with `restart`.
        shift = restart * f["typical_survival"]
        seen = pm.Normal("first_seen", centre + shift, _scale("log_cell_sd", spec.cell_sd, spec), dims="cell")
        first = pm.Deterministic("first", seen - shift, dims="cell")
        logit = first[:, None] + pt.zeros_like(f["doublings"])
        if curved:
            logit = logit + _profile(f, spec)[f["cell_method"]] + _tilt(f, spec)
        survival = pt.cumprod(pt.sigmoid(logit), axis=1)
        if len(data.counts):
            _observe_counts(f, spec, logit, survival, restart)
        if len(data.lengths):
            _observe_lengths(f, spec, logit, survival, restart)
    return model


def _scale(name: str, median: float, spec: AcceptanceSpec) -> Any:
    import pymc as pm
    import pytensor.tensor as pt

    return pt.exp(pm.Normal(name, np.log(median), spec.scale_log_sd))


def _profile(f: Facts, spec: AcceptanceSpec) -> Any:
    """Log odds of each method's positions against its first, shape (method, position)."""
    import pymc as pm
    import pytensor.tensor as pt

    scale = pt.switch(f["looked_up"] > 0.0, spec.lookup_step_sd, _scale("log_step", spec.step, spec))
    step = pm.Normal("step", 0.0, scale, dims=("method", "later"))
    return pt.concatenate([pt.zeros_like(step[:, :1]), pt.cumsum(step, axis=1)], axis=1)


def _tilt(f: Facts, spec: AcceptanceSpec) -> Any:
    """Log odds that a cell's own slope adds, shape (cell, position).

    Sampled as itself where the data pin it, else as a multiple of its scale.
    """
    import pymc as pm
    import pytensor.tensor as pt

    scale, pinned = _scale("log_slope_sd", spec.slope_sd, spec), f["pinned"] > 0.0
    raw = pm.Normal("slope_raw", 0.0, pt.switch(pinned, scale, 1.0), dims="cell")
    slope = pm.Deterministic("slope", raw * pt.switch(pinned, 1.0, scale), dims="cell")
    return slope[:, None] * f["doublings"]


def typical_survival(data: AcceptanceData) -> np.ndarray:
    """Estimate the share of fully accepted drafts in a cell's runs, for a good parametrisation only, shape (cell,)."""
    total, number = np.zeros(len(data.cells)), np.zeros(len(data.cells))
    if len(data.lengths):
        k = data.lengths["k"].to_numpy(dtype=int)
        alpha = alpha_iid_from_committed(data.lengths["mean_accepted_len"].to_numpy(dtype=float), k)
        np.add.at(total, data.length_cell, alpha**k)
        np.add.at(number, data.length_cell, 1.0)
    counts, cell = data.counts, data.count_cell
    share = counts["n_accepted"].to_numpy(dtype=float) / np.maximum(
        counts["n_reached"].to_numpy(dtype=float), 1.0
    )
    for c in np.unique(cell):
        own = cell == c
        k = counts["draft_length"].to_numpy(dtype=float)[own]
        total[c] += (share[own].mean() ** k).sum()
        number[c] += own.sum()
    return total / np.maximum(number, 1.0)


def pinned_slopes(data: AcceptanceData) -> np.ndarray:
    """Whether a cell was measured at three positions or draft lengths, so that its slope is known, shape (cell,)."""
    seen = [(c, j) for c, j in zip(data.count_cell, data.counts["position"], strict=True)]
    seen += [(c, k) for c, k in zip(data.length_cell, data.lengths["k"], strict=True)]
    number = np.bincount([c for c, _ in set(seen)], minlength=len(data.cells))
    return number >= 3


def first_logit(logit: Any, survival: Any, restart: Any, cell: Any, k: Any) -> Any:
    """Log odds of the first position at draft length k: raised by drafts that follow a fully accepted one."""
    return logit[cell, 0] + restart[cell] * survival[cell, k - 1]


def _observe_counts(f: Facts, spec: AcceptanceSpec, logit: Any, survival: Any, restart: Any) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    position, cell = f["counts_position"], f["counts_cell"]
    at_first = first_logit(logit, survival, restart, cell, f["counts_draft_length"])
    odds = pt.switch(pt.eq(position, 1), at_first, logit[cell, position - 1])
    alpha = pt.clip(pt.sigmoid(odds), LEAST_ACCEPTANCE, 1.0 - LEAST_ACCEPTANCE)
    concentration = pt.exp(pm.Normal("log_concentration", np.log(spec.concentration), CONCENTRATION_LOG_SD))
    law = pm.BetaBinomial.dist(
        n=f["counts_n_reached"], alpha=alpha * concentration, beta=(1.0 - alpha) * concentration
    )
    pm.Potential("accepted", (f["counts_kept"] * pm.logp(law, f["counts_n_accepted"])).sum())


def _observe_lengths(f: Facts, spec: AcceptanceSpec, logit: Any, survival: Any, restart: Any) -> None:
    import pymc as pm
    import pytensor.tensor as pt

    k, cell = f["lengths_k"], f["lengths_cell"]
    drafted = pt.cumsum(survival, axis=1)[cell, k - 1]
    raised = pt.sigmoid(first_logit(logit, survival, restart, cell, k)) / pt.sigmoid(logit[cell, 0])
    run = pm.Normal("log_run_sd", np.log(spec.run_sd), spec.scale_log_sd, dims="length_source")
    law = pm.Normal.dist(mu=pt.log(raised * drafted), sigma=pt.exp(run)[f["lengths_source"]])
    pm.Potential("length", (f["lengths_kept"] * pm.logp(law, f["lengths_measured"])).sum())
