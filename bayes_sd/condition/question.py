"""One condition to ask a posterior about, put together from what was stated and what the posterior's own rows say.

A condition starts from a row of a file, from a deployment of the trace, or, by default, from the trace's deployment with
most speculative rows; values that are stated replace what that says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.cards.record import canonical
from bayes_sd.condition.defaults import ARRIVALS
from bayes_sd.condition.rows import start_from_file, start_from_trace, usual_drafting
from bayes_sd.condition.typos import mistyped
from bayes_sd.errors import ConditionError
from bayes_sd.measurements.schema import OF_ONE_DRAFT, of_role
from bayes_sd.measurements.table import check_condition

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

OPTIONS_WORDS = "the options"


@dataclass(frozen=True)
class Question:
    """What was stated of a condition.

    Attributes
    ----------
    columns : dict
        Column name to value, those given only.
    drafters : tuple of str
        Drafters to compare; the first is the condition's.
    conditions : Path or None
        File to start from, and `row`, the row of it, from 1.
    row : int
    deployment : str or None
        Deployment of the trace to start from.
    by_options : bool
        Whether it was stated by options of a command: messages then name these.
    """

    columns: dict[str, Any]
    drafters: tuple[str, ...] = ()
    conditions: Path | None = None
    row: int = 1
    deployment: str | None = None
    by_options: bool = False

    def called(self, name: str) -> str:
        """Give the name by which a column is stated: ``prompt_tokens``, or ``--prompt-tokens`` of a command."""
        return f"--{name.replace('_', '-')}" if self.by_options else name


def base_condition(
    posterior: Posterior,
    cards: Cards,
    asked: Question,
    load_kind: str = "rate",
    load_value: float = 1.0,
    speculate: bool = False,
    draft_length: int | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Turn options into one checked condition.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards
    asked : Question
    load_kind : {"rate", "concurrency"}
        Open or closed loop; replaces what a row of a file says.
    load_value : float
        Requests/s or clients; commands that sweep the load replace it.
    speculate : bool
        Whether the condition must have a way of drafting: where neither options nor rows name one it is that which the
        trace measured most for the verifier.
    draft_length : int, optional
        Draft length to fill in where none is given or known, for a command that varies it.

    Returns
    -------
    frame : DataFrame
        One row, as from :func:`bayes_sd.measurements.read_conditions`, with a drafting method wherever one is known.
    words : list of str
        What was chosen for want of an option, one sentence each.

    Raises
    ------
    ConditionError, DataError
        If the deployment is not known, a column that is needed stays blank, or values contradict each other.
    """
    if asked.conditions is not None and asked.deployment is not None:
        raise ConditionError("--conditions and --deployment are both given: keep one")
    given, understood = canonical(asked.columns)
    if given.get("precision") == "":  # as published: not stated
        del given["precision"]
    _ask_back(
        posterior, cards, given | ({"drafter": asked.drafters[0]} if asked.drafters else {}), asked.called
    )
    if given.get("verifier"):
        # What is said of it must be enough, before anything else is looked for.
        cards.verifier_from_row(given)
    if "n_gpu" in given and not given.keys() & {"tp", "pp", "dp"}:
        given["tp"] = given["n_gpu"]
        understood.append(
            f"{asked.called('tp')} is not stated and taken as {asked.called('n_gpu')}, {given['tp']}"
        )
    if asked.drafters:
        given["drafter"] = asked.drafters[0]
        if "method" not in given:
            given["method"] = method_of(asked.drafters[0], cards)
    if asked.conditions is not None:
        values, words = start_from_file(asked.conditions, asked.row)
    else:
        values, words = start_from_trace(posterior, cards, given, asked.deployment, asked.called)
    # A stated drafter, method or draft length has neither acceptance nor passes and width of the row that it replaces.
    if {"drafter", "method", "k"} & given.keys() and not set(of_role("acceptance")) & given.keys():
        values = {n: v for n, v in values.items() if n not in (*of_role("acceptance"), *OF_ONE_DRAFT)}
    if "method" in given and "drafter" not in given and given["method"] != values.get("method"):
        values.pop("drafter", None)
    if speculate:
        words += _add_drafting(values, given, posterior, cards, draft_length, asked.called)
    words = [*(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in understood), *words]
    values |= given | {"load_kind": load_kind, "load_value": load_value}
    if load_kind == "concurrency":
        values["arrivals"] = "even"
    elif values.get("arrivals") is None:
        values["arrivals"] = ARRIVALS
        words.append(
            f"Arrivals are taken as Poisson ({asked.called('arrivals')} even for evenly spaced ones)."
        )
    if str(values.get("method") or "none") == "none":
        values |= {"method": "none", "drafter": "", "k": 0, **dict.fromkeys(OF_ONE_DRAFT)}
    for name in ("verifier", "hardware", "prompt_tokens", "output_tokens"):
        if values.get(name) in (None, ""):
            raise ConditionError(
                f"{asked.called(name)} is not given, and no deployment of the trace fits to take it from: add it"
            )
    return check_condition(values, OPTIONS_WORDS if asked.by_options else "the condition"), words


