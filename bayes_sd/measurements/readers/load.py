"""Says what the load of a benchmark was, by the check that a fit uses too, and writes it into the row."""

from __future__ import annotations

from bayes_sd.errors import DataError
from bayes_sd.measurements.loads import Load, Verdict, in_flight, judge
from bayes_sd.measurements.readers.reading import Reading

UNIT_FACTOR = 20.0
"""How many times more or fewer requests in flight than clients are a unit error, and no idle client."""
SHARE_WORTH_SAYING = 0.10
"""Share of a loop's clients without a request in flight from which a row says so in its own notes."""


def settle(cell: Reading) -> str:
    """Check the load of a benchmark against its figures; note what it was.

    A cap that was binding turns the row into the closed loop that it was, unless the load was given. Other loads without
    a steady state stay as stated, with a note: the rules of a fit leave them out.

    Parameters
    ----------
    cell : Reading
        With everything given filled in; receives columns, notes and remarks.

    Returns
    -------
    str
        Why the benchmark gives no row (a burst); empty where it gives one.
    """
    if cell.no_load:
        if not {"load_kind", "load_value"} <= cell.columns.keys():
            return f"{cell.no_load}, left out; --load-kind and --load-value say what it was, if that is known"
        cell.notes.append(f"the load is as given; the file itself says: {cell.no_load}")
        cell.overruled = True
    load = load_of(cell)
    if load is None:
        return ""
    verdict = judge(load)
    _check_units(cell, load)
    if verdict.kind == "burst" and not cell.overruled:
        return f"{verdict.reason}, left out"
    if verdict.kind == "closed" and not cell.overruled:
        _close(cell, verdict)
    _say(cell, load, verdict)
    return ""


def _check_units(cell: Reading, load: Load) -> None:
    """Refuse a loop that is twentyfold too full or too empty: a time or the rate is in another unit."""
    running = in_flight(load)
    if load.kind != "concurrency" or cell.load_given or running is None or running <= 0:
        return
    if (load.n_requests or 0) >= load.value and not 1 / UNIT_FACTOR <= running / load.value <= UNIT_FACTOR:
        raise DataError(
            f"{cell.where}: rate x latency are {running:.3g} requests in flight, of {load.value:g} clients: a unit error in one of "
            "them; correct the file, or say what the load was with --load-kind and --load-value"
        )


def load_of(cell: Reading) -> Load | None:
    """Give what is known of the load of a benchmark, or None if it has no load.

    Parameters
    ----------
    cell : Reading

    Returns
    -------
    Load or None
    """
    kind, value = cell.columns.get("load_kind"), cell.number("load_value")
    if value is None or kind not in ("rate", "concurrency"):
        return None
    mean, succeeded = cell.number("mean_e2e_s"), cell.number("n_requests")
    return Load(
        kind=str(kind),
        value=value,
        latency_s=mean if mean is not None else cell.number("p50_e2e_s"),
        achieved_rps=cell.number("achieved_rps"),
        n_requests=cell.sent,
        duration_s=cell.number("duration_s"),
        client_cap=cell.number("client_cap"),
        max_num_seqs=cell.number("max_num_seqs"),
        random_arrivals=cell.columns.get("arrivals", "even") != "even",
        sent_rps=cell.sent_rps,
        in_flight=cell.in_flight,
        succeeded_share=min(succeeded / cell.sent, 1.0) if succeeded and cell.sent else 1.0,
    )


def _close(cell: Reading, verdict: Verdict) -> None:
    cell.put("load_kind", "concurrency")
    cell.put("load_value", verdict.clients, "achieved*latency, the client's cap was binding")
    for name in ("arrivals", "client_cap"):
        cell.columns.pop(name, None)
        cell.hints.pop(name, None)


def _say(cell: Reading, load: Load, verdict: Verdict) -> None:
    running = in_flight(load)
    if load.kind == "concurrency" and running is not None:
        share = running / load.value
        if abs(share - 1) > SHARE_WORTH_SAYING:
            cell.remarks.append(f"loop {share:.0%} full")
        if not verdict.reason:
            cell.notes.append(
                f"{running:.4g} of {load.value:g} clients had a request in flight on average ({share:.1%})"
            )
    if not verdict.reason:
        return
    left_out = "" if verdict.usable else "; the rules of a fit leave it out"
    cell.notes.append(f"load: {verdict.reason}{left_out}")
    words = {
        "closed": f"asked {load.value:.4g}/s, the client was the limit",
        "fell_behind": "fell behind its rate, no steady state",
        "short": "too short for a steady state",
        "wave": "single wave that drained",
        "burst": "fewer requests than clients",
    }
    if verdict.kind in words:
        cell.remarks.append(words[verdict.kind])
    elif verdict.doubt:
        cell.remarks.append("load near a bound")
    if verdict.one_wave and verdict.kind != "wave":
        cell.remarks.append("single wave")
