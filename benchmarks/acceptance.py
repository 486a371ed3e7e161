"""How well acceptance by position predicts tokens per cycle, beside one acceptance for all positions.

    uv run python benchmarks/acceptance.py [--draws 250 --tune 400 --chains 2] [--json FILE]

Rows are held out of the fit before it; what is held out:

long      positions and draft lengths beyond 5
k         one draft length of each curve of lengths, k = 2, 3, 4, 6 in turn
workload  one workload of each pair that keeps another
pair      whole pairs, in two folds; also with one E of each held-out workload given (its shortest, its longest or the
          draft length nearest to 4), which is what a table of latencies states

Compared: `position`, the shipped model; `iid`, its special case; and, where one E is given, `iid + slope`, the log odds of
one acceptance moving with log k, by the mean and spread of the slopes of the workloads that stayed in.

`chains` is without intervals: each counted workload of EAGLE and n-gram from one E of its chain cut off at k = 2, 4 or
10, with the mean profile, or the mean slope, of its method's other workloads.

Columns: values of E, median and mean absolute error of the median [%], share inside the 90 % interval, mean width of
it [%]. Leave-one-out elpd is over rows (a count by position, or a length), by Pareto-smoothed importance sampling.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LEVEL = 0.9
TAILS = [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2]


def scores(truth: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    """Compare draws, shape (draw, value), with what was measured."""
    low, middle, high = np.quantile(draws, TAILS, axis=0)
    error = np.abs(middle / truth - 1.0)
    return {
        "values": len(truth),
        "median_error_percent": 100 * float(np.median(error)),
        "mean_error_percent": 100 * float(np.mean(error)),
        "coverage": float(np.mean((low <= truth) & (truth <= high))),
        "width_percent": 100 * float(np.mean((high - low) / truth)),
    }


def chain_lengths(data: Any) -> pd.DataFrame:
    """List E of the counted chains, cut off at each position: what the counts say of E, by run."""
    counts = data.counts.assign(cell=[data.cells[c] for c in data.count_cell])
    share = counts["n_accepted"] / counts["n_reached"]
    by_run = [counts["cell"], counts["source"]]
    survival = share.groupby(by_run).cumprod()
    return counts.assign(committed=1.0 + survival.groupby(by_run).cumsum())


def predicted(
    posterior: Any, data: Any, counts: np.ndarray, lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the E of held-out rows: cut-off chains, and lengths with their run's noise."""
    from bayes_sd.acceptance.predict import Workload, position_acceptance

    rng = np.random.default_rng(3)
    truth, draws = [], []
    for row in chain_lengths(data)[counts].itertuples(index=False):
        curves = position_acceptance(
            posterior, Workload(row.verifier, row.method, row.dataset, row.drafter), int(row.draft_length)
        )
        survival = np.cumprod(curves.at_draft_length(int(row.draft_length)), axis=1)
        truth.append(row.committed)
        draws.append(1.0 + survival[:, : int(row.position)].sum(axis=1))
    for row in data.lengths[lengths].itertuples(index=False):
        curves = position_acceptance(
            posterior, Workload(row.verifier, row.method, row.dataset, row.drafter), int(row.k)
        )
        truth.append(row.mean_accepted_len)
        noise = np.exp(run_sd(posterior, row.source) * rng.normal(size=posterior.n_draws))
        draws.append(1.0 + (curves.committed(int(row.k))[:, 0] - 1.0) * noise)
    return np.array(truth), np.stack(draws, axis=1)


def run_sd(posterior: Any, source: str) -> np.ndarray:
    return np.exp(posterior.draws("log_run_sd")[:, posterior.about["coords"]["length_source"].index(source)])