def _ask_back(
    posterior: Posterior, cards: Cards, given: dict[str, Any], called: Callable[[str], str]
) -> None:
    """Refuse a workload or drafter that looks like a known one mistyped: taken for a new one, it would be answered widely."""
    rows = posterior.observed
    workload, drafter = str(given.get("workload") or ""), str(given.get("drafter") or "")
    known = [name for name in dict.fromkeys(rows["workload"].astype(str)) if name] if workload else []
    near = mistyped(workload, known)
    if near:
        raise ConditionError(
            f"{called('workload')} {workload!r} was never measured: did you mean {near!r}? (measured: {_few(known)})"
        )
    if not drafter or cards.has("drafter", drafter) or (rows["drafter"] == drafter).any():
        return
    near = mistyped(drafter, [*cards.names("drafter"), *filter(None, rows["drafter"].astype(str))])
    if near:
        raise ConditionError(
            f"{called('drafter')} {drafter!r} has no card and was never measured: did you mean {near!r}?"
        )


def _few(names: list[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def compared_drafters(asked: Question, base: pd.DataFrame, cards: Cards) -> list[tuple[str, str]]:
    """Give the (method, drafter) pairs to compare: those asked for, or the condition's own.

    Parameters
    ----------
    asked : Question
    base : DataFrame
        From :func:`base_condition`.
    cards : Cards

    Returns
    -------
    list of (str, str)

    Raises
    ------
    CardError
        If a drafter has no card that states its method.
    """
    own = (str(base["method"].iloc[0]), str(base["drafter"].iloc[0]))
    if len(asked.drafters) < 2:
        return [own]
    return [own, *((method_of(name, cards), name) for name in asked.drafters[1:])]


def _add_drafting(
    values: dict[str, Any],
    given: dict[str, Any],
    posterior: Posterior,
    cards: Cards,
    draft_length: int | None,
    called: Callable[[str], str],
) -> list[str]:
    """Fill in method, drafter and draft length where they are not stated, and say which were taken."""
    method = given.get("method", values.get("method"))
    verifier = given.get("verifier", values.get("verifier"))
    if method in (None, "", "none"):
        if (method == "none" and "method" in given) or not verifier:
            return []
        usual, where_from = usual_drafting(posterior, cards, str(verifier), called)
        values.update(usual)
        k = given.get("k", usual["k"])
        return [f"Drafting: {usual['method']} with {usual['drafter']}, k={k}, {where_from}."]
    if "k" in given or values.get("k"):
        return []
    if draft_length is None:
        raise ConditionError(
            f"{called('k')} is not given, and nothing measured says which draft length is meant: add it"
        )
    values["k"] = draft_length
    return []


def method_of(drafter: str, cards: Cards) -> str:
    """Give the method that a drafter's card states.

    Parameters
    ----------
    drafter : str
        Name or alias.
    cards : Cards

    Returns
    -------
    str

    Raises
    ------
    CardError
        If there is no such card; the message offers the nearest ones.
    """
    return cards.drafter(drafter).method
