"""Percentiles of request latency against published ones: `uv run python benchmarks/tails.py TRACE [TRACE ...]`.

For each source and load protocol with measured percentiles: rows, and the median absolute error [%] of the predicted mean, 95th and
99th percentile, the latter two as they are predicted for a steady state and, for closed loops that say how many requests
they sent, for a run of so many from an idle server. Rows are those that the trace was fitted to; of their
percentiles the fit saw none but medians. Two numbers of `bayes_sd/forecast/spread.py` were set by rows at one client (see
there): those are counted apart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

LEVELS = ("p95", "p99")


def predicted(posterior, rows: pd.DataFrame, cards, whole_run: bool) -> pd.DataFrame:
    """Give posterior medians of mean, p50, p95 and p99 [s], one row a row."""
    from bayes_sd.forecast import predict

    frame = rows if whole_run else rows.drop(columns="n_requests")
    drawn = predict(posterior, frame, cards)
    tails = np.quantile(drawn.tails_s, 0.5, axis=0, method="inverted_cdf")
    mean = np.quantile(drawn.latency_s, 0.5, axis=0, method="inverted_cdf")
    return pd.DataFrame({"mean": mean, "p50": tails[:, 0], "p95": tails[:, 1], "p99": tails[:, 2]})


def errors(posterior, cards) -> pd.DataFrame:
    """Give the absolute errors [%] of every row with a measured 95th percentile."""
    observed = posterior.observed
    rows = observed[observed["p95_e2e_s"].notna()].reset_index(drop=True)
    steady, run = (predicted(posterior, rows, cards, whole) for whole in (False, True))
    found = rows[["source", "hardware", "workload", "method", "load_kind", "load_value"]].copy()
    one = (rows["load_kind"] == "concurrency") & (rows["load_value"] == 1)
    found["clients"] = np.where(one, "one", np.where(rows["load_kind"] == "rate", "open", "several"))
    found["mean"] = 100.0 * (steady["mean"] / rows["latency_s"] - 1.0)
    for level in LEVELS:
        measured = rows[f"{level}_e2e_s"]
        found[level] = 100.0 * (steady[level] / measured - 1.0)
        found[f"{level}_run"] = 100.0 * (run[level] / measured - 1.0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument(
        "--by", default="source,clients", help="columns to group by: workload, method, load_value, ..."
    )
    parser.add_argument("--accept-unconverged", action="store_true")
    args = parser.parse_args()
    from bayes_sd.cards import load_cards
    from bayes_sd.posterior.posterior import load_posterior

    cards = load_cards()
    scored = [errors(load_posterior(path, args.accept_unconverged), cards) for path in args.traces]
    table = pd.concat(scored)
    columns = ["mean", *(f"{level}{end}" for level in LEVELS for end in ("", "_run"))]
    for names in ("source", args.by):
        groups = table.groupby(names.split(","), sort=True)
        shown = groups[columns].agg(lambda e: e.abs().median())
        shown.insert(0, "rows", groups.size())
        print(f"\nMedian absolute error [%] by {names}")
        print(shown.round(1).to_string())


if __name__ == "__main__":
    main()
