"""From the requests of a point to a row of a measurement table."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass

import numpy as np

from bayes_sd import errors
from bayes_sd.files import scratch_folder
from bayes_sd.measure.client import Outcome
from bayes_sd.measure.loops import Observed, relative_standard_error
from bayes_sd.measure.plan import Point
from bayes_sd.measurements.readers import acceptance_counts, little, prometheus
from bayes_sd.measurements.readers.reading import (
    MS_PER_S,
    Reading,
    percentiles_s,
    put_counts,
    put_latencies,
    put_tpot,
)

MOST_FAILED = 0.1
"""Share of failed requests above which a point is no measurement of anything."""


class UnfinishedError(errors.TargetError):
    """A load that the server could not keep up with at all; other points are none the worse."""


@dataclass(frozen=True)
class Served:
    """What is known of the server beside the requests themselves.

    Attributes
    ----------
    metrics : tuple of str
        Its ``/metrics`` at the window's start and after the last request; empty where it has none.
    method : str
        How it drafts, as the user said.
    draft_length : int
        k as the user said; 0 where not.
    load_average : float
        Of this machine, if the server runs on it (last minute); NaN otherwise.
    """

    metrics: tuple[str, ...] = ()
    method: str = "none"
    draft_length: int = 0
    load_average: float = float("nan")


def reading(point: Point, observed: Observed, served: Served, client: str, arrivals: str) -> Reading:
    """Put a point into the columns of the table.

    Parameters
    ----------
    point : Point
    observed : Observed
    served : Served
    client : str
        Program that measured it.
    arrivals : str
        Spacing of an open loop.

    Returns
    -------
    Reading
        Without what only the user knows (hardware, engine, ...).

    Raises
    ------
    UnfinishedError
        If no request failed, but none finished in time either.
    TargetError
        If no request succeeded, too many failed, or lengths were not reported.
    DataError
        If the server's counts contradict what was said of it.
    """
    cell = Reading(point.name, client)
    done, counted = observed.done, observed.counted
    failed = [o for o in counted if o.status == "failed"]
    cut = [o for o in counted if o.status == "cut"]
    if not done and not failed:
        raise UnfinishedError(f"none of {len(cut)} requests finished in time: past saturation, left out")
    if not done or len(failed) > MOST_FAILED * len(counted):
        raise errors.TargetError(_failures(len(counted), failed, len(cut)))
    cell.put("load_kind", point.load.kind)
    cell.put("load_value", point.load.value)
    if point.load.kind == "rate":
        cell.put("arrivals", arrivals)
    cell.put("config_id", point.name)
    cell.put("repeat", str(point.repeat))
    _put_lengths(cell, observed, served)
    latencies = [o.latency_s for o in done]
    put_counts(cell, succeeded=len(done), failed=len(failed), cut_off=len(cut))
    firsts = [o.first_s - o.start_s for o in done]
    put_latencies(cell, **percentiles_s(latencies), mean_ttft_ms=MS_PER_S * float(np.mean(firsts)))
    put_tpot(cell)
    _put_rate(cell, observed)
    error = relative_standard_error(latencies)
    if np.isfinite(error):
        cell.remarks.append(f"standard error {error:.1%}")
    gaps = [(o.last_s - o.first_s) / (o.pieces - 1) for o in done if o.pieces > 1]
    if gaps:
        cell.remarks.append(f"{MS_PER_S * float(np.mean(gaps)):.3g} ms between pieces")
    _check_little(cell, observed)
    if np.isfinite(served.load_average):
        cell.remarks.append(f"load average {served.load_average:.2f}")
    return cell


def _failures(sent: int, failed: list[Outcome], cut: int) -> str:
    reasons = Counter(o.reason for o in failed).most_common(1)
    why = f": {reasons[0][0]}" if reasons else ""
    unfinished = f", {cut} not finished in time" if cut else ""
    return f"{len(failed)} of {sent} requests failed{unfinished}{why}"


def _put_lengths(cell: Reading, observed: Observed, served: Served) -> None:
    done = observed.done
    output = [o.output_tokens for o in done]
    if not all(output):
        if served.method != "none":
            raise errors.TargetError(
                "the server does not say how many tokens it answered (`usage` of a stream), and under speculation pieces "
                "of a stream do not tell"
            )
        output = [o.output_tokens or o.pieces for o in done]
        cell.derived.append("output_tokens=pieces of the stream")
    prompt = [o.prompt_tokens for o in done]
    cell.put("output_tokens", float(np.mean(output)))
    cell.put("output_tokens_std", float(np.std(output)))
    if all(prompt):
        cell.put("prompt_tokens", float(np.mean(prompt)))
    _put_acceptance(cell, observed, served, output)


def _put_acceptance(cell: Reading, observed: Observed, served: Served, output: list[int]) -> None:
    """Take acceptance from the requests' own counts, else from the server's counters."""
    drafts = [(o.drafted, o.accepted or 0) for o in observed.done if o.drafted is not None]
    counts = None
    if drafts and len(drafts) == len(output):
        drafted, accepted = (sum(column) for column in zip(*drafts, strict=True))
        # The first token comes from the prompt, and each cycle adds one token to the accepted ones.
        cycles = sum(output) - len(output) - accepted
        if drafted and cycles > 0:
            counts = acceptance_counts.Counts(cycles, drafted, accepted)
            cell.derived.append("n_drafts=output-requests-accepted")
    else:
        counts = _server_counts(cell, served)
    _put_checked(cell, counts, served)


def put_server_counts(cell: Reading, served: Served) -> None:
    """Take acceptance and preemptions of a point that another client measured from the server's counters.

    Parameters
    ----------
    cell : Reading
    served : Served

    Raises
    ------
    DataError
        If the counts contradict what was said of the server.
    """
    if "n_drafts" not in cell.columns:
        _put_checked(cell, _server_counts(cell, served), served)


def _server_counts(cell: Reading, served: Served) -> acceptance_counts.Counts | None:
    """Read the server's counters, where it has any: preemptions go to the cell, counts of acceptance are given."""
    if len(served.metrics) != 2:
        return None
    counts, preemptions = _from_metrics(served)
    cell.put("preemptions", preemptions)
    return counts


