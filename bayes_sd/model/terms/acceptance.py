"""How many tokens a cycle commits: acceptance by drafter and workload, and by draft position.

    logit α_j = level[cell] + slope·log(k/4) + profile_j[method],    E = 1 + Σ_{j≤k} Π_{i≤j} α_i

A cell is (verifier, drafter, format of the verifier's weights, workload): quantised weights choose other tokens than those
that a drafter was trained on, and how much that matters differs by workload. Rows that state E are noisy measurements of
their cell's level, and use their own E for latency; rows that state none use the cell's.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.latency.acceptance import committed_by_positions
from bayes_sd.model.names import cell_name
from bayes_sd.model.spec import ModelSpec
from bayes_sd.model.term import Coords, Labelled, Quantities, Term, Unknown, Values, in_a_row

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design


REFERENCE_DRAFT_LENGTH = 4.0
"""Draft length [tokens] at which an acceptance cell's level is stated."""
SCALE_LOG_SD = 0.25
"""Log sd of a scale's prior where the priors file has no entry for it."""


def doublings(k: Any) -> Any:
    """Give the log of a draft length over the reference length."""
    return np.log(np.maximum(k, 1.0) / REFERENCE_DRAFT_LENGTH)


class Acceptance(Term):
    """Tokens per cycle of rows that state none."""

    name = "acceptance"

    def levels_of(self, labelled: Labelled) -> dict[str, str]:
        """Name the drafter, the acceptance cell and the format of the verifier's weights."""
        drafter = labelled.drafter
        cell = cell_name(labelled.row, labelled.deployment, drafter) if drafter else ""
        return {"drafter": drafter, "cell": cell, "weights": labelled.deployment.weights if drafter else ""}

    def active(self, spec: ModelSpec, coords: Coords) -> bool:
        """Say whether any row speculates."""
        return bool(coords["cell"])

    def facts(self, design: Design, spec: ModelSpec) -> Values:
        """Give the drafter, weights and kind of text of each cell, and how far drafters differ."""
        return {
            "no_drafter": np.zeros(len(design.coords["drafter"])),
            "drafter_sd": float(spec.priors["acceptance"]["drafter_sd"]),
            "cell_drafter": design.cell_drafter,
            "cell_weights": design.of_cells("weights"),
            "cell_synthetic": design.cell_synthetic.astype(float),
        }

    def unknowns(self, spec: ModelSpec, coords: Coords) -> list[Unknown]:
        """Declare levels of drafters and cells [log odds] and their spreads."""
        prior = spec.priors["acceptance"]
        return [
            Unknown("acceptance_level", (), prior["logit_mean"], prior["logit_sd"]),
            Unknown(
                "acceptance_drafter",
                ("drafter",),
                centre=lambda u, f, xp: u["acceptance_level"][..., None] + f["no_drafter"],
                spread=lambda u, f, xp: f["drafter_sd"],
            ),
            Unknown(
                "log_acceptance_scale",
                (),
                np.log(prior["workload_sd"]),
                SCALE_LOG_SD,
                spread_of="acceptance_cell",
            ),
            Unknown("acceptance_format", ("weights",), 0.0, prior["format_sd"]),
            Unknown("acceptance_synthetic", (), prior["synthetic_mean"], prior["synthetic_sd"]),
            Unknown(
                "acceptance_cell",
                ("cell",),
                centre=cell_centre,
                spread=lambda u, f, xp: xp.exp(u["log_acceptance_scale"])[..., None],
            ),
            Unknown("acceptance_length_slope", (), 0.0, prior["length_slope_sd"]),
            Unknown("log_acceptance_run", (), np.log(prior["run_sd"]), 0.5),
        ]

    def contribute(self, q: Quantities, u: Values, f: Values, xp: ModuleType) -> None:
        """Give the tokens per cycle: as stated, or those of the cell for rows that state none.

        A prediction is of a run, which has luck of its own (`latent_run`, standard normals); a fit takes its rows' cell as it is.
        """
        run = f["latent_run"] * xp.exp(u["log_acceptance_run"])[..., None]
        level = cell_level(u, f["latent_cell"], f["latent_doublings"]) + run
        if xp is np:  # only questions are told an acceptance at another draft length; rows state their own
            longer = f["latent_doublings"] - f["told_doublings"]
            told = f["told_logit"] + u["acceptance_length_slope"][..., None] * longer
            level = np.where(f["latent_told"] > 0, told, level)
        latent = committed_by_positions(level, f["latent_profile"], f["latent_positions"], xp)
        q.committed = in_a_row([latent, f["stated"]], xp)[..., f["point_committed"]]


def cell_centre(u: Values, f: Values, xp: ModuleType) -> Any:
    """Level that a cell's drafter has, with what the format of the weights and made-up text change."""
    synthetic = u["acceptance_synthetic"][..., None] * f["cell_synthetic"]
    weights = u["acceptance_format"][..., f["cell_weights"]]
    return u["acceptance_drafter"][..., f["cell_drafter"]] + weights + synthetic


def cell_level(u: Values, cell: Any, length_doublings: Any) -> Any:
    """Log odds of acceptance of cells at draft lengths, shape (..., row)."""
    return u["acceptance_cell"][..., cell] + u["acceptance_length_slope"][..., None] * length_doublings
