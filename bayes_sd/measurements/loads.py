"""What the load of a measurement was: the one check, for benchmark files and for every table that a fit reads.

A tool writes down the load that it was asked for. What happened follows from Little's law: over a run that begins and
ends empty, requests in flight = achieved rate x mean latency. Held against the client's cap, the asked rate, the
requests sent and the length of the run it tells an open loop in steady state from one that fell behind, from a closed
loop in disguise (a cap that binds), from a burst and from a run that ended before it was steady.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sound", "closed", "fell_behind", "burst", "short", "wave", "unknown"]

SATURATED_BELOW, KEEPS_UP = 0.97, 0.985
"""Achieved over asked rate under which an open loop did not keep up, and above which it surely did. Stages of a minute
miss a per cent or two by their ends alone; the shipped tables have nothing between 0.961 and 0.987."""
BINDING, ALL_BUSY = 0.90, 0.95
"""Share of a client's cap in flight above which the cap sets the load, and above which every client was busy: what is
missing then is the run's beginning and end."""
LEAST_FULL, FULL = 0.75, 0.90
"""Share of a closed loop's clients in flight under which its load is surely not what it says, and above which it is."""
OVERFULL = 1.10
TOO_SHORT, LONG_ENOUGH = 1.0, 5.0
"""Length of an open loop's sending, in latencies. Until one latency has passed less is in flight than in steady state,
so a run of T latencies lacks about 1/(2T) of its load: half at one, when the last request is sent before the first comes
back, a tenth at five."""
SINGLE_WAVE, FEW_WAVES = 2.0, 5.0
"""Requests a client below which most of a closed loop started at once, and below which its drain may be most of it."""
CAP_ERRORS = 2.0
"""Random arrivals leave a cap alone if it lies this many standard deviations (about the square root) above the mean."""
PILED_UP = 0.75
"""Share of the wait of requests that pile up under which a mean latency says that they did not: it is that wait and more."""
CHANCE_ERRORS = 3.0
"""Standard errors (one over the square root of their number) by which random gaps may come to fewer requests than asked."""
MOST_WIDENED = 3.0
"""Noise of a row at a bound, in units of that of a sound row."""


@dataclass(frozen=True)
class Load:
    """Load of one run as stated, and what is known of how it went; None where not known.

    Attributes
    ----------
    kind : {"rate", "concurrency"}
    value : float
        Asked rate (requests/s), or clients.
    latency_s, achieved_rps : float or None
        Mean (or median) end-to-end latency and completed requests a second.
    n_requests, duration_s : float or None
        Requests sent, whatever became of them, and the length of the run.
    client_cap, max_num_seqs : float or None
        The client's cap on requests in flight, and the engine's on running ones.
    random_arrivals : bool
        Whether the gaps of an open loop are random.
    sent_rps : float or None
        Rate at which the client in fact sent.
    in_flight : float or None
        Mean requests in flight as the tool measured it.
    succeeded_share : float
        Requests that succeeded over those sent: a server that refuses some has not fallen behind.
    """

    kind: str
    value: float
    latency_s: float | None = None
    achieved_rps: float | None = None
    n_requests: float | None = None
    duration_s: float | None = None
    client_cap: float | None = None
    max_num_seqs: float | None = None
    random_arrivals: bool = False
    sent_rps: float | None = None
    in_flight: float | None = None
    succeeded_share: float = 1.0


@dataclass(frozen=True)
class Verdict:
    """What the load was.

    Attributes
    ----------
    kind : str
        ``sound``: as stated. ``closed``: an open loop that was a closed one in truth. Not of use for a steady state:
        ``fell_behind``, ``burst``, ``short``, ``wave`` (a closed loop that mostly drained). ``unknown``: no latency to judge
        by.
    reason : str
        Why, with the figures; empty if there is nothing to say.
    doubt : float
        0 for a row that is surely sound, 1 at the bound where it would be left out.
    clients : int
        Clients of the loop that an open loop was in truth; 0 otherwise.
    one_wave : bool
        Whether most of a closed loop's requests were sent at once: its mean latency is that of a steady loop as long as its
        clients were busy, its time to the first token is that of prompts that wait for each other.
    """

    kind: Kind
    reason: str = ""
    doubt: float = 0.0
    clients: int = 0
    one_wave: bool = False

    @property
    def usable(self) -> bool:
        """Whether the row has a steady state."""
        return self.kind in ("sound", "closed", "unknown")

    @property
    def noise(self) -> float:
        """Noise of the row in units of that of a sound one."""
        return 1.0 + (MOST_WIDENED - 1.0) * self.doubt


