"""A posterior with new rows: as a fit would have it, or a line that says why not."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from bayes_sd.cli import command
from bayes_sd.errors import ConvergenceError, DataError
from bayes_sd.forecast.latency import predict
from bayes_sd.learn import sampling
from bayes_sd.learn.matching import matched
from bayes_sd.learn.rows import join_rows
from bayes_sd.learn.update import update
from bayes_sd.learn.weights import Weights, resampled, smoothed
from bayes_sd.learn.wider import widened
from bayes_sd.model.likelihood import row_log_density
from bayes_sd.posterior import load_posterior


def test_weights_of_a_conjugate_normal():
    """Prior N(0, 1), three measurements of sd 1 with mean 0.8: posterior N(0.6, 1/4)."""
    x = np.random.default_rng(0).normal(size=20_000)
    found = smoothed(-0.5 * 3.0 * (0.8 - x) ** 2)
    assert found.reliable
    mean = found.weight @ x
    assert mean == pytest.approx(0.6, abs=0.02)
    assert found.weight @ (x - mean) ** 2 == pytest.approx(0.25, abs=0.02)
    grid = np.linspace(-8.0, 8.0, 4001)
    prior, likelihood = np.exp(-0.5 * grid**2), np.exp(-1.5 * (0.8 - grid) ** 2)
    share = (prior @ likelihood) ** 2 / (prior @ likelihood**2) / prior.sum()
    assert found.effective / len(x) == pytest.approx(share, rel=0.05)


def test_weights_that_say_too_much_are_told():
    x = np.random.default_rng(1).normal(size=4000)
    assert not smoothed(-0.5 * 400.0 * (5.0 - x) ** 2).reliable
    assert not smoothed(np.full(100, -np.inf)).reliable
    assert smoothed(np.zeros(1000)).reliable


def test_resampling_keeps_means():
    rng = np.random.default_rng(2)
    x = rng.normal(size=3000)
    weight = np.exp(x)
    weight /= weight.sum()
    assert x[resampled(weight, 3000, rng)].mean() == pytest.approx(weight @ x, abs=0.01)


class Linear:
    """Unknowns N(0, I) and measurements y = H x + noise, in place of a posterior's densities."""

    def __init__(self, n, size, matrix, measured, sd):
        self.u = {"x": np.random.default_rng(3).normal(size=(n, size))}
        self.matrix, self.measured, self.sd, self.coords = matrix, measured, sd, {}
        self.target = SimpleNamespace(to_natural=lambda x: {"x": x}, log_volume=lambda x: np.zeros(len(x)))
        self.added = SimpleNamespace(
            expected=lambda u, coords: (
                u["x"] @ matrix.T,
                np.full((len(u["x"]), len(measured)), sd),
                measured,
            )
        )

    def gain(self, u):
        return -0.5 * np.sum(((self.measured - u["x"] @ self.matrix.T) / self.sd) ** 2, axis=1)

    def log_joint(self, u):
        return self.gain(u) - 0.5 * np.sum(u["x"] ** 2, axis=1)

    def to_coordinates(self):
        return self.u["x"].copy()


def test_moment_matching_finds_a_far_posterior():
    """Where weights alone fail, moved draws have the mean and spread of the exact posterior."""
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(3, 40)) / np.sqrt(40.0)
    measured = np.array([2.5, -2.0, 1.5])
    case = Linear(4000, 40, matrix, measured, 0.1)
    assert not smoothed(case.gain(case.u)).reliable
    moved = matched(case, np.arange(0, 4000, 2), 200.0)
    assert moved.weights.reliable
    precision = np.eye(40) + matrix.T @ matrix / 0.1**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ matrix.T @ measured / 0.1**2
    w, x = moved.weights.weight, moved.u["x"]
    along = rng.normal(size=(40, 5))
    error = 4.0 * np.sqrt(np.diag(along.T @ covariance @ along) / moved.weights.effective)
    assert np.abs((w @ x - mean) @ along).max() < error.max()
    assert np.abs(w @ (x @ matrix.T) - matrix @ mean).max() < 0.05
    spread = np.sqrt(w @ (x @ matrix.T - matrix @ mean) ** 2)
    assert spread == pytest.approx(np.sqrt(np.diag(matrix @ covariance @ matrix.T)), rel=0.3)


