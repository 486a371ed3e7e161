"""A posterior brought up to date with new rows, without a fit: by weights, or by moved and weighted draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.cards.stored import cards_used
from bayes_sd.errors import ConvergenceError
from bayes_sd.learn.matching import Moved, matched
from bayes_sd.learn.rows import join_rows, read_new
from bayes_sd.learn.sampling import sampled
from bayes_sd.learn.weights import Weights, resampled, smoothed
from bayes_sd.learn.wider import Wider, widened
from bayes_sd.posterior.posterior import Posterior, describe, observed_set
from bayes_sd.sample.fit import fingerprint

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.measurements import Report

WEIGHED = 1000
"""Draws that moment matching weighs: each takes the density of all rows."""
ENOUGH = 100.0
"""Effective draws below which a posterior is too coarse to hand out, where it had ten times as many; else a tenth of them."""
SAMPLING = "sampling"
FAR = 0.01
"""Probability, both tails together, beyond which a row counts as one that the posterior did not expect."""


@dataclass(frozen=True, repr=False)
class UpdateResult:
    """A posterior with new rows, and how it came about.

    Attributes
    ----------
    posterior : Posterior
        Draws of equal weight; its observations have the new rows.
    method : {"reweighting", "moment matching", "sampling"}
    reason : str
        Why this method, in words.
    k_hat : float
        Of the weights that were used; of sampling, of those that were not enough.
    effective : float
        Draws of equal weight that say as much; of sampling, the least effective sample size of an unknown.
    added, repeated, known : int
        New cells, fitted cells that were measured again, and new rows that were among the fitted ones.
    new_levels : list of str
        What the posterior was not fitted to before: deployments, drafters and acceptance cells.
    unexpected : int
        Added rows whose latency the posterior gave a probability below :data:`FAR`, both tails together.
    report : Report
        What the rules left out.
    """

    posterior: Posterior
    method: str
    reason: str
    k_hat: float
    effective: float
    added: int
    repeated: int
    known: int
    new_levels: list[str]
    unexpected: int
    report: Report

    def __repr__(self) -> str:
        return f"<Update by {self.method}: {self.sentence()}>"

    def sentence(self) -> str:
        """Say what was done and why, in one line."""
        rows = f"{self.added + self.repeated} rows in"
        if self.repeated:
            rows += f" ({self.repeated} of them another run of a fitted cell, averaged with it)"
        n = self.posterior.n_draws
        if self.method == SAMPLING:
            return (
                f"{rows} by sampling, {self.reason}; {n:,} new draws, at least {self.effective:.0f} effective"
            )
        return f"{rows} by {self.method}, {self.reason}; k-hat {self.k_hat:.2f}, {self.effective:.0f} of {n:,} draws count"

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, for JSON and for the file."""
        names = (
            "method",
            "reason",
            "k_hat",
            "effective",
            "added",
            "repeated",
            "known",
            "new_levels",
            "unexpected",
        )
        return {name: getattr(self, name) for name in names}


def update(
    posterior: Posterior,
    data: Sequence[str | Path] | pd.DataFrame,
    *,
    cards: Cards | None = None,
    seed: int = 0,
    sampling: bool = True,
) -> UpdateResult:
    """Bring a posterior up to date with new rows, without a fit.

    Levels that are new (a deployment, a drafter, a workload) are drawn from their hierarchies. Then draws are weighted by how likely
    they make the new rows. If the weights' tail is too heavy (Pareto k-hat at 0.7 or above, or fewer than 100 effective draws), the
    draws are moved first, by importance-weighted moment matching. If that is not enough either, the sampler runs on all rows, from
    where the moved draws are (:mod:`bayes_sd.learn.sampling`).

    Parameters
    ----------
    posterior : Posterior
    data : sequence of path, or DataFrame
        Tables of measurements, or rows as from :func:`bayes_sd.read_table`.
    cards : Cards, optional
    seed : int
    sampling : bool
        Whether the sampler may run, which takes longer and compiles a model of a structure that is new to this machine.

    Returns
    -------
    UpdateResult

    Raises
    ------
    DataError
        If the rows cannot be read, are of another family, or are all among the fitted ones.
    ConvergenceError
        If the rows move the posterior too far for weights and moves and sampling is not wanted, or does not converge: a fit is
        needed. `posterior` is as it was.

    References
    ----------
    Vehtari et al., arXiv:1507.02646 (PSIS); Paananen et al. 2021, arXiv:1906.08850 (moment matching).
    """
    cards = posterior.cards() if cards is None else cards
    new, report = read_new(posterior, data, cards)
    joined = join_rows(posterior, new)
    wider = widened(posterior, joined, cards, seed)
    n, earlier = posterior.n_draws, _distinct(posterior)
    enough = min(ENOUGH, 0.1 * n)
    plain = smoothed(wider.gain(wider.u))
    far = unexpected(wider)
    picked = Moved(wider.u, plain, 0)
    if plain.reliable and plain.effective * earlier >= enough:
        method, reason = "reweighting", "since the weights are even enough"
    else:
        method = "moment matching"
        reason = f"since {_doubt(plain, earlier)} by weights alone"
        weighed = np.unique(np.linspace(0, n - 1, min(WEIGHED, n)).astype(int))
        picked = matched(wider, weighed, enough / earlier)
    weights = picked.weights
    k_hat, effective = weights.k_hat, weights.effective * earlier
    gate = None
    if weights.reliable and effective >= enough:
        chosen = resampled(weights.weight, _kept(posterior, len(weights.weight)), np.random.default_rng(seed))
        u = {k: v[chosen] for k, v in picked.u.items()}
    elif not sampling:
        raise ConvergenceError(_refit(posterior, wider, _why(plain, weights, earlier), far))
    else:
        found = sampled(wider, picked, posterior.spec, seed)
        why, gate = _why(plain, weights, earlier), found.gate
        if not gate.passed:
            raise ConvergenceError(_refit(posterior, wider, f"{why}, and sampling: {gate.failures[0]}", far))
        method, reason, u = SAMPLING, f"since {why}", found.u
        effective = min(gate.min_ess_bulk, gate.min_ess_tail)
    n_known = int(joined.replaced.sum())
    result = UpdateResult(
        posterior=_rebuilt(posterior, wider, u, cards),
        method=method,
        reason=reason,
        k_hat=k_hat,
        effective=effective,
        added=int(joined.added.sum()) - n_known,
        repeated=n_known,
        known=joined.known,
        new_levels=new_levels(posterior, wider),
        unexpected=far,
        report=report,
    )
    told = result.to_dict() | {"draws": result.posterior.n_draws}
    if gate is not None:
        result.posterior.about["gate"] = gate.to_dict() | {"failures": gate.failures}
        told["effective"] = float(result.posterior.n_draws)  # new ones, whatever earlier updates left
    past = list(posterior.about.get("updates", []))
    result.posterior.about["updates"] = [*past, told]
    return result


