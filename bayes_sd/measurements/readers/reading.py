"""What a reader hands on for each benchmark in a file, and the conversions that every tool shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bayes_sd.errors import DataError
from bayes_sd.measurements.cells import LEAST_SHAPE, MOST_SHAPE
from bayes_sd.measurements.readers.members import finite, positive
from bayes_sd.measurements.schema import GAMMA, random_arrivals

MS_PER_S = 1000.0
UNIT_SLIP = 20.0
"""Two figures of one quantity this far apart are in different units; no spread of requests does that."""
BURST = "no rate and no number of clients: every request was sent at once, a burst and no steady load"
DEFINITION_GAP = 0.10
"""Relative gap between a tool's own time per token and the one stored that is worth a note."""


@dataclass
class Reading:
    """One benchmark, in the units of the measurement table.

    Attributes
    ----------
    where : str
        File and place in it, for messages.
    tool : str
        Program that measured it, with its version where known.
    columns : dict
        Column to value; only what the file says or what follows from it.
    derived : list of str
        Columns computed rather than reported, each with its formula.
    notes : list of str
        For the person who ingests.
    remarks : list of str
        Short forms that go into the row's own `notes`.
    hints : dict
        Column to a remark on how to find its value, shown when it is missing.
    no_load : str
        Why the file gives no steady load; empty where it does.
    sent, sent_rps, in_flight : float or None
        Requests sent whatever became of them, the client's rate of sending, and mean requests in flight as measured.
    own_tpot_ms, itl_ms : float or None
        The tool's own mean time per further token, and mean time between chunks of its stream (ms).
    generated_tokens : float or None
        A second count of a request's mean output, by another counter than `output_tokens`.
    longest_s, shortest_s : float or None
        Longest and shortest end-to-end latency, where the file has them.
    fewest_tokens : float or None
        Output tokens of the shortest answer that the tool counts as success.
    experts_spread : bool
        Whether experts are spread over all GPUs of the tensor- and data-parallel groups, whose sizes may be given later.
    overruled, load_given : bool
        Whether the load was given and the file says another, and whether it was given at all.
    """

    where: str
    tool: str
    columns: dict[str, object] = field(default_factory=dict)
    derived: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    hints: dict[str, str] = field(default_factory=dict)
    no_load: str = ""
    sent: float | None = None
    sent_rps: float | None = None
    in_flight: float | None = None
    own_tpot_ms: float | None = None
    itl_ms: float | None = None
    generated_tokens: float | None = None
    longest_s: float | None = None
    shortest_s: float | None = None
    fewest_tokens: float | None = None
    experts_spread: bool = False
    overruled: bool = False
    load_given: bool = False

    def put(self, name: str, value: object, formula: str = "") -> None:
        """Set a column, unless the value is not known.

        Parameters
        ----------
        name : str
            Column.
        value : object
            Its value; None, NaN and "" leave it as it is.
        formula : str
            How it was computed, where the file does not state it.
        """
        if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
            return
        self.columns[name] = value
        if formula:
            self.derived.append(f"{name}={formula}")

    def number(self, name: str) -> float | None:
        """Give a numeric column, or None where it is not known."""
        return finite(self.columns.get(name))


@dataclass(frozen=True)
class Unusable:
    """A benchmark that gives no row.

    Attributes
    ----------
    where, reason : str
        File and place in it; why.
    failed : bool
        Whether it went wrong, which stops an ingest, or measured something that a table does not hold (a
        burst).
    """

    where: str
    reason: str
    failed: bool = True


Cell = Reading | Unusable


def put_gamma(cell: Reading, name: str, shape: float | None) -> None:
    """Set the arrivals of an open loop whose gaps are of a gamma distribution.

    Parameters
    ----------
    cell : Reading
    name : str
        What the tool calls the shape.
    shape : float or None
        1 is Poisson, larger is more even; None where the file does not say it.
    """
    if shape is None or not LEAST_SHAPE <= shape <= MOST_SHAPE:
        said = f"with {name} {shape:g}" if shape is not None else f"whose {name} the file does not say"
        cell.hints["arrivals"] = (
            f"gaps of a gamma distribution {said}: poisson if it is 1, even if it is large, or gamma SHAPE"
        )
        return
    cell.put("arrivals", random_arrivals(shape))
    if shape < 1.0:
        cell.notes.append(
            f"{name} {shape:g} is burstier than Poisson (gaps of a gamma with shape {shape:g}), so neither even nor poisson is "
            f"right: arrivals are {GAMMA} {shape:g}"
        )
    elif shape > 1.0:
        cell.notes.append(
            f"{name} {shape:g} is between Poisson and even (gaps of a gamma with shape {shape:g}): arrivals are {GAMMA} {shape:g}"
        )