@pytest.fixture(scope="module")
def truth(small_fit, a100):
    """Rows as one draw of the posterior has them, at prompts that were never measured: some to learn from, some to predict."""
    plain = a100[(a100["load_kind"] == "concurrency") & (a100["k"] == 0) & (a100["workload"] == "gsm8k")]
    rows = plain.tail(4).copy()  # one server at four loads
    rows["prompt_tokens"], rows["source"] = rows["prompt_tokens"] * 2.0, "elsewhere"
    latency = predict(small_fit, rows, seed=0).latency_s
    far = np.argsort(np.log(latency).mean(axis=1))[int(0.8 * len(latency))]
    rows["latency_s"] = rows["mean_e2e_s"] = latency[far]
    for name in ("mean_ttft_ms", "mean_tpot_ms", "p50_e2e_s"):
        rows[name] = np.nan
    known = np.arange(4) == 3
    return rows[known].reset_index(drop=True), rows[~known].reset_index(drop=True)


@pytest.fixture(scope="module")
def updated(small_fit, truth):
    return update(small_fit, truth[0])


def test_predictions_move_towards_the_truth(small_fit, truth, updated):
    def error(posterior):
        deviation = np.log(predict(posterior, truth[1]).latency_s / truth[1]["latency_s"].to_numpy())
        return np.sqrt(np.square(deviation).mean())

    assert error(updated.posterior) < 0.6 * error(small_fit)
    assert updated.k_hat < 0.7
    assert "k-hat" in updated.sentence()


def test_an_updated_posterior_is_as_a_fits(small_fit, truth, updated, tmp_path):
    from bayes_sd.posterior import save_posterior

    again = load_posterior(save_posterior(updated.posterior, tmp_path / "new.nc"))
    assert len(again.observed) == len(small_fit.observed) + len(truth[0])
    assert again.about["n_observations"] == len(again.observed)
    assert again.about["updates"][0]["method"] == updated.method
    assert again.about["updates"][0]["added"] == len(truth[0])
    assert np.isfinite(predict(again, truth[1]).latency_s).all()
    assert small_fit.about.get("updates") is None


def test_rows_by_themselves_say_what_they_say_among_all(small_fit, truth, cards):
    wider = widened(small_fit, join_rows(small_fit, truth[0]), cards, 0)
    u = {name: values[:20] for name, values in wider.u.items()}
    frame = wider.whole.design.frame
    whole = row_log_density(wider.whole.inputs, wider.whole.design, u)
    own = whole[:, (frame["source"] == "elsewhere").to_numpy()].sum(axis=1)
    assert wider.gain(u) == pytest.approx(own, rel=1e-9)


def test_rows_count_once(small_fit, a100, truth):
    with pytest.raises(DataError, match="already"):
        update(small_fit, a100.iloc[:5])
    joined = join_rows(small_fit, pd.concat([a100.iloc[:5], truth[0]]))
    assert joined.known == 5
    assert joined.added.sum() == len(truth[0])
    another = a100.iloc[:1].copy()
    another["latency_s"] = another["latency_s"] * 1.02
    joined = join_rows(small_fit, another)
    assert len(joined.frame) == len(small_fit.observed)
    assert joined.added.sum() == joined.replaced.sum() == 1


