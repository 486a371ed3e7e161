"""What must hold of any posterior, checked on a short fit of real rows."""

import numpy as np
import pytest
import xarray as xr

from bayes_sd.forecast.conditions import resolve
from bayes_sd.forecast.costs import costs_for
from bayes_sd.forecast.latency import predict
from bayes_sd.forecast.summary import summarise
from bayes_sd.latency.service import Work, linear_coefficients
from bayes_sd.posterior.formats import NEW_IN_5, TERMS_BEFORE_4
from bayes_sd.posterior.posterior import FORMAT_VERSION, Posterior, load_posterior, save_posterior


@pytest.fixture(scope="module")
def conditions(a100):
    return a100[a100["mean_accepted_len"].notna()].iloc[[0, 5, 10]].reset_index(drop=True)


def test_divergences_are_rare(small_fit):
    """At most one draw in a hundred: this warm-up is a short one. Real fits are judged by the gate, which allows none."""
    assert small_fit.about["gate"]["divergences"] <= 0.01 * small_fit.n_draws


def test_intervals_cover_the_fitted_rows(small_fit, a100):
    """90 % predictive intervals hold 80 to 99.5 % of the rows they were fitted to."""
    prediction = predict(small_fit, a100)
    low, high = np.quantile(prediction.measured_s, [0.05, 0.95], axis=0)
    inside = np.mean((low <= a100["latency_s"]) & (a100["latency_s"] <= high))
    assert 0.80 <= inside <= 0.995


def test_fit_error_is_small(small_fit, a100):
    prediction = predict(small_fit, a100)
    error = np.abs(np.median(prediction.latency_s, axis=0) / a100["latency_s"] - 1.0)
    assert np.median(error) < 0.02


def test_every_draw_is_below_saturation_at_measured_rates(small_fit, a100, cards):
    """λ·C2 < 1 for every draw, with λ = N/L: a closed loop cannot be past saturation."""
    resolved = resolve(a100, small_fit, cards)
    found = costs_for(small_fit, resolved, cards)
    work = Work(resolved.prompt, resolved.output, resolved.k, found.committed)
    _, c2 = linear_coefficients(found.costs, work)
    rate = predict(small_fit, a100, cards)
    throughput = resolved.load / rate.latency_s
    assert np.all(throughput * c2 < 1.0)


def test_speedup_at_zero_load_is_the_ratio_of_c1(small_fit, conditions, cards):
    """As load goes to zero an open loop's speedup tends to C1 without over C1 with speculation, up to C2/C1."""
    slow = conditions.assign(load_kind="rate", load_value=1e-4, arrivals="even")
    plain = slow.assign(method="none", drafter="", k=0.0, mean_accepted_len=np.nan, acceptance=np.nan)
    latencies, firsts = [], []
    for frame in (plain, slow):
        resolved = resolve(frame, small_fit, cards)
        found = costs_for(small_fit, resolved, cards)
        work = Work(resolved.prompt, resolved.output, resolved.k, found.committed)
        c1, c2 = linear_coefficients(found.costs, work)
        firsts.append(c1 + c2)
        found_zero = predict(small_fit, frame, cards)
        latencies.append(found_zero.latency_s)
    kernel_room = 1.25  # deviations of kernels at one token in a step
    ratio = (latencies[0] / latencies[1]) / (firsts[0] / firsts[1])
    assert np.all((ratio < kernel_room) & (ratio > 1 / kernel_room))


def test_latency_rises_with_load_and_ends_at_saturation(small_fit, conditions):
    row = conditions.iloc[[0]]
    frame = row.loc[row.index.repeat(5)].reset_index(drop=True)
    frame = frame.assign(load_kind="rate", arrivals="poisson", load_value=[0.1, 1.0, 3.0, 6.0, 500.0])
    table = summarise(predict(small_fit, frame))
    latency = table["latency_median_s"].to_numpy()
    assert list(table["stable"]) == [True, True, True, True, False]
    assert np.all(np.diff(latency[:4]) > 0)
    assert np.isnan(latency[4])


