"""Accuracy on real rows held out of the fit: the hierarchical model, it without pooling, and point fits.

    uv run python benchmarks/accuracy.py --family llama [--draws 500 --tune 500 --chains 2] [--json FILE]

Rows are chosen by sorted names before anything is fitted:

a     one configuration in eight (all loads of it), where its deployment keeps another configuration
pair  those among them that were the only ones of their drafter on their deployment: not an unseen shape but an unseen pair
load  one load, the middle one, of another configuration in eight: all that a line per configuration predicts
b     whole deployments, one in six of those whose hardware stays in the fit with the same verifier
c     one cell (draft length × workload) of each drafting pair that keeps another cell, in two folds
g     whole GPU models with 20 rows or more, a third of them at a time, in three folds
v     whole verifiers, one at a time, each in a fold (with --family all: whole families)

A configuration is deployment × method × drafter × k × workload. `a`, `pair` and `load` share one fit. A held-out row
states its own tokens per cycle, E. Repeats of a cell are averaged before. The models compared:

hierarchical   this package's
no pooling     the same with nothing shared between deployments
six            stage coefficients by deployment, Kong et al. 2026 (arXiv:2605.15051) with their trends in length
two            L = C1/(1 − λC2) by configuration, the same paper

Columns: held-out rows, those that the model can predict, median and mean absolute error of latency [%], share
of rows inside the 90 % predictive interval, and continuous ranked probability score (CRPS) of log latency,
which for a point is the absolute error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ONE_IN_CONFIGURATIONS, ONE_IN_DEPLOYMENTS, CELL_FOLDS, GPU_FOLDS = 8, 6, 2, 3
LEAST_GPU_ROWS = 20
LEVEL = 0.9
POINTS = {"six": "fit_stages", "two": "fit_lines"}
WHOLE = ("b", "g", "v")
"""Splits that hold out whole deployments."""
MODELS = ("hierarchical", "no pooling", *POINTS)


@dataclass(frozen=True)
class Split:
    """Rows to hold out of one fit, each labelled by what it tests.

    Attributes
    ----------
    name : str
    label : array of str, shape (row,)
        Empty for rows that are fitted.
    """

    name: str
    label: np.ndarray


def with_names(frame: pd.DataFrame, cards: Any) -> pd.DataFrame:
    """Add columns `deployment`, `pair` (empty without speculation), `configuration`."""
    from bayes_sd.baseline import configuration_names, deployment_names
    from bayes_sd.baseline.names import drafting_names

    deployment, drafting = deployment_names(frame, cards), drafting_names(frame, cards)
    pair = [f"{d} | {n}" if n else "" for d, n in zip(deployment, drafting, strict=True)]
    hardware = [cards.hardware(name).name for name in frame["hardware"]]
    return frame.assign(
        deployment=deployment,
        pair=pair,
        configuration=configuration_names(frame, cards),
        hardware_name=hardware,
    )


def configuration_split(frame: pd.DataFrame) -> Split:
    """One configuration in eight, and one load of another one in eight."""
    label = np.full(len(frame), "", dtype=object)
    names = sorted(set(frame["configuration"]))
    for name in names[3::ONE_IN_CONFIGURATIONS]:
        own = (frame["configuration"] == name).to_numpy()
        same = (frame["deployment"] == frame.loc[own, "deployment"].iloc[0]).to_numpy()
        if (same & ~own & (label == "")).any():
            label[own] = "a"
    pair = frame["pair"].to_numpy()
    for name in set(pair[label == "a"]) - set(pair[label == ""]):
        label[(pair == name) & (label == "a")] = "pair"
    for name in names[7::ONE_IN_CONFIGURATIONS]:
        own = np.flatnonzero(frame["configuration"] == name)
        ordered = own[np.argsort(frame["load_value"].to_numpy()[own], kind="stable")]
        if len(set(frame["load_value"].iloc[own])) > 2:
            label[ordered[len(ordered) // 2]] = "load"
    return Split("a", label)


def deployment_split(frame: pd.DataFrame) -> Split:
    """One deployment in six, of those whose hardware and verifier another deployment has."""
    first = frame.drop_duplicates("deployment").sort_values("deployment")
    stays = first.groupby(["verifier", "hardware"])["deployment"].transform("size") > 1
    label = np.full(len(frame), "", dtype=object)
    for _, row in first[stays].iloc[2::ONE_IN_DEPLOYMENTS].iterrows():
        own = (frame["deployment"] == row["deployment"]).to_numpy()
        same = ((frame["hardware"] == row["hardware"]) & (frame["verifier"] == row["verifier"])).to_numpy()
        if (same & ~own & (label == "")).any():
            label[own] = "b"
    return Split("b", label)


def cell_split(frame: pd.DataFrame, fold: int) -> Split:
    """One cell of each drafting pair that has two or more, another one in each fold."""
    label = np.full(len(frame), "", dtype=object)
    for i, pair in enumerate(sorted(set(frame["pair"]) - {""})):
        cells = sorted(set(frame.loc[frame["pair"] == pair, "configuration"]))
        if len(cells) > 1:
            held = cells[(i + fold) % len(cells)]
            label[(frame["configuration"] == held).to_numpy()] = "c"
    return Split(f"c{fold + 1}", label)


def gpu_split(frame: pd.DataFrame, fold: int) -> Split:
    """A third of the GPU models that have rows enough, another one in each fold."""
    rows = frame["hardware_name"].value_counts()
    names = sorted(rows.index[rows >= LEAST_GPU_ROWS])[fold::GPU_FOLDS]
    return Split(f"g{fold + 1}", np.where(frame["hardware_name"].isin(names), "g", ""))


def verifier_split(frame: pd.DataFrame, name: str) -> Split:
    """One verifier."""
    return Split(f"v {name}", np.where(frame["verifier"] == name, "v", ""))


def blind(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out every result, so that no model can see an answer; what states E stays."""
    from bayes_sd.measurements.schema import COLUMNS

    stating = {"n_drafts", "n_accepted_tokens"}
    results = {c.name for c in COLUMNS if c.condition == "result"} - stating
    return frame.drop(columns=[c for c in frame if c in results | {"latency_s", "latency_statistic"}])


