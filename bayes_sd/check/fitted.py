"""Posterior check: each fitted row beside the prediction for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.posterior.posterior import Posterior


def fitted_rows(
    posterior: Posterior, cards: Cards | None = None, ci: float = 0.9, seed: int = 1, thin: int = 1
) -> xr.Dataset:
    """Compare every fitted row with its posterior predictive.

    Parameters
    ----------
    posterior : Posterior
    cards : Cards, optional
        The shipped ones by default.
    ci : float
        Probability of the equal-tailed predictive intervals, in (0, 1).
    seed : int
    thin : int
        Use every `thin`-th draw.

    Returns
    -------
    Dataset
        Dim ``measurement``: ``measured`` [s], ``median, lower, upper`` of a new measurement [s], ``tail`` (share of
        predictions at or below the measured value), ``inside`` (whether the interval holds it), ``deployment``,
        ``hardware``, ``source``, ``speculating``. Attributes: ``ci``.
    """
    import xarray as xr

    from bayes_sd.forecast.latency import predict

    rows = posterior.observed
    prediction = predict(posterior, rows, cards, seed, thin)
    tail = (1.0 - ci) / 2.0
    low, median, high = np.quantile(
        prediction.measured_s, [tail, 0.5, 1.0 - tail], axis=0, method="inverted_cdf"
    )
    measured = rows["latency_s"].to_numpy(dtype=float)
    columns = {
        "measured": measured,
        "median": median,
        "lower": low,
        "upper": high,
        "tail": np.mean(prediction.measured_s <= measured, axis=0),
        "inside": (low <= measured) & (measured <= high),
        "deployment": np.array([d.key for d in prediction.conditions.deployments], dtype=object),
        "hardware": np.array([d.hardware for d in prediction.conditions.deployments], dtype=object),
        "source": rows["source"].to_numpy(dtype=object),
        "speculating": rows["k"].to_numpy(dtype=float) > 0,
    }
    return xr.Dataset({n: (("measurement",), v) for n, v in columns.items()}, attrs={"ci": ci})
