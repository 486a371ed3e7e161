"""Where live numbers say that they are of another server than the one that is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from bayes_sd.cards import Cards
    from bayes_sd.decide.windows import Window
    from bayes_sd.measurements.readers.server_metrics import Scrape

LENGTHS_APART = 0.25
"""Draft lengths that differ by more are different ones; a server drafts a little less near the end of an answer."""


def contradictions(condition: pd.DataFrame, scrape: Scrape, cards: Cards) -> list[str]:
    """Name what a server's metrics say of it that is not as watched.

    Parameters
    ----------
    condition : DataFrame
        One row.
    scrape : Scrape
    cards : Cards

    Returns
    -------
    list of str
        Each says both, and which option would watch the other.
    """
    row, found = condition.iloc[0], []
    named = {m: cards.model("verifier", m) for m in scrape.models}
    known = {model: card.name for model, card in named.items() if card is not None}
    watched = cards.model("verifier", str(row["verifier"]))
    own = str(row["verifier"]) if watched is None else watched.name
    if known and own not in known.values():
        other = next(iter(known.values()))
        found.append(f"they are of {other}, watched is {own} (--verifier {other})")
    length, k = scrape.draft_length, float(row["k"])
    if length is not None and length == 0.0 and k > 0:
        found.append(f"nothing is drafted, watched is k = {k:g} (--method none)")
    elif length and k == 0:
        found.append(f"{length:.3g} tokens are drafted a cycle, watched is no speculation (--k {length:.0f})")
    elif length and abs(length - k) > LENGTHS_APART:
        found.append(f"{length:.3g} tokens are drafted a cycle, watched is k = {k:g} (--k {length:.0f})")
    return found


def impossible(window: Window, k: int) -> str:
    """Say how a window's accepted length contradicts the draft length; empty if it does not."""
    if window.accepted_len is None or window.accepted_len <= k + 1:
        return ""
    if k == 0:
        return f"{window.accepted_len:.3g} tokens are accepted a cycle, watched is no speculation (--k N)"
    return f"{window.accepted_len:.3g} tokens are accepted a cycle, which k = {k} cannot give (--k N)"
