"""A posterior's draws at the levels of more rows, and the densities that an update weighs them by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.model.build import Inputs, model_inputs
from bayes_sd.model.deployments import deployment_of
from bayes_sd.model.design import arrange, build_design, plain_columns
from bayes_sd.model.likelihood import draw_blocks, expected, facts_of, log_prior, row_log_density
from bayes_sd.model.points import protocol_order
from bayes_sd.model.pools import has_pools
from bayes_sd.model.unseen import StandardNormals, draw_unknowns
from bayes_sd.sample.target import Target

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.learn.rows import Joined
    from bayes_sd.model.arranged import Design
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.model.term import Values
    from bayes_sd.posterior.posterior import Posterior


@dataclass(frozen=True)
class Some:
    """Rows of a table by themselves.

    Attributes
    ----------
    design : Design
    inputs : Inputs
    """

    design: Design
    inputs: Inputs

    def log_density(self, u: Values, coords: Mapping[str, list[Any]]) -> np.ndarray:
        """Compute the log density of all of these rows under each draw of the unknowns at `coords`, shape (draw,)."""
        return row_log_density(self.inputs, self.design, self.taken(u, coords)).sum(axis=1)

    def expected(
        self, u: Values, coords: Mapping[str, list[Any]]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give what each draw expects of all that was measured: mean and scale (draw, value), and measured (value,)."""
        own = self.taken(u, coords)
        parts: list[list[np.ndarray]] = [[], [], []]
        for block in draw_blocks(self.inputs, len(next(iter(own.values())))):
            told = expected(self.inputs, {name: values[block] for name, values in own.items()})
            for part, pieces in zip(parts, zip(*told.values(), strict=True), strict=True):
                part.append(np.concatenate(pieces, axis=-1))
        return np.concatenate(parts[0]), np.concatenate(parts[1]), parts[2][0]

    def taken(self, u: Values, coords: Mapping[str, list[Any]]) -> Values:
        """Take the unknowns at these rows' levels out of those at `coords`."""
        found = {}
        for unknown in self.inputs.unknowns:
            values = u[unknown.name]
            for axis, dim in enumerate(unknown.dims):
                place = {name: i for i, name in enumerate(coords[dim])}
                at = [place[name] for name in self.inputs.coords[dim]]
                values = np.take(values, at, axis=axis + 1)
            found[unknown.name] = values
        return found


def some_rows(frame: pd.DataFrame, spec: ModelSpec, cards: Cards) -> Some:
    """Arrange rows by themselves; unlike those of a fit, one is enough.

    Parameters
    ----------
    frame : DataFrame
        One row a cell.
    spec : ModelSpec
    cards : Cards

    Returns
    -------
    Some
    """
    pools = np.array([has_pools(row) for _, row in frame.iterrows()], dtype=bool)
    frame = frame.iloc[protocol_order(plain_columns(frame) | {"pools": pools})].reset_index(drop=True)
    design = arrange(frame, [deployment_of(row, cards) for _, row in frame.iterrows()], cards)
    return Some(design, model_inputs(design, spec))


@dataclass(frozen=True)
class Wider:
    """Draws at the levels of fitted and new rows together.

    The draws are of the posterior before the new rows: levels that it was not fitted to are drawn from their hierarchies.

    Attributes
    ----------
    whole : Some
        All rows, as a fit would have them.
    added, replaced : Some or None
        Rows that come in, and fitted ones that go out.
    u : dict of str to array, shape (draw, *dims)
    """

    whole: Some
    added: Some
    replaced: Some | None
    u: Values

    @property
    def coords(self) -> Mapping[str, list[Any]]:
        """Names along every dim."""
        return self.whole.inputs.coords

    def gain(self, u: Values) -> np.ndarray:
        """Compute the log density of what comes in less that of what goes out, shape (draw,)."""
        gone = self.replaced.log_density(u, self.coords) if self.replaced is not None else 0.0
        return self.added.log_density(u, self.coords) - gone

    def log_joint(self, u: Values) -> np.ndarray:
        """Compute the log density of unknowns and all rows, up to a constant, shape (draw,)."""
        prior = np.sum(list(log_prior(self.whole.inputs, u).values()), axis=0)
        return prior + row_log_density(self.whole.inputs, self.whole.design, u).sum(axis=1)

    @cached_property
    def target(self) -> Target:
        """The coordinates of sampling; nothing is compiled."""
        return Target(self.whole.inputs, None, (), np.empty(0))  # type: ignore[arg-type]

    def to_coordinates(self) -> np.ndarray:
        """Give the draws in the coordinates of sampling, shape (draw, coordinate)."""
        return self.target.to_coordinates(self.u)


def widened(posterior: Posterior, joined: Joined, cards: Cards, seed: int) -> Wider:
    """Draw a posterior's unknowns at the levels of its own and of new rows.

    Parameters
    ----------
    posterior : Posterior
    joined : Joined
    cards : Cards
    seed : int

    Returns
    -------
    Wider

    Raises
    ------
    ModelError, CardError
        If the rows cannot inform the model, or a card is missing.
    """
    spec = posterior.spec
    design = build_design(joined.frame, cards)
    inputs = model_inputs(design, spec)
    normals = StandardNormals(posterior.n_draws, seed)
    # As a fit would have a new level: from its prior, not as a prediction has it.
    unknowns = [replace(unknown, unseen=None) for unknown in inputs.unknowns]
    u = draw_unknowns(unknowns, posterior, inputs.coords, facts_of(inputs), normals)
    old = posterior.observed
    return Wider(
        whole=Some(design, inputs),
        added=some_rows(joined.frame[joined.added], spec, cards),
        replaced=some_rows(old[joined.replaced], spec, cards) if joined.replaced.any() else None,
        u=u,
    )
