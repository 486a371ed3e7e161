"""Contradictions inside one benchmark that can be found from its own figures, whatever tool wrote them.

Each check says what does not fit and by how much. A value that is wrong for sure is left blank, and said to be; nothing
else is changed, since no check can know which of two figures is the right one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bayes_sd.measurements.readers.reading import MS_PER_S, Reading, plural

APART = 0.10
"""Relative difference from which two figures of one quantity are said to contradict each other."""
MANY_PER_CHUNK = 1.15
"""Tokens a chunk from which a stream is not one of single tokens."""
COUNTED_TOO_MUCH, COUNTED_TOO_LITTLE = 1.05, 0.5
"""Tokens that a server's counters committed, over those of the run, outside of which they are of something else."""
MEDIAN = 0.5
SHARES = {"p50_e2e_s": MEDIAN, "p95_e2e_s": 0.95, "p99_e2e_s": 0.99}
"""Share of the requests that took no longer: the others took as long or longer, so a mean is at least their share of it."""
SLACK = 1.01
"""What rounding may make of two figures of one run."""


def check(cell: Reading) -> None:
    """Run every check that needs the row alone, with everything given filled in.

    Parameters
    ----------
    cell : Reading
        Receives notes and remarks.
    """
    _throughputs(cell)
    _generated(cell)
    _own_times(cell)
    _chunks(cell)
    _percentiles(cell)
    _bounds(cell)
    _shortest_answer(cell)


def note_empty_answers(cell: Reading, output_lens: Sequence[float], succeeded: int) -> None:
    """Say how many requests counted as success have an answer without a token.

    Parameters
    ----------
    cell : Reading
        Receives the note.
    output_lens : sequence of float, (request,)
        Tokens of each answer; failed requests have none.
    succeeded : int
        Requests that the tool counts as success.
    """
    empty = succeeded - sum(1 for tokens in output_lens if tokens > 0)
    if output_lens and empty > 0:
        cell.notes.append(
            f"{empty} of the {succeeded} requests counted as success have an answer without a token: mean latency and "
            "length are of them too"
        )
        cell.remarks.append(f"{empty} empty answers counted as success")


def note_more_than_asked(cell: Reading, succeeded: int, asked: float | None) -> None:
    """Say that a tool counts more answers than it was to send requests.

    Parameters
    ----------
    cell : Reading
        Receives the note.
    succeeded : int
    asked : float or None
        Requests that were to be sent.
    """
    if asked is not None and succeeded > asked:
        cell.notes.append(
            f"{succeeded} requests succeeded of {asked:.0f} that were to be sent: a warm-up's or another run's are counted too"
        )
        cell.remarks.append("more requests succeeded than were sent")


def check_counters(cells: Sequence[Reading]) -> None:
    """Hold a server's counters of speculation against the tokens of the runs that they are said to be of.

    Parameters
    ----------
    cells : sequence of Reading
        The benchmarks of a file; counts that they share stand on one of them.
    """
    counted = [cell for cell in cells if cell.number("n_drafts") is not None]
    if not counted:
        return
    tokens = [_tokens(cell) for cell in (cells if len(counted) == 1 else counted)]
    known = [count for count in tokens if count is not None]
    if len(known) < len(tokens) or not sum(known):
        return
    committed = sum((c.number("n_drafts") or 0) + (c.number("n_accepted_tokens") or 0) for c in counted)
    share = committed / sum(known)
    said = f"the counters hold {committed:.0f} committed tokens, the run {sum(known):.0f} output tokens ({share:.0%})"
    if share > COUNTED_TOO_MUCH:
        counted[0].notes.append(
            f"{said}: warm-up or other traffic is in them; take /metrics before and after the run"
        )
        counted[0].remarks.append("acceptance counters hold more than the run")
    elif share < COUNTED_TOO_LITTLE:
        counted[0].notes.append(f"{said}: they cover a part of the run, or not every token was speculated")


def check_generated(cells: Sequence[Reading], generated: float) -> None:
    """Hold the output tokens that a server counted against those of the runs that they are said to be of.

    Parameters
    ----------
    cells : sequence of Reading
        The benchmarks of a file; the first receives the note.
    generated : float
        The server's count over all of them.
    """
    known = [count for cell in cells if (count := _tokens(cell)) is not None]
    if len(known) < len(cells) or not sum(known) or not _apart(generated, sum(known)):
        return
    said = f"the server counts {generated:.0f} output tokens, the file {sum(known):.0f}"
    if generated > sum(known):
        cells[0].notes.append(f"{said}: warm-up or other traffic is in its counters")
    else:
        cells[0].notes.append(f"{said}: the answers ended before the length that the file counts")
        cells[0].remarks.append(f"output tokens in doubt: the server counts {generated / sum(known):.0%}")


def note_faulty_clocks(cell: Reading, name: str, times: Iterable[float]) -> None:
    """Say how many single times of requests are none.

    Parameters
    ----------
    cell : Reading
        Receives the note.
    name : str
        What they are times of.
    times : iterable of float, (request,)
        Of successful requests.
    """
    wrong = sum(1 for time in times if time < 0)
    if wrong:
        cell.notes.append(
            f"{name} of {wrong} requests is below zero (a clock was set wrong or never): means of it are not what they say"
        )
        cell.remarks.append(f"{name} below zero in {plural(wrong)}")


def _tokens(cell: Reading) -> float | None:
    output, count = cell.number("output_tokens"), cell.number("n_requests")
    return None if output is None or count is None else output * count