def _distinct(posterior: Posterior) -> float:
    """Share of the draws that earlier updates left."""
    past = posterior.about.get("updates", [])
    return float(past[-1]["effective"] / past[-1]["draws"]) if past else 1.0


def _doubt(weights: Weights, earlier: float) -> str:
    if not weights.reliable:
        return f"k-hat would be {weights.k_hat:.2f}"
    return f"only {weights.effective * earlier:.0f} draws would count"


def _why(plain: Weights, weights: Weights, earlier: float) -> str:
    """Say why weights are not enough."""
    if weights.reliable:
        past = ", after earlier updates too" if earlier < 1.0 else " after moment matching"
        return f"only {weights.effective * earlier:.0f} draws would count{past}"
    return f"k-hat is {plain.k_hat:.2f} by weights and {weights.k_hat:.2f} by moment matching"


def _refit(posterior: Posterior, wider: Wider, why: str, far: int) -> str:
    """Say why a fit is needed."""
    n = len(wider.added.design.frame)
    told = f"; {far} of the {n} new rows contradict what it expected" if far > n / 2 else ""
    return (
        f"the new rows move this posterior too far for an update ({why}){told}. Nothing was changed: fit again with all "
        f"rows, as `bayes_sd fit --family {posterior.about['family']} --data OLD.csv --data NEW.csv`"
    )


def unexpected(wider: Wider) -> int:
    """Count added rows whose latency lies in the predictive tails of the posterior as it was.

    Parameters
    ----------
    wider : Wider

    Returns
    -------
    int
    """
    from scipy.special import stdtr

    n = len(wider.added.design.frame)
    mean, scale, measured = (part[..., :n] for part in wider.added.expected(wider.u, wider.coords))
    tails = float(wider.whole.inputs.arrays["tails"])
    below = stdtr(tails, (measured - mean) / scale).mean(axis=0)
    return int((np.minimum(below, 1.0 - below) < 0.5 * FAR).sum())


def new_levels(posterior: Posterior, wider: Wider) -> list[str]:
    """Name the deployments, drafters and acceptance cells that the posterior was not fitted to.

    Parameters
    ----------
    posterior : Posterior
    wider : Wider

    Returns
    -------
    list of str
        ``"deployment: NAME"``.
    """
    found = []
    for dim in ("deployment", "drafter", "cell"):
        known = set(posterior.names(dim)) | {d.key for d in posterior.levels.deployments}
        found += [f"{dim}: {name}" for name in wider.coords[dim] if name not in known]
    return found


def _kept(posterior: Posterior, weighed: int) -> int:
    """Draws to hand out: as many as were weighed, a whole number for each chain."""
    chains = int(posterior.tree["posterior"].sizes["chain"])
    return max(weighed // chains, 1) * chains


def _rebuilt(posterior: Posterior, wider: Wider, u: dict[str, np.ndarray], cards: Cards) -> Posterior:
    """Put draws of equal weight into a posterior that is like a fit's."""
    import xarray as xr

    inputs, design = wider.whole.inputs, wider.whole.design
    chains = int(posterior.tree["posterior"].sizes["chain"])
    n = len(next(iter(u.values()))) // chains
    along = {"chain": np.arange(chains), "draw": np.arange(n)}
    draws = xr.Dataset(
        {
            one.name: (
                (*along, *one.dims),
                u[one.name].reshape(chains, n, *u[one.name].shape[1:]).astype(np.float32),
            )
            for one in inputs.unknowns
        },
        coords=along | {d: inputs.coords[d] for one in inputs.unknowns for d in one.dims},
    )
    tree = xr.DataTree.from_dict({"posterior": draws, "observed": observed_set(design.frame)})
    about = posterior.about | describe(design, posterior.spec)
    about |= {
        "data_sha256": fingerprint(design.frame),
        "n_observations": len(design.frame),
        "cards": posterior.about.get("cards", {}) | cards_used(design.frame, cards),
    }
    return Posterior(tree, about)