@pytest.fixture
def call(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        return CliRunner().invoke(command, [str(a) for a in arguments])

    return run


HEADER = (
    "source,hardware,tp,engine,verifier,method,drafter,k,workload,prompt_tokens,output_tokens,load_kind,load_value,"
    "mean_e2e_s,precision\n"
)


def test_the_command_writes_a_file_that_commands_read(call, small_trace, truth, tmp_path):
    columns = HEADER.strip().split(",")
    truth[0][columns].to_csv(tmp_path / "new.csv", index=False)
    done = call("update", small_trace, "--data", "new.csv", "--output", "new.nc", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["added"] == len(truth[0])
    assert found["k_hat"] < 0.7
    assert "new.nc" in found["path"]
    assert call("about", "new.nc").exit_code == 0


def test_what_cannot_be_updated_is_told_and_nothing_written(call, small_trace, tmp_path):
    row = "mine,H100-SXM,8,vllm,{verifier},none,,0,,512,128,concurrency,{n},{latency},fp8\n"
    other = HEADER + "".join(row.format(verifier="gpt-oss-120b", n=n, latency=1.0) for n in (1, 2, 4))
    (tmp_path / "other.csv").write_text(other)
    done = call("update", small_trace, "--data", "other.csv", "--output", "x.nc")
    assert isinstance(done.exception, DataError)
    assert "3 of 3 rows are of another family" in str(done.exception) and "gpt-oss-120b" in str(
        done.exception
    )
    assert "`fit --family all`" in str(done.exception)
    assert not (tmp_path / "x.nc").exists()


def test_rows_of_another_family_are_refused_whoever_read_them(small_fit, a100):
    foreign = a100.iloc[:3].assign(verifier="gpt-oss-120b", precision="mxfp4", latency_s=9.0)
    with pytest.raises(DataError, match="3 of 5 rows are of another family"):
        update(small_fit, pd.concat([foreign, a100.iloc[:2]], ignore_index=True))


def test_weights_with_one_draw_are_not_reliable():
    assert not Weights(np.array([1.0]), 0.9, 1.0).reliable


@pytest.fixture(scope="module")
def far_rows(a100):
    """A GPU that was not fitted, three times as slow as the fitted one: weights cannot reach it."""
    rows = a100[(a100["load_kind"] == "concurrency") & (a100["k"] == 0)].tail(4).copy()
    rows["hardware"], rows["source"] = "L40S", "far away"
    for name in ("latency_s", "mean_e2e_s", "p50_e2e_s", "mean_ttft_ms", "mean_tpot_ms"):
        rows[name] = rows[name] * 3.0
    return rows.reset_index(drop=True)


@pytest.fixture(scope="module")
def far_run(small_fit, far_rows, cards):
    """A run of the sampler from the moved draws, shorter than an update's."""
    wider = widened(small_fit, join_rows(small_fit, far_rows), cards, 0)
    moved = matched(wider, np.arange(small_fit.n_draws), 40.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "DRAWS", 150)
        patch.setattr(sampling, "TOLD", 100)
        return sampling.sampled(wider, moved, small_fit.spec, 0)


def test_the_sampler_goes_where_weights_cannot(small_fit, far_rows, far_run, cards, monkeypatch):
    assert far_run.gate.max_rhat < 1.1 and far_run.gate.divergences < 30
    passing = replace(
        far_run.gate,
        max_rhat=1.0,
        min_ess_bulk=500.0,
        min_ess_tail=450.0,
        divergences=0,
        depth_limit=0,
        min_bfmi=1.0,
    )
    monkeypatch.setattr("bayes_sd.learn.update.sampled", lambda *_: replace(far_run, gate=passing))
    found = update(small_fit, far_rows, cards=cards)
    assert found.method == "sampling" and "k-hat" in found.reason and "new draws" in found.sentence()
    assert found.posterior.about["gate"]["passed"] and found.posterior.n_draws == len(
        next(iter(far_run.u.values()))
    )
    assert found.posterior.about["updates"][-1]["effective"] == found.posterior.n_draws
    off = np.log(predict(found.posterior, far_rows).latency_s).mean(axis=0) - np.log(far_rows["latency_s"])
    assert np.abs(off).max() < 0.1


def test_a_run_that_did_not_mix_is_followed_by_a_longer_one_in_its_own_frame(far_run):
    """150 draws a chain cannot have 400 effective ones of four chains' worst unknown: what came out is of the second run."""
    assert len(next(iter(far_run.u.values()))) == sampling.LONGER * 150 * sampling.CHAINS


def test_a_run_that_did_not_converge_changes_nothing(small_fit, far_rows, far_run, cards, monkeypatch):
    with pytest.raises(ConvergenceError, match="fit again"):
        update(small_fit, far_rows, cards=cards, sampling=False)
    failing = replace(far_run.gate, max_rhat=1.3)
    monkeypatch.setattr("bayes_sd.learn.update.sampled", lambda *_: replace(far_run, gate=failing))
    with pytest.raises(ConvergenceError, match="sampling: R-hat") as caught:
        update(small_fit, far_rows, cards=cards)
    assert "\n" not in str(caught.value)