def _put_checked(cell: Reading, counts: acceptance_counts.Counts | None, served: Served) -> None:
    """Store counts of acceptance after comparing them with what the user said of the server."""
    if served.method == "none":
        if counts is not None and counts.drafted:
            raise errors.DataError(
                f"the server speculates ({counts.drafted} tokens drafted), but the method given is none: give --method, "
                "--drafter and --k, or turn speculation off"
            )
        return
    if counts is None:
        cell.notes.append("the server reports no acceptance: give it with --set acceptance=VALUE")
        return
    _check_draft_length(counts, served.draft_length)
    acceptance_counts.put(cell, counts)


def _from_metrics(served: Served) -> tuple[acceptance_counts.Counts | None, int | None]:
    with scratch_folder() as folder:
        files = [folder / name for name in ("before", "after")]
        for file, text in zip(files, served.metrics, strict=True):
            file.write_text(text, encoding="utf-8")
        try:
            return prometheus.counts(files)
        except errors.DataError:  # a server without speculation has no such counters
            return None, None


def _check_draft_length(counts: acceptance_counts.Counts, stated: int) -> None:
    per_cycle = counts.drafted / counts.drafts
    if counts.draft_length is not None and stated and counts.draft_length != stated:
        raise errors.DataError(
            f"the server drafts {counts.draft_length} tokens per cycle, but k is {stated}: correct --k"
        )
    if stated and per_cycle > stated * (1 + 1e-9):
        raise errors.DataError(
            f"the server drafts {per_cycle:.3g} tokens per cycle, but k is {stated}: correct --k"
        )


def _put_rate(cell: Reading, observed: Observed) -> None:
    """Put the rate at which requests were completed, from the window's opening until the last of its requests ended.

    Of an open loop: its own requests, as other tools have it; a server that falls behind shows there. Of a closed loop:
    whatever ended in that time, since the load was the same throughout.
    """
    until = max(o.end_s for o in observed.done)
    seconds = until - observed.opened_s
    ends = [o.end_s for o in observed.outcomes if o.status == "done"]
    within = sum(observed.opened_s < end <= until for end in ends)
    open_loop = cell.columns["load_kind"] == "rate"
    cell.put("achieved_rps", (len(observed.done) if open_loop else within) / seconds)
    cell.put("duration_s", seconds)
    output = cell.number("output_tokens") or 0.0
    cell.put("output_tok_per_s", (cell.number("achieved_rps") or 0.0) * output, "achieved_rps*output_tokens")


def _check_little(cell: Reading, observed: Observed) -> None:
    """Compare requests in flight, integrated over the window, with rate times latency.

    It is no identity: requests of the warm-up that reach into the window are in the integral and not in the latency, and
    those that reach out of it the other way round; failed and cut-off ones count while they were in flight.
    """
    low, high = observed.opened_s, observed.closed_s
    starts = np.array([o.start_s for o in observed.outcomes])
    ends = np.array([o.end_s for o in observed.outcomes])
    sent = np.isfinite(starts) & np.isfinite(ends)
    measured = little.in_flight(starts[sent], ends[sent], low, high)
    counted = len(observed.counted)
    latency = cell.number("mean_e2e_s") or float("nan")
    predicted = counted / (high - low) * latency
    apart = measured / predicted - 1
    edge = float(np.sqrt(2 / predicted) * latency / (high - low))
    unsteady = abs(apart) > max(little.STEADY, little.EDGE_ERRORS * edge)
    cell.remarks.append(
        f"in flight {measured:.4g}, rate x latency {predicted:.4g} ({apart:+.1%})"
        + ("; not steady" if unsteady else "")
    )
    if unsteady:
        cell.notes.append(
            f"Little's law fails by {apart:+.0%}: {measured:.3g} requests in flight, rate x latency {predicted:.3g}; the "
            "run was not steady: a lower load, or longer runs"
        )


def load_average() -> float:
    """Give this machine's load average of the last minute; NaN where the system has none."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return float("nan")