def judge(load: Load) -> Verdict:
    """Say what the load of a run was.

    Parameters
    ----------
    load : Load

    Returns
    -------
    Verdict
    """
    if load.latency_s is None or load.latency_s <= 0 or load.value <= 0:
        return Verdict("unknown")
    return _closed(load) if load.kind == "concurrency" else _open(load)


def in_flight(load: Load) -> float | None:
    """Give mean requests in flight: as measured, else by Little's law; None where the rate is not known."""
    if load.in_flight is not None:
        return load.in_flight
    if load.achieved_rps is None or load.latency_s is None:
        return None
    return load.achieved_rps * load.latency_s


def requests(load: Load) -> float | None:
    """Give the requests sent, from rate and length where they are not stated."""
    if load.n_requests and load.n_requests > 0:
        return load.n_requests
    rate = load.achieved_rps or (load.value if load.kind == "rate" else None)
    return rate * load.duration_s if rate and load.duration_s else None


def waited(load: Load) -> float | None:
    """Give how long requests had waited on average, had the server fallen behind from the start; None where not known.

    The last of n requests is answered n/achieved after the start and was sent n/asked after it; the mean waits half of that.
    """
    sent = requests(load)
    if not load.achieved_rps or not sent or load.latency_s is None:
        return None
    apart = load.succeeded_share / load.achieved_rps - 1.0 / load.value
    return (sent * apart - load.latency_s) / 2.0


def kept_up(load: Load) -> float | None:
    """Give achieved over asked rate, failures and the drain of the last requests allowed for; None where not known.

    Tools divide by a duration that includes the drain, about one latency.
    """
    sent = requests(load)
    if load.achieved_rps is None or load.latency_s is None:
        return None
    drain = 1.0 + (load.value * load.latency_s / sent if sent else 0.0)
    return load.achieved_rps / load.succeeded_share * drain / load.value


def _open(load: Load) -> Verdict:
    assert load.latency_s is not None
    running = in_flight(load)
    running = load.value * load.latency_s if running is None else running
    if load.max_num_seqs is not None and running > load.max_num_seqs:
        return Verdict(
            "fell_behind",
            f"{running:.4g} requests were in flight where the engine runs {load.max_num_seqs:g}: they queued, latency "
            "has no steady state",
        )
    ratio = kept_up(load)
    behind = ratio is not None and ratio < SATURATED_BELOW
    closed = _closed_in_truth(load, running, behind)
    if closed:
        return closed
    if behind:
        return _behind(load)
    return _long_enough(load, ratio, running)


def _closed_in_truth(load: Load, running: float, behind: bool) -> Verdict | None:
    closed = _by_its_cap(load, running, behind)
    if closed or not behind or load.sent_rps is None or load.sent_rps >= SATURATED_BELOW * load.value:
        return closed
    clients = max(round(running), 1)
    return Verdict(
        "closed",
        f"the client was the limit: it sent {load.sent_rps:.4g} of the asked {load.value:.4g} requests/s; "
        f"{_product(load, running)} in flight, a closed loop of {clients} clients",
        clients=clients,
    )


def _by_its_cap(load: Load, running: float, behind: bool) -> Verdict | None:
    cap, sent = load.client_cap, requests(load)
    if not cap or (sent is not None and sent <= cap):
        return None
    measured = in_flight(load) is not None
    if measured and running > OVERFULL * cap:
        return Verdict(
            "fell_behind",
            f"{_product(load, running)} in flight is more than the client's cap of {cap:g}: waiting for the client is in the "
            "latency, which has no steady state",
        )
    # Evenly spaced requests that keep up leave a cap alone.
    late = behind or load.random_arrivals or (not measured and running > cap)
    if not late or running < BINDING * _reachable(cap, sent):
        return None
    clients = cap if running >= ALL_BUSY * _reachable(cap, sent) else round(running)
    figures = f"at the asked {load.value:.4g}/s x {load.latency_s:.4g} s {running:.4g} would be in flight"
    if measured:
        figures = f"{_product(load, running)} of {cap:g} in flight, of the asked {load.value:.4g} requests/s {_came(load)} came"
    reason = f"the client's cap of {cap:g} was binding: {figures}; a closed loop of {clients:g} clients"
    return Verdict("closed", reason, clients=int(clients))


