"""Measured configurations: rows that differ in load only, named, selected and described by one row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.errors import ConditionError
from bayes_sd.measurements.schema import of_role
from bayes_sd.model.deployments import deployment_of, drafter_of

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

SAME_LENGTH = 1.2
"""Rows whose prompt and output lengths differ by less than this factor are one configuration."""
NAMING = of_role("deployment", "drafting", "verifier")
"""Columns that a deployment and its drafter are named by."""


@dataclass(frozen=True)
class Configuration:
    """Rows of one deployment that differ in load only.

    Attributes
    ----------
    deployment : str
        Its key.
    label : str
        What tells it apart: method, draft length, workload, lengths, load protocol.
    rows : DataFrame
        The measured rows, in order of load.
    condition : DataFrame
        One row to predict from: median lengths, acceptance left to the posterior where a measured one informs it.
    """

    deployment: str
    label: str
    rows: pd.DataFrame
    condition: pd.DataFrame

    @property
    def name(self) -> str:
        """Deployment and label in one line."""
        return f"{self.deployment}: {self.label}"


def measured_configurations(posterior: Posterior, cards: Cards | None = None) -> list[Configuration]:
    """List the configurations that a posterior was fitted to.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards, optional
        For canonical names; the posterior's own, and the shipped ones, by default.

    Returns
    -------
    list of Configuration
        In order of first appearance, deployments together.
    """
    return configurations_of(posterior.observed, posterior.cards() if cards is None else cards)


def configurations_of(table: pd.DataFrame, cards: Cards) -> list[Configuration]:
    """Group rows that differ in load only.

    Parameters
    ----------
    table : DataFrame
        Observations or conditions, with the measurement table's column names.
    cards : Cards

    Returns
    -------
    list of Configuration
    """
    groups: dict[tuple[Any, ...], list[int]] = {}
    known: dict[tuple[Any, ...], tuple[str, str]] = {}
    names = [name for name in NAMING if name in table]
    lengths = table[["prompt_tokens", "output_tokens"]].to_numpy(dtype=float)
    # Plain records: a Series for each row would take longer than all the rest.
    for i, row in enumerate(table.to_dict("records")):
        place = tuple(str(row[name]) for name in names)
        if place not in known:
            series = table.iloc[i]
            drafter = drafter_of(series, cards) if row["k"] > 0 else ""
            known[place] = (deployment_of(series, cards).key, drafter)
        key, drafter = known[place]
        words = (key, drafter, float(row["k"]), _text(row, "workload"), _protocol(row))
        same = next((g for g in groups if g[:5] == words and _alike(lengths, groups[g][0], i)), None)
        groups.setdefault(same or (*words, len(groups)), []).append(i)
    grouped = [_configuration(table.iloc[rows], group) for group, rows in groups.items()]
    order = {key: n for n, key in enumerate(dict.fromkeys(c.deployment for c in grouped))}
    return sorted(grouped, key=lambda c: order[c.deployment])


def one_configuration(table: pd.DataFrame, cards: Cards) -> Configuration:
    """Take conditions that differ in load only as one configuration.

    Parameters
    ----------
    table : DataFrame
    cards : Cards

    Returns
    -------
    Configuration

    Raises
    ------
    ConditionError
        If they differ in more than load.
    """
    several = configurations_of(table, cards)
    if len(several) != 1:
        raise ConditionError(
            f"the conditions are {len(several)} configurations, where one is needed: they must differ in load_value only"
        )
    return several[0]


def select(configurations: list[Configuration], words: str | None) -> list[Configuration]:
    """Select configurations by words that occur in their names.

    Parameters
    ----------
    configurations : list of Configuration
    words : str, optional
        All words must occur, in any case. None: the deployment with the most rows among those that speculate, else among
        all.

    Returns
    -------
    list of Configuration
        At least one.

    Raises
    ------
    ConditionError
        If none has all words.
    """
    if words is not None:
        wanted = words.casefold().split()
        chosen = [c for c in configurations if all(w in c.name.casefold() for w in wanted)]
        if not chosen:
            names = list(dict.fromkeys(c.deployment for c in configurations))
            more = f" and {len(names) - 3} more (--list shows them)" if len(names) > 3 else ""
            raise ConditionError(
                f"no measured configuration has all of the words {words!r}; measured are: {'; '.join(names[:3])}{more}"
            )
        return chosen
    speculating = {c.deployment for c in configurations if c.condition["k"].iloc[0] > 0}
    rows: dict[str, int] = {}
    for c in configurations:
        if not speculating or c.deployment in speculating:
            rows[c.deployment] = rows.get(c.deployment, 0) + len(c.rows)
    most = max(rows, key=lambda d: rows[d])
    return [c for c in configurations if c.deployment == most]


def _configuration(rows: pd.DataFrame, group: tuple[Any, ...]) -> Configuration:
    rows = rows.sort_values("load_value").reset_index(drop=True)
    condition = rows.iloc[[0]].copy()
    for name in ("prompt_tokens", "output_tokens"):
        condition[name] = float(rows[name].median())
    deployment, drafter, k, workload, protocol, _ = group
    if k > 0 and "latency_s" in rows:
        # A run's own acceptance is part of what is predicted, not of what is given.
        for name in of_role("acceptance"):
            if name in condition:
                condition[name] = np.nan
    speculation = f"{rows['method'].iloc[0]} k={k:g}" if drafter else "no speculation"
    lengths = f"{condition['prompt_tokens'].iloc[0]:.0f}+{condition['output_tokens'].iloc[0]:.0f} tokens"
    words = [speculation, *([workload] if workload else []), lengths, protocol]
    return Configuration(deployment, ", ".join(words), rows, condition.reset_index(drop=True))


def _protocol(row: Mapping[Any, Any]) -> str:
    if row["load_kind"] == "concurrency":
        return "closed loop"
    return f"open loop, {_text(row, 'arrivals') or 'even'}"


def _text(row: Mapping[Any, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _alike(lengths: np.ndarray, i: int, j: int) -> bool:
    """Whether two rows have about the same lengths; `lengths` of shape (row, 2)."""
    ratios = lengths[i] / lengths[j]
    return bool(np.all((ratios > 1.0 / SAME_LENGTH) & (ratios < SAME_LENGTH)))
