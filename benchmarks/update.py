"""`update` against a full refit: ten splits of a table, what each way takes, and whether they say the same.

    uv run python benchmarks/update.py [--splits 10] [--draws 1000] [--in-a-row 20] [--json OUT.json]

The rows of one GPU of `data/llama.csv` with and without EAGLE-3 are split: a posterior is fitted to most of them, and updated with
those left out: some rows at random in the odd splits, a whole configuration (a workload with its draft length) in the even ones.
Last, so many rows are left out and put in one after another. A refit of all rows is the reference. Compared are the draws of log
latency of twelve conditions, those left out first: the distance of the means over the reference's standard deviation, and over the
Monte Carlo error of both (the effective draws that an update counts, and the reference's own, thinned by a factor of two for
correlation), and the ratio of the standard deviations.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_sd.cards import load_cards
from bayes_sd.errors import ConvergenceError
from bayes_sd.forecast.latency import predict
from bayes_sd.learn.update import update
from bayes_sd.model.spec import ModelSpec
from bayes_sd.sample.fit import fit_frame, observations
from bayes_sd.sample.settings import SamplerSettings

SHOWN, AT_RANDOM = 12, 6
CORRELATED = 2.0


def left_out(frame: pd.DataFrame, split: int) -> np.ndarray:
    """Rows of a split that are not fitted, shape (row,)."""
    rng = np.random.default_rng([split, 3])
    if split % 2:
        return np.isin(np.arange(len(frame)), rng.choice(len(frame), AT_RANDOM, replace=False))
    keys = frame["workload"].astype(str) + " k=" + frame["k"].astype(str)
    return (keys == rng.choice(sorted(set(keys)))).to_numpy()


def fitted(frame: pd.DataFrame, draws: int, cards):
    settings = SamplerSettings(draws=draws, seed=3)
    return fit_frame(frame.reset_index(drop=True), ModelSpec(family="llama"), settings, cards)[0]


def compared(own, reference, effective: float, shown: pd.DataFrame) -> dict[str, float]:
    """Distance of two posteriors at conditions."""
    a, b = (np.log(predict(p, shown).latency_s) for p in (own, reference))
    sd, apart = b.std(axis=0), np.abs(a.mean(axis=0) - b.mean(axis=0))
    error = sd * np.sqrt(1.0 / effective + CORRELATED / len(b))
    return {
        "apart_in_sd": float(np.mean(apart / sd)),
        "apart_in_errors": float(np.sqrt(np.mean((apart / error) ** 2))),
        "sd_ratio": float(np.exp(np.mean(np.log(a.std(axis=0) / sd)))),
    }


def run(split: int, frame: pd.DataFrame, reference, draws: int, cards) -> dict[str, Any]:
    out = left_out(frame, split)
    posterior = fitted(frame[~out], draws, cards)
    new, rest = frame[out], frame[~out]
    shown = pd.concat([new, rest]).head(SHOWN).reset_index(drop=True)
    told = {
        "split": split,
        "left_out": int(out.sum()),
        "before": compared(posterior, reference, posterior.n_draws / CORRELATED, shown),
    }
    began, cpu = time.perf_counter(), time.process_time()
    try:
        found = update(posterior, new, cards=cards)
    except ConvergenceError:
        found = None
    told |= {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    if found is None:
        return told | {"method": "refit needed"}
    return told | {
        "method": found.method,
        "k_hat": found.k_hat,
        "effective": found.effective,
        "after": compared(found.posterior, reference, found.effective / CORRELATED, shown),
    }


def in_a_row(n: int, frame: pd.DataFrame, reference, draws: int, cards) -> dict[str, Any]:
    """Put rows in one after another, and compare what comes out with the refit."""
    out = np.isin(np.arange(len(frame)), np.random.default_rng(17).choice(len(frame), n, replace=False))
    own, new, methods = fitted(frame[~out], draws, cards), frame[out], []
    shown = new.head(SHOWN).reset_index(drop=True)
    told: dict[str, Any] = {
        "left_out": n,
        "before": compared(own, reference, own.n_draws / CORRELATED, shown),
    }
    began = time.perf_counter()
    for i in range(n):
        try:
            found = update(own, new.iloc[[i]], cards=cards)
        except ConvergenceError as error:
            return told | {"methods": methods, "stopped": str(error)}
        own = found.posterior
        methods.append(found.method)
    told |= {"wall_s": time.perf_counter() - began, "methods": methods}
    return told | {"after": compared(own, reference, found.effective / CORRELATED, shown)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--in-a-row", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cards = load_cards()
    frame = observations("llama", cards=cards)[0]
    frame = frame[frame["hardware"].str.startswith("A100-SXM4-80GB")].reset_index(drop=True)
    began = time.perf_counter()
    reference = fitted(frame, options.draws, cards)
    print(
        f"refit of {len(frame)} rows: {time.perf_counter() - began:.1f} s, {reference.n_draws} draws",
        flush=True,
    )
    rows = []
    for split in range(options.splits):
        rows.append(one := run(split, frame, reference, options.draws, cards))
        after = one.get("after", {})
        words = ", ".join(
            f"{name} {value:.2f} (before {one['before'][name]:.2f})" for name, value in after.items()
        )
        print(
            f"split {split}: {one['left_out']} rows by {one['method']}, {one['wall_s']:.2f} s ({one['cpu_s']:.2f} s of CPU); {words}",
            flush=True,
        )
    if options.in_a_row:
        rows.append(one := in_a_row(options.in_a_row, frame, reference, options.draws, cards))
        print(f"in a row: {json.dumps(one)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
