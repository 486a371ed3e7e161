"""What stands behind a fit: its convergence, its rows, and what only the prior says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_sd.decide.caveats import PRIOR_ONLY, UNINFORMED
from bayes_sd.model.spec import PARTS
from bayes_sd.report.cells import Number

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayes_sd.posterior.posterior import Posterior


def fit_words(posterior: Posterior, fitted: xr.Dataset) -> list[str]:
    """Say in two sentences whether a fit is to be trusted.

    Parameters
    ----------
    posterior : Posterior
    fitted : Dataset
        From :func:`bayes_sd.check.fitted.fitted_rows`.

    Returns
    -------
    list of str
    """
    gate, (error, inside) = posterior.about["gate"], _held(fitted)
    verdict = (
        "The fit converged" if gate["passed"] else f"The fit did NOT converge ({'; '.join(gate['failures'])})"
    )
    return [
        f"{verdict}.",
        f"It says half of its {len(inside)} rows to within {np.median(error):.1%}, and {inside.mean():.0%} of them lie in their "
        f"{fitted.attrs['ci']:.0%} interval.",
    ]


def fit_numbers(posterior: Posterior, fitted: xr.Dataset) -> list[Number]:
    """Give the numbers by which a fit is judged.

    Parameters
    ----------
    posterior : Posterior
    fitted : Dataset
        From :func:`bayes_sd.check.fitted.fitted_rows`.

    Returns
    -------
    list of Number
    """
    gate, (error, inside) = posterior.about["gate"], _held(fitted)
    ci = fitted.attrs["ci"]
    return [
        Number(
            "convergence",
            "passed" if gate["passed"] else "FAILED: " + "; ".join(gate["failures"]),
            f"R-hat is at most {gate['max_rhat']:.3f} and {gate['divergences']} draws diverged: the chains agree.",
            "A converged fit may still be of a wrong model: see the rows below.",
        ),
        Number(
            "rows fitted",
            f"{len(inside)} of {len(posterior.levels.deployments)} deployments",
            "What the posterior was learned from; rows past saturation were left out by rule.",
            "Deployments with few rows lean on the others.",
        ),
        Number(
            "median error of fitted rows",
            f"{100 * np.median(error):.2g} %",
            "Half of the fitted rows are predicted better than this.",
            "Rows held out are predicted less well: docs/results.md has those.",
        ),
        Number(
            f"rows in their {ci:.0%} interval",
            f"{100 * inside.mean():.0f} %",
            f"Should be near {ci:.0%}; below it the intervals are too narrow.",
            "These rows were fitted: it says little about configurations never seen.",
        ),
    ]


def _held(fitted: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Give each fitted row's relative error of the median, and whether it lies in its interval."""
    error = np.abs(fitted["measured"].to_numpy() / fitted["median"].to_numpy() - 1.0)
    return error, fitted["inside"].to_numpy()


def told_by_data(posterior: Posterior) -> pd.DataFrame:
    """Compare posterior with prior spread of the family's general parameters.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    DataFrame
        ``parameter``, ``posterior sd over prior sd``, ``verdict``: where the posterior is no narrower than the prior, the
        data said nothing and what is predicted from it is the prior's.
    """
    import pandas as pd

    priors = posterior.spec.priors
    share: dict[str, float] = {}
    draws = posterior.draws("log_part")
    for i, part in enumerate(PARTS):
        share[f"efficiency: {part.replace('_', ' ')}"] = float(
            np.std(draws[:, i]) / priors["part"][part]["log_sd"]
        )
    for name, (_, table, key, _) in PRIOR_ONLY.items():
        if name in posterior.tree["posterior"] and key in priors.get(table, {}):
            share[name.replace("_", " ")] = float(np.std(posterior.draws(name)) / priors[table][key])
    return pd.DataFrame(
        {
            "parameter": list(share),
            "posterior sd over prior sd": list(share.values()),
            "verdict": [
                "the prior's: the data say little" if s > UNINFORMED else "told by the data"
                for s in share.values()
            ],
        }
    )
