"""One acceptance for all positions is the formula of Leviathan et al., exactly."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.acceptance import Workload, expected_committed, fit_acceptance, load_acceptance, save_acceptance
from bayes_sd.acceptance.fields import COUNT_FIELDS, LENGTH_FIELDS, empty_rows
from bayes_sd.acceptance.posterior import AcceptancePosterior
from bayes_sd.acceptance.predict import Curves
from bayes_sd.acceptance.tables import assemble
from bayes_sd.errors import ConditionError, ConvergenceError, TraceError
from bayes_sd.latency.acceptance import expected_committed_iid
from bayes_sd.sample.settings import SamplerSettings

ALPHA, DRAFTS = 0.7, 50_000


@pytest.fixture(scope="module")
def iid():
    rng = np.random.default_rng(4)
    records = []
    for w in range(4):
        reached = DRAFTS
        for j in range(1, 6):
            accepted = int(rng.binomial(reached, ALPHA))
            records.append(["V", "eagle", "", f"w{w}", "simulated", 5, j, reached, accepted])
            reached = accepted
    data = assemble(pd.DataFrame(records, columns=list(COUNT_FIELDS)), empty_rows(LENGTH_FIELDS))
    return fit_acceptance(data, iid=True, settings=SamplerSettings(draws=300, tune=300, chains=4, seed=2))


def test_committed_tokens_are_the_closed_form(iid):
    first = iid.draws("first")[:, 0]
    alpha = 1.0 / (1.0 + np.exp(-first))
    k = np.arange(1, 17)
    expected = np.stack([expected_committed_iid(alpha, int(n)) for n in k], axis=1)
    assert np.allclose(expected_committed(iid, Workload("V", "eagle", "w0"), k), expected, rtol=1e-12)


def test_the_rate_is_found(iid):
    """The counts of a workload are 139,000 trials at most, beta-binomial: within five sds of the posterior."""
    for w in range(4):
        first = iid.draws("first")[:, w]
        assert abs(first.mean() - np.log(ALPHA / (1 - ALPHA))) < 5.0 * first.std()
        assert first.std() < 0.1


def test_there_is_no_restart_and_no_profile(iid):
    assert {"step", "slope", "restart"}.isdisjoint(iid.tree["posterior"].data_vars)
    flat = Curves(np.full((2, 4), 0.6), np.zeros(2))
    assert np.allclose(flat.at_draft_length(4), 0.6)
    assert np.allclose(flat.committed([1, 4]), [1.6, expected_committed_iid(0.6, 4)])


def test_impossible_questions(iid):
    workload = Workload("V", "eagle", "w0")
    with pytest.raises(ConditionError, match="at least 1"):
        expected_committed(iid, workload, 0)
    with pytest.raises(ConditionError, match="between 1 and k"):
        expected_committed(iid, workload, 3, measured=(3, 4.5))


def test_a_file_gives_the_same_answers(iid, tmp_path):
    path = save_acceptance(iid, tmp_path / "acceptance.nc")
    back = load_acceptance(path, accept_unconverged=True)
    workload = Workload("V", "eagle", "new")
    assert np.array_equal(expected_committed(back, workload, 6), expected_committed(iid, workload, 6))
    assert len(back.data.counts) == 20


def test_files_that_are_none(iid, tmp_path):
    with pytest.raises(TraceError, match="no such file"):
        load_acceptance(tmp_path / "no.nc")
    text = tmp_path / "text.nc"
    text.write_text("not netCDF")
    with pytest.raises(TraceError, match="not a readable file"):
        load_acceptance(text)
    failed = AcceptancePosterior(
        iid.tree, iid.about | {"gate": iid.about["gate"] | {"passed": False, "failures": ["R-hat 1.5"]}}
    )
    path = save_acceptance(failed, tmp_path / "failed.nc")
    with pytest.raises(ConvergenceError, match=r"R-hat 1\.5"):
        load_acceptance(path)
