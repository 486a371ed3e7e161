"""How old an engine is."""

from datetime import date
from pathlib import Path

import pytest

from bayes_sd.cards.engines import age_date, load_engines
from bayes_sd.errors import CardError
from bayes_sd.measurements import load_family

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def engines():
    return load_engines()


@pytest.mark.parametrize(
    ("text", "day", "known"),
    [
        ("vllm-0.9.0", date(2025, 5, 28), "exact"),
        ("vllm-0.22", date(2026, 5, 29), "exact"),
        ("vllm-0.30.1rc1.dev418", date(2026, 9, 22), "earlier"),
        ("lmsysorg/sglang:v0.5.12-cu130", date(2026, 5, 16), "exact"),
        ("dynamo-sglang-0.5.8.post1", date(2026, 2, 5), "exact"),
        ("trt nvcr.io/nvidia/tensorrt-llm/release:1.0.0", date(2025, 9, 24), "exact"),
        ("vllm", None, "unknown"),
        ("vllm-0.0.1", None, "unknown"),
        ("atom-0.1.1", None, "unknown"),
        ("never-heard-of-it-1.0", None, "unknown"),
    ],
)
def test_release_dates(engines, text, day, known):
    release = engines.release(text)
    assert (release.published, release.known) == (day, known)


def test_dates_rise_with_versions(engines):
    for family in ("vllm", "sglang"):
        days = [day for version, _, day in engines.releases(family) if not version.is_prerelease]
        assert days == sorted(days)
        assert len(days) > 30


def test_the_version_of_a_day(engines):
    assert engines.version_on("vllm", date(2025, 5, 28)) == "0.9.0"
    assert engines.version_on("vllm", date(2025, 5, 27)) == "0.8.5"
    assert engines.version_on("dynamo-sglang", date(2026, 2, 6)) == "0.5.8.post1"
    assert engines.version_on("vllm", date(2020, 1, 1)) is None
    assert engines.version_on("atom", date(2026, 1, 1)) is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published measurements are not beside this checkout")
def test_every_version_that_was_measured_has_a_date(engines):
    import pandas as pd

    for name in ("measurements.csv", "measurements_2.csv"):
        for engine in pd.read_csv(SHARED / name, dtype=str)["engine"].dropna().unique():
            release = engines.release(engine)
            if release.engine.version and release.engine.family != "atom":
                assert release.published is not None, engine


@pytest.mark.parametrize(
    ("row", "day"),
    [
        (
            {"engine": "vllm-0.9.0", "run_date": "2026-01-01"},
            date(2025, 5, 28),
        ),  # the version, not the run, has an age
        ({"engine": "vllm", "run_date": "2026-01-31"}, date(2026, 1, 31)),
        ({"engine": "atom-0.1.1", "run_date": "2026-01"}, date(2026, 1, 15)),
        ({"engine": "vllm", "run_date": ""}, None),
        ({"engine": float("nan"), "run_date": None}, None),
    ],
)
def test_the_age_of_a_row(engines, row, day):
    assert age_date(row, engines) == day


def test_nearly_every_published_row_has_an_age(engines):
    rows = load_family("all")
    ages = [age_date(row, engines) for row in rows[["engine", "run_date"]].to_dict("records")]
    assert sum(age is None for age in ages) == 0


def test_a_users_own_engine(tmp_path):
    (tmp_path / "engines.toml").write_text(
        '[engine.mine]\nsource = "here"\n[engine.mine.releases]\n"1.0" = 2026-01-01\n"1.1" = 2026-02-01\n'
    )
    engines = load_engines(tmp_path)
    assert engines.release("mine-1.0").published == date(2026, 1, 1)
    assert engines.release("vllm-0.9.0").known == "exact"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("= x", "not valid TOML"),
        ("[card.x]\n", "only, not 'card'"),
        ('[engine.x]\nsource = ""\n', "source"),
        ('[engine.x]\nsource = "s"\nage = 3\n', "age"),
        ('[engine.x]\nsource = "s"\n[engine.x.releases]\n"one" = 2026-01-01\n', "releases"),
        ('[engine.x]\nsource = "s"\n[engine.x.releases]\n"1.0" = "soon"\n', "releases.1.0"),
        ('[engine.x]\nsource = "s"\nsame_as = "vlm"\n', "did you mean vllm"),
        ('[engine.x]\nsource = "s"\nsame_as = "x"\n', "is itself another's"),
    ],
)
def test_a_file_of_dates_that_is_none(tmp_path, text, says):
    (tmp_path / "engines.toml").write_text(text)
    with pytest.raises(CardError, match=says) as caught:
        load_engines(tmp_path)
    assert "\n" not in str(caught.value)
