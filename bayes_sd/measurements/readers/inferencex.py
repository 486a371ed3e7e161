"""Reads the CSV that the InferenceX dashboard exports for a chart: closed loops, one row each.

Until July 2026 the headers said (ms) over values in seconds (InferenceX issue 2405). Interactivity is the
reciprocal of time per token, so a file tells its own unit. Lengths are nominal there (1k is drawn from a
range below it): the mean output length follows from latency and time per token, and the mean prompt length
from the two throughputs.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from bayes_sd.errors import DataError
from bayes_sd.loading import bounded_lines, csv_line
from bayes_sd.measurements.readers.members import scaled
from bayes_sd.measurements.readers.packed import open_binary
from bayes_sd.measurements.readers.reading import MS_PER_S, Cell, Reading, Unusable, put_latencies, put_tpot

NEEDED = ("Hardware Key", "Framework", "Precision", "TP", "Concurrency")
STATISTICS = ("Mean", "Median", "P99")
SECONDS = {"s": 1.0, "ms": 1e-3}
RECIPROCAL_SLACK = 0.05
TOTAL_SLACK = 0.02
SHORTEST, LONGEST = 0.5, 1.1
"""Mean over nominal length that is believed: lengths are drawn from a range that ends at the nominal one."""
METHODS = {
    "": None,
    "none": "none",
    "false": "none",
    "mtp": "mtp",
    "eagle": "eagle",
    "eagle3": "eagle3",
    "ngram": "ngram",
}
Row = Mapping[str, str]


def read(path: Path) -> Iterator[Cell]:
    """Read the rows of an export.

    Parameters
    ----------
    path : Path
        The CSV file.

    Yields
    ------
    Reading or Unusable
        One for each row, in order.

    Raises
    ------
    DataError
        If a cell is not what its header says.
    """
    rows = _rows(path)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path}: it has a header but no rows")
    time_s, notes = _unit(path, first[1])
    for line, row in itertools.chain([first], rows):
        cell = _row(f"{path}, line {line}", row, time_s)
        if isinstance(cell, Reading):
            cell.notes[:0], notes = notes, []
        yield cell


def header(path: Path) -> list[str] | None:
    """Give the column names of a CSV file, or None if it does not look like one.

    Parameters
    ----------
    path : Path
        Any file.

    Returns
    -------
    list of str or None
        From the first line that is not a remark (#).
    """
    with open_binary(path) as handle:
        for raw in handle:
            if raw.startswith(b"#") or not raw.strip():
                continue
            if len(raw) > 1 << 16:
                return None
            try:
                return csv_line(raw.decode("utf-8"), str(path))
            except (UnicodeDecodeError, DataError):
                return None
    return None


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    with open_binary(path) as handle:
        names: list[str] | None = None
        text = io.TextIOWrapper(handle, encoding="utf-8", newline="")
        for number, line in enumerate(bounded_lines(text, str(path)), start=1):
            if line.startswith("#") or not line.strip():
                continue
            cells = csv_line(line, f"{path}, line {number}")
            if names is None:
                names = cells
            elif len(cells) == len(names):
                yield number, dict(zip(names, cells, strict=True))
            else:
                raise DataError(
                    f"{path}, line {number}: {len(cells)} cells where the header has {len(names)}: the file is cut short "
                    "or damaged; export it again"
                )


def _unit(path: Path, row: Row) -> tuple[float, list[str]]:
    """Find what the time columns are in (s per unit), and say so if the header has it wrong."""
    named = {
        name.rpartition("(")[2].rstrip(")") for name in row if " TPOT (" in name or " E2E Latency (" in name
    }
    if len(named) != 1 or not named <= set(SECONDS):
        raise DataError(
            f"{path}: time columns in {', '.join(sorted(named)) or 'no unit'}: expected (s) or (ms)"
        )
    label = named.pop()
    found = _unit_by_reciprocal(f"{path}", row, label) or _unit_by_little(f"{path}", row, label)
    if found == label:
        return SECONDS[label], []
    note = f"the header says ({label}), but the values are in {found} and read so (InferenceX issue 2405)"
    return SECONDS[found], [note]


def _unit_by_reciprocal(where: str, row: Row, label: str) -> str | None:
    for statistic in STATISTICS:
        per_token = _number(where, row, f"{statistic} TPOT ({label})")
        speed = _number(where, row, f"{statistic} Interactivity (tok/s/user)")
        if per_token and speed:
            for unit, seconds in SECONDS.items():
                if abs(per_token * seconds * speed - 1) < RECIPROCAL_SLACK:
                    return unit
            raise DataError(
                f"{where}: the units contradict each other: {statistic} TPOT ({label}) {per_token:g} is not "
                "one over "
                f"{speed:g} tok/s/user in s or in ms; export it again"
            )
    return None


def _unit_by_little(where: str, row: Row, label: str) -> str:
    """Take the unit in which the clients are about rate times latency; a factor 1000 leaves no doubt."""
    latency = _number(where, row, f"Mean E2E Latency ({label})") or _number(
        where, row, f"Median E2E Latency ({label})"
    )
    length, clients = _number(where, row, "OSL"), _number(where, row, "Concurrency")
    totals = _totals(where, row)
    if not (latency and totals and length and clients):
        raise DataError(
            f"{where}: nothing shows whether times are in s or ms (exports before August 2026 have it "
            "wrong); export it again"
        )
    in_flight = totals[1] / length * latency
    for unit, seconds in SECONDS.items():
        if 1 / 3 < in_flight * seconds / clients < 3:
            return unit
    raise DataError(
        f"{where}: the units contradict each other: rate x latency is {in_flight:.3g} requests in s, for "
        f"{clients:g} clients"
    )


def _row(where: str, row: Row, time_s: float) -> Cell:
    label = next(
        name.rpartition("(")[2].rstrip(")") for name in row if " E2E Latency (" in name or " TPOT (" in name
    )
    return read_row(where, row, label, time_s)


def read_row(where: str, row: Row, label: str, time_s: float) -> Cell:
    """Read one cell of the dashboard.

    Parameters
    ----------
    where : str
        File and place, for messages.
    row : mapping
        Column of the CSV export to text.
    label : str
        Unit in the names of its time columns.
    time_s : float
        What that unit is in truth (s).

    Returns
    -------
    Reading or Unusable

    Raises
    ------
    DataError
        If a cell is not what its header says.
    """

    def seconds(what: str) -> float | None:
        return scaled(_number(where, row, f"{what} ({label})"), time_s)

    cell = Reading(where, "inferencex")
    cell.put("load_kind", "concurrency")
    cell.put("load_value", _number(where, row, "Concurrency"))
    _put_served(cell, row)
    put_latencies(
        cell,
        mean_e2e_s=seconds("Mean E2E Latency"),
        p50_e2e_s=seconds("Median E2E Latency"),
        p99_e2e_s=seconds("P99 E2E Latency"),
        mean_ttft_ms=scaled(seconds("Mean TTFT"), MS_PER_S),
    )
    if not {"mean_e2e_s", "p50_e2e_s"} & set(cell.columns):
        return Unusable(where, "no end-to-end latency, left out", failed=False)
    _put_lengths(cell, row, seconds("Mean TPOT"))
    put_tpot(cell)
    _put_rates(cell, row)
    return cell


def _put_served(cell: Reading, row: Row) -> None:
    where = cell.where
    cell.put("verifier", row.get("Model"))
    cell.put("hardware", row.get("Hardware") or row.get("Hardware Key"))
    cell.put("engine", row.get("Framework"))
    cell.put("precision", row.get("Precision"))
    cell.put("tp", _number(where, row, "TP"))
    if "Spec Decoding" in row:
        named = row["Spec Decoding"].casefold()
        cell.put("method", METHODS.get(named, named))
    options = []
    if row.get("Disaggregated", "").casefold() == "true":
        prefill, decode = row.get("Num Prefill Chips", ""), row.get("Num Decode Chips", "")
        prefill, decode = prefill or row.get("Num Prefill GPUs", ""), decode or row.get("Num Decode GPUs", "")
        options.append(f"disaggregated {prefill or '?'}+{decode or '?'}")
    if (experts := _number(where, row, "EP")) and experts > 1:
        options.append(f"ep{experts:g}")
    if row.get("DP Attention", "").casefold() == "true":
        options.append("dp-attention")
    cell.put("engine_options", " ".join(options))
    cell.put("n_gpu", _all_chips(where, row))
    nominal = f"{row.get('ISL', '')}/{row.get('OSL', '')}"
    cell.put("workload", f"random {nominal}" if nominal != "/" else "")
    parts = (
        row["Hardware Key"],
        row["Precision"],
        f"tp{row['TP']}",
        f"conc{row['Concurrency']}",
        row.get("Date"),
    )
    cell.put("config_id", "inferencex|" + "|".join(part for part in parts if part))


def _put_lengths(cell: Reading, row: Row, mean_tpot_s: float | None) -> None:
    e2e, ttft = cell.number("mean_e2e_s"), cell.number("mean_ttft_ms")
    nominal_in, nominal_out = _number(cell.where, row, "ISL"), _number(cell.where, row, "OSL")
    why = "the file has nominal lengths only; runs draw lengths from a range below them"
    cell.hints["output_tokens"] = cell.hints["prompt_tokens"] = why
    if not (e2e and ttft and mean_tpot_s):
        return
    output = 1 + (e2e - ttft / MS_PER_S) / mean_tpot_s
    if nominal_out and not SHORTEST < output / nominal_out < LONGEST:
        cell.notes.append(
            f"latency over time per token gives {output:.4g} output tokens where {nominal_out:g} are "
            "nominal: not used"
        )
        return
    cell.put("output_tokens", output, "1+(e2e-ttft)/tpot")
    totals = _totals(cell.where, row)
    if totals is None:
        return
    prompt = output * totals[0] / totals[1]
    if nominal_in is None or SHORTEST < prompt / nominal_in < LONGEST:
        cell.put("prompt_tokens", prompt, "output*input throughput/output throughput")


def _put_rates(cell: Reading, row: Row) -> None:
    totals = _totals(cell.where, row)
    if totals is None:
        return
    cell.put("output_tok_per_s", totals[1], "per chip*chips")
    if output := cell.number("output_tokens"):
        cell.put("achieved_rps", totals[1] / output, "output throughput/output")


def _chips(where: str, row: Row) -> tuple[float, float] | None:
    """Give the chips that input and output throughput are per: all, or those that prefill and that decode."""
    if row.get("Disaggregated", "").casefold() == "true":
        prefill = _number(where, row, "Num Prefill Chips") or _number(where, row, "Num Prefill GPUs")
        decode = _number(where, row, "Num Decode Chips") or _number(where, row, "Num Decode GPUs")
        return (prefill, decode) if prefill and decode else None
    chips = _number(where, row, "Physical Chips") or _number(where, row, "TP")
    return (chips, chips) if chips else None


def _all_chips(where: str, row: Row) -> float | None:
    chips = _chips(where, row)
    if chips is None:
        return None
    return sum(chips) if row.get("Disaggregated", "").casefold() == "true" else chips[0]


def _totals(where: str, row: Row) -> tuple[float, float] | None:
    """Give input and output tokens a second of all chips; None where the columns do not agree on them."""
    chips = _chips(where, row)
    tokens_in, tokens_out, every = (_throughput(where, row, kind) for kind in ("Input ", "Output ", ""))
    if not (chips and tokens_in and tokens_out):
        return None
    totals = tokens_in * chips[0], tokens_out * chips[1]
    all_chips = _all_chips(where, row)
    # How throughput is divided over chips has changed; the total shows whether it was as supposed here.
    if every and all_chips and abs(sum(totals) / (every * all_chips) - 1) > TOTAL_SLACK:
        return None
    return totals


def _throughput(where: str, row: Row, kind: str) -> float | None:
    return _number(where, row, f"{kind}Throughput/Chip (tok/s)") or _number(
        where, row, f"{kind}Throughput/GPU (tok/s)"
    )


def _number(where: str, row: Row, name: str) -> float | None:
    """Give a cell that holds a positive number; exports fill in 0 for what was not measured."""
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        raise DataError(f"{where}, column {name}: {text!r} is not a number; export the file again") from error
    return value if 0 < value < math.inf else None
