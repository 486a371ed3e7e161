"""The shipped card of profiles: readable, in step with the fit that made it, and refused where it is none."""

import numpy as np
import pytest

from bayes_sd.acceptance.profiles import METHODS, profiles_of, write_profiles
from bayes_sd.cards.profiles import POSITIONS, read_profiles
from bayes_sd.errors import CardError


def test_the_shipped_card():
    card = read_profiles()
    assert tuple(card.methods) == METHODS
    for profile in card.methods.values():
        assert profile.mean.shape == profile.sd.shape == (POSITIONS,)
        assert profile.mean[0] == profile.sd[0] == 0.0
        # Nothing was measured beyond position 10: less and less certain.
        assert np.all(np.diff(profile.sd[9:]) > 0)
    assert {name for name, p in card.methods.items() if not p.measured} == {"draft_model"}
    # n-gram: the first position finds a match or none, the later ones follow it.
    assert card.methods["ngram"].mean[1] > 2.0


def test_a_card_written_is_the_card_read(fitted, tmp_path):
    card = read_profiles(write_profiles(fitted, tmp_path / "p.toml"))
    fit = profiles_of(fitted)
    for name, profile in fit.methods.items():
        assert np.allclose(card.methods[name].mean, profile.mean, atol=6e-4)
        assert np.allclose(card.methods[name].sd, profile.sd, atol=6e-4)
        assert card.methods[name].level_sd == pytest.approx(profile.level_sd, abs=6e-4)
        assert card.methods[name].one_slope_mean == pytest.approx(profile.one_slope_mean, abs=6e-4)
    assert card.concentration == pytest.approx(fit.concentration, abs=0.6)


@pytest.mark.parametrize("text", ["profile = 3", "[profile.eagle]\nmean = [1.0]\n", "not toml"])
def test_files_that_are_no_card(tmp_path, text):
    file = tmp_path / "acceptance.toml"
    file.write_text(text)
    with pytest.raises(CardError, match=r"acceptance\.toml"):
        read_profiles(file)


@pytest.mark.slow
def test_the_shipped_card_matches_its_fit():
    """Another seed: means within six Monte Carlo errors (at least 400 effective draws), spreads within a tenth."""
    from bayes_sd.acceptance import fit_acceptance
    from bayes_sd.sample.settings import SamplerSettings

    posterior = fit_acceptance(
        settings=SamplerSettings(draws=1000, tune=700, chains=4, seed=99, target_accept=0.95)
    )
    assert posterior.passed, posterior.about["gate"]["failures"]
    fit, card = profiles_of(posterior), read_profiles()
    for name, profile in fit.methods.items():
        shipped = card.methods[name]
        error = 6.0 * np.sqrt(2.0 / 400.0) * np.maximum(profile.sd, 1e-3)
        assert np.all(np.abs(profile.mean - shipped.mean) < error + 1e-3)
        assert np.allclose(profile.sd, shipped.sd, rtol=0.25, atol=2e-3)
        assert abs(profile.level_mean - shipped.level_mean) < 6.0 * np.sqrt(2.0 / 400.0) * profile.level_sd
        assert (
            abs(profile.one_slope_mean - shipped.one_slope_mean)
            < 6.0 * np.sqrt(2.0 / 400.0) * profile.one_slope_sd
        )
        assert profile.one_slope_sd == pytest.approx(shipped.one_slope_sd, rel=0.25)
    for name in ("cell_sd", "pair_sd", "slope_sd", "concentration", "run_sd"):
        assert getattr(card, name) == pytest.approx(getattr(fit, name), rel=0.15)
