"""What an answer is about: the server, its drafting and its requests, with what was taken where nothing was said.

Every decision command prints it before its numbers, in the same words, and fills what is not stated in the same way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bayes_sd.measurements.schema import gap_shape

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.cli.page import Page
    from bayes_sd.condition import Question
    from bayes_sd.posterior import Posterior

ARRIVALS = {"closed": "closed loop", "even": "evenly spaced arrivals", "poisson": "Poisson arrivals"}


def asked_condition(
    posterior: Posterior,
    cards: Cards,
    asked: Question,
    kind: str = "rate",
    value: float = 1.0,
    *,
    speculate: bool = True,
    best: bool = True,
    seed: int = 0,
) -> tuple[pd.DataFrame, list[str]]:
    """Put a question's condition together, with the best draft length where none is stated.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards
    asked : Question
    kind : {"rate", "concurrency"}
    value : float
        The load.
    speculate : bool
        Whether the condition must have a way of drafting.
    best : bool
        Whether to look for the best draft length; a command that varies it, or watches a server that has one, does not.
    seed : int

    Returns
    -------
    frame : DataFrame
        One row.
    words : list of str
        What was chosen for want of an option.

    Raises
    ------
    ConditionError, DataError, CardError
        As :func:`bayes_sd.condition.base_condition`.
    """
    from bayes_sd.condition import base_condition
    from bayes_sd.condition.defaults import FALLBACK_DRAFT_LENGTH
    from bayes_sd.decide.best import best_length

    base, words = base_condition(
        posterior, cards, asked, kind, value, speculate=speculate, draft_length=FALLBACK_DRAFT_LENGTH
    )
    row = base.iloc[0]
    free = best and "k" not in asked.columns and asked.conditions is None and str(row["method"]) != "none"
    if not free:
        return base, words
    k = best_length(posterior, base, cards, seed)
    if k != row["k"]:
        # Anew, so that an acceptance which rows state at another draft length goes.
        again = replace(asked, columns=asked.columns | {"k": k})
        base, _ = base_condition(posterior, cards, again, kind, value, speculate=speculate)
    words = [w.replace(f", k={row['k']:g},", ",") for w in words]
    return base, [
        *words,
        f"Draft length: k = {k}, the best from idle to full ({asked.called('k')} for another).",
    ]


def show_setting(
    page: Page, base: pd.DataFrame, words: list[str], committed: str = "", arrivals: str = ""
) -> None:
    """Print what an answer is about, and what was taken where nothing was said.

    Parameters
    ----------
    page : Page
    base : DataFrame
        One row.
    words : list of str
        From :func:`asked_condition`.
    committed : str
        Tokens per cycle, as it is printed.
    arrivals : str
        ``"closed"``, or as a table writes them. By default the condition's.
    """
    page.gap()
    page.lines(*setting_lines(base, committed, arrivals))
    page.notes("Chosen for you:", [*words, *spread_words(base)])


def setting_lines(base: pd.DataFrame, committed: str = "", arrivals: str = "") -> list[str]:
    """Write a condition in three lines: server, drafting, requests."""
    row = base.iloc[0]
    cap = "" if row["max_num_seqs"] != row["max_num_seqs"] else f", at most {row['max_num_seqs']:g} running"
    formats = row["precision"] or "formats as published"
    lines = [f"Server: {row['verifier']} on {row['tp']}x {row['hardware']}, {row['engine']}, {formats}{cap}"]
    if row["k"] > 0:
        named = f" with {row['drafter']}" if row["drafter"] else ""
        many = f"; {committed} tokens a cycle" if committed else ""
        lines.append(f"Drafting: {row['method']}{named}, k = {row['k']:g}{many}")
    return [*lines, f"Requests: {requests_words(row, arrivals)}"]


def requests_words(row: Any, arrivals: str = "") -> str:
    """Write prompts, lengths, their spread and the arrivals of a condition."""
    spaced = arrivals or ("closed" if row["load_kind"] == "concurrency" else str(row["arrivals"]))
    return (
        f"{_workload(row) or 'unnamed'}, {row['prompt_tokens']:.0f} prompt + {row['output_tokens']:.0f} ± "
        f"{_spread(row)[0]:.0f} output tokens, {_arrivals_words(spaced)}"
    )


def _arrivals_words(arrivals: str) -> str:
    if arrivals in ARRIVALS:
        return ARRIVALS[arrivals]
    return f"gaps of a gamma distribution of shape {gap_shape(arrivals):g}"


def spread_words(base: pd.DataFrame) -> list[str]:
    """Say which spread of output lengths was taken where none is stated."""
    spread, unsure, stated = _spread(base.iloc[0])
    if stated:
        return []
    whence = "as a conversation's" if unsure else "as this workload's"
    return [f"Output lengths spread {whence} do, ± {spread:.0f} tokens (--output-tokens-std N for yours)."]


def _spread(row: Any) -> tuple[float, float, bool]:
    """Give the spread of output lengths [tokens], how unsure it is, and whether it was stated."""
    from bayes_sd.forecast.spread import spread_of_lengths

    if row["output_tokens_std"] == row["output_tokens_std"]:
        return float(row["output_tokens_std"]), 0.0, True
    cv, unsure = spread_of_lengths(_workload(row))
    return cv * float(row["output_tokens"]), unsure, False


def _workload(row: Any) -> str:
    return row["workload"] if isinstance(row["workload"], str) else ""
