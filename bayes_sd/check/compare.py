"""Which of several models predicts rows best that it has not seen: leave-one-out cross-validation of their posteriors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes_sd.check.pointwise import row_log_likelihood
from bayes_sd.errors import TraceError
from bayes_sd.measurements.schema import ENTERING

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior

DRAWS = 4000
BEYOND = 2.0
"""A difference counts as real if it is larger than so many of its standard errors."""
TOO_CLOSE = 4.0
"""Below this difference of elpd models are not told apart, however small its error (Sivula et al., arXiv:2008.10296)."""


def compare(
    posteriors: Mapping[str, Posterior], cards: Cards | None = None, draws: int = DRAWS
) -> xr.Dataset:
    """Compare models by their expected log predictive density of a row left out (PSIS-LOO).

    The unit that is left out is a row with all its terms: latency, time to first token or per output token, acceptance.

    Parameters
    ----------
    posteriors : mapping of str to Posterior
        Two or more, fitted to the same rows.
    cards : Cards, optional
        For posteriors of an older format, which do not carry theirs; the shipped ones by default.
    draws : int
        Draws of each to use at most, evenly spaced over all.

    Returns
    -------
    Dataset
        Dim ``model``, best first: ``elpd_loo`` (sum over rows of the log predictive density when left out), ``elpd_se``,
        ``p_loo`` (effective number of parameters), ``difference`` (from the best, ≤ 0), ``difference_se``, ``weight``
        (stacking), ``high_k`` (rows whose Pareto k is above ``good_k``: their elpd is not reliable), ``difference_safe``
        and ``difference_safe_se`` (over rows with a good k in both models), ``good_k``. Dims (model, observation):
        ``elpd_row``, ``pareto_k``. Attribute ``verdict``: a sentence.

    Raises
    ------
    TraceError
        If there are fewer than two models, they were not fitted to the same rows, or one is of another version.

    References
    ----------
    Vehtari, Gelman, Gabry, doi:10.1007/s11222-016-9696-4; stacking: Yao et al., doi:10.1214/17-BA1091.
    """
    import arviz as az
    import xarray as xr

    names = list(posteriors)
    if len(names) < 2:
        raise TraceError("one posterior file: comparing takes two or more, fitted to the same rows")
    check_same_rows(posteriors)
    results: dict[str, Any] = {}
    counted = None
    for name, posterior in posteriors.items():
        rows = row_log_likelihood(posterior, posterior.cards(cards), name, draws)
        terms = rows["terms"].to_numpy()
        if counted is not None and not np.array_equal(counted, terms):
            raise TraceError(
                f"{name}: its rows have other terms than those of {names[0]}; fit both by one version"
            )
        counted = terms
        results[name] = _loo(az, rows["log_likelihood"])
    table = az.compare(results, method="stacking", round_to="none")
    order = [str(name) for name in table.index]
    ordered = [results[name] for name in order]
    row, k = (np.stack([np.asarray(f[part]) for f in ordered]) for part in ("elpd_i", "pareto_k"))
    good = np.array([float(f.good_k) for f in ordered])
    safe = (k <= good[:, None]) & (k[0] <= good[0])
    gap = np.where(safe, row - row[0], 0.0)
    per_model = {
        "elpd_loo": table["elpd"],
        "elpd_se": table["se"],
        "p_loo": table["p"],
        "difference": table["elpd_diff"],
        "difference_se": table["dse"],
        "weight": table["weight"],
        "high_k": (k > good[:, None]).sum(axis=1),
        "good_k": good,
        "difference_safe": gap.sum(axis=1),
        "difference_safe_se": [_sum_se(g[s]) for g, s in zip(gap, safe, strict=True)],
    }
    variables: dict[str, Any] = {n: (("model",), np.asarray(v, dtype=float)) for n, v in per_model.items()}
    variables |= {"elpd_row": (("model", "observation"), row), "pareto_k": (("model", "observation"), k)}
    result = xr.Dataset(variables, coords={"model": order})
    result.attrs = {"n_rows": row.shape[1], "verdict": verdict(result)}
    return result


def _sum_se(values: np.ndarray) -> float:
    """Standard error of a sum of independent values."""
    return float(np.sqrt(len(values)) * values.std(ddof=1)) if len(values) > 1 else float("nan")


def _loo(az: Any, log_likelihood: xr.DataArray) -> Any:
    import xarray as xr

    # ArviZ would take the relative efficiency from the posterior group; it is given, so that group is not needed.
    tree = xr.DataTree.from_dict({"log_likelihood": xr.Dataset({"row": log_likelihood})})
    with warnings.catch_warnings():
        # High Pareto k are counted and shown, which says more than the warning.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
        return az.loo(tree, var_name="row", pointwise=True, reff=_relative_efficiency(az, log_likelihood))


def _relative_efficiency(az: Any, log_likelihood: xr.DataArray) -> float:
    """Effective over actual draws of the likelihood, mean over rows (Vehtari et al., section 2)."""
    import xarray as xr

    size = log_likelihood.sizes["chain"] * log_likelihood.sizes["draw"]
    effective = az.ess(
        xr.Dataset({"likelihood": np.exp(log_likelihood - log_likelihood.max())}), method="mean"
    )
    return float(np.clip(np.nanmean(effective["likelihood"]) / size, 0.01, 1.0))


def check_same_rows(posteriors: Mapping[str, Posterior]) -> None:
    """Refuse posteriors of different rows.

    Parameters
    ----------
    posteriors : mapping of str to Posterior

    Raises
    ------
    TraceError
        Naming the first that differs from the first of all, and in what.
    """
    names = list(posteriors)
    first = posteriors[names[0]].observed
    for name in names[1:]:
        other = posteriors[name].observed
        if len(first) != len(other):
            difference = f"{len(first)} rows against {len(other)}"
        else:
            column = _first_difference(first, other)
            if column is None:
                continue
            difference = f"the same number of rows, but they differ in {column}"
        raise TraceError(
            f"{name}: was not fitted to the rows of {names[0]} ({difference}); fit both to the same tables to compare them"
        )


def _first_difference(first: pd.DataFrame, other: pd.DataFrame) -> str | None:
    for column in ENTERING:
        if (column in first) != (column in other):
            return column
        if column in first and not first[column].equals(other[column]):
            return column
    return None


def verdict(result: xr.Dataset) -> str:
    """Say which model predicts better, and whether the difference is beyond its error.

    Parameters
    ----------
    result : Dataset
        From :func:`compare`, best model first.

    Returns
    -------
    str
        A sentence for each model but the best.
    """
    best = str(result["model"].to_numpy()[0])
    words = []
    for i in range(1, result.sizes["model"]):
        one = result.isel(model=i)
        gap, error = abs(float(one["difference"])), float(one["difference_se"])
        name = str(one["model"].to_numpy())
        said = f"elpd higher by {gap:.1f} ± {error:.1f}"
        if gap < TOO_CLOSE or gap < BEYOND * error:
            words.append(f"{best} and {name} cannot be told apart: {best} has an {said}, within its error.")
            continue
        sentence = f"{best} predicts better than {name}: {said}, {_times(gap, error)} its standard error"
        high = int(result["high_k"][0] + one["high_k"])
        safe, safe_error = -float(one["difference_safe"]), float(one["difference_safe_se"])
        if high and safe < max(BEYOND * safe_error, TOO_CLOSE):
            sentence += f"; but not beyond it over the rows that left-out densities are reliable for ({safe:.1f} ± {safe_error:.1f})"
        words.append(sentence + ".")
    return " ".join(words)


def _times(gap: float, error: float) -> str:
    return f"{gap / error:.1f} times" if error > 0 else "far beyond"