def crps_log(draws_s: np.ndarray, latency_s: np.ndarray) -> np.ndarray:
    """CRPS of log latency from draws of shape (draw, row): E|X − y| − E|X − X'|/2, the latter unbiased."""
    x = np.sort(np.log(draws_s), axis=0)
    n = len(x)
    weight = (2.0 * np.arange(1, n + 1) - n - 1)[:, None] / (n * (n - 1))
    with np.errstate(invalid="ignore"):
        return np.abs(x - np.log(latency_s)).mean(axis=0) - (weight * x).sum(axis=0)


def score_posterior(
    train: pd.DataFrame, test: pd.DataFrame, pooled: bool, args: argparse.Namespace, cards: Any
) -> pd.DataFrame:
    """Fit and predict; columns `median_s, lower_s, upper_s, crps`, one row a test row."""
    from bayes_sd.forecast import predict
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.sample.fit import fit_frame
    from bayes_sd.sample.settings import SamplerSettings

    settings = SamplerSettings(draws=args.draws, tune=args.tune, chains=args.chains, seed=args.seed)
    spec = ModelSpec(family=args.family, pooled=pooled)
    posterior, gate = fit_frame(train, spec, settings, cards)
    say("gate " + ("passed" if gate.passed else "not passed: " + "; ".join(gate.failures)))
    drawn = predict(posterior, blind(test), cards, seed=args.seed)
    tails = [(1.0 - LEVEL) / 2.0, 0.5, (1.0 + LEVEL) / 2.0]
    lower, _, upper = np.quantile(drawn.measured_s, tails, axis=0, method="inverted_cdf")
    median = np.quantile(drawn.latency_s, 0.5, axis=0, method="inverted_cdf")
    crps = crps_log(drawn.measured_s, test["latency_s"].to_numpy())
    return pd.DataFrame(
        {"median_s": median, "lower_s": lower, "upper_s": upper, "crps": crps}, index=test.index
    )


def score_point(train: pd.DataFrame, test: pd.DataFrame, name: str, cards: Any) -> pd.DataFrame:
    """Fit and predict by the point fit `name`; columns as those of :func:`score_posterior`."""
    from bayes_sd import baseline

    found = getattr(baseline, POINTS[name])(train, cards).predict(blind(test))
    crps = np.abs(np.log(found / test["latency_s"].to_numpy()))
    return pd.DataFrame(
        {"median_s": found, "lower_s": np.nan, "upper_s": np.nan, "crps": crps}, index=test.index
    )


def run_split(frame: pd.DataFrame, split: Split, args: argparse.Namespace, cards: Any) -> list[pd.DataFrame]:
    """Score every model on a split; one table a model."""
    held = split.label != ""
    train, test = frame[~held], frame[held]
    kept = [
        "deployment",
        "configuration",
        "k",
        "prompt_tokens",
        "output_tokens",
        "load_kind",
        "load_value",
        "latency_s",
    ]
    scored = []
    for model in args.models.split(","):
        began = time.perf_counter()
        if model in POINTS:
            found = score_point(train, test, model, cards)
        else:
            found = score_posterior(train, test, model == "hierarchical", args, cards)
        about = test[kept].assign(split=split.label[held], fit=split.name, model=model)
        scored.append(about.join(found))
        say(
            f"{split.name}: {model}, {len(train)} fitted, {len(test)} held out, {time.perf_counter() - began:.0f} s"
        )
    return scored


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Give the table of the module's docstring."""
    lines = []
    for (split, model), own in rows.groupby(["split", "model"], sort=False):
        usable = own[np.isfinite(own["median_s"])]
        error = 100.0 * (usable["median_s"] / usable["latency_s"] - 1.0).abs()
        inside = usable["latency_s"].between(usable["lower_s"], usable["upper_s"])
        lines.append(
            {
                "split": split,
                "model": model,
                "rows": len(own),
                "predicted": len(usable),
                "median_ape": error.median(),
                "mean_ape": error.mean(),
                "coverage_90": np.nan if model in POINTS else inside.mean(),
                "crps": usable["crps"].mean(),
            }
        )
    order = {"a": 0, "pair": 1, "load": 2, "b": 3, "c": 4, "g": 5, "v": 6}
    return pd.DataFrame(lines).sort_values(by="split", key=lambda s: s.map(order), kind="stable")


