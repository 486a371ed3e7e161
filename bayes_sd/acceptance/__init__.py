"""Acceptance of drafted tokens by position: counts and lengths in, tokens per cycle at any draft length out."""

from bayes_sd.acceptance.fit import fit_acceptance
from bayes_sd.acceptance.posterior import AcceptancePosterior, load_acceptance, save_acceptance
from bayes_sd.acceptance.predict import Workload, expected_committed, position_acceptance
from bayes_sd.acceptance.tables import AcceptanceData, read_acceptance_data

__all__ = [
    "AcceptanceData",
    "AcceptancePosterior",
    "Workload",
    "expected_committed",
    "fit_acceptance",
    "load_acceptance",
    "position_acceptance",
    "read_acceptance_data",
    "save_acceptance",
]
