"""Shared fixtures: cards, the shipped observations, and one small fit that many tests read."""

import os

import pytest
from hypothesis import settings

# The same examples on every CI run: what a random one finds belongs into a commit of its own, not into another one's way.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch):
    """Nothing that an earlier test's key was is masked in this one's messages."""
    from bayes_sd import errors

    monkeypatch.setattr(errors, "_secrets", set())


@pytest.fixture(scope="session")
def cards():
    from bayes_sd.cards import load_cards

    return load_cards()


@pytest.fixture(scope="session")
def llama(cards):
    """Observations of the shipped llama tables."""
    from bayes_sd.sample.fit import observations

    return observations("llama", cards=cards)[0]


@pytest.fixture(scope="session")
def a100(llama):
    """The A100 rows: one GPU, with and without EAGLE-3."""
    return llama[llama["hardware"].str.startswith("A100-SXM4-80GB")].reset_index(drop=True)


@pytest.fixture(scope="session")
def small_fit(a100, cards):
    """A short fit of the A100 rows, for tests that need a posterior and not its last digit."""
    from bayes_sd.model.spec import ModelSpec
    from bayes_sd.sample.fit import fit_frame
    from bayes_sd.sample.settings import SamplerSettings

    settings = SamplerSettings(draws=200, tune=400, chains=2, seed=3)
    posterior, gate = fit_frame(a100, ModelSpec(family="llama"), settings, cards)
    # Short on purpose: what is tested here does not depend on the effective sample size.
    posterior.about["gate"] = gate.to_dict() | {"passed": True, "failures": []}
    return posterior


@pytest.fixture(scope="session")
def small_trace(small_fit, tmp_path_factory):
    """The short fit as a file."""
    from bayes_sd.posterior.posterior import save_posterior

    return save_posterior(small_fit, tmp_path_factory.mktemp("trace") / "a100.nc")
