"""Ranks of many simulations: is each quantity's distribution uniform, by the simultaneous band of its ECDF, and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BAND = 0.99
"""Probability that a uniform quantity's whole ECDF lies in its band."""
BAND_SAMPLES = 20_000
ACROSS = 6


def as_pit(ranks: np.ndarray, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Turn ranks 0 to `n_draws` into numbers that are uniform on (0, 1) where ranks are uniform."""
    return (ranks + rng.uniform(size=ranks.shape)) / (n_draws + 1.0)


def collect(results: list[dict[str, Any]], elements: dict[str, list[str]], n_draws: int) -> pd.DataFrame:
    """Give each quantity's PIT of every simulation.

    Parameters
    ----------
    results : list of dict
        From :func:`scoring.refits.run_simulation`, those that were fitted.
    elements : dict of str to list of str
        Names of each unknown's elements, from :func:`element_names`.
    n_draws : int
        Draws among which truths were ranked.

    Returns
    -------
    DataFrame
        One row a simulation, one column a quantity; what users read first.
    """
    rng = np.random.default_rng(1)
    asked = pd.DataFrame([r["asked"] for r in results])
    unknowns = {
        element: [r["unknowns"][name][i] for r in results]
        for name, named in elements.items()
        for i, element in enumerate(named)
    }
    ranks = pd.concat([asked, pd.DataFrame(unknowns)], axis=1)
    return pd.DataFrame(as_pit(ranks.to_numpy(), n_draws, rng), columns=ranks.columns)


def element_names(inputs: Any) -> dict[str, list[str]]:
    """Name every element of every unknown, by the unknown: ``log_cost[verify, H100 …]``."""
    found = {}
    for unknown in inputs.unknowns:
        names = [unknown.name]
        if unknown.dims:
            places = pd.MultiIndex.from_product([map(str, inputs.coords[d]) for d in unknown.dims])
            names = [f"{unknown.name}[{', '.join(place)}]" for place in places]
        found[unknown.name] = names
    return found


def band(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the simultaneous band of the ECDF of `n` uniform numbers (Säilynoja et al. 2022, doi:10.1007/s11222-022-10090-6).

    Returns
    -------
    points, lower, upper : array, shape (point,)
        Where the ECDF is looked at, and between what it lies with probability :data:`BAND`.
    """
    from arviz_stats.ecdf_utils import get_pointwise_confidence_band, simulate_confidence_bands

    points = np.arange(1, n) / n
    pointwise = simulate_confidence_bands(n, 1, points, BAND, BAND_SAMPLES, np.random.default_rng(2))
    return points, *get_pointwise_confidence_band(pointwise, n, points)


def ecdf(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Give the share of values at or below each point."""
    return np.searchsorted(np.sort(values), points, side="right") / len(values)


def judge_uniform(pit: pd.DataFrame) -> pd.DataFrame:
    """Say of each quantity whether its ECDF leaves the simultaneous band.

    Returns
    -------
    DataFrame
        Index: quantity. Columns: ``leaves``; ``mean`` of the PIT, which is below ½ where truths are below the posterior; ``spread``,
        its mean square round ½ over that of a uniform one, above 1 where posteriors are too narrow; ``off``, the largest distance
        of the ECDF from the diagonal.
    """
    points, lower, upper = band(len(pit))
    rows = {}
    for name, column in pit.items():
        values = column.to_numpy()
        share = ecdf(values, points)
        rows[name] = {
            "leaves": bool(((share < lower) | (share > upper)).any()),
            "mean": values.mean(),
            "spread": 12.0 * np.mean((values - 0.5) ** 2),
            "off": np.abs(share - points).max(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def draw(pit: pd.DataFrame, path: Path) -> None:
    """Draw each quantity's ECDF less the diagonal, in its simultaneous band.

    Parameters
    ----------
    pit : DataFrame
        From :func:`collect`; a panel a column.
    path : Path
    """
    import textwrap

    import matplotlib.pyplot as plt

    from bayes_sd.plots.style import BLUE, QUIET, VERMILION, styled

    points, lower, upper = band(len(pit))
    down = -(-pit.shape[1] // ACROSS)
    with styled():
        shape = {"figsize": (2.3 * ACROSS, 1.7 * down + 0.2), "squeeze": False}
        figure, grid = plt.subplots(down, ACROSS, sharex=True, sharey=True, layout="constrained", **shape)
        for axes in grid.flat[pit.shape[1] :]:
            axes.set_visible(False)
        for axes, (name, column) in zip(grid.flat, pit.items(), strict=False):
            share = ecdf(column.to_numpy(), points)
            out = ((share < lower) | (share > upper)).any()
            axes.fill_between(points, lower - points, upper - points, color=QUIET, alpha=0.3, lw=0)
            axes.plot(points, share - points, color=VERMILION if out else BLUE, lw=1.2)
            axes.set_title("\n".join(textwrap.wrap(str(name), 44)), fontsize=6)
            axes.tick_params(labelsize=6)
        figure.supxlabel("rank of the truth, as a share", fontsize=8)
        figure.supylabel("ECDF of ranks less what is right", fontsize=8)
        figure.savefig(path, dpi=130)
        plt.close(figure)
