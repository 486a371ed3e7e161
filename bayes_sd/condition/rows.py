"""Where a condition starts from: a row of a file, or a deployment of the trace as it was measured."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.condition.defaults import FALLBACK_DRAFT_LENGTH, OUTPUT_TOKENS, PROMPT_TOKENS, WORKLOAD
from bayes_sd.errors import ConditionError
from bayes_sd.measurements import read_conditions
from bayes_sd.measurements.schema import CARRIED, of_role
from bayes_sd.model.deployments import deployment_of, engine_family

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

NAMES = tuple(name for name in of_role("deployment") if name != "engine_options")
"""Columns that say which deployment is meant; the engine's options are part of its name there."""
METHODS_BY_USE = ("mtp", "eagle3", "eagle", "dflash", "draft_model")
"""Methods in the order in which a server with none stated is likely to have them: what comes with the checkpoint first."""
NAMING = (*of_role("deployment"), *of_role("verifier"), "n_gpu")
"""Columns that :func:`~bayes_sd.model.deployments.deployment_of` reads."""


def start_from_file(path: Path, row: int) -> tuple[dict[str, Any], list[str]]:
    """Take one row of a conditions table.

    Parameters
    ----------
    path : Path
    row : int
        Which data row, from 1.

    Returns
    -------
    values : dict
        Column name to value.
    words : list of str
        A sentence where the file has other rows too.

    Raises
    ------
    DataError
        If the file is not a conditions table.
    ConditionError
        If it has not so many rows.
    """
    frame = read_conditions(path, leave_open=True)
    if row > len(frame):
        raise ConditionError(f"{path}: it has {len(frame)} row(s) and --row is {row}: name one of them")
    words = [f"Row {row} of the {len(frame)} in {path} (--row N for another)."] if len(frame) > 1 else []
    one = frame.drop(columns=["file", "row"]).iloc[row - 1]
    # What the row leaves blank is taken as of a server that was never measured.
    values = {str(name): None if value != value else value for name, value in one.items()}
    blank = {
        n: v
        for n, v in (("prompt_tokens", PROMPT_TOKENS), ("output_tokens", OUTPUT_TOKENS))
        if not values.get(n)
    }
    if blank:
        said = ", ".join(f"{name} {value:g}" for name, value in blank.items())
        words.append(f"Blank in the row and taken as a conversation's: {said}.")
        values |= blank
    if values["load_kind"] == "concurrency":
        values["arrivals"] = None
    return values, words


def start_from_trace(
    posterior: Posterior,
    cards: Cards,
    given: dict[str, Any],
    deployment: str | None = None,
    called: Callable[[str], str] = str,
) -> tuple[dict[str, Any], list[str]]:
    """Take a deployment's most measured speculating rows as a condition.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards
        For canonical names.
    given : dict
        Columns stated; a deployment must agree with those that name one (:data:`NAMES`).
    deployment : str, optional
        Name of a deployment of the trace, or part of one.
    called : callable
        Gives the name by which a column is stated, for messages.

    Returns
    -------
    values : dict
        Column name to value, missing where nothing is known.
    words : list of str
        What was chosen, one sentence each.

    Raises
    ------
    ConditionError
        If the trace has no such deployment.
    """
    rows = posterior.observed
    keys = observed_keys(rows, cards)
    known = list(dict.fromkeys(d.key for d in posterior.levels.deployments))
    fits = _named(deployment, known) if deployment else _agreeing(posterior, cards, given)
    if not fits:
        return _from_others(rows, keys, cards, given, called)
    speculating = rows["k"].to_numpy(dtype=float) > 0
    best = max(fits, key=lambda key: (int((speculating & (keys == key)).sum()), int((keys == key).sum())))
    words = [f"Deployment: {best}."]
    if len(fits) > 1:
        words = [
            f"Deployment: {best} (of {len(fits)} in the trace that fit, the one with most speculative rows; "
            f"{called('deployment')} NAME for another)."
        ]
    values = _typical(rows[(keys == best)], given)
    return values, words


