"""Accuracy and honesty on real rows held out of the fit: the hierarchical model, it without pooling, and point fits.

    uv run python benchmarks/accuracy.py --family llama --splits a,b,c [--store FILE] [--figure FILE]

Rows are chosen by sorted names before anything is fitted:

a     one configuration in eight (all loads of it), where its deployment keeps another configuration
pair  those among them that were the only ones of their drafter on their deployment: not an unseen shape but an unseen pair
load  one load, the middle one, of another configuration in eight: all that a line per configuration predicts
b     whole deployments, one in six of those whose hardware stays in the fit with the same verifier
c     one cell (draft length × workload) of each drafting pair that keeps another cell, in two folds
t     all tensor-parallel sizes of each stack but one, which rotates
p     the longest prompts of each deployment that has shorter ones, by a half or more
e     speculating rows of one engine with one method, or of one source, one at a time
v     whole verifiers, one at a time (with --family all: whole families)
s     whole sources, one at a time: --sources a,b+c (b and c together); by default each with less than half of the rows
g     whole GPU models with 20 rows or more, a third of them at a time, in three folds
h     the same, one at a time

A configuration is deployment × method × drafter × k × workload. `a`, `pair` and `load` share one fit. A held-out row
states its own tokens per cycle, E; a question of which way is faster does not. Repeats of a cell are averaged before.
With `--store` each finished fit is kept in a JSON-lines file, and is not done again by the same code on the same tables.

The models compared:

hierarchical   this package's
no pooling     the same with nothing shared between deployments
six            stage coefficients by deployment, Kong et al. 2026 (arXiv:2605.15051) with their trends in length
two            L = C1/(1 − λC2) by configuration, the same paper

Columns, rows of one deployment being one error (± is the standard error of a mean over deployments): deployments; rows
held out, and those of them that the model can predict; err %, median error of latency over rows; dep %, mean over
deployments of their median error; 50 80 90 95, share inside the predictive intervals of so much; width, log width of the
90 % one; CRPS of log latency, which for a point is the absolute error.
"""

from __future__ import annotations

import argparse
import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scoring import scores
from scoring.predictions import LEVELS, MODELS, score_fold
from scoring.runner import Job, Store, revision, run_jobs, say
from scoring.splits import MAKERS, Split, make_splits, with_names

OURS = MODELS[0]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", default="llama", help="a family, or all")
    parser.add_argument(
        "--data", type=Path, action="append", help="a table instead of the shipped ones; repeat"
    )
    parser.add_argument(
        "--splits", default="a,b,c", help=f"which of {','.join(MAKERS)} (load is in a), by commas"
    )
    parser.add_argument("--sources", default="", help="for split s: which, by commas, with + together")
    parser.add_argument("--only", default="*", help="only fits whose name is like this, as 't1' or 'v*70B*'")
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--tune", type=int, default=250)
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--cores", type=int, default=2, help="chains of a fit that run at once")
    parser.add_argument("--models", default=OURS, help=f"which of {','.join(MODELS)}, by commas")
    parser.add_argument("--seed", type=int, default=20260515)
    parser.add_argument("--workers", type=int, default=1, help="fits at once on this machine (needs Dask)")
    parser.add_argument("--scheduler", default="", help="address of a Dask scheduler to use instead")
    parser.add_argument(
        "--store", type=Path, help="JSON-lines file: finished fits are kept there and taken from it"
    )
    parser.add_argument("--worst", type=int, default=0, help="worst rows to print a split")
    parser.add_argument("--each", action="store_true", help="print every deployment too")
    parser.add_argument("--figure", type=Path, help="draw PIT histograms and reliability into this file")
    parser.add_argument("--json", type=Path, help="write settings, tables and records to this file")
    return parser.parse_args()


def load(args: argparse.Namespace) -> tuple[pd.DataFrame, Any]:
    """Read the rows, with the names that splits go by."""
    from bayes_sd.cards import load_cards
    from bayes_sd.sample.fit import observations

    cards = load_cards()
    frame, _ = observations(args.family, args.data, cards)
    return with_names(frame.reset_index(drop=True), cards), cards


def make_jobs(frame: pd.DataFrame, splits: list[Split], args: argparse.Namespace, cards: Any) -> list[Job]:
    """Make one job a fit."""
    asked = {n: getattr(args, n) for n in ("family", "draws", "tune", "chains", "cores", "seed")}
    settings = {n: v for n, v in asked.items() if n != "cores"}  # draws are the same on any number of cores
    if args.data:
        settings["data"] = [str(path) for path in args.data]
    about = settings | {"revision": revision()}
    return [
        Job(about | {"fit": split.fit, "model": model}, (frame, split.label, model, asked, cards))
        for split in splits
        for model in args.models.split(",")
    ]