def _behind(load: Load) -> Verdict:
    """Say of an open loop that fewer requests came than asked whether they piled up: then each waits for those before it."""
    came = f"the server kept up with {_came(load)} of {load.value:.4g} requests/s"
    sent, wait = requests(load), waited(load)
    if sent is None or wait is None or (load.latency_s or 0.0) >= PILED_UP * wait:
        return Verdict("fell_behind", f"{came}: requests piled up, latency has no steady state")
    short = f"requests that pile up would have waited {wait:.4g} s on average, and took {load.latency_s:.4g} s in all"
    if load.random_arrivals and 1.0 - (kept_up(load) or 0.0) <= CHANCE_ERRORS / math.sqrt(sent):
        return Verdict(
            "sound", f"{came}, by chance: {sent:.4g} random gaps were longer than asked ({short})", 1.0
        )
    return Verdict(
        "fell_behind",
        f"{came}, or rather the client sent no more: {short}; the asked rate is not what the load was",
    )


def _product(load: Load, running: float) -> str:
    return f"{_came(load)}/s x {load.latency_s:.4g} s = {running:.4g}"


def _came(load: Load) -> str:
    return "an unknown number" if load.achieved_rps is None else f"{load.achieved_rps:.4g}"


def _reachable(clients: float, sent: float | None) -> float:
    """Give mean requests in flight if every client is always busy: fewer at the end, when the last ones drain."""
    return clients if not sent else clients / (1.0 + clients / (2.0 * sent))


def _long_enough(load: Load, ratio: float | None, running: float) -> Verdict:
    assert load.latency_s is not None
    sent = requests(load)
    doubt = 0.0 if ratio is None else _between(ratio, KEEPS_UP, SATURATED_BELOW)
    reason = "" if not doubt else f"it kept up with {ratio:.1%} of the asked rate only"
    if load.client_cap and load.random_arrivals:
        spare = (load.client_cap - running) / math.sqrt(max(running, 1.0))
        touched = _between(spare, CAP_ERRORS, 0.0)
        if touched > doubt:
            reason = f"the client's cap of {load.client_cap:g} is near the {running:.4g} in flight and cut off peaks"
            doubt = touched
    overlapping = load.value * load.latency_s > 1.0  # one request at a time needs no time to build up
    if sent and overlapping:
        length = sent / load.value / load.latency_s
        if length < LONG_ENOUGH:
            said = f"{sent:.4g} requests at {load.value:.4g}/s are {length:.2g} latencies long"
            if length < TOO_SHORT:
                return Verdict(
                    "short", f"{said}: too short, the last was sent before the first came back, as in a burst"
                )
            if _between(length, LONG_ENOUGH, TOO_SHORT) > doubt:
                doubt = _between(length, LONG_ENOUGH, TOO_SHORT)
                reason = (
                    f"{said}, a short run (under {LONG_ENOUGH:g}): less was in flight than in steady state"
                )
    return Verdict("sound", reason, doubt)


def _closed(load: Load) -> Verdict:
    clients, sent, running = load.value, requests(load), in_flight(load)
    if load.n_requests is not None and load.n_requests < clients:
        return Verdict(
            "burst",
            f"{load.n_requests:g} requests sent at once, never {clients:g} clients: a burst, no steady load",
        )
    if running is None:
        return Verdict("unknown")
    share, waves = running / clients, math.inf if sent is None else sent / clients
    said = f"{running:.4g} of {clients:g} clients had a request in flight on average ({share:.1%})"
    one_wave = waves < SINGLE_WAVE and clients > 1
    if one_wave:
        said += (
            f": a single wave, {sent:.4g} requests for {clients:g} clients, whose prompts waited for each other (its time to "
            "the first token is no steady loop's)"
        )
    if share < LEAST_FULL and waves < FEW_WAVES:
        reason = f"{said}; it drained for most of the run, its load was lower than it says"
        return Verdict("wave", reason, one_wave=one_wave)
    if share > OVERFULL:
        return Verdict(
            "sound", f"{said}; more than there were clients: rate, latency or load is not what it says"
        )
    doubt = _between(share, FULL, LEAST_FULL)
    if doubt:
        said += "; the run is short, or its clients pause between requests: treat its load as lower"
    return Verdict("sound", said if doubt or one_wave else "", doubt, one_wave=one_wave)


def _between(value: float, sound: float, bound: float) -> float:
    """Give 0 at `sound` and beyond, 1 at `bound` and beyond, and the share of the way in between."""
    return min(max((sound - value) / (sound - bound), 0.0), 1.0)