def _from_others(
    rows: pd.DataFrame,
    keys: np.ndarray,
    cards: Cards,
    given: dict[str, Any],
    called: Callable[[str], str],
) -> tuple[dict[str, Any], list[str]]:
    """For a deployment that was not measured: take engine, lengths and drafting from the verifier's rows elsewhere."""
    same = np.zeros(len(rows), dtype=bool)
    if "verifier" in given:
        canonical = _canonical(cards)
        wanted = canonical(str(given["verifier"]))
        same = np.array([canonical(str(name)) == wanted for name in rows["verifier"]], dtype=bool)
    if not same.any():
        values, words = _conversation(given, called)
        return values, [
            "The trace has no such deployment and no such verifier: the answer rests on cards and priors.",
            *words,
        ]
    values = _typical(rows[same], given)
    for name in ("hardware", "tp", "precision", "max_num_seqs", "source"):
        values.pop(name, None)
    like = keys[np.flatnonzero(same & (rows["workload"] == values["workload"]).to_numpy())[0]]
    words = [
        "The trace has no such deployment: the answer rests on what is shared with others.",
        f"What is not given (engine, drafting) is as on {like}.",
    ]
    if values["workload"] != given.get("workload"):
        requests, more = _conversation(given, called)
        values, words = values | requests, [*words, *more]
    return values, words


def _conversation(given: dict[str, Any], called: Callable[[str], str]) -> tuple[dict[str, Any], list[str]]:
    """Give the requests of a server that was never measured: a conversation's, where they are not stated."""
    requests = {"workload": WORKLOAD, "prompt_tokens": PROMPT_TOKENS, "output_tokens": OUTPUT_TOKENS}
    taken = {name: value for name, value in requests.items() if name not in given}
    if not taken:
        return requests, []
    said = [
        f"{called(name)} {value if isinstance(value, str) else f'{value:g}'}" for name, value in taken.items()
    ]
    return requests, [f"Requests are taken as a conversation's: {', '.join(said)}."]


def usual_drafting(
    posterior: Posterior, cards: Cards, verifier: str, called: Callable[[str], str] = str
) -> tuple[dict[str, Any], str]:
    """Give the way of drafting for a verifier that the trace measured most, else one of the drafters whose cards name it.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards
        For which verifiers a drafter was made.
    verifier : str
    called : callable
        Gives the name by which a column is stated, for messages.

    Returns
    -------
    values : dict
        ``method``, ``drafter`` and ``k``.
    where_from : str
        In words.

    Raises
    ------
    ConditionError
        If the trace has no speculative rows, or neither it nor a card has a drafter for this verifier.
    """
    rows = posterior.observed
    rows = rows[rows["k"] > 0]
    stated = f"{called('method')}, {called('drafter')} and {called('k')}"
    wanted = f"give {stated} to answer from what is known without them"
    if not len(rows):
        raise ConditionError(f"the trace has no speculative rows: {wanted}")
    name = cards.verifier(verifier).name if cards.has("verifier", verifier) else verifier
    groups = sorted(rows.groupby(["method", "drafter", "k"], sort=False), key=lambda g: -len(g[1]))
    for _, group in groups:
        first = group.iloc[0]
        card = cards.drafter_from_row(first)
        if card is not None and (not card.verifiers or name in map(_canonical(cards), card.verifiers)):
            found = {"method": first["method"], "drafter": first["drafter"], "k": int(first["k"])}
            return found, "as measured elsewhere in the trace"
    made = [c for c in cards.by_section["drafter"].values() if name in map(_canonical(cards), c.verifiers)]
    if made:
        card = min(
            made,
            key=lambda c: (
                METHODS_BY_USE.index(c.method) if c.method in METHODS_BY_USE else len(METHODS_BY_USE)
            ),
        )
        found = {"method": card.method, "drafter": card.name, "k": FALLBACK_DRAFT_LENGTH}
        return found, f"whose card names {name}: the trace has no drafter that was made for it"
    raise ConditionError(f"neither the trace nor a card has a drafter that was made for {verifier}: {wanted}")