def put_latencies(
    cell: Reading,
    *,
    mean_e2e_s: float | None,
    mean_ttft_ms: float | None,
    p50_e2e_s: float | None = None,
    p95_e2e_s: float | None = None,
    p99_e2e_s: float | None = None,
) -> None:
    """Store latencies of successful requests, each already in the table's unit.

    Parameters
    ----------
    cell : Reading
        Receives the columns.
    mean_e2e_s, p50_e2e_s, p95_e2e_s, p99_e2e_s : float or None
        End-to-end latency (s).
    mean_ttft_ms : float or None
        Mean time to the first token (ms).
    """
    times = {
        "mean_e2e_s": mean_e2e_s,
        "p50_e2e_s": p50_e2e_s,
        "p95_e2e_s": p95_e2e_s,
        "p99_e2e_s": p99_e2e_s,
        "mean_ttft_ms": mean_ttft_ms,
    }
    for name, value in times.items():
        if value is not None and value < 0:
            cell.notes.append(
                f"{name} is {value:.4g} in the file, which is not a time (a clock of some requests was set wrong or "
                "never): left blank"
            )
            cell.remarks.append(f"{name} not a time in the file")
        elif value == 0:
            cell.notes.append(
                f"{name} is 0 in the file: it was not taken (nothing was streamed?), left blank"
            )
        cell.put(name, positive(value))


def put_tpot(cell: Reading, own_ms: float | None = None) -> None:
    """Store the time per further token in the one definition of the table.

    It is the ratio of means (mean e2e - mean TTFT)/(mean output - 1): what a request spends after its first
    token, over the tokens that it then receives, so that e2e = TTFT + (output - 1) TPOT holds for the means
    as it does for a request. Inter-token latencies are not used: under speculation they are times per verify
    step.

    Parameters
    ----------
    cell : Reading
        Must have its latencies and lengths.
    own_ms : float or None
        The tool's own time per token that leaves out the first (ms), to compare with.

    Raises
    ------
    DataError
        If the two differ so much that the units cannot be what the file says.
    """
    cell.own_tpot_ms = own_ms
    e2e, ttft, output = (cell.number(n) for n in ("mean_e2e_s", "mean_ttft_ms", "output_tokens"))
    if e2e is None or ttft is None or output is None or output <= 1 or e2e * MS_PER_S <= ttft:
        return
    tpot = (e2e * MS_PER_S - ttft) / (output - 1)
    cell.put("mean_tpot_ms", tpot, "(e2e-ttft)/(output-1)")
    if own_ms is None or own_ms <= 0:
        return
    check_units(cell.where, "time per output token", tpot, own_ms, "ms")
    if abs(own_ms / tpot - 1) > DEFINITION_GAP:
        cell.notes.append(
            f"time per output token is {tpot:.4g} ms by (e2e - ttft)/(output - 1), which is stored, and "
            f"{own_ms:.4g} ms in "
            "the tool's own averaging"
        )


def check_units(where: str, what: str, ours: float, theirs: float, unit: str) -> None:
    """Refuse two figures of one quantity that can only differ by a unit.

    Parameters
    ----------
    where, what : str
        File and quantity, for the message.
    ours, theirs : float
        The quantity, computed and as the file states it; both above zero.
    unit : str
        Unit of both.

    Raises
    ------
    DataError
        If they differ more than twentyfold.
    """
    if not 1 / UNIT_SLIP < theirs / ours < UNIT_SLIP:
        raise DataError(
            f"{where}: the units contradict each other: {what} is {theirs:.4g} {unit} as stated but "
            f"{ours:.4g} {unit} from "
            "the file's other figures; correct the file"
        )


def put_counts(
    cell: Reading, *, succeeded: int | None, failed: int | None, cut_off: int = 0, failed_word: str = "failed"
) -> None:
    """Store how many requests there were, and say how many do not count.

    Parameters
    ----------
    cell : Reading
        Receives the column and the notes.
    succeeded, cut_off : int
        Requests completed (None where the file does not say), and requests still running when the measurement stopped.
    failed : int or None
        Requests that failed; None where the file does not say.
    failed_word : str
        What the tool calls them.
    """
    if succeeded is None:
        cell.notes.append("the file does not say how many requests succeeded")
        return
    cell.put("n_requests", succeeded)
    if min(failed or 0, cut_off) < 0:
        cell.notes.append(
            f"the file counts {failed} failed and {cut_off} cut-off requests, which no counts can be: not used"
        )
        failed, cut_off = (None if failed is not None and failed < 0 else failed), max(cut_off, 0)
    cell.sent = succeeded + (failed or 0) + cut_off
    if failed is None:
        cell.notes.append("the file does not say how many requests failed")
    elif failed:
        total = succeeded + failed + cut_off
        cell.notes.append(
            f"{failed} of {total} requests {failed_word}: latencies are of the {succeeded} others, under "
            "whatever load "
            "the failures left"
        )
        cell.remarks.append(f"{plural(failed)} {failed_word}")
    if cut_off:
        cell.remarks.append(f"{plural(cut_off)} cut off")


def plural(count: int) -> str:
    """Write a number of requests."""
    return f"{count} request{'' if count == 1 else 's'}"


def percentiles_s(latencies_s: Sequence[float]) -> dict[str, float]:
    """Give the mean and the percentiles that the table has.

    Parameters
    ----------
    latencies_s : sequence of float, (request,)
        End-to-end latencies (s), at least one.

    Returns
    -------
    dict
        Column to value (s).
    """
    import numpy as np

    values = np.asarray(latencies_s, dtype=float)
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return {
        "mean_e2e_s": float(values.mean()),
        "p50_e2e_s": float(p50),
        "p95_e2e_s": float(p95),
        "p99_e2e_s": float(p99),
    }
