"""Whether fits contradict the spreads that priors state: how far levels of a kind lie apart, by what rows told of each.

    uv run python benchmarks/spreads.py traces/llama.nc traces/gpt-oss.nc traces/deepseek.nc

An effect x has a standard normal prior, in units of its kind's stated spread. Rows that tell a share i of it (1 less its posterior
variance) leave a posterior mean m whose square is i on average where the stated spread is right, and i·(1 − i) + i²·τ² where the
true one is τ times as large. So

    τ² = Σ [m² − i·(1 − i)] / Σ i²

over the levels of a kind in all traces. Levels of one kind are taken as if told apart from each other; fits of families that share a
GPU tell it twice. Columns: levels; told, Σ i; ratio, τ, with its standard error if normal.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("traces", nargs="+", type=Path)
    parser.add_argument("--least", type=float, default=2.0, help="told at least, for a line to be printed")
    return parser.parse_args()


def spread_ratio(mean: np.ndarray, variance: np.ndarray) -> dict[str, float]:
    """Estimate how many times as large the true spread is as the stated one.

    Parameters
    ----------
    mean, variance : array, shape (level,)
        Of each effect's posterior, in units of the stated spread.

    Returns
    -------
    dict
        ``levels``, ``told``, ``ratio`` (0 where levels are more alike than what rows tell of them can say) and ``error``.
    """
    told = np.clip(1.0 - variance, 0.0, 1.0)
    if not told.any():
        return {"levels": len(mean), "told": 0.0, "ratio": np.nan, "error": np.nan}
    square = (mean**2 - told * (1.0 - told)).sum() / (told**2).sum()
    ratio = float(np.sqrt(max(square, 0.0)))
    # The square of a normal has twice its squared variance as variance.
    each = told * (1.0 - told) + told**2 * max(square, 0.0)
    error = np.sqrt(2.0 * (each**2).sum()) / (told**2).sum()
    return {
        "levels": len(mean),
        "told": float(told.sum()),
        "ratio": ratio,
        "error": float(error / (2.0 * ratio)) if ratio > 0 else np.nan,
    }


def main() -> None:
    from bayes_sd.posterior.posterior import load_posterior

    args = arguments()
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for path in args.traces:
        posterior = load_posterior(path, accept_unconverged=True)
        draws = posterior.draws("effect")
        for j, level in enumerate(posterior.names("level")):
            for i, coefficient in enumerate(posterior.names("coefficient")):
                x = draws[:, i, j]
                found[coefficient, level.partition(":")[0]].append((float(x.mean()), float(x.var())))
    rows = [
        {"coefficient": coefficient, "kind": kind} | spread_ratio(*np.array(values).T)
        for (coefficient, kind), values in found.items()
    ]
    table = pd.DataFrame(rows).sort_values(["coefficient", "kind"])
    print(table[table["told"] >= args.least].round(2).to_string(index=False))


if __name__ == "__main__":
    main()
