"""A sweep says what predict says, draw by draw, and compares alternatives within a draw."""

import numpy as np
import pandas as pd
import pytest

from bayes_sd.errors import CardError, ConditionError
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.sweep import Alternative, prepare, stability_limits, sweep

LENGTHS = (0, 1, 3, 5, 7)
ALTERNATIVES = [Alternative(k) for k in LENGTHS]


def predicted(posterior, base, loads, axis, arrivals, cards):
    rows = []
    for alternative in ALTERNATIVES:
        for load in loads:
            row = alternative.row(base.iloc[0])
            row["load_kind"] = "concurrency" if axis == "in-flight" else "rate"
            row["load_value"], row["arrivals"] = load, arrivals or "even"
            rows.append(row)
    frame = pd.DataFrame(rows).astype(base.dtypes.to_dict()).reset_index(drop=True)
    return predict(posterior, frame, cards)


@pytest.mark.parametrize(
    ("axis", "arrivals", "loads", "changes"),
    [
        ("rate", "poisson", [0.01, 5.0, 14.0, 60.0], {}),
        ("rate", "even", [0.01, 5.0, 14.0, 60.0], {}),
        ("rate", "poisson", [0.5, 6.0, 9.0], {"max_num_seqs": 16}),
        ("rate", "poisson", [0.05, 0.4, 1.0], {"prompt_tokens": 20000.0}),
        ("in-flight", None, [1.0, 7.0, 64.0, 400.0], {}),
        ("in-flight", None, [1.0, 64.0], {"max_num_seqs": 16, "prompt_tokens": 20000.0}),
        ("rate", "poisson", [1.0, 6.0], {"hardware": "H200", "precision": "fp8", "workload": "new"}),
        ("rate", "poisson", [1.0, 6.0], {"mean_accepted_len": 3.0}),
    ],
    ids=[
        "poisson",
        "even",
        "cap",
        "cache",
        "closed",
        "closed-cap-cache",
        "never-measured",
        "stated-acceptance",
    ],
)
def test_a_sweep_is_predict_draw_by_draw(small_fit, another, cards, axis, arrivals, loads, changes):
    base = another(**changes)
    swept = sweep(prepare(small_fit, base, ALTERNATIVES, cards), loads, axis, arrivals)
    found = predicted(small_fit, base, loads, axis, arrivals, cards)
    shape = (small_fit.n_draws, len(LENGTHS), len(loads))
    for name, values in (
        ("latency", found.latency_s), ("in_flight", found.in_flight), ("ttft", found.ttft_s)
    ):  # fmt: skip
        expected = values.reshape(shape)
        finite = np.isfinite(expected)
        assert np.array_equal(np.isfinite(swept[name]), finite)
        assert np.allclose(swept[name].to_numpy()[finite], expected[finite], rtol=1e-6)
    assert np.allclose(swept["stable"].mean("sample"), found.stable.reshape(shape[1:]))


def test_dims_and_names(small_fit, base, cards):
    swept = sweep(prepare(small_fit, base, ALTERNATIVES, cards), [1.0, 2.0], ttft=False)
    assert dict(swept.sizes) == {"sample": small_fit.n_draws, "alternative": 5, "load": 2}
    assert list(swept["alternative"].to_numpy()) == ["none", "k=1", "k=3", "k=5", "k=7"]
    assert "ttft" not in swept
    assert swept.attrs["load_axis"] == "rate"


def test_alternatives_share_their_luck(small_fit, another, cards):
    """Nothing of this GPU and workload was measured, so all is drawn; and yet the two are the same server."""
    base = another(hardware="H200", precision="fp8", workload="never seen")
    twice = sweep(prepare(small_fit, base, [Alternative(5), Alternative(5)], cards), [1.0, 6.0])
    assert np.array_equal(twice["latency"][:, 0], twice["latency"][:, 1])
    lengths = sweep(prepare(small_fit, base, ALTERNATIVES, cards), [1.0], ttft=False)
    committed = lengths["committed"].to_numpy()
    assert np.all(committed[:, 0] == 1.0)
    # A drafter's luck is one number, not one for each draft length: more drafted, more committed, in nearly all draws.
    assert np.mean(np.diff(committed, axis=1) > 0.0) > 0.95
    log_latency = np.log(lengths["latency"].to_numpy()[:, :, 0])
    apart = np.std(log_latency[:, 3] - log_latency[:, 4])
    assert apart < 0.3 * np.std(log_latency[:, 3])


def test_a_stated_acceptance_stays_with_its_draft_length(small_fit, another, cards):
    prepared = prepare(small_fit, another(mean_accepted_len=3.0), ALTERNATIVES, cards)
    committed = prepared.costs.committed
    assert np.all(committed[:, 3] == 3.0)
    assert np.all(np.std(committed[:, [1, 2, 4]], axis=0) > 0.0)


def test_a_drafter_never_measured_is_answered_from_the_prior_and_named(small_fit, base, cards):
    alternatives = [
        Alternative(5),
        Alternative(5, "EAGLE-Llama-3.1-8B", "eagle"),
        Alternative(5, "ngram", "ngram"),
    ]
    swept = sweep(prepare(small_fit, base, alternatives, cards), [1.0])
    assert list(swept["alternative"].to_numpy()) == [
        "EAGLE3-Llama-3.1-8B k=5", "EAGLE-Llama-3.1-8B k=5", "ngram k=5"
    ]  # fmt: skip
    new = ["drafter" in str(words).split("; ") for words in swept["extrapolates"].to_numpy()]
    assert new == [False, True, True]
    width = np.std(np.log(swept["latency"].to_numpy()[:, :, 0]), axis=0)
    assert width[1] > 3 * width[0]


def test_utilisation_is_a_share_of_the_plain_servers_limit(small_fit, base, cards):
    prepared = prepare(small_fit, base, ALTERNATIVES, cards)
    limit = np.median(stability_limits(prepared)[:, 0])
    swept = sweep(prepared, [0.5], "utilisation", ttft=False)
    assert np.allclose(swept["rate_rps"], 0.5 * limit)
    assert np.allclose(swept["latency"], sweep(prepared, [0.5 * limit], ttft=False)["latency"])
    assert np.allclose(swept["limit"], stability_limits(prepared), rtol=1e-6)


def test_past_saturation_there_is_no_latency(small_fit, base, cards):
    swept = sweep(prepare(small_fit, base, ALTERNATIVES, cards), [1e4])
    assert not swept["stable"].any()
    assert np.all(np.isinf(swept["latency"])) and np.all(np.isinf(swept["ttft"]))


@pytest.mark.parametrize(
    ("loads", "axis", "words"),
    [
        ([0.0], "rate", "above 0"),
        ([-1.0, 1.0], "rate", "-1"),
        ([0.5], "in-flight", "at least 1"),
        ([np.nan], "utilisation", "above 0"),
        ([], "rate", "none"),
        ([1.0], "speed", "in-flight"),
    ],
)
def test_loads_that_are_none(small_fit, base, cards, loads, axis, words):
    prepared = prepare(small_fit, base, ALTERNATIVES[:2], cards)
    with pytest.raises(ConditionError, match=words):
        sweep(prepared, loads, axis)


def test_bases_that_are_none(small_fit, base, another, cards):
    with pytest.raises(ConditionError, match="one row"):
        prepare(small_fit, pd.concat([base, base]), ALTERNATIVES, cards)
    with pytest.raises(ConditionError, match="draft length"):
        prepare(small_fit, base, [], cards)
    with pytest.raises(CardError, match="H9000"):
        prepare(small_fit, another(hardware="H9000"), ALTERNATIVES, cards)