def _throughputs(cell: Reading) -> None:
    rate, duration, count = (cell.number(n) for n in ("achieved_rps", "duration_s", "n_requests"))
    if rate and duration and count and _apart(rate * duration, count):
        cell.notes.append(
            f"{rate:.4g} requests/s over {duration:.4g} s are {rate * duration:.4g} requests, but {count:.4g} succeeded"
        )
    tokens, output = cell.number("output_tok_per_s"), cell.number("output_tokens")
    if rate and tokens and output and _apart(tokens / rate, output):
        cell.notes.append(
            f"{tokens:.4g} output tokens/s and {rate:.4g} requests/s are {tokens / rate:.4g} tokens a request, but "
            f"{output:.4g} are stated"
        )


def _generated(cell: Reading) -> None:
    """Hold the tokens as counted against a second count of them, of the tokenizer or the server."""
    stated, other = cell.number("output_tokens"), cell.generated_tokens
    if not stated or not other or not _apart(other, stated):
        return
    e2e, ttft = cell.number("mean_e2e_s"), cell.number("mean_ttft_ms")
    per_token = ""
    if e2e is not None and ttft is not None and other > 1:
        per_token = f" ({(e2e * MS_PER_S - ttft) / (other - 1):.3g} ms a token by that)"
    why = "the answers ended early" if other < stated else "not every token was counted"
    cell.notes.append(
        f"{stated:.4g} output tokens a request as counted, {other:.4g} by the other count{per_token}: {why}, so "
        "output_tokens, output_tok_per_s and mean_tpot_ms may not be what was generated"
    )
    cell.remarks.append(f"output tokens in doubt: {stated:.4g} or {other:.4g}")


def _chunks(cell: Reading) -> None:
    """Without speculation each chunk of a stream is a token, so time between chunks is time per token."""
    itl, tpot = cell.itl_ms, cell.own_tpot_ms or cell.number("mean_tpot_ms")
    if cell.columns.get("method") != "none" or not itl or not tpot or itl <= 0 or tpot <= 0:
        return
    per_chunk = itl / tpot
    if per_chunk > MANY_PER_CHUNK:
        cell.notes.append(
            f"about {per_chunk:.2g} tokens came per chunk (ITL {itl:.4g} ms, TPOT {tpot:.4g} ms) although the method is "
            "none: speculation, or a client that merges chunks"
        )
        cell.remarks.append(f"{per_chunk:.2g} tokens a chunk without speculation")


def _own_times(cell: Reading) -> None:
    """Say of the tool's own times between tokens, which are not stored, when they are none: what else its clock took is in doubt."""
    for name, value in (("time per token", cell.own_tpot_ms), ("time between chunks", cell.itl_ms)):
        if value is not None and value < 0:
            cell.notes.append(
                f"the tool's mean {name} is {value:.4g} ms, which is not a time (a clock of some requests was set wrong): "
                "times to the first token may be wrong too"
            )
            cell.remarks.append(f"{name} below zero in the file")


def _percentiles(cell: Reading) -> None:
    """Hold the mean latency against each percentile, between what the requests below it and those above it can add."""
    mean, duration = cell.number("mean_e2e_s"), cell.number("duration_s")
    longest = min((t for t in (cell.longest_s, duration) if t is not None), default=None)
    for name, share in SHARES.items():
        value = cell.number(name)
        if value is None:
            continue
        called = "median" if share == MEDIAN else f"{100 * share:.0f}th percentile"
        if longest is not None and value > longest * SLACK:
            what = "the longest latency" if longest == cell.longest_s else "the run"
            _doubt(cell, f"the {called} of latency is {value:.4g} s, longer than {what} of {longest:.4g} s")
        if mean is None:
            continue
        if mean < (1 - share) * value / SLACK:
            part = "half" if share == MEDIAN else f"{100 * (1 - share):.0f} %"
            _doubt(
                cell,
                f"mean latency {mean:.4g} s is less than {part} of the {called} {value:.4g} s, which no times can give: one of "
                "them is not what it says",
            )
        elif longest is not None and mean > value:
            slowest = (mean - share * value) / (1 - share)
            if slowest > longest * SLACK:
                beyond = "hundredth" if share == SHARES["p99_e2e_s"] else f"{100 * (1 - share):.0f} %"
                _doubt(
                    cell,
                    f"mean latency {mean:.4g} s is above the {called} {value:.4g} s: the slowest {beyond} would have taken "
                    f"{slowest:.4g} s each, longer than {longest:.4g} s, the longest that can be",
                )


def _bounds(cell: Reading) -> None:
    mean = cell.number("mean_e2e_s")
    for bound, word, outside in (
        (cell.longest_s, "longest", lambda m, b: m > b * SLACK),
        (cell.shortest_s, "shortest", lambda m, b: m < b / SLACK),
    ):
        if mean is not None and bound is not None and outside(mean, bound):
            way = "above" if word == "longest" else "below"
            _doubt(
                cell, f"mean latency {mean:.4g} s is {way} the {word} {bound:.4g} s, which no times can give"
            )


def _shortest_answer(cell: Reading) -> None:
    if cell.fewest_tokens is not None and cell.fewest_tokens <= 0 and cell.number("n_requests"):
        cell.notes.append(
            "at least one request counted as success has an answer without a token: mean latency and length are of it too"
        )
        cell.remarks.append("empty answers counted as success")


def _doubt(cell: Reading, text: str) -> None:
    cell.notes.append(text)
    cell.remarks.append("latencies contradict each other")


def _apart(one: float, other: float) -> bool:
    return abs(one - other) > APART * max(abs(one), abs(other))
