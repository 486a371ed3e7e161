"""From tables to a saved posterior."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_sd.cards import load_cards
from bayes_sd.cards.stored import cards_used
from bayes_sd.condition.stated import conditions
from bayes_sd.measurements import apply_rules, load_family
from bayes_sd.measurements.repeats import average_repeats
from bayes_sd.model.build import build_model
from bayes_sd.model.design import build_design
from bayes_sd.model.spec import ModelSpec, family_priors
from bayes_sd.posterior.posterior import Posterior, describe, observed_set
from bayes_sd.sample.gate import Gate, judge
from bayes_sd.sample.sampler import sample
from bayes_sd.sample.settings import SamplerSettings

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

    from bayes_sd.cards import Cards
    from bayes_sd.measurements import Report

PACKAGES = ("bayes_sd", "nutpie", "numba", "numpy", "pymc", "xarray")


@dataclass(frozen=True, repr=False)
class FitResult:
    """A posterior and how it came about.

    Prints as one line; :meth:`summary` gives the parameters, :attr:`data` what ArviZ takes.

    Attributes
    ----------
    posterior : Posterior
    gate : Gate
    report : Report
        What the rules left out and filled.
    """

    posterior: Posterior
    gate: Gate
    report: Report

    def __repr__(self) -> str:
        about = self.posterior.about
        verdict = "gate passed" if self.gate.passed else f"gate NOT passed ({'; '.join(self.gate.failures)})"
        return (
            f"<Fit {about['family']}: {len(about['levels']['deployments'])} deployments, "
            f"{about['n_observations']} rows, {verdict}>"
        )

    @property
    def data(self) -> xr.DataTree:
        """The draws as ArviZ takes them: groups ``posterior`` and ``sample_stats``, and ``observed``, the rows fitted."""
        return self.posterior.tree

    @property
    def model(self) -> pm.Model:
        """The PyMC model that was fitted, built anew: for its graph, its prior predictive, its log density."""
        return pymc_model(self.posterior)

    def summary(self, ci: float = 0.9, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Summarise the parameters, as :meth:`bayes_sd.posterior.Posterior.summary`."""
        return self.posterior.summary(ci, names)

    def condition(self, **asked: Any) -> pd.DataFrame:
        """Put conditions to ask about together, as :func:`bayes_sd.condition.conditions` of the posterior."""
        return conditions(self.posterior, **asked)


def pymc_model(posterior: Posterior) -> pm.Model:
    """Build the PyMC model that a posterior was fitted with, from its own rows, cards and specification.

    Parameters
    ----------
    posterior : Posterior

    Returns
    -------
    pymc.Model
    """
    return build_model(build_design(posterior.observed, posterior.cards()), posterior.spec)


def observations(
    family: str, data: Sequence[Path] | None = None, cards: Cards | None = None
) -> tuple[pd.DataFrame, Report]:
    """Load a family's measurements, apply the rules and average repeats.

    Parameters
    ----------
    family : str
    data : sequence of Path, optional
        Tables to use instead of the shipped ones.
    cards : Cards, optional

    Returns
    -------
    frame : DataFrame
        One row a benchmark cell.
    report : Report

    Raises
    ------
    DataError
        If a table cannot be read or the family is unknown.
    """
    kept, report = apply_rules(load_family(family, data, cards=cards))
    return average_repeats(kept), report


def fit_frame(
    frame: pd.DataFrame, spec: ModelSpec, settings: SamplerSettings, cards: Cards, progress: bool = False
) -> tuple[Posterior, Gate]:
    """Fit observations.

    Parameters
    ----------
    frame : DataFrame
        Observations, one row a cell.
    spec : ModelSpec
    settings : SamplerSettings
    cards : Cards
    progress : bool

    Returns
    -------
    posterior : Posterior
    gate : Gate

    Raises
    ------
    ModelError
        If the observations cannot inform the model.
    """
    import xarray as xr

    design = build_design(frame, cards)
    tree = sample(design, spec, settings, progress)
    gate = judge(tree)
    tree["observed"] = xr.DataTree(observed_set(design.frame))
    about = describe(design, spec) | {
        "sampler": settings.to_dict(),
        "gate": gate.to_dict() | {"failures": gate.failures},
        "versions": {name: _version(name) for name in PACKAGES},
        "data_sha256": fingerprint(design.frame),
        "n_observations": len(design.frame),
        "cards": cards_used(design.frame, cards),
    }
    return Posterior(tree, about), gate


def fit(
    family: str = "llama",
    data: Sequence[str | Path] | None = None,
    *,
    settings: SamplerSettings | None = None,
    spec: ModelSpec | None = None,
    models: str | Path | None = None,
    progress: bool = False,
) -> FitResult:
    """Fit a family's measurements.

    Parameters
    ----------
    family : str
        ``llama``, ``gpt-oss``, ``deepseek``, ``all``, or a family that `data` defines.
    data : sequence of path, optional
        Tables to use instead of the shipped ones.
    settings : SamplerSettings, optional
    spec : ModelSpec, optional
    models : path, optional
        Folder with further cards.
    progress : bool
        Show a progress bar.

    Returns
    -------
    FitResult

    Raises
    ------
    BayesSdError
        If data, cards or model are not usable.
    """
    folder = Path(models) if models else None
    cards = load_cards(folder)
    frame, report = observations(family, [Path(p) for p in data] if data else None, cards)
    spec = spec or ModelSpec(family=family, priors=family_priors(family, folder))
    posterior, gate = fit_frame(frame, spec, settings or SamplerSettings(), cards, progress)
    posterior.about["rules"] = report.counts()
    return FitResult(posterior, gate, report)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def fingerprint(frame: pd.DataFrame) -> str:
    """Hash what was fitted, whatever file it came from.

    Parameters
    ----------
    frame : DataFrame
        Observations.

    Returns
    -------
    str
    """
    columns = [c for c in frame.columns if c not in ("file", "row")]
    text = frame[columns].to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()
