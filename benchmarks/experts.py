"""What expert coverage explains: the lower-load half of each configuration of a mixture of experts, by fits with and without it.

    uv run python benchmarks/experts.py --family gpt-oss [--draws 500 --tune 300 --chains 4]

A verify step touches few experts at low load, so a form that always pays for all of them errs there. Each fit takes all rows;
what is judged is its median for the rows whose load is at most the middle one of their configuration (deployment, method, k,
workload), by R2 of log latency: the share of the variance round each configuration's own mean that the fit explains.

coverage    this package's model
dense       the same with all experts paid for at every step
... plain   both without the kernels' deviations by batch size, which else take up part of what coverage explains

Beside them the forms of Kong et al. 2026 (arXiv:2605.15051), fitted to each configuration alone by least squares of log
latency with positive coefficients, which is as far as a curve of that form can follow the configuration's own noise:

paper, line         S(n) = C1 + C2·n, two coefficients a configuration
paper, coverage     S(n) = C1u + φ·C1s + n·(C2u + φ·C2s), four, φ = 1 − (1 − m/M)^(n(k + 1))

The last table compares the fits on all rows, each left out in turn (PSIS-LOO).
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pandas as pd

FITS = {
    "coverage": {"moe": "coverage", "kernel": True},
    "dense": {"moe": "dense", "kernel": True},
    "coverage plain": {"moe": "coverage", "kernel": False},
    "dense plain": {"moe": "dense", "kernel": False},
}
LEAST_ROWS = 3


def lower_half(frame: pd.DataFrame, sparse: np.ndarray) -> np.ndarray:
    """Flag the rows of mixtures of experts at or below the middle load of their configuration, where three or more are."""
    middle = frame.groupby("configuration")["load_value"].transform("median")
    low = (frame["load_value"] <= middle) & sparse
    rows = low.groupby(frame["configuration"]).transform("sum")
    return (low & (rows >= LEAST_ROWS)).to_numpy()


def r_squared(frame: pd.DataFrame, predicted_s: np.ndarray) -> pd.Series:
    """R2 of log latency by configuration, and of all together under ''."""
    log = np.log(frame["latency_s"].to_numpy())
    mean = pd.Series(log).groupby(frame["configuration"].to_numpy()).transform("mean").to_numpy()
    squares = pd.DataFrame(
        {"error": (np.log(predicted_s) - log) ** 2, "spread": (log - mean) ** 2}, index=frame["configuration"]
    )
    by = squares.groupby(level=0).sum()
    by.loc[""] = squares.sum()
    return 1.0 - by["error"] / by["spread"]


def coverage_alone(rows: pd.DataFrame, cards) -> np.ndarray:
    """Fit the paper's coverage form to each configuration; latency of its rows [s], all of closed loops."""
    from bayes_sd.baseline.squares import fit_log_latency

    found = np.full(len(rows), np.nan)
    for place in rows.groupby("configuration").indices.values():
        own = rows.iloc[place]
        n, latency = own["load_value"].to_numpy(dtype=float), own["latency_s"].to_numpy(dtype=float)
        card = cards.verifier_from_row(own.iloc[0])
        missed = 1.0 - card.top_k_experts / card.n_experts
        covered = 1.0 - missed ** (n * (own["k"].to_numpy(dtype=float) + 1.0))
        terms = np.stack([np.ones_like(n), n, covered, n * covered], axis=1)
        # All four start with a like share of the smallest latency's row.
        start = latency.min() / (terms.shape[1] * terms[latency.argmin()])
        found[place] = terms @ fit_log_latency(lambda c, terms=terms: terms @ c, latency, start)
    return found


def judged(name: str, rows: pd.DataFrame, low: np.ndarray, predicted: np.ndarray) -> dict:
    """Give a line of the table."""
    found = r_squared(rows[low], predicted[low])
    each = found.drop("")
    return {
        "fit": name,
        "rows": int(low.sum()),
        "configurations": len(each),
        "R2": found[""],
        "median R2": each.median(),
        "least R2": each.min(),
        "R2 speculating": r_squared(*_speculating(rows[low], predicted[low]))[""],
        "error_pct": 100 * np.median(np.abs(predicted[low] / rows["latency_s"][low] - 1)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", default="gpt-oss")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--tune", type=int, default=300)
    parser.add_argument("--chains", type=int, default=4)
    args = parser.parse_args()
    from bayes_sd.baseline import configuration_names, fit_lines
    from bayes_sd.cards import load_cards
    from bayes_sd.check.compare import compare
    from bayes_sd.forecast import predict
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.sample.fit import fit_frame, observations
    from bayes_sd.sample.settings import SamplerSettings

    cards = load_cards()
    frame, _ = observations(args.family, None, cards)
    settings = SamplerSettings(draws=args.draws, tune=args.tune, chains=args.chains)
    lines, fits = [], {}
    for name, form in FITS.items():
        spec = ModelSpec(family=args.family, **form)
        posterior, gate = fit_frame(frame, spec, settings, cards)
        rows = posterior.observed
        rows["configuration"] = configuration_names(rows, cards)
        sparse = np.array([cards.verifier_from_row(row).is_moe for _, row in rows.iterrows()])
        low = lower_half(rows, sparse)
        predicted = np.median(predict(posterior, rows, cards).latency_s, axis=0)
        lines.append(judged(name, rows, low, predicted))
        fits[name] = posterior
        print(f"{name}: gate {'passed' if gate.passed else '; '.join(gate.failures)}", file=sys.stderr)
    alone = {
        "paper, line": fit_lines(rows, cards).predict(rows),
        "paper, coverage": coverage_alone(rows, cards),
    }
    lines += [judged(name, rows, low, predicted) for name, predicted in alone.items()]
    table = pd.DataFrame(lines)
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(table.round(4).to_string(index=False))
        compared = compare(fits, cards)
        columns = ["elpd_loo", "elpd_se", "difference", "difference_se", "weight", "high_k"]
        print(compared[columns].to_dataframe().round(1).to_string())
        print(compared.attrs["verdict"])


def _speculating(rows: pd.DataFrame, predicted: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    chosen = (rows["k"] > 0).to_numpy()
    return rows[chosen], predicted[chosen]


if __name__ == "__main__":
    main()
