"""The convergence gate: thresholds declared here, judged on every parameter, stored with the fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

MAX_RHAT = 1.01
MIN_ESS = 400.0
MIN_BFMI = 0.3
"""Rank R-hat and ESS as in Vehtari et al. (2021), doi:10.1214/20-BA1221; E-BFMI as in Betancourt, arXiv:1604.00695."""


@dataclass(frozen=True)
class Gate:
    """What the gate found.

    Attributes
    ----------
    max_rhat, min_ess_bulk, min_ess_tail : float
        Worst over all parameters.
    worst_rhat, worst_ess : str
        Which parameters those are.
    divergences, depth_limit : int
        Diverging draws, and draws whose trajectory was cut at the depth limit.
    min_bfmi : float
        Smallest E-BFMI of a chain.
    """

    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    worst_rhat: str
    worst_ess: str
    divergences: int
    depth_limit: int
    min_bfmi: float

    @property
    def failures(self) -> list[str]:
        """Reasons why the fit does not pass; empty if it does."""
        reasons = []
        if not self.max_rhat <= MAX_RHAT:
            reasons.append(f"R-hat {self.max_rhat:.3f} of {self.worst_rhat} (limit {MAX_RHAT})")
        if not min(self.min_ess_bulk, self.min_ess_tail) >= MIN_ESS:
            worst = min(self.min_ess_bulk, self.min_ess_tail)
            reasons.append(f"effective sample size {worst:.0f} of {self.worst_ess} (at least {MIN_ESS:.0f})")
        if self.divergences:
            reasons.append(f"{self.divergences} divergences (none allowed)")
        if self.depth_limit:
            reasons.append(f"{self.depth_limit} draws at the tree-depth limit (none allowed)")
        if not self.min_bfmi >= MIN_BFMI:
            reasons.append(f"E-BFMI {self.min_bfmi:.2f} (at least {MIN_BFMI})")
        return reasons

    @property
    def passed(self) -> bool:
        """Whether the fit passes."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Give the findings as plain values."""
        return asdict(self) | {"passed": self.passed}


def judge(tree: xr.DataTree) -> Gate:
    """Judge a sampled posterior.

    Parameters
    ----------
    tree : DataTree
        With groups ``posterior`` and ``sample_stats``.

    Returns
    -------
    Gate
    """
    from arviz_stats.base import array_stats

    names, columns = [], []
    for name, variable in tree["posterior"].data_vars.items():
        values = variable.to_numpy().astype(float)
        flat = values.reshape(*values.shape[:2], -1)
        names += [f"{name}[{i}]" if flat.shape[2] > 1 else str(name) for i in range(flat.shape[2])]
        columns.append(flat)
    draws = np.concatenate(columns, axis=2)
    worst = {"rhat": (0.0, ""), "bulk": (np.inf, ""), "tail": (np.inf, "")}
    rhat = array_stats.rhat(draws, chain_axis=0, draw_axis=1)
    bulk = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="bulk")
    tail = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95))
    worst["rhat"] = (float(np.max(rhat)), names[int(np.argmax(rhat))])
    worst["bulk"] = (float(np.min(bulk)), names[int(np.argmin(bulk))])
    worst["tail"] = (float(np.min(tail)), names[int(np.argmin(tail))])
    stats = tree["sample_stats"]
    energy = stats["energy"].to_numpy()
    bfmi = np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1)
    limit = int(stats["maxdepth_reached"].sum()) if "maxdepth_reached" in stats else 0
    return Gate(
        max_rhat=worst["rhat"][0],
        min_ess_bulk=worst["bulk"][0],
        min_ess_tail=worst["tail"][0],
        worst_rhat=worst["rhat"][1],
        worst_ess=min(worst["bulk"], worst["tail"])[1],
        divergences=int(stats["diverging"].sum()),
        depth_limit=limit,
        min_bfmi=float(bfmi.min()),
    )
