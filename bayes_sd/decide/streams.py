"""A server's windows one after the other, with the draft length that ran: from scrapes of its metrics, or from rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bayes_sd.decide.windows import Window, window_of
from bayes_sd.errors import DataError
from bayes_sd.measurements.readers.prometheus import DRAFTED
from bayes_sd.measurements.readers.server_metrics import DRAFTS, Scrape, window_between

LEAST_S = 1.0
"""Time between files that is believed to be that between scrapes [s]: shorter ones were copied at once."""
LEFT_OUT = "this window is left out"
SILENT = 3
"""Scrapes in a row without an answer after which it is said that the advice stands for want of news."""


@dataclass(frozen=True)
class Seen:
    """A window, or what went wrong instead.

    Attributes
    ----------
    window : Window or None
    k : int or None
        Draft length that ran, None where it cannot be told.
    seconds : float
        How long the window was.
    note : str
        What to say to people.
    scrape : Scrape or None
        That at the end of the window.
    """

    window: Window | None = None
    k: int | None = None
    seconds: float = 0.0
    note: str = ""
    scrape: Scrape | None = None


def from_scrapes(
    scrapes: Iterable[tuple[float, Scrape | str]], where: str, least_s: float = 0.0
) -> Iterator[Seen]:
    """Turn scrapes into windows; a server that stops answering, restarts or sets its clock back is noted and lived with.

    Parameters
    ----------
    scrapes : iterable of (float, Scrape or str)
        Time [s], and the scrape or why there is none.
    where : str
        Their source, for messages.
    least_s : float
        Time between scrapes below which it is not believed, as of files that were copied at once [s].

    Yields
    ------
    Seen
    """
    before: tuple[float, Scrape] | None = None
    silent = 0
    for now, found in scrapes:
        if isinstance(found, str):
            silent += 1
            if silent == 1 or silent % SILENT == 0:
                stands = (
                    "" if silent == 1 else f"; {silent} scrapes without an answer, the last advice stands"
                )
                yield Seen(note=f"{found}{stands}")
            continue
        silent = 0
        if before is not None:
            yield _between(before, (now, found), where, least_s)
        before = now, found


def _between(before: tuple[float, Scrape], after: tuple[float, Scrape], where: str, least_s: float) -> Seen:
    seconds = after[0] - before[0]
    if seconds < 0.0:
        return Seen(note=f"{where}: time went back by {-seconds:.3g} s; {LEFT_OUT}")
    if seconds <= least_s:
        return Seen(
            note=f"{after[1].source}: comes {seconds:.3g} s after the scrape before it, which is no window: give --interval SECONDS "
            f"if it is one; {LEFT_OUT}"
        )
    try:
        values = window_between(before[1], after[1], seconds)
        return Seen(
            window_of(values, after[1].source),
            drafted_length(before[1], after[1]),
            seconds,
            scrape=after[1],
        )
    except DataError as error:
        return Seen(note=f"{error}; {LEFT_OUT}")


def drafted_length(before: Scrape, after: Scrape) -> int | None:
    """Give the draft length between two scrapes: tokens drafted per draft; 0 for a server that counts no drafts at all."""
    drafts, drafted = (
        after.counters.get(name, 0.0) - before.counters.get(name, 0.0) for name in (DRAFTS, DRAFTED)
    )
    if drafts > 0 and DRAFTED in after.counters:
        return round(drafted / drafts)
    return 0 if after.draft_length == 0.0 else None


def from_rows(blocks: Iterable[list[Window]], seconds: float) -> Iterator[Seen]:
    """Turn rows into windows of one length; their draft length is that which was advised or stated."""
    for block in blocks:
        for window in block:
            yield Seen(window, None, seconds)
