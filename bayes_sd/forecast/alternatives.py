"""Ways to serve the same requests: draft lengths and drafters of one deployment, with one set of draws for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.condition.frame import as_conditions
from bayes_sd.errors import ConditionError
from bayes_sd.forecast.conditions import Conditions, resolve
from bayes_sd.forecast.costs import PredictedCosts, costs_for
from bayes_sd.forecast.mixture import share_of
from bayes_sd.forecast.spread import RequestSpread, request_spread
from bayes_sd.measurements.schema import OF_ONE_DRAFT, of_role
from bayes_sd.model.stated import TOLD, measured_committed
from bayes_sd.model.terms.idle import CONFIGURED

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior


@dataclass(frozen=True)
class Alternative:
    """One way to serve the same requests.

    Attributes
    ----------
    k : int
        Draft length, 0 without speculation.
    drafter, method : str
        As in a table; blank takes the base condition's. Without meaning at k = 0.
    configured : bool
        Whether a server that drafts nothing (k = 0) was started with speculation all the same, as one that can change its draft
        length: it is slower than one without (:mod:`bayes_sd.model.terms.idle`).
    """

    k: int
    drafter: str = ""
    method: str = ""
    configured: bool = False

    def row(self, base: pd.Series) -> pd.Series:
        """Give the base condition's row with this alternative in it.

        A stated acceptance belongs to the drafter that it was measured with. At another draft length it tells the level of
        acceptance, from which the tokens per cycle there follow (:data:`bayes_sd.model.stated.TOLD`). Passes and width of a draft
        stay with their draft length.
        """
        row = base.copy()
        if self.k == 0:
            row["method"], row["drafter"], row["k"] = "none", "", 0.0
            row[CONFIGURED] = float(self.configured or base.get(CONFIGURED) == 1)
        else:
            if self.method:
                row["method"] = self.method
            if self.drafter:
                row["drafter"] = self.drafter
            row["k"] = float(self.k)
        same = all(row[name] == base[name] for name in ("drafter", "method"))
        if same and row["k"] == base["k"]:
            return row
        stated = float(measured_committed(base.to_frame().T)[0]) if base["k"] > 0 else np.nan
        row[[name for name in (*of_role("acceptance"), *OF_ONE_DRAFT) if name in row]] = np.nan
        if same and self.k:
            row[TOLD[0]], row[TOLD[1]] = base["k"], stated
        return row


@dataclass(frozen=True)
class Prepared:
    """Alternatives with their draws of costs, before any load.

    Attributes
    ----------
    alternatives : list of Alternative
    conditions : Conditions
        One per alternative.
    costs : PredictedCosts
        Draws, alternatives on the ``condition`` axis.
    spread : RequestSpread
        How requests differ, which matters to waiting.
    """

    alternatives: list[Alternative]
    conditions: Conditions
    costs: PredictedCosts
    spread: RequestSpread

    @property
    def names(self) -> list[str]:
        """Name the alternatives: ``k=3``, with the drafter where there are several, ``none`` without speculation."""
        several = len({d for d in self.conditions.drafter if d}) > 1
        return [
            "none" if a.k == 0 else f"{d} k={a.k}" if several else f"k={a.k}"
            for a, d in zip(self.alternatives, self.conditions.drafter, strict=True)
        ]

    @property
    def plain(self) -> int | None:
        """Index of the alternative without speculation, None if there is none."""
        return next((i for i, a in enumerate(self.alternatives) if a.k == 0), None)

    def written(self, drafter: str) -> tuple[str, str]:
        """Give method and drafter as the condition wrote them, from the drafter's canonical name."""
        row = self.conditions.frame.iloc[self.conditions.drafter.index(drafter)]
        return str(row["method"]), str(row["drafter"])


def alternative_rows(base: pd.DataFrame, alternatives: Sequence[Alternative]) -> pd.DataFrame:
    """Give a condition with each alternative in it, one row each.

    Parameters
    ----------
    base : DataFrame
        One row.
    alternatives : sequence of Alternative

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    row = base.iloc[0].copy()
    for name in TOLD:
        row[name] = np.nan
    row[CONFIGURED] = row.get(CONFIGURED, np.nan)
    types = base.dtypes.to_dict() | dict.fromkeys((*TOLD, CONFIGURED), float)
    return pd.DataFrame([a.row(row) for a in alternatives]).astype(types).reset_index(drop=True)


def prepare(
    posterior: Posterior,
    base: pd.DataFrame,
    alternatives: Sequence[Alternative],
    cards: Cards | None = None,
    seed: int = 0,
    thin: int = 1,
) -> Prepared:
    """Resolve alternatives of a base condition and draw their costs.

    Parameters
    ----------
    posterior : Posterior
    base : DataFrame
        One row with the measurement table's column names (:func:`bayes_sd.condition.as_conditions`).
    alternatives : sequence of Alternative
    cards : Cards, optional
        The posterior's own, and the shipped ones, by default.
    seed : int
        For what the posterior has not seen: one set of draws per name, so alternatives share them.
    thin : int
        Use every `thin`-th draw.

    Returns
    -------
    Prepared

    Raises
    ------
    CardError, ConditionError
        If the condition names something that nothing is known about, or there is no alternative.
    """
    base = as_conditions(base, load_needed=False, posterior=posterior)
    if len(base) != 1:
        raise ConditionError(f"a base condition is one row; got {len(base)}: choose one")
    if not alternatives:
        raise ConditionError("no alternative to compare: name a draft length")
    cards = posterior.cards() if cards is None else cards
    if thin > 1:
        posterior = share_of(posterior, 0, thin)
    conditions = resolve(alternative_rows(base, alternatives), posterior, cards)
    return Prepared(
        alternatives=list(alternatives),
        conditions=conditions,
        costs=costs_for(posterior, conditions, cards, seed),
        spread=request_spread(posterior, conditions, seed),
    )
