"""What an answer rests on: how many measured rows are of this server, and of this way of drafting on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.condition.rows import observed_keys
from bayes_sd.model.deployments import drafter_of

if TYPE_CHECKING:
    from bayes_sd.cards import Cards
    from bayes_sd.forecast.sweep import Prepared
    from bayes_sd.posterior.posterior import Posterior


def rows_behind(posterior: Posterior, prepared: Prepared, cards: Cards | None = None) -> dict[str, int]:
    """Count the fitted rows of a server.

    Parameters
    ----------
    posterior : Posterior
    prepared : Prepared
        From :func:`bayes_sd.forecast.sweep.prepare`.
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.

    Returns
    -------
    dict
        ``all`` (rows fitted), ``server`` (of this deployment), ``speculating`` (of it with one of these drafters).
    """
    cards = posterior.cards() if cards is None else cards
    rows = posterior.observed
    here = observed_keys(rows, cards) == prepared.conditions.deployments[0].key
    drafters = {name for name in prepared.conditions.drafter if name}
    own = rows[here & (rows["k"].to_numpy(dtype=float) > 0)]
    speculating = sum(drafter_of(row, cards) in drafters for _, row in own.iterrows())
    return {"all": len(rows), "server": int(np.sum(here)), "speculating": speculating}


def ground_words(rows: dict[str, int]) -> str:
    """Say what an answer rests on, in one sentence.

    Parameters
    ----------
    rows : dict
        From :func:`rows_behind`.

    Returns
    -------
    str
    """
    if not rows["server"]:
        return (
            f"No row of this server was measured: it rests on {rows['all']} rows of others, cards and priors."
        )
    many = f"{rows['server']} measured row{'s' if rows['server'] > 1 else ''} of this server"
    with_it = (
        f"{rows['speculating']} of them with this drafter"
        if rows["speculating"]
        else "none with this drafter"
    )
    return f"Rests on {many}, {with_it}."
