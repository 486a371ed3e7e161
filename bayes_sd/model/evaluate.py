"""The terms on draws of a posterior, for conditions seen or new: the same functions that the PyMC model is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.model.facts import level_facts, model_coords
from bayes_sd.model.latency import contribute, per_level
from bayes_sd.model.points import Points
from bayes_sd.model.rowfacts import latent_facts, point_facts
from bayes_sd.model.term import Quantities, Term, Values
from bayes_sd.model.terms import active_terms
from bayes_sd.model.unseen import Draws, StandardNormals, draw_unknowns

if TYPE_CHECKING:
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.spec import ModelSpec


@dataclass(frozen=True)
class Evaluated:
    """Draws for conditions.

    Attributes
    ----------
    terms : list of Term
        Those that have something to say of the conditions.
    quantities : Quantities
        Arrays of shape (draw, condition); not under load yet.
    unknowns : dict of str to array, shape (draw, ...)
        At the conditions' levels.
    facts : dict
        Of the conditions and their levels.
    """

    terms: list[Term]
    quantities: Quantities
    unknowns: Values
    facts: Values


def evaluate(posterior: Draws, spec: ModelSpec, design: Design, normals: StandardNormals) -> Evaluated:
    """Evaluate the terms for conditions.

    Parameters
    ----------
    posterior : Draws
    spec : ModelSpec
        That of the posterior.
    design : Design
        Of the conditions (:func:`bayes_sd.model.design.arrange`).
    normals : StandardNormals
        For what the posterior has not seen.

    Returns
    -------
    Evaluated
    """
    coords, rows, n = model_coords(design), design.rows, len(design.frame)
    points = Points(np.arange(n), rows["load"], n, 0, 0, 0)
    f = level_facts(design, spec) | point_facts(design, points) | latent_facts(design, spec)
    f |= {"coefficients": coords["coefficient"], "n_stack": len(coords["stack"])}
    latent = np.flatnonzero(np.isnan(rows["committed"]))
    if len(latent):
        cells = [coords["cell"][rows["cell"][i]] for i in latent]
        f["latent_run"] = np.stack([normals.normal("acceptance run", cell) for cell in cells], axis=-1)
    terms = active_terms(spec, coords)
    unknowns = [unknown for term in terms for unknown in term.unknowns(spec, coords)]
    u = draw_unknowns(unknowns, posterior, coords, f, normals)
    looked_up = {}
    for piece in per_level(terms, u, f, np):
        if piece.dim in rows:
            at = np.maximum(rows[piece.dim], 0)
            table = piece.table
            if not table.shape[-1]:  # no row has such a level, as none has a drafter without speculation
                table = np.zeros((*table.shape[:-1], 1))
            for i, name in enumerate(piece.names):
                looked_up[name] = table[..., i, :][..., at]
    return Evaluated(terms, contribute(terms, looked_up, u, f, np), u, f)
