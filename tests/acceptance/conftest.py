"""One fit of simulated counts, whose truth is known, and one of the shipped tables."""

import pytest
from acceptance_truth import COUNTED, K, counts_of, true_curves

from bayes_sd.acceptance.fields import LENGTH_FIELDS, empty_rows
from bayes_sd.acceptance.tables import assemble


@pytest.fixture(scope="session")
def truth():
    return true_curves()


@pytest.fixture(scope="session")
def simulated(truth):
    """Three workloads of each method counted to the end, two only to position COUNTED."""
    positions = {key: K if key[1] in ("w0", "w1", "w2") else COUNTED for key in truth}
    return assemble(counts_of(truth, positions), empty_rows(LENGTH_FIELDS))


@pytest.fixture(scope="session")
def fitted(simulated):
    from bayes_sd.acceptance import fit_acceptance
    from bayes_sd.acceptance.model import AcceptanceSpec
    from bayes_sd.sample.settings import SamplerSettings

    # The truth has no restart, and these counts could not tell.
    spec = AcceptanceSpec(restart=False)
    return fit_acceptance(
        simulated,
        spec=spec,
        settings=SamplerSettings(draws=1000, tune=700, chains=4, seed=5, target_accept=0.95),
    )