def collect(done: list[tuple[Job, Any]]) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Give the records of rows and of choices of all fits."""
    rows, choices = [], []
    for job, result in done:
        about = {"fit": job.key["fit"], "model": job.key["model"]}
        if result["gate"]:
            say(f"{about['fit']}, {about['model']}: gate not passed: {result['gate']}")
        rows += [record | about for record in result["rows"]]
        choices += [record | about for record in result["choices"]]
    return pd.DataFrame(rows), choices


def latency_table(table: pd.DataFrame) -> pd.DataFrame:
    """Write the table of latency scores for people."""

    def with_error(name: str, form: str) -> list[str]:
        pairs = zip(table[name], table[f"{name}_se"], strict=True)
        return [
            ("-" if np.isnan(m) else f"{m:{form}}" + ("" if np.isnan(e) else f" ±{e:{form}}"))
            for m, e in pairs
        ]

    shown = {"split": table["split"], "model": table["model"], "deps": table["deployments"]}
    whole = table["predicted"] == table["rows"]
    shown["rows"] = (
        table["rows"]
        .astype(str)
        .where(whole, table["predicted"].astype(str) + "/" + table["rows"].astype(str))
    )
    shown["err %"] = table["row_ape"].map("{:.1f}".format)
    shown["dep %"] = with_error("median_ape", ".1f")
    if "width" in table:
        for level in LEVELS:
            name = f"in_{level:g}"
            shown[f"{100 * level:g}"] = (
                with_error(name, ".2f")
                if level == scores.WIDTH
                else table[name].map("{:.2f}".format).str.replace("nan", "-")
            )
        shown["width"] = with_error("width", ".2f")
    shown["CRPS"] = with_error("crps", ".3f")
    if len(set(table["model"])) == 1:
        del shown["model"]
    return pd.DataFrame(shown)


def print_choices(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Print what P(faster) and P(best k) were worth, split by split; give the numbers."""
    found: dict[str, Any] = {}
    pairs = scores.faster_records(choices)
    if not len(pairs):
        return found
    print(
        "\nP(faster) where both were measured; base: the constant that is right on average (log loss in nats)"
    )
    print(
        "split  model         pairs deps  base mean p   log loss / base   gain ± se     Brier / base  speedup in 90 %"
    )
    for (split, model), own in pairs.groupby(["split", "model"], sort=False):
        s = scores.score_faster(own)
        found[f"{split} {model}"] = s | {"reliability": scores.reliability(own).to_dict("records")}
        print(
            f"{split:6} {model:13} {s['pairs']:5} {s['deployments']:4} {s['base']:5.2f} {s['p']:6.2f}"
            f"     {s['log_loss']:.3f} / {s['base_log_loss']:.3f}  {s['gain']:+.3f} ±{s['gain_se']:.3f}"
            f"   {s['brier']:.3f} / {s['base_brier']:.3f}  {s['inside']:.2f}"
        )
    print("\nReliability of P(faster): claimed, pairs, mean claim, share that was faster")
    for (split, model), own in pairs.groupby(["split", "model"], sort=False):
        bins = scores.reliability(own).to_dict("records")
        told = "; ".join(f"{b['claimed']}: {b['pairs']}, {b['p']:.2f}, {b['faster']:.2f}" for b in bins)
        print(f"{split:6} {model:13} {told}")
    for (split, model), own in _grouped(choices):
        best = scores.score_best(own)
        if best:
            found[f"{split} {model}"]["best"] = best
            print(
                f"P(best k)  {split}, {model}: {best['choices']} choices of {best['ways']:.1f} ways,"
                f" log loss {best['log_loss']:.3f} / {best['base_log_loss']:.3f},"
                f" Brier {best['brier']:.3f} / {best['base_brier']:.3f},"
                f" right {best['hit']:.2f} / {best['base_hit']:.2f}"
            )
    return found


def _grouped(choices: list[dict[str, Any]]) -> list[tuple[tuple[str, str], list[dict[str, Any]]]]:
    keys = dict.fromkeys((c["split"], c["model"]) for c in choices)
    return [(key, [c for c in choices if (c["split"], c["model"]) == key]) for key in keys]


def main() -> None:
    args = arguments()
    wrong = sorted(set(args.models.split(",")) - set(MODELS))
    if wrong:
        raise SystemExit(f"--models: no model is named {wrong[0]!r}; there are {', '.join(MODELS)}")
    frame, cards = load(args)
    splits = [s for s in make_splits(frame, args.splits, args.sources) if fnmatch(s.fit, args.only)]
    say(
        f"{args.family}: {len(frame)} rows, {frame['deployment'].nunique()} deployments, {len(splits)} fits a model"
    )
    if not splits:
        raise SystemExit("no such split leaves rows on both sides: choose others with --splits and --only")
    done = run_jobs(
        make_jobs(frame, splits, args, cards), score_fold, Store(args.store), args.workers, args.scheduler
    )
    if not done:
        raise SystemExit("no fit was made")
    rows, choices = collect(done)
    table = scores.summarise(rows)
    with pd.option_context("display.width", 250, "display.max_columns", 20, "display.max_colwidth", 110):
        print(latency_table(table).to_string(index=False))
        decisions = print_choices(choices)
        if args.each:
            print(
                "\nDeployments: medians of signed and absolute error [%], coverage, log width of the 90 % interval"
            )
            print(scores.by_deployment(rows).round(2).to_string(index=False))
        if args.worst and (rows["model"] == OURS).any():
            print("\nWorst rows of the hierarchical model")
            print(scores.worst(rows, args.worst).round(2).to_string(index=False))
    if args.figure:
        from scoring.figure import draw

        mine = [c for c in choices if c["model"] == OURS]
        draw(rows[rows["model"] == OURS], scores.faster_records(mine), args.figure)
    if args.json:
        settings = {k: v for k, v in vars(args).items() if k not in ("json", "figure", "store", "data")}
        result = {"settings": settings, "table": table.to_dict("records"), "choices": decisions}
        args.json.write_text(json.dumps(result | {"rows": rows.to_dict("records")}, default=str))


if __name__ == "__main__":
    main()
