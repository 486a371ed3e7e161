import itertools

import numpy as np
import pandas as pd
import pytest

from bayes_sd.baseline import fit_stages
from bayes_sd.errors import ModelError

TRUTH = {
    "c1p_s": 0.05,
    "c1v_s": 0.012,
    "c2p_token_s": 5e-5,
    "c2v_s": 1e-4,
    "c2v_token_s": 1e-7,
    "c1d_s": 0.001,
    "c2d_s": 2e-5,
}


def true_coefficients(p, g, k, committed):
    cycles = g / committed
    c1 = TRUTH["c1p_s"] + cycles * (TRUTH["c1v_s"] + k * TRUTH["c1d_s"])
    c2v = TRUTH["c2v_s"] + TRUTH["c2v_token_s"] * (p + g / 2)
    return c1, TRUTH["c2p_token_s"] * p + cycles * (c2v + k * TRUTH["c2d_s"])


def row(p, g, load, extra=None, open_loop=False):
    extra = extra or {}
    c1, c2 = true_coefficients(p, g, extra.get("k", 0.0), extra.get("mean_accepted_len", 1.0))
    latency = c1 / (1.0 - load * c2) if open_loop else c1 + c2 * load
    return extra | {
        "prompt_tokens": float(p),
        "output_tokens": float(g),
        "load_value": float(load),
        "load_kind": "rate" if open_loop else "concurrency",
        "latency_s": latency,
    }


SHAPES = ((128, 128), (1024, 256), (4096, 64), (512, 1024))
LOADS = (1, 8, 64)


@pytest.fixture
def rows(make_table, speculating):
    plain = [row(p, g, n) for (p, g), n in itertools.product(SHAPES, LOADS)]
    drafts = [(2, 1.9), (5, 2.8)]
    return make_table(
        plain + [row(p, g, n, speculating(*d)) for (p, g), n, d in itertools.product(SHAPES, LOADS, drafts)]
    )


def test_recovers_coefficients(rows, cards):
    (fit,) = fit_stages(rows, cards).fits.values()
    assert fit.n_rows == len(rows)
    for name, value in fit.coefficient.items():
        assert value == pytest.approx(TRUTH[name.split(" | ")[0]], rel=1e-3), name


def test_reaches_unseen_lengths_draft_lengths_and_open_loops(rows, make_table, speculating, cards):
    asked = make_table(
        [row(2048, 512, 16), row(300, 300, 32, speculating(4, 2.5)), row(2048, 128, 0.5, open_loop=True)]
    )
    found = fit_stages(rows, cards).predict(asked.drop(columns="latency_s"))
    np.testing.assert_allclose(found, asked["latency_s"], rtol=1e-3)


def test_open_loop_rows_are_fitted(make_table, cards):
    measured = [
        row(p, g, share / true_coefficients(p, g, 0, 1.0)[1], open_loop=True)
        for (p, g), share in itertools.product(SHAPES, (0.1, 0.5, 0.9))
    ]
    table = make_table(measured)
    np.testing.assert_allclose(fit_stages(table, cards).predict(table), table["latency_s"], rtol=1e-3)


def test_says_nothing_where_it_cannot(rows, make_table, speculating, cards):
    fits = fit_stages(rows, cards)
    asked = make_table(
        [
            row(512, 128, 8) | {"tp": 2},
            row(512, 128, 8, speculating(4, 2.5)) | {"mean_accepted_len": np.nan},
            row(512, 128, 8, speculating(4, 2.5)) | {"method": "ngram", "drafter": ""},
        ]
    )
    assert np.isnan(fits.predict(asked)).all()


def test_without_speculation_there_are_no_drafting_coefficients(rows, cards):
    (fit,) = fit_stages(rows[rows["k"] == 0], cards).fits.values()
    assert not fit.draftings
    assert not any("d_s" in name for name in fit.coefficient)


def test_too_few_rows_are_refused(rows, make_table, cards):
    with pytest.raises(ModelError, match="as many rows as coefficients"):
        fit_stages(rows.iloc[:4], cards)
    other = make_table([row(512, 128, n) | {"tp": 2} for n in (1, 8)])
    fits = fit_stages(pd.concat([rows, other]), cards)
    assert len(fits.fits) == 1
    (reason,) = fits.refused.values()
    assert "2 row(s) for 5 coefficients" in reason