def _canonical(cards: Cards) -> Callable[[str], str]:
    return lambda name: cards.verifier(name).name if cards.has("verifier", name) else name


def observed_keys(rows: pd.DataFrame, cards: Cards) -> np.ndarray:
    """Name the deployment of each observed row.

    Parameters
    ----------
    rows : DataFrame
        A posterior's observations.
    cards : Cards

    Returns
    -------
    array of str, shape (row,)
    """
    naming = [name for name in NAMING if name in rows]
    group = rows.groupby(naming, sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(group, return_index=True)
    # Plain rows: taking them out of a frame one by one takes ten times as long.
    made = [deployment_of(row, cards).key for row in rows.iloc[first][naming].to_dict("records")]
    return np.array(made, dtype=object)[group]


def _named(deployment: str, known: list[str]) -> list[str]:
    """Find deployments by name: the exact one, else all that contain every word of it."""
    if deployment in known:
        return [deployment]
    words = deployment.casefold().replace("|", " ").split()
    partly = [key for key in known if all(word in key.casefold() for word in words)]
    if partly:
        return partly
    near = difflib.get_close_matches(deployment, known, n=3, cutoff=0.3) or known[:3]
    raise ConditionError(
        f"the trace has no deployment {deployment!r}; nearest are {'; '.join(repr(n) for n in near)}"
    )


def _agreeing(posterior: Posterior, cards: Cards, given: dict[str, Any]) -> list[str]:
    """Give the trace's deployments that agree with what was stated."""
    wanted = {name: given[name] for name in NAMES if name in given}
    if "verifier" in wanted and cards.has("verifier", wanted["verifier"]):
        wanted["verifier"] = cards.verifier(wanted["verifier"]).name
    if "hardware" in wanted:
        wanted["hardware"] = cards.hardware(wanted["hardware"]).name
    keys = []
    for deployment in posterior.levels.deployments:
        same = all(getattr(deployment, n) == wanted[n] for n in ("verifier", "hardware", "tp") if n in wanted)
        if same and "precision" in wanted:
            same = cards.precision(wanted["precision"], deployment.verifier).name == deployment.precision
        if same and "engine" in wanted:
            stated = wanted["engine"]
            same = stated in (deployment.engine, engine_family(deployment.engine))
        if same:
            keys.append(deployment.key)
    return keys


def _typical(rows: pd.DataFrame, given: dict[str, Any]) -> dict[str, Any]:
    """Give the columns of the rows' most measured configuration, speculating ones first, with its median lengths."""
    speculating = rows[rows["k"] > 0]
    for name in ("method", "drafter", "workload", "k"):
        # Rows of the drafter and workload that were asked for, where there are any.
        if name in given and len(speculating):
            stated = speculating[speculating[name].astype(str) == str(given[name])]
            speculating = stated if len(stated) else speculating
    pool = speculating if len(speculating) else rows
    sort = [c for c in ("method", "drafter", "k", "workload") if c in pool]
    groups = pool.groupby(sort, sort=False, dropna=False)
    chosen = max((group for _, group in groups), key=len)
    first = chosen.iloc[0]
    values = {name: first[name] for name in CARRIED if name in chosen}
    # Lengths vary a little from run to run; the shape is known by their rounding.
    for name in ("prompt_tokens", "output_tokens"):
        values[name] = round(float(chosen[name].median()), 1)
    values["arrivals"] = None  # a benchmark's spacing is no property of the traffic that is asked about
    if "max_num_seqs" in chosen:
        values["max_num_seqs"] = chosen["max_num_seqs"].max()
    for name in ("tp", "k", "max_num_seqs"):
        if name in values and values[name] == values[name]:
            values[name] = int(values[name])
    return values
