"""How many published measurements can be asked about as they stand: rows without results, answered or refused, and why.

    uv run python benchmarks/questions.py TRACE TABLE.csv [--sample 275] [--seed 0] [--rows] [--json OUT.json]

Results are dropped, and each distinct configuration (everything but the load and the source's own notes) is asked once, with
the shipped cards only. Columns that this package does not know are dropped too, as a person would. A row is answered if its
latency can be predicted: its answer may say that it extrapolates, or what was assumed for it.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from bayes_sd.cards import load_cards
from bayes_sd.forecast.answerable import answerable
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.summary import summarise
from bayes_sd.measurements import read_conditions
from bayes_sd.measurements.schema import BY_NAME
from bayes_sd.measurements.table import Left
from bayes_sd.posterior import load_posterior

NOT_ASKED = ("source", "config_id", "notes", "repeat")
"""Columns of a condition that say where a row comes from."""
VARIES = ("load_value",)
"""What the rows of one configuration differ in."""
POOLS = re.compile("disagg|prefill_|decode_", re.I)
"""What says that prefill and decode run on GPUs of their own."""


def asked_rows(path: Path) -> list[dict[str, str]]:
    """Read a table's rows as text, with the columns that a question may have."""
    with path.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    keep = [n for n, c in BY_NAME.items() if c.condition != "result" and n not in NOT_ASKED]
    return [{name: row[name] for name in keep if row.get(name)} for row in rows]


def distinct(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Keep the first row of each configuration."""
    found: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    for row in rows:
        found.setdefault(tuple((n, v) for n, v in row.items() if n not in VARIES), row)
    return list(found.values())


def write(rows: list[dict[str, str]], path: Path) -> Path:
    """Write rows as a table of conditions."""
    names = [name for name in BY_NAME if any(name in row for row in rows)]
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def reason(text: str) -> str:
    """Give the kind of a reason: numbers and names apart, many rows have the same."""
    return re.sub(r"'[^']*'", "'...'", re.sub(r"\d+(\.\d+)?", "#", text))[:140]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--sample", type=int, default=275, help="configurations drawn; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", action="store_true", help="ask every row instead of one a configuration")
    parser.add_argument(
        "--predict", action="store_true", help="compute the answers too, not only that they exist"
    )
    parser.add_argument("--json", metavar="OUT", type=Path)
    options = parser.parse_args()
    posterior = load_posterior(options.trace, accept_unconverged=True)
    cards = posterior.cards(load_cards())
    rows = asked_rows(options.table)
    pool = rows if options.rows else distinct(rows)
    if options.sample and not options.rows and options.sample < len(pool):
        picked = np.random.default_rng(options.seed).permutation(len(pool))[: options.sample]
        pool = [pool[i] for i in sorted(picked)]
    left: list[Left] = []
    with tempfile.TemporaryDirectory() as folder:
        file = write(pool, Path(folder) / "questions.csv")
        frame = read_conditions(file, leave_open=True, left=left)
    kept, more = answerable(posterior, frame, cards)
    left += more
    pools = sum(
        bool(POOLS.search(" ".join([*pool[one.row - 2], *pool[one.row - 2].values()]))) for one in left
    )
    print(
        f"{len(rows)} rows, {len(pool)} asked: {len(kept)} answered, {len(left)} refused ({pools} of separate pools)"
    )
    for why, n in Counter(reason(one.why) for one in left).most_common():
        print(f"{n:5d}  {why}")
    report = {"asked": len(pool), "answered": len(kept), "refused": len(left), "separate_pools": pools}
    if options.predict and len(kept):
        table = summarise(predict(posterior, kept, cards))
        finite = int(np.isfinite(table["latency_median_s"]).sum())
        assumed = int((table["assumed"] != "").sum())
        print(f"{finite} with a steady state, {assumed} with something assumed")
        report |= {"steady": finite, "assumed": assumed}
    if options.json:
        options.json.write_text(
            json.dumps(report | {"reasons": [one.why for one in left]}, indent=2), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