def test_an_unseen_gpu_is_wider_and_named(small_fit, conditions):
    frame = conditions.iloc[[0, 0]].reset_index(drop=True)
    frame.loc[1, "hardware"] = "H200"
    table = summarise(predict(small_fit, frame))
    width = np.log(table["latency_upper_s"] / table["latency_lower_s"])
    assert width[1] > 2 * width[0]
    assert table["extrapolates"][0] == ""
    assert "hardware" in table["extrapolates"][1]


def test_an_unstated_acceptance_is_predicted_and_wider(small_fit, conditions):
    frame = conditions.iloc[[0, 0]].reset_index(drop=True)
    frame.loc[1, ["mean_accepted_len", "acceptance"]] = np.nan
    frame.loc[1, "workload"] = "never seen"
    table = summarise(predict(small_fit, frame))
    width = np.log(table["latency_upper_s"] / table["latency_lower_s"])
    assert width[1] > width[0]
    assert "acceptance" in table["extrapolates"][1]


def test_synthetic_text_is_harder_to_draft_for(small_fit, conditions, cards):
    """Random prompts of a drafter measured on real text only: fewer tokens a cycle, and less certain."""
    frame = conditions.iloc[[0, 0]].reset_index(drop=True)
    frame[["mean_accepted_len", "acceptance", "n_drafts", "n_accepted_tokens"]] = np.nan
    frame["workload"] = ["never seen", "random 1k-1k"]
    committed = costs_for(small_fit, resolve(frame, small_fit, cards), cards).committed
    assert np.median(committed[:, 1]) < np.median(committed[:, 0])
    assert np.std(np.log(committed[:, 1])) > 0.8 * np.std(np.log(committed[:, 0]))


def before_format_3(posterior):
    """Take from a posterior what formats 3 and 4 added, and give what it then should predict as."""
    nothing = posterior.tree["posterior"].to_dataset()
    nothing["load_misfit_raw"] = 0.0 * nothing["load_misfit_raw"]
    nothing["log_load_misfit_scale"] = 0.0 * nothing["log_load_misfit_scale"] - 50.0
    nothing["log_part"] = nothing["log_part"].where(nothing["part"] != "prefill_attention", -50.0)
    same, old = posterior.tree.copy(), posterior.tree.copy()
    terms = [name for name in posterior.about["spec"]["terms"] if name in TERMS_BEFORE_4]
    without = posterior.about | {"spec": posterior.about["spec"] | {"terms": terms}}
    same["posterior"] = xr.DataTree(nothing)
    kept = nothing.drop_vars(["load_misfit_raw", "log_load_misfit_scale", "lengths"])
    old["posterior"] = xr.DataTree(kept.sel(part=kept["part"] != "prefill_attention"))
    priors = posterior.about["spec"]["priors"]
    part = {name: value for name, value in priors["part"].items() if name != "prefill_attention"}
    spec = posterior.about["spec"] | {"priors": priors | {"part": part}}
    del spec["terms"]  # which files name since format 4
    cells = [name for name in posterior.names("cell") if " | w:fp16 | " in name]
    unnamed = [name.replace(" | w:fp16 | ", " | ") for name in cells]
    kept = old["posterior"].to_dataset().sel(cell=cells).assign_coords(cell=unnamed)
    old["posterior"] = xr.DataTree(kept)
    drafters = dict(zip(posterior.names("cell"), posterior.about["cell_drafter"], strict=True))
    about = posterior.about | {
        "spec": spec,
        "coords": posterior.about["coords"] | {"cell": unnamed},
        "cell_drafter": [drafters[name] for name in cells],
    }
    return old, about, Posterior(same, without)


def test_a_file_of_format_2_still_predicts(small_fit, conditions, tmp_path):
    """Written before costs of load had a misfit and attention a part in prefill: they have none then."""
    tree, about, same = before_format_3(small_fit)
    saved = save_posterior(Posterior(tree, about | {"format_version": 2}), tmp_path / "old.nc")
    old = load_posterior(saved, accept_unconverged=True)
    assert old.about["format_version"] == FORMAT_VERSION
    assert np.allclose(predict(old, conditions).latency_s, predict(same, conditions).latency_s, rtol=1e-9)