def by_deployment(rows: pd.DataFrame) -> pd.DataFrame:
    """Give error and coverage of each whole deployment that was held out, ours and without pooling."""
    ours = rows[rows["split"].isin(WHOLE) & ~rows["model"].isin(POINTS)]
    ours = ours.assign(
        error=100.0 * (ours["median_s"] / ours["latency_s"] - 1.0),
        inside=ours["latency_s"].between(ours["lower_s"], ours["upper_s"]),
        half_width=50.0 * np.log(ours["upper_s"] / ours["lower_s"]),
    )
    groups = ours.groupby(["model", "deployment"], sort=True)
    return groups.agg(
        rows=("error", "size"),
        median_error=("error", "median"),
        median_ape=("error", lambda e: e.abs().median()),
        coverage_90=("inside", "mean"),
        half_width=("half_width", "mean"),
    ).reset_index()


def worst(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """Give the worst rows of the hierarchical model, and what the stage coefficients say of them."""
    ours = rows[rows["model"] == "hierarchical"]
    six = rows.loc[rows["model"] == "six", ["fit", "row_id", "median_s"]].rename(
        columns={"median_s": "six_s"}
    )
    both = ours.merge(six, on=["fit", "row_id"], how="left")
    both["error_pct"] = 100.0 * (both["median_s"] / both["latency_s"] - 1.0)
    columns = [
        "split",
        "configuration",
        "load_value",
        "latency_s",
        "median_s",
        "lower_s",
        "upper_s",
        "six_s",
        "error_pct",
    ]
    order = both["error_pct"].abs().sort_values(ascending=False).index
    return (
        both.loc[order, columns].groupby("split", sort=True).head(number).sort_values("split", kind="stable")
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", default="llama", help="llama, gpt-oss, deepseek or all")
    parser.add_argument("--splits", default="a,b,c", help="which of a (with load), b, c, g and v, by commas")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--tune", type=int, default=500)
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--models", default=",".join(MODELS), help="which models, by commas")
    parser.add_argument("--seed", type=int, default=20260515)
    parser.add_argument("--worst", type=int, default=6, help="worst rows to print a split")
    parser.add_argument("--json", type=Path, help="write settings, table and rows to this file")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    from bayes_sd.cards import load_cards
    from bayes_sd.sample.fit import observations

    cards = load_cards()
    frame, _ = observations(args.family, None, cards)
    frame = with_names(frame, cards).rename_axis("row_id")
    say(
        f"{args.family}: {len(frame)} rows after averaging repeats, {frame['deployment'].nunique()} deployments"
    )
    makers = {
        "a": [configuration_split],
        "b": [deployment_split],
        "c": [lambda f, fold=fold: cell_split(f, fold) for fold in range(CELL_FOLDS)],
        "g": [lambda f, fold=fold: gpu_split(f, fold) for fold in range(GPU_FOLDS)],
        "v": [lambda f, name=name: verifier_split(f, name) for name in sorted(set(frame["verifier"]))],
    }
    splits = [make(frame) for name in args.splits.split(",") for make in makers[name]]
    scored = [
        table
        for split in splits
        if (split.label != "").any() and (split.label == "").any()
        for table in run_split(frame, split, args, cards)
    ]
    rows = pd.concat(scored).reset_index()
    table = summarise(rows)
    with pd.option_context("display.width", 250, "display.max_columns", 20, "display.max_colwidth", 110):
        shown = table.assign(
            crps=table["crps"].map("{:.4f}".format), coverage_90=table["coverage_90"].map("{:.2f}".format)
        )
        print(shown.round(1).to_string(index=False))
        if rows["split"].isin(WHOLE).any():
            print("\nHeld-out deployments: signed and absolute median error, half width of the interval [%]")
            print(by_deployment(rows).round(2).to_string(index=False))
        if args.worst:
            print("\nWorst rows of the hierarchical model")
            print(worst(rows, args.worst).round(2).to_string(index=False))
    if args.json:
        settings = {name: str(value) for name, value in vars(args).items()}
        content = {"settings": settings, "table": json.loads(table.to_json(orient="records"))}
        content["rows"] = json.loads(rows.to_json(orient="records", double_precision=6))
        args.json.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
