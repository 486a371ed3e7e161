"""What a posterior is for: what was measured of it, so that one knows what it can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes_sd.condition.rows import observed_keys
from bayes_sd.model.deployments import drafter_of

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

LOOPS = {"concurrency": "clients", "rate": "req/s"}
GATE = ("max_rhat", "min_ess_bulk", "min_ess_tail", "divergences")
"""What the convergence gate looks at."""
RANGES = ("prompt_tokens", "output_tokens", "load_value")


def scope(posterior: Posterior, cards: Cards | None = None) -> dict[str, Any]:
    """Sum up what a posterior was fitted to.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.

    Returns
    -------
    dict
        Plain values: ``family``; ``families`` (of the verifiers' cards); ``rows``, ``deployments`` (counts); ``verifiers``,
        ``hardware``, ``engines``, ``drafters``, ``workloads`` (names to rows); ``mixtures`` (verifiers with routed experts);
        ``lengths`` and ``loads`` (ranges, loads by kind of loop); ``draft_lengths``; ``converged``, ``gate`` (failures of it),
        ``gate_numbers`` (of :data:`GATE`, those that the file has), ``draws``.
    """
    cards = posterior.cards() if cards is None else cards
    rows, levels = posterior.observed, posterior.levels
    gate = posterior.about.get("gate", {})
    sparse = levels.roofline["n_experts"] > 0
    speculating = rows[rows["k"] > 0]
    verifiers = [cards.verifier_from_row(row).name for _, row in rows.iterrows()]
    listed = {name: cards.verifier(name).family for name in set(verifiers) if cards.has("verifier", name)}
    return {
        "family": posterior.about.get("family", ""),
        "families": sorted({family for family in listed.values() if family}),
        "rows": len(rows),
        "deployments": len(levels.deployments),
        "verifiers": _counts(verifiers),
        "hardware": _counts(cards.hardware(str(name)).name for name in rows["hardware"]),
        "engines": _counts(d.engine_base for d in _deployments(posterior, cards)),
        "drafters": _counts(drafter_of(row, cards) for _, row in speculating.iterrows()),
        "workloads": _counts(str(name) for name in rows["workload"] if name),
        "mixtures": sorted({d.verifier for d, n in zip(levels.deployments, sparse, strict=True) if n}),
        "lengths": {name: _range(rows[name]) for name in RANGES[:2]},
        "loads": {LOOPS[str(kind)]: _range(own["load_value"]) for kind, own in rows.groupby("load_kind")},
        "draft_lengths": sorted({int(k) for k in speculating["k"]}),
        "converged": bool(gate.get("passed")),
        "gate": list(gate.get("failures", ())),
        "gate_numbers": {name: gate[name] for name in GATE if name in gate},
        "draws": posterior.n_draws,
    }


def deployment_table(posterior: Posterior, cards: Cards | None = None) -> pd.DataFrame:
    """List the measured deployments, the one with most rows first.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards, optional

    Returns
    -------
    DataFrame
        Columns ``deployment, rows, speculating, drafters, draft_lengths, prompt, output, load`` (ranges in words).
    """
    cards = posterior.cards() if cards is None else cards
    rows = posterior.observed
    keys = observed_keys(rows, cards)
    found = []
    for name, own in rows.groupby(keys, sort=False):
        drafted = own[own["k"] > 0]
        loads = [
            f"{_words(part['load_value'])} {LOOPS[str(kind)]}" for kind, part in own.groupby("load_kind")
        ]
        found.append(
            {
                "deployment": str(name),
                "rows": len(own),
                "speculating": len(drafted),
                "drafters": ", ".join(_counts(drafter_of(row, cards) for _, row in drafted.iterrows())),
                "draft_lengths": ", ".join(f"{k:g}" for k in sorted(set(drafted["k"]))),
                "prompt": _words(own["prompt_tokens"]),
                "output": _words(own["output_tokens"]),
                "load": ", ".join(loads),
            }
        )
    return pd.DataFrame(found).sort_values("rows", ascending=False, kind="stable", ignore_index=True)


def _deployments(posterior: Posterior, cards: Cards) -> list[Any]:
    """Give the deployment of each observed row."""
    by_key = {d.key: d for d in posterior.levels.deployments}
    return [by_key[key] for key in observed_keys(posterior.observed, cards) if key in by_key]


def _counts(names: Any) -> dict[str, int]:
    counts = pd.Series(list(names), dtype="object").value_counts()
    return {str(name): int(n) for name, n in counts.items()}


def _range(values: pd.Series) -> list[float]:
    plain = values.to_numpy(dtype=float)
    return [float(np.nanmin(plain)), float(np.nanmax(plain))]


def _words(values: pd.Series) -> str:
    low, high = (f"{v:,.0f}" if v >= 10 else f"{v:.3g}" for v in _range(values))
    return low if low == high else f"{low}-{high}"