def splits(data: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rows to hold out: boolean arrays over counts and over lengths."""
    counts, lengths = data.counts, data.lengths
    cell_of_count, cell_of_length = data.count_cell, data.length_cell
    found = {"long": ((counts["position"] > 5).to_numpy(), (lengths["k"] > 5).to_numpy())}
    curves = [c for c in range(len(data.cells)) if (cell_of_length == c).sum() > 4]
    turn = {c: (2, 3, 4, 6)[i % 4] for i, c in enumerate(curves)}
    at_turn = np.array([turn.get(c) == k for c, k in zip(cell_of_length, lengths["k"], strict=True)])
    found["k"] = (np.zeros(len(counts), dtype=bool), at_turn)
    by_pair: dict[int, list[int]] = defaultdict(list)
    for c, p in enumerate(data.cell_pair):
        by_pair[int(p)].append(c)
    gone = [cells[-1] for cells in by_pair.values() if len(cells) > 1]
    found["workload"] = (np.isin(cell_of_count, gone), np.isin(cell_of_length, gone))
    for fold in (0, 1):
        cells = [c for p, own in by_pair.items() if p % 2 == fold for c in own]
        found[f"pair {fold}"] = (np.isin(cell_of_count, cells), np.isin(cell_of_length, cells))
    return found


def measured_curves(data: Any, lengths: np.ndarray, counts: np.ndarray) -> list[tuple[Any, dict[int, float]]]:
    """List held-out workloads with E measured at two or more draft lengths that were really served."""
    from bayes_sd.acceptance.predict import Workload

    found: dict[Any, dict[int, float]] = defaultdict(dict)
    for row in data.lengths[lengths].itertuples(index=False):
        found[Workload(row.verifier, row.method, row.dataset, row.drafter)][int(row.k)] = (
            row.mean_accepted_len
        )
    chains = chain_lengths(data)[counts]
    for row in chains[
        (chains["position"] == chains["draft_length"]) & (chains["method"] == "mtp")
    ].itertuples():
        found[Workload(row.verifier, row.method, row.dataset, row.drafter)][int(row.draft_length)] = (
            row.committed
        )
    return [(w, curve) for w, curve in found.items() if len(curve) > 1]


def slopes(data: Any, lengths: np.ndarray) -> np.ndarray:
    """Slope of the log odds of one acceptance in log k, of each workload that stayed in."""
    from bayes_sd.latency.acceptance import alpha_iid_from_committed

    kept = data.lengths[~lengths].assign(cell=data.length_cell[~lengths])
    alpha = alpha_iid_from_committed(kept["mean_accepted_len"].to_numpy(), kept["k"].to_numpy())
    kept = kept.assign(odds=np.log(alpha / (1 - alpha)), x=np.log(kept["k"] / 4.0))
    return np.array(
        [np.polyfit(g["x"], g["odds"], 1)[0] for _, g in kept.groupby("cell") if g["k"].nunique() > 2]
    )


def slope_draws(
    slope: np.ndarray, k0: int, committed: float, lengths: list[int], noise: np.ndarray
) -> np.ndarray:
    """E at other draft lengths by one acceptance whose log odds move with log k."""
    from bayes_sd.latency.acceptance import alpha_iid_from_committed, expected_committed_iid

    start = np.clip(1.0 + (committed - 1.0) * np.exp(noise), 1.0, k0 + 1.0 - 1e-6)
    alpha = np.clip(alpha_iid_from_committed(start, k0), 1e-6, 1 - 1e-6)
    odds = np.log(alpha / (1 - alpha))
    values = [1 / (1 + np.exp(-(odds + slope * np.log(k / k0)))) for k in lengths]
    return np.stack([expected_committed_iid(a, k) for a, k in zip(values, lengths, strict=True)], axis=1)


def given_one(posteriors: dict[str, Any], curves: list, kept_slopes: np.ndarray) -> dict[str, dict[str, Any]]:
    """Predict the rest of held-out curves from one E of each."""
    from bayes_sd.acceptance.predict import expected_committed

    rng = np.random.default_rng(5)
    truth: dict[tuple[str, str], list] = defaultdict(list)
    drawn: dict[tuple[str, str], list] = defaultdict(list)
    for workload, curve in curves:
        ks = sorted(curve)
        choices = {"shortest": ks[0], "nearest 4": min(ks, key=lambda k: abs(k - 4)), "longest": ks[-1]}
        for name, k0 in choices.items():
            rest = [k for k in ks if k != k0]
            n = next(iter(posteriors.values())).n_draws
            noise = np.exp(posteriors["position"].draws("log_run_sd")).mean(axis=1)
            slope = kept_slopes.mean() + kept_slopes.std(ddof=1) * rng.normal(size=n)
            results = {
                "iid + slope": slope_draws(slope, k0, curve[k0], rest, noise * rng.normal(size=n)),
                **{
                    m: expected_committed(p, workload, rest, measured=(k0, curve[k0]))
                    for m, p in posteriors.items()
                },
            }
            for model, values in results.items():
                truth[name, model] += [curve[k] for k in rest]
                drawn[name, model].append(
                    1 + (values - 1) * np.exp(noise[:, None] * rng.normal(size=values.shape))
                )
    return {key: (np.array(truth[key]), np.concatenate(drawn[key], axis=1)) for key in truth}


def chains_given_one(data: Any) -> dict[str, dict[str, list[float]]]:
    """Errors [%] of E of a cut-off chain from one E of it, by method: by profile, by slope, and by neither."""
    from bayes_sd.latency.acceptance import (
        alpha_iid_from_committed,
        expected_committed,
        expected_committed_iid,
    )

    chains = chain_lengths(data)
    chains = chains[chains["method"].isin(["eagle", "ngram"])]
    k = np.arange(1, 11)
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for method, rows in chains.groupby("method"):
        committed = rows.pivot_table(index="cell", columns="position", values="committed").to_numpy()
        share = rows.assign(share=rows["n_accepted"] / rows["n_reached"])
        alpha = share.pivot_table(index="cell", columns="position", values="share").to_numpy()
        odds = np.log(alpha / (1 - alpha))
        one = alpha_iid_from_committed(committed, k)
        one_odds = np.log(one / (1 - one))
        for w in range(len(odds)):
            others = np.arange(len(odds)) != w
            profile = (odds[others] - odds[others, :1]).mean(axis=0)
            slope = np.mean([np.polyfit(np.log(k / 4), o, 1)[0] for o in one_odds[others]])
            for k0 in (2, 4, 10):
                grid = np.linspace(-6, 6, 4001)
                curve = 1 / (1 + np.exp(-(grid[:, None] + profile)))
                at = np.argmin(np.abs(expected_committed(curve, k0) - committed[w, k0 - 1]))
                found = {
                    "iid": expected_committed_iid(one[w, k0 - 1], k),
                    "iid + slope": expected_committed_iid(
                        1 / (1 + np.exp(-(one_odds[w, k0 - 1] + slope * np.log(k / k0)))), k
                    ),
                    "position": expected_committed(curve[at], k),
                }
                for model, values in found.items():
                    errors[str(method)][model] += list(100 * np.abs(values / committed[w] - 1)[k != k0])
    return errors


def row_elpd(posterior: Any, data: Any) -> Any:
    """Leave-one-row-out elpd, by ArviZ."""
    import xarray as xr
    from arviz_stats import loo
    from scipy.stats import betabinom, norm

    from bayes_sd.acceptance.predict import Draws, Workload, sigmoid

    columns = []
    phi = np.exp(posterior.draws("log_concentration"))
    frames = ((data.counts, True), (data.lengths, False))
    for frame, counted in frames:
        for row in frame.itertuples(index=False):
            draws = Draws(posterior, Workload(row.verifier, row.method, row.dataset, row.drafter))
            k = int(row.draft_length if counted else row.k)
            odds = draws.first()[:, None] + draws.shape(data.n_positions)
            survival = np.cumprod(sigmoid(odds), axis=1)
            lifted = odds[:, 0] + draws.restart * survival[:, k - 1]
            if counted:
                alpha = sigmoid(lifted if row.position == 1 else odds[:, int(row.position) - 1])
                columns.append(
                    betabinom.logpmf(row.n_accepted, row.n_reached, alpha * phi, (1 - alpha) * phi)
                )
            else:
                mean = np.log(sigmoid(lifted) / sigmoid(odds[:, 0]) * survival[:, :k].sum(axis=1))
                columns.append(
                    norm.logpdf(np.log(row.mean_accepted_len - 1), mean, run_sd(posterior, row.source))
                )
    chains = posterior.tree["posterior"].sizes["chain"]
    values = np.stack(columns, axis=1).reshape(chains, -1, len(columns))
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior.tree["posterior"].to_dataset(),
            "log_likelihood": xr.Dataset({"row": (("chain", "draw", "obs"), values)}),
        }
    )
    return loo(tree, var_name="row", pointwise=True)


def line(label: str, result: dict[str, float]) -> str:
    return (
        f"{label:<34}{result['values']:>7}{result['median_error_percent']:>9.2f}{result['mean_error_percent']:>9.2f}"
        f"{result['coverage']:>9.2f}{result['width_percent']:>9.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=250)
    parser.add_argument("--tune", type=int, default=400)
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    from bayes_sd.acceptance import read_acceptance_data
    from bayes_sd.acceptance.fit import CompiledAcceptance
    from bayes_sd.acceptance.model import AcceptanceSpec
    from bayes_sd.sample.settings import SamplerSettings

    settings = SamplerSettings(
        draws=options.draws, tune=options.tune, chains=options.chains, cores=options.chains
    )
    data = read_acceptance_data()
    models, results = {}, {}
    for name, iid in (("position", False), ("iid", True)):
        start = time.process_time()
        models[name] = CompiledAcceptance(data, AcceptanceSpec(iid=iid))
        print(f"{name}: compiled in {time.process_time() - start:.0f} s of processor time", flush=True)
    full = {}
    for name, model in models.items():
        start = time.process_time()
        full[name] = model.sample(settings)
        took = time.process_time() - start
        elpd = row_elpd(full[name], data)
        bad = int((np.asarray(elpd.pareto_k) > 0.7).sum())
        print(
            f"{name}: sampled in {took:.0f} s; elpd_loo {elpd.elpd:.0f} ± {elpd.se:.0f}, {bad} rows with Pareto k > 0.7"
        )
        results[f"elpd {name}"] = {"elpd": float(elpd.elpd), "se": float(elpd.se), "bad": bad}
    print(f"{'':34}{'values':>7}{'median':>9}{'mean':>9}{'inside':>9}{'width':>9}", flush=True)
    one: dict[Any, list] = defaultdict(list)
    for split, (counts, lengths) in splits(data).items():
        fits = {
            name: m.sample(settings, {"counts": counts, "lengths": lengths}) for name, m in models.items()
        }
        for name, posterior in fits.items():
            results[f"{split} {name}"] = scores(*predicted(posterior, data, counts, lengths))
            print(line(f"{split}: {name}", results[f"{split} {name}"]), flush=True)
        if split.startswith("pair"):
            found = given_one(fits, measured_curves(data, lengths, counts), slopes(data, lengths))
            for key, value in found.items():
                one[key].append(value)
    for (given, model), parts in sorted(one.items()):
        truth = np.concatenate([p[0] for p in parts])
        label = f"pair, given E at {given}: {model}"
        results[label] = scores(truth, np.concatenate([p[1] for p in parts], axis=1))
        print(line(label, results[label]))
    for method, models_errors in chains_given_one(data).items():
        for model, errors in models_errors.items():
            results[f"chains {method} {model}"] = {
                "median": float(np.median(errors)),
                "mean": float(np.mean(errors)),
            }
            print(
                f"{f'chains, {method}: {model}':<34}{len(errors):>7}{np.median(errors):>9.2f}{np.mean(errors):>9.2f}"
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
