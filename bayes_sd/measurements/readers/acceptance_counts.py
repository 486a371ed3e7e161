"""Acceptance of drafted tokens, in the three meanings that tools call by one name.

They never stand in one column. ``acceptance`` is accepted over drafted tokens. ``mean_accepted_len`` is
tokens committed per cycle, the verifier's own included: 1 + accepted/cycles (E of Leviathan et al.
arXiv:2211.17192). The conditional rate of position j, accepted there over accepted at j - 1, is never stored:
it follows from the counts by position, which are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bayes_sd.errors import DataError
from bayes_sd.measurements.readers.reading import Reading

RATE_ROUNDING = 1e-3


@dataclass(frozen=True)
class Counts:
    """Counts over a benchmark.

    Attributes
    ----------
    drafts : int
        Draft-verify cycles.
    drafted, accepted : int
        Tokens drafted, and those of them accepted.
    per_position : tuple of int
        How often draft position 1, 2, ... was accepted; empty where not counted.
    draft_length : int or None
        Tokens drafted per cycle, k, where the file says it.
    """

    drafts: int
    drafted: int
    accepted: int
    per_position: tuple[int, ...] = ()
    draft_length: int | None = None


def whole_length(drafts: int, drafted: int) -> int | None:
    """Tokens drafted per cycle if every cycle can have drafted the same number, else None.

    Parameters
    ----------
    drafts, drafted : int
        Cycles, and tokens drafted in them.

    Returns
    -------
    int or None
    """
    return drafted // drafts if drafts and drafted % drafts == 0 else None


def put(cell: Reading, counts: Counts, counted: bool = True) -> None:
    """Store counts and the two ratios that follow from them.

    Parameters
    ----------
    cell : Reading
        Receives the columns.
    counts : Counts
        With at least one draft.
    counted : bool
        Whether the counts themselves are this benchmark's own; if not, only the ratios are stored.

    Raises
    ------
    DataError
        If the counts contradict one another.
    """
    _check(cell.where, counts)
    cell.put("k", counts.draft_length)
    cell.put("acceptance", counts.accepted / counts.drafted, "accepted/drafted")
    cell.put("mean_accepted_len", 1 + counts.accepted / counts.drafts, "1+accepted/drafts")
    if not counted:
        return
    cell.put("n_drafts", counts.drafts)
    cell.put("n_draft_tokens", counts.drafted)
    cell.put("n_accepted_tokens", counts.accepted)
    if counts.per_position:
        cell.put("accepted_per_position", json.dumps(list(counts.per_position)))


def from_histogram(where: str, histogram: Mapping[str, int], drafted: int, accepted: int) -> Counts:
    """Turn a histogram of accepted tokens per cycle into counts by position.

    Parameters
    ----------
    where : str
        File and place, for messages.
    histogram : mapping
        "j" to the number of cycles that accepted exactly j drafted tokens.
    drafted, accepted : int
        Totals that the file states beside it.

    Returns
    -------
    Counts
        Position i was accepted in every cycle that accepted i or more.

    Raises
    ------
    DataError
        If the histogram has other than whole numbers, or contradicts the totals.
    """
    try:
        cycles = {int(j): int(n) for j, n in histogram.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: the acceptance histogram is not one of whole numbers") from error
    drafts = sum(cycles.values())
    if sum(j * n for j, n in cycles.items()) != accepted:
        raise DataError(f"{where}: the acceptance histogram does not add up to {accepted} accepted tokens")
    length = whole_length(drafts, drafted)
    positions = max([*cycles, length or 0])
    counts = tuple(sum(n for j, n in cycles.items() if j >= i) for i in range(1, positions + 1))
    return Counts(drafts, drafted, accepted, counts, length)


def from_rates(where: str, drafts: int, drafted: int, accepted: int, rates: Sequence[float]) -> Counts:
    """Turn acceptance by position, as a share of all cycles, back into counts.

    Parameters
    ----------
    where : str
        File and place, for messages.
    drafts, drafted, accepted : int
        Totals.
    rates : sequence of float, (position,)
        Accepted at the position over all cycles (not over those that reached it).

    Returns
    -------
    Counts

    Raises
    ------
    DataError
        If the rates do not add up to the accepted tokens.
    """
    counts = tuple(round(rate * drafts) for rate in rates)
    if counts and sum(counts) != accepted:
        raise DataError(
            f"{where}: acceptance by position adds up to {sum(counts)} tokens, but {accepted} were accepted "
            f"of {drafted}"
        )
    return Counts(drafts, drafted, accepted, counts, len(counts) or whole_length(drafts, drafted))


def check_rate(where: str, counts: Counts, percent: float | None, length: float | None) -> None:
    """Compare stated ratios with the counts beside them.

    Parameters
    ----------
    where : str
        File and place, for messages.
    counts : Counts
        With at least one draft.
    percent : float or None
        Accepted over drafted as the file states it (per cent).
    length : float or None
        Tokens committed per cycle as the file states it.

    Raises
    ------
    DataError
        If they differ.
    """
    _check(where, counts)
    for what, said, counted in (
        ("acceptance rate (%)", percent, 100 * counts.accepted / counts.drafted),
        ("acceptance length", length, 1 + counts.accepted / counts.drafts),
    ):
        if said is not None and abs(said - counted) > RATE_ROUNDING * max(counted, 1.0):
            raise DataError(f"{where}: the {what} is stated as {said:.6g}, but its counts give {counted:.6g}")


def _check(where: str, counts: Counts) -> None:
    if counts.drafts <= 0 or counts.drafted < counts.drafts:
        raise DataError(f"{where}: {counts.drafted} tokens drafted in {counts.drafts} cycles: not possible")
    if not 0 <= counts.accepted <= counts.drafted:
        raise DataError(
            f"{where}: {counts.accepted} tokens accepted of {counts.drafted} drafted: not possible"
        )
    if counts.per_position and sum(counts.per_position) != counts.accepted:
        raise DataError(
            f"{where}: acceptance by position adds up to {sum(counts.per_position)} tokens, but "
            f"{counts.accepted} were "
            "accepted"
        )
