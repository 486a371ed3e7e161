"""What ``fit`` gives: one line to print, a table of its parameters, conditions by name, and all it takes to predict."""

import json
from dataclasses import replace

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from click.testing import CliRunner

import bayes_sd as sd
from bayes_sd.cards import load_cards
from bayes_sd.cards.stored import cards_used
from bayes_sd.cli.fit_report import fit_accuracy
from bayes_sd.cli.predict import predict as command
from bayes_sd.measurements import apply_rules
from bayes_sd.posterior.posterior import observed_set
from bayes_sd.sample.fit import FitResult
from bayes_sd.sample.gate import Gate

NEEDED = ["hardware", "verifier", "prompt_tokens", "output_tokens", "load_kind", "load_value"]


@pytest.fixture(scope="module")
def result(small_fit, a100):
    own = {
        name: value for name, value in small_fit.about["gate"].items() if name in Gate.__dataclass_fields__
    }
    return FitResult(small_fit, Gate(**own), apply_rules(a100)[1])


@pytest.fixture(scope="module")
def plain(a100):
    return a100[a100["method"] == "none"].iloc[:3].reset_index(drop=True)


def test_a_fit_prints_as_one_short_line(result, small_fit, plain):
    for thing in (result, small_fit, sd.predict(small_fit, plain)):
        text = repr(thing)
        assert len(text) < 250
        assert "\n" not in text
    assert f"{len(small_fit.observed)} rows" in repr(result)
    assert "llama" in repr(result)
    assert "llama" in repr(small_fit)


def test_a_summary_has_a_row_for_each_number(result, small_fit):
    table = result.summary(names=["log_cost"])
    drawn = small_fit.tree["posterior"]["log_cost"]
    assert len(table) == drawn.isel(chain=0, draw=0).size
    assert {"mean", "sd", "ess_bulk", "r_hat"} <= set(table.columns)
    assert np.allclose(
        table["mean"].astype(float), drawn.mean(["chain", "draw"]).to_numpy().ravel(), rtol=1e-3, atol=1e-3
    )


def test_arviz_takes_the_data_as_they_are(result):
    assert {"posterior", "sample_stats"} <= set(result.data.children)
    assert len(az.summary(result.data, var_names=["log_part"])) == result.data["posterior"].sizes["part"]


def test_the_model_is_pymcs_own(result, small_fit):
    drawn = set(small_fit.tree["posterior"].data_vars)
    assert {v.name for v in result.model.free_RVs} <= drawn


def test_conditions_by_name(result, small_fit):
    frame = result.condition(workload="humaneval", k=[0, 3], rate_rps=[0.5, 1.0])
    assert frame["k"].tolist() == [0, 0, 3, 3]
    assert frame["load_value"].tolist() == [0.5, 1.0, 0.5, 1.0]
    assert set(frame["load_kind"]) == {"rate"}
    assert frame["method"].tolist()[:2] == ["none", "none"]
    assert frame.attrs["chosen"]
    latency = sd.predict(small_fit, frame).latency_s
    assert np.isfinite(latency).all()
    assert np.all(np.median(latency[:, [1, 3]], axis=0) > np.median(latency[:, [0, 2]], axis=0))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"rate_rps": 1, "concurrency": 2}, "both given"),
        ({"rate_rps": -1}, "a load of -1"),
        ({"concurrency": 1.5}, "whole number of clients"),
        ({"deployment": "no such thing"}, "no deployment"),
        ({"k": []}, "empty sequence"),
        ({"hardwear": "H100"}, "no column 'hardwear'"),
        ({"verifier": "Phi-4", "hardware": "H100"}, "^prompt_tokens is not given|no.* card has a drafter"),
    ],
)
def test_impossible_conditions_are_refused_by_name(result, asked, words):
    with pytest.raises(sd.BayesSdError, match=words):
        result.condition(**asked)


def test_the_needed_columns_are_enough_to_predict(small_fit, plain):
    """Without drafter, precision, engine and the rest: their defaults, and the engine that was measured."""
    few = sd.predict(small_fit, plain[NEEDED])
    same = sd.predict(
        small_fit, plain.assign(engine="unknown", max_num_seqs=np.nan)[[*NEEDED, "engine", "tp"]]
    )
    assert np.array_equal(few.latency_s, same.latency_s)
    one = sd.predict(small_fit, plain[NEEDED].iloc[0].to_dict())
    assert np.allclose(one.latency_s[:, 0], few.latency_s[:, 0])


def test_every_decision_takes_a_plain_condition(small_fit, a100):
    row = a100[a100["k"] > 0].iloc[0]
    base = row[["hardware", "verifier", "prompt_tokens", "output_tokens", "method", "drafter", "k"]].to_dict()
    assert sd.speedup(small_fit, base, loads=[0.5], thin=10).sizes["load"] == 1
    assert sd.tune(small_fit, base, loads=[1.0], draft_lengths=[0, 3], thin=10).sizes["alternative"] == 2
    assert sd.plan(small_fit, base, "p95<60s", 1.0).sizes["alternative"] == 2
    assert sd.Monitor(small_fit, base).k == row["k"]
    assert sd.bands(small_fit, base | {"load_kind": "rate", "load_value": [0.5, 1.0]}).sizes["load"] > 1
    with pytest.raises(sd.ConditionError, match="2 configurations"):
        sd.bands(small_fit, base | {"load_kind": "rate", "load_value": 1.0, "k": [2, 3]})