def test_a_file_of_format_1_still_predicts(small_fit, conditions, tmp_path):
    """Written before synthetic text had an effect of its own: it has none then, and stated acceptances are as before."""
    tree, about, same = before_format_3(small_fit)
    tree["posterior"] = xr.DataTree(tree["posterior"].to_dataset().drop_vars("acceptance_synthetic"))
    saved = save_posterior(Posterior(tree, about | {"format_version": 1}), tmp_path / "old.nc")
    old = load_posterior(saved, accept_unconverged=True)
    assert old.about["format_version"] == FORMAT_VERSION
    assert np.allclose(predict(old, conditions).latency_s, predict(same, conditions).latency_s, rtol=1e-9)
    frame = conditions.assign(mean_accepted_len=np.nan, acceptance=np.nan, workload="random 1k-1k")
    assert np.isfinite(predict(old, frame).latency_s).all()


def test_a_file_of_format_4_still_predicts(small_fit, conditions, tmp_path):
    """Written before versions, layouts and slopes of stacks: what it was fitted to is predicted from its own costs, as they stand."""
    draws, about = small_fit.tree["posterior"].to_dataset(), small_fit.about
    new = [
        *NEW_IN_5,
        "tp_engine",
        "log_tp_scale",
        "tp_stack",
        "part_age",
        "draft_engine",
        "log_further_token",
    ]
    kept = draws.drop_vars([name for name in new if name in draws])
    raw, tails = kept["load_misfit_raw"], about["spec"]["priors"]["misfit"]["load_tails"]
    kept["load_misfit"] = np.exp(kept["log_load_misfit_scale"]) * (raw + 0.25 * (raw**3 + raw) / tails)
    kept = kept.drop_vars("load_misfit_raw")
    hosts = [name.rpartition(" | ")[0] for name in small_fit.names("host")]
    tree = small_fit.tree.copy()
    tree["posterior"] = xr.DataTree(kept.assign_coords(host=hosts))
    priors = {name: dict(value) for name, value in about["spec"]["priors"].items() if name != "age"}
    priors["spread"] = {
        name: {n: v for n, v in value.items() if n not in NEW_IN_5} if isinstance(value, dict) else value
        for name, value in priors["spread"].items()
    }
    del priors["misfit"]["load_tails"]
    terms = [name for name in about["spec"]["terms"] if name != "further"]
    before = about | {
        "format_version": 4,
        "spec": about["spec"] | {"priors": priors, "terms": terms},
        "coords": about["coords"] | {"host": hosts},
    }
    old = load_posterior(
        save_posterior(Posterior(tree, before), tmp_path / "old.nc"), accept_unconverged=True
    )
    assert old.about["format_version"] == FORMAT_VERSION
    plain = conditions.assign(method="none", drafter="", k=0.0, mean_accepted_len=np.nan, acceptance=np.nan)
    # Draws are kept in single precision: misfits of load in other units are others by some 1e-7 of themselves.
    assert np.allclose(predict(old, plain).latency_s, predict(small_fit, plain).latency_s, rtol=1e-6)
    unseen = predict(old, conditions.assign(engine="vllm-0.9.0", tp=2, hardware="RTX-4090"))
    assert np.isfinite(unseen.latency_s).all()


def test_a_saved_posterior_predicts_the_same(small_fit, small_trace, conditions):
    again = load_posterior(small_trace)
    assert np.array_equal(predict(again, conditions).latency_s, predict(small_fit, conditions).latency_s)


def test_saving_twice_keeps_the_old_file_on_failure(small_fit, tmp_path):
    target = tmp_path / "a.nc"
    save_posterior(small_fit, target)
    before = target.read_bytes()
    save_posterior(small_fit, target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]