def test_a_missing_column_is_named_and_never_a_key_error(small_fit, plain):
    """Lengths may be left open: they are assumed and said."""
    for name in set(NEEDED) - {"prompt_tokens", "output_tokens"}:
        with pytest.raises(sd.ConditionError, match=name):
            sd.predict(small_fit, plain[NEEDED].drop(columns=name))


def test_a_predictions_dataset_has_chains_and_draws(small_fit, plain):
    prediction = sd.predict(small_fit, plain)
    found = prediction.to_dataset()
    sizes = small_fit.tree["posterior"].sizes
    assert (found.sizes["chain"], found.sizes["draw"]) == (sizes["chain"], sizes["draw"])
    joined = found["latency"].transpose("chain", "draw", "condition").to_numpy()
    assert np.array_equal(joined.reshape(-1, len(plain)), prediction.latency_s)
    assert sd.predict(small_fit, plain, thin=5).to_dataset().sizes["draw"] == sizes["draw"] // 5


def renamed_card(cards, frame):
    """Cards and rows in which the verifier has a name that no shipped card has."""
    card = cards.verifier(frame["verifier"].iloc[0]).model_copy(update={"name": "In-House-8B", "aliases": ()})
    return cards.overlaid({"verifier": [card]}), frame.assign(verifier="In-House-8B")


def test_a_posterior_carries_the_cards_of_its_rows(small_fit, cards):
    own = small_fit.about["cards"]
    assert set(own["hardware"]) == {d.hardware for d in small_fit.levels.deployments}
    assert set(own["verifier"]) == {d.verifier for d in small_fit.levels.deployments}
    json.dumps(own)
    assert not small_fit.changed_cards(cards)


def test_a_card_that_only_the_fit_knew_is_not_needed_again(small_fit, cards, plain):
    """The file is enough: its verifier has no shipped card, and no row says how large it is."""
    own, frame = renamed_card(cards, small_fit.observed)
    about = json.loads(json.dumps(small_fit.about).replace("Llama-3.1-8B-Instruct", "In-House-8B"))
    tree = small_fit.tree.copy()
    sizes = ["verifier_params_b", "verifier_active_params_b"]
    tree["observed"] = xr.DataTree(observed_set(frame.drop(columns=sizes, errors="ignore")))
    posterior = replace(small_fit, tree=tree, about=about | {"cards": cards_used(frame, own)})
    assert fit_accuracy(posterior).equals(fit_accuracy(small_fit))  # what `fit` prints, after it has saved
    plain = plain[[*NEEDED, "tp", "engine", "precision"]]
    asked = plain.assign(verifier="In-House-8B")
    assert np.array_equal(sd.predict(posterior, asked).latency_s, sd.predict(small_fit, plain).latency_s)
    with pytest.raises(sd.CardError, match="In-House-8B"):
        sd.predict(replace(posterior, about=about | {"cards": {}}), asked)


def test_a_model_that_this_version_does_not_build_is_told_in_one_line(small_fit, tmp_path):
    spec = small_fit.about["spec"] | {"draft_tree": "wide"}
    path = sd.save(replace(small_fit, about=small_fit.about | {"spec": spec}), tmp_path / "other.nc")
    with pytest.raises(sd.TraceError, match=r"format \d+.*draft_tree.*fit again") as raised:
        sd.load(path)
    assert "\n" not in str(raised.value)


def test_observations_say_their_units(small_fit):
    observed = small_fit.tree["observed"]
    assert observed["latency_s"].attrs["units"] == "s"
    assert observed["prompt_tokens"].attrs["long_name"] == "mean prompt length"


def test_a_card_that_changed_since_is_named_and_the_posteriors_own_is_used(
    small_fit, small_trace, plain, tmp_path
):
    name = small_fit.levels.deployments[0].hardware
    card = load_cards().hardware(name)
    faster = card.model_copy(update={"bandwidth_gb_per_s": 2 * card.bandwidth_gb_per_s})
    now = load_cards().overlaid({"hardware": [faster]})
    assert small_fit.changed_cards(now) == [f"hardware {name}"]
    assert small_fit.cards(now).hardware(name) == card
    folder = tmp_path / "cards"
    folder.mkdir()
    fields = {k: v for k, v in faster.model_dump().items() if k != "name" and v is not None}
    lines = [f"{k} = {json.dumps(v)}" for k, v in fields.items() if not isinstance(v, dict)]
    tables = [
        f"[hardware.{json.dumps(name)}.{k}]\n" + "\n".join(f"{n} = {json.dumps(x)}" for n, x in v.items())
        for k, v in fields.items()
        if isinstance(v, dict)
    ]
    text = "\n".join([f"[hardware.{json.dumps(name)}]", *lines, *tables])
    (folder / "faster.toml").write_text(text)
    conditions = tmp_path / "c.csv"
    plain[NEEDED].to_csv(conditions, index=False)
    outputs = []
    for more in ([], ["--models", str(folder)]):
        outputs.append(tmp_path / f"out{len(more)}.csv")
        args = [str(small_trace), "--conditions", str(conditions), "--output", str(outputs[-1]), *more]
        done = CliRunner().invoke(command, args, catch_exceptions=False)
        assert done.exit_code == 0
        assert (f"hardware {name}" in done.stderr) == bool(more)
    pd.testing.assert_frame_equal(*(pd.read_csv(path) for path in outputs))
